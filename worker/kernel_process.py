"""The kernel process of a host, and the engine that it holds for its whole life."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings
from django.db import close_old_connections

from networks import settle
from networks.cnm.errors import CnmError
from networks.models import Host

from .build import build
from .defect import defect
from .engine import Engine, Later
from .facts import Features, observe_facts
from .kernel import modules
from .single import be_the_only

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kernel:
    """The engine of this process, once it has started."""

    engine: Engine | None = None
    later: Later | None = None
    """The clock of the loop that this process lives in."""


_kernel = _Kernel()


def start(later: Later) -> None:
    """Become the one kernel process of this host, and bring everything to what is asked."""
    _kernel.later = later
    be_the_only("kernel")
    modules.load(*modules.WANTED)
    engine()


def engine() -> Engine | None:
    """The engine, started. None: it cannot start as the host is now, which the host's row says why; or this host has no row (any more).

    The process lives on without it: each message, the monitor's clock at the latest, is another try, so that a remedy that was
    followed helps within seconds.
    """
    close_old_connections()
    if _kernel.engine is None:
        host = Host.objects.filter(name=settings.HOST_NAME).first()
        if host is None:
            return None
        try:
            _kernel.engine = _started(host)
        except Exception as error:
            failed = error if isinstance(error, CnmError) else defect(error)
            if host.error != failed.to_json():  # once, not at each try
                log.exception("the kernel process of %s cannot start", settings.HOST_NAME)
            settle.note_start(host, failed)
        else:
            settle.note_start(host, None)
    return _kernel.engine if _kernel.engine is not None and not _kernel.engine.left else None


def drain() -> None:
    """Carry out what waits, if the engine can start."""
    if (found := engine()) is not None:
        found.drain()


def _started(host: Host) -> Engine:
    features = Features()
    parts = build(host)
    made = Engine(
        host,
        parts,
        lambda: observe_facts(features, _own_pids(), parts.firewall, parts.plugins.look(parts.told.owed())),
        _later,
    )
    made.start()
    gc.collect()
    gc.freeze()  # what is loaded by now stays: the collector need not go through it again and again
    log.info("the kernel process of %s is ready", settings.HOST_NAME)
    return made


def _later(seconds: float, call: Callable[[], None]) -> object:
    return _kernel.later(seconds, call) if _kernel.later is not None else call()


def _own_pids() -> set[int]:
    """The port holder's pid: the ports that it holds are published ones, not somebody else's."""
    with suppress(OSError, ValueError):
        return {int((settings.RUN_DIR / "holder.pid").read_text())}
    return set()
