"""Small files of the runtime: written whole, for root or for the web server's group."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .folders import Folders

LOG_MODE = 0o640


def write_private(path: Path, value: Mapping[str, Any]) -> None:
    """Write *value* as JSON that root alone may read."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(json.dumps(value))  # not json.dump, which is slower by ten times


def share_log(folders: Folders, container_id: str) -> None:
    """Let the web server's group read a container's log, now and after the next rotation.

    conmon rotates by opening ``log.tmp`` and renaming it over ``log``; a new file would be root's alone, one that is
    there keeps its mode.
    """
    log = folders.log(container_id)
    for path in (log, log.with_name("log.tmp")):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, LOG_MODE)
        try:
            found = os.fstat(fd)
            if found.st_gid != folders.group:
                os.fchown(fd, 0, folders.group)
            if found.st_mode & 0o777 != LOG_MODE:
                os.fchmod(fd, LOG_MODE)
        finally:
            os.close(fd)
