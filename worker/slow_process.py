"""The slow process of a host."""

from __future__ import annotations

from django.conf import settings
from django.db import close_old_connections

from networks.models import Host

from . import slow
from .capture.run import tidy as tidy_captures
from .claim import claim_next, requeue_interrupted
from .runtime_of_host import build_runtime
from .single import be_the_only


def start() -> None:
    """Become the one slow process of this host, and take up what a former one left."""
    be_the_only("slow")
    host = _host()
    if host is None:
        return
    slow.end_interrupted(host)
    requeue_interrupted(host, "slow")
    tidy_captures(host)
    build_runtime().images.tidy()
    work()


def work() -> None:
    """Carry out what waits in the slow queue, until nothing does. Several threads may do so at once."""
    close_old_connections()
    host = _host()
    while host is not None and (operation := claim_next(host, "slow")) is not None:
        slow.carry_out(operation, build_runtime())
    close_old_connections()


def _host() -> Host | None:
    """This host's row; None: an admin removed it."""
    return Host.objects.filter(name=settings.HOST_NAME).first()
