"""The two worker processes of a host: what each holds for its whole life."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import suppress
from functools import cache
from typing import TextIO

from django.conf import settings
from django.db import close_old_connections

from networks.models import Host

from . import slow
from .build import build, build_runtime
from .claim import claim_next, requeue_interrupted
from .engine import Engine
from .facts import observe_facts

log = logging.getLogger(__name__)

_locks: list[TextIO] = []


@cache
def engine() -> Engine:
    """The engine of this kernel process, made at its first use."""
    host = Host.objects.get(name=settings.HOST_NAME)
    return Engine(host, build(host), lambda: observe_facts(settings.RUN_DIR, _own_pids()))


def start_kernel() -> None:
    """Become the one kernel process of this host, and bring everything to what is asked."""
    _lock("kernel")
    engine().start()
    log.info("the kernel process of %s is ready", settings.HOST_NAME)


def start_slow() -> None:
    _lock("slow")
    requeue_interrupted(Host.objects.get(name=settings.HOST_NAME), "slow")
    build_runtime().images.tidy()
    work_slowly()


def work_slowly() -> None:
    """Carry out what waits in the slow queue, until nothing does. Several threads may do so at once."""
    close_old_connections()
    host = Host.objects.get(name=settings.HOST_NAME)
    while (operation := claim_next(host, "slow")) is not None:
        slow.carry_out(operation, build_runtime())
    close_old_connections()


def _own_pids() -> set[int]:
    """The port holder's pid: the ports that it holds are published ones, not somebody else's."""
    with suppress(OSError, ValueError):
        return {int((settings.RUN_DIR / "holder.pid").read_text())}
    return set()


def _lock(name: str) -> None:
    """Refuse to be the second process of a kind on this host: two would undo each other's work."""
    path = settings.RUN_DIR / f"{name}.lock"
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.critical("Another %s process runs on this host already: it holds %s.", name, path)
        os._exit(1)
    _locks.append(file)  # the lock lives as long as the file is open
