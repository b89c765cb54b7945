"""``manage.py sample``: a small sample, so that there is something to see: web, db and cache on two networks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from networks.cnm.errors import CnmError
from networks.models import Host, Network
from networks.services import containers, networks, operations
from networks.services.actor import Actor
from networks.services.find import find_container
from networks.services.outcome import Outcome
from networks.services.spec_container import AttachRequest, read_container
from networks.services.spec_network import read_network

ACTOR = Actor(name="sample", role="admin", via="shell")
SERVE = ["python3", "-m", "http.server", "80"]
SLEEP = ["sleep", "infinity"]


class Command(BaseCommand):
    help = "Make a small sample: three containers on two networks, one published port."

    def handle(self, *args: Any, **options: Any) -> None:
        host = Host.objects.get(name=settings.HOST_NAME)
        try:
            _network(host, name="frontend", subnets=[{"subnet": "10.20.0.0/24"}])
            _network(host, name="backend", internal=True, subnets=[{"subnet": "10.21.0.0/24"}])
            _container(host, name="web", command=SERVE, network="frontend", ports=["8080:80"])
            backend = Network.objects.get(host=host, name="backend")
            attach = AttachRequest(network="backend")
            _done(networks.connect(ACTOR, backend, find_container(host, "web"), attach))
            _container(host, name="db", command=SLEEP, network="backend")
            _container(host, name="cache", command=SLEEP, network="backend")
        except CnmError as error:
            raise CommandError(str(error)) from error


def _network(host: Host, **body: Any) -> None:
    _done(networks.create_network(ACTOR, host, read_network(body)))


def _container(host: Host, **body: Any) -> None:
    _done(containers.run_container(ACTOR, host, read_container(body)))


def _done(outcome: Outcome) -> None:
    """Wait until the kernel has it."""
    if outcome.operation is not None:
        operation = operations.wait(outcome.operation)
        if operation.state != "done":
            raise CommandError(f"Operation {operation.number} is {operation.state}: {operation.error}")
