"""One process of a kind on a host: two would undo each other's work."""

from __future__ import annotations

import fcntl
import logging
import os
from typing import TextIO

from django.conf import settings

log = logging.getLogger(__name__)

_locks: list[TextIO] = []


def be_the_only(kind: str) -> None:
    """Be the process *kind* of this host for as long as this process lives, or end at once where there is another."""
    path = settings.RUN_DIR / f"{kind}.lock"
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.critical("Another %s process runs on this host already: it holds %s.", kind, path)
        os._exit(1)
    _locks.append(file)  # the lock lives as long as the file is open
