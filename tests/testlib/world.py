"""A host with its predefined networks in the database, and the cast of people: for tests that need no kernel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from networks import settle
from networks.models import Container, Host, Network, Operation
from networks.services import containers, networks
from networks.services.actor import Actor
from networks.services.images import ensure_host_image
from networks.services.spec_container import read_container
from networks.services.spec_network import read_network

OPERATOR = Actor(name="olga", role="operator", via="api")
VIEWER = Actor(name="vera", role="viewer", via="api")
ADMIN = Actor(name="anna", role="admin", via="api")


class World:
    """One host, and short words for the use cases."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def network(self, name: str = "app", **spec: Any) -> Network:
        """A network that is ready, as after the worker's work."""
        outcome = networks.create_network(OPERATOR, self.host, read_network({"name": name, **spec}))
        self.work()
        return Network.objects.get(pk=outcome.subject.pk)  # type: ignore[union-attr]

    def container(self, name: str = "web", **spec: Any) -> Container:
        """A container that runs, as after the worker's work."""
        body = {"name": name, "command": ["sleep", "9"], **spec}
        outcome = containers.run_container(OPERATOR, self.host, read_container(body))
        self.work()
        return Container.objects.get(pk=outcome.subject.pk)  # type: ignore[union-attr]

    def work(self) -> int:
        """Settle what waits, in the worker's place; how many operations that was. No kernel is touched."""
        waiting = Operation.objects.filter(state="pending").order_by("number")
        for operation in waiting:
            settle.settle(operation)
        return len(waiting)

    def ends(self, container: Container, exit_code: int = 0) -> float | None:
        """Its process ends by itself."""
        return settle.mark_exited(self.host, container.pk, container.run, exit_code, timezone.now())


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as in production: a database in memory locks whole tables, and so behaves otherwise under threads."""
    for database in settings.DATABASES.values():
        if database["ENGINE"].endswith("sqlite3"):
            database.setdefault("TEST", {})["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture
def world(db: None) -> World:
    heard = timezone.now() + timedelta(hours=1)  # so that a slow machine is no silent worker
    host = Host.objects.create(name="local", settings={"names": "cnm"}, heartbeat_at=heard)
    networks.ensure_defaults(host)
    ensure_host_image(host)
    return World(host)
