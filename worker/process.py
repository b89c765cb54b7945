"""The two worker processes of a host: what each holds for its whole life."""

from __future__ import annotations

import fcntl
import gc
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from django.conf import settings
from django.db import close_old_connections

from networks import settle
from networks.cnm.errors import CnmError
from networks.models import Host

from . import slow
from .build import build, build_runtime
from .claim import claim_next, requeue_interrupted
from .engine import Engine, Later, defect
from .facts import Features, observe_facts
from .kernel import modules

log = logging.getLogger(__name__)

_locks: list[TextIO] = []


@dataclass(slots=True)
class _Kernel:
    """The engine of this process, once it has started."""

    engine: Engine | None = None
    later: Later | None = None
    """The clock of the loop that this process lives in."""


_kernel = _Kernel()


def start_kernel(later: Later) -> None:
    """Become the one kernel process of this host, and bring everything to what is asked."""
    _kernel.later = later
    _lock("kernel")
    modules.load(*modules.WANTED)
    engine()


def engine() -> Engine | None:
    """The engine, started. None: it cannot start as the host is now; the host's row says why.

    The process lives on without it: each message, the monitor's clock at the latest, is another try, so that a remedy that was
    followed helps within seconds.
    """
    if _kernel.engine is None:
        close_old_connections()
        host = Host.objects.get(name=settings.HOST_NAME)
        try:
            _kernel.engine = _started(host)
        except Exception as error:
            failed = error if isinstance(error, CnmError) else defect(error)
            if host.error != failed.to_json():  # once, not at each try
                log.exception("the kernel process of %s cannot start", settings.HOST_NAME)
            settle.note_start(host, failed)
        else:
            settle.note_start(host, None)
    return _kernel.engine


def _started(host: Host) -> Engine:
    features = Features()
    parts = build(host)
    made = Engine(host, parts, lambda: observe_facts(features, _own_pids(), parts.firewall), _later)
    made.start()
    gc.collect()
    gc.freeze()  # what is loaded by now stays: the collector need not go through it again and again
    log.info("the kernel process of %s is ready", settings.HOST_NAME)
    return made


def _later(seconds: float, call: Callable[[], None]) -> object:
    return _kernel.later(seconds, call) if _kernel.later is not None else call()


def start_slow() -> None:
    """Become the one slow process of this host, and take up what a former one left."""
    _lock("slow")
    host = Host.objects.get(name=settings.HOST_NAME)
    slow.end_interrupted(host)
    requeue_interrupted(host, "slow")
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
