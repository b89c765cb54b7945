"""Small files of the runtime: written whole, for root or for the web server's group."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from networks.logs import CONTINUES, MODE

from .folders import Folders


def write_private(path: Path, value: Mapping[str, Any]) -> None:
    """Write *value* as JSON that root alone may read."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(json.dumps(value))  # not json.dump, which is slower by ten times


def share_log(folders: Folders, container_id: str) -> None:
    """Let the web server's group read a container's log, now and after the next rotation.

    conmon rotates by opening ``log.tmp`` and renaming it over ``log``; a new file would be root's alone, one that is
    there keeps its mode. A file that others follow on bears :data:`networks.logs.CONTINUES`: the next one, and one that conmon had to make.
    """
    log = folders.log(container_id)
    _share(log, folders.group, 0)
    _share(log.with_name("log.tmp"), folders.group, CONTINUES)


def _share(path: Path, group: int, mark: int) -> None:
    """*mark*: what a file bears that is made here; one that conmon had to make itself goes on from another."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    made = True
    try:
        fd = os.open(path, flags | os.O_EXCL, MODE)
    except FileExistsError:
        fd = os.open(path, flags, MODE)
        made, mark = False, CONTINUES
    try:
        found = os.fstat(fd)
        if made or found.st_gid != group or found.st_mode & 0o777 != MODE:
            os.fchmod(fd, MODE | mark)  # first: whoever may read it sees the mark
            os.fchown(fd, 0, group)
    finally:
        os.close(fd)
