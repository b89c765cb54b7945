"""Paths inside containers as Docker's clients mean them, and what is there.

A path that ends in ``/`` or ``/.`` means the folder that a symbolic link at its end leads to; without, the link itself is meant. ``..``
is taken out of the text before anything is looked up (moby, ``container.ResolvePath``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from networks.cnm.errors import CnmError, InvalidSpec, NotFound
from networks.cnm.text import gettext_noop
from worker.runtime.kernel_calls import open_in

_GO_BITS = (
    (stat.S_ISUID, 1 << 23),
    (stat.S_ISGID, 1 << 22),
    (stat.S_ISVTX, 1 << 20),
)
_GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
"""Bits of Go's ``fs.FileMode``, which Docker sends as a number."""


@dataclass(frozen=True, slots=True)
class Meant:
    """A path in two parts: a folder, in which links are followed, and a name in it, at which they are not."""

    folder: str
    base: str
    """Empty or ``.``: the folder itself is meant."""
    name: str
    """What the thing is called in an archive."""

    @property
    def is_folder(self) -> bool:
        return self.base in {"", "."}


def clean(path: str) -> str:
    """An absolute path without ``.`` and ``..``; what says that a folder is meant (``/``, ``/.``) stays at its end."""
    found = "/" + posixpath.normpath(f"/{path}").lstrip("/")
    if path.rpartition("/")[2] == ".":
        return f"{found.rstrip('/')}/."
    return f"{found.rstrip('/')}/" if path.endswith("/") else found


def meant(path: str) -> Meant:
    found = clean(path)
    folder, _, base = found.rpartition("/")
    name = base or posixpath.basename(folder) or "/"
    return Meant(f"{folder}/", base, name)


@contextlib.contextmanager
def opened(rootfs: Path, what: Meant) -> Iterator[int]:
    """The thing itself, for looking (O_PATH). Raises OSError: ENOENT, or ENOTDIR where a folder is meant and none is there."""
    if what.is_folder:
        with open_in(rootfs, what.folder, os.O_PATH | os.O_DIRECTORY) as found:
            yield found
        return
    with open_in(rootfs, what.folder, os.O_PATH | os.O_DIRECTORY) as folder:
        found = os.open(what.base, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield found
    finally:
        os.close(found)


def described(rootfs: Path, what: Meant, fd: int) -> dict[str, Any]:
    """What Docker's header ``X-Docker-Container-Path-Stat`` tells of a thing."""
    found = os.fstat(fd)
    return {
        "name": what.name,
        "size": found.st_size,
        "mode": go_mode(found.st_mode),
        "mtime": _rfc3339(found.st_mtime_ns),
        "linkTarget": _target(rootfs, what, fd) if stat.S_ISLNK(found.st_mode) else "",
    }


def go_mode(mode: int) -> int:
    special = sum(theirs for ours, theirs in _GO_BITS if mode & ours)
    return (mode & 0o777) | special | _GO_KINDS.get(stat.S_IFMT(mode), 0)


def _target(rootfs: Path, what: Meant, fd: int) -> str:
    """Where a link leads to in the container, all links on the way followed; where nothing is there, where it says."""
    try:
        with open_in(rootfs, f"{what.folder}{what.base}", os.O_PATH) as end:
            real = os.readlink(f"/proc/self/fd/{end}")
    except OSError:
        said = os.readlink("", dir_fd=fd)
        return "/" + posixpath.normpath(posixpath.join(what.folder, said)).lstrip("/")
    return "/" + real.removeprefix(str(rootfs)).lstrip("/")


def _rfc3339(ns: int) -> str:
    whole = datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    rest = f".{ns % 10**9:09d}".rstrip("0") if ns % 10**9 else ""
    return f"{whole}{rest}Z"


ASTRAY = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""Failures of a path that leads nowhere."""


def missing(path: str, container: str, error: OSError) -> CnmError:
    """What is said of a path at which nothing is, or which cannot lead anywhere (:data:`ASTRAY`)."""
    if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
        return InvalidSpec(
            gettext_noop("The path {path} in container {container} leads nowhere: {cause}."),
            remedy=gettext_noop("Correct the path."),
            path=path,
            container=container,
            cause=error.strerror,
        )
    if error.errno == errno.ENOTDIR:
        return InvalidSpec(
            gettext_noop("Something on the way to {path} in container {container} is no folder."),
            remedy=gettext_noop("Correct the path."),
            path=path,
            container=container,
        )
    return NotFound(
        gettext_noop("There is no {path} in container {container}."),
        remedy=gettext_noop("Correct the path. What a running container has in /proc, /dev and /sys cannot be copied."),
        path=path,
        container=container,
    )
