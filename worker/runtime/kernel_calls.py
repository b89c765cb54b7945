"""System calls that Python does not offer: mounts, and opening a path that cannot leave a folder."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

MS_NODEV = 0x4
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SHARED = 0x100000
MNT_DETACH = 0x2
RESOLVE_IN_ROOT = 0x10
RESOLVE_NO_MAGICLINKS = 0x02
SYS_OPENAT2 = 437
"""The same number on every architecture (Linux 5.6)."""

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def mount(source: str, target: Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    """``mount(2)``; raises OSError with the target's path."""
    arguments = [value.encode() if value else None for value in (source, str(target), kind)]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() if data else None):
        raise _error(str(target))


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted at *path*, be it a part of the same filesystem (which os.path.ismount cannot see)."""
    wanted = str(path).encode("unicode_escape").decode().replace(" ", "\\040")
    return any(line.split()[4] == wanted for line in Path("/proc/self/mountinfo").read_text().splitlines())


def unmount(target: Path) -> None:
    """Detach the mount at *target* with everything mounted below it. Raises OSError where there is none (EINVAL)."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH):
        raise _error(str(target))


@contextlib.contextmanager
def open_in(root: Path, path: str, flags: int = os.O_RDONLY, mode: int = 0) -> Iterator[int]:
    """*path* opened as if *root* were ``/``: no ``..`` and no symbolic link leads out of it (openat2(2))."""
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _OpenHow(flags | os.O_CLOEXEC, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        found = _libc.syscall(
            ctypes.c_long(SYS_OPENAT2),
            ctypes.c_int(folder),
            os.fsencode(path),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if found < 0:
            raise _error(path)
    finally:
        os.close(folder)
    try:
        yield found
    finally:
        os.close(found)


def read_in(root: Path, path: str, limit: int = 1 << 20) -> str:
    """The text of a regular file below *root*, at most *limit* bytes of it; an empty text when there is none."""
    try:
        with open_in(root, path, os.O_RDONLY | os.O_NONBLOCK) as fd:
            return os.read(fd, limit).decode(errors="replace")
    except (OSError, ValueError):
        return ""


def make_folders_in(root: Path, path: str) -> None:
    """Make the folder *path* below *root*, with what leads to it; links are followed, but never out of *root*."""
    reached = ""
    for part in (part for part in path.split("/") if part):
        with open_in(root, reached or "/", os.O_PATH | os.O_DIRECTORY) as parent, contextlib.suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=parent)
        reached = f"{reached}/{part}"


def _error(path: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path)
