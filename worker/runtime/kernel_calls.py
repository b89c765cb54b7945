"""System calls that Python does not offer: mounts, and opening a path that cannot leave a folder."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MS_NODEV = 0x4
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SHARED = 0x100000
MNT_DETACH = 0x2
RESOLVE_IN_ROOT = 0x10
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_OPENAT2, SYS_MOUNT_SETATTR = 428, 429, 437, 442
"""The same numbers on every architecture (Linux 5.2, 5.2, 5.6, 5.12)."""
OPEN_TREE_CLONE = 0x1
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40
MOUNT_ATTR_RDONLY = 0x1

_TRIES = 1000
"""Of a path with ``..`` the kernel cannot say that it stays inside while anything is renamed or mounted anywhere, and has it asked again
(openat2(2), EAGAIN); whoever renames as fast as he can makes one look in hundreds fail."""

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _MountAttr(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd"))


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
        found = _openat2(folder, path, _OpenHow(flags | os.O_CLOEXEC, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS))
    finally:
        os.close(folder)
    try:
        yield found
    finally:
        os.close(found)


@contextlib.contextmanager
def open_without_links(path: str) -> Iterator[int]:
    """The absolute *path* as an O_PATH descriptor. A symbolic link on the way, or at its end, raises OSError (ELOOP)."""
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    found = _openat2(AT_FDCWD, path, how)
    try:
        yield found
    finally:
        os.close(found)


@contextlib.contextmanager
def clone_mount(opened: int) -> Iterator[int]:
    """A copy of what is seen at the descriptor *opened*, mounts below it included, that is mounted nowhere yet.

    It is private: what happens to the one is no news to the other, so that taking the copy away takes nothing else away.
    """
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE
    tree = _call(SYS_OPEN_TREE, "", ctypes.c_int(opened), b"", ctypes.c_uint(flags))
    try:
        _change_mount(tree, _MountAttr(propagation=MS_PRIVATE))
        yield tree
    finally:
        os.close(tree)


def make_read_only(tree: int) -> None:
    """Let nothing be written through the copy *tree* of :func:`clone_mount`."""
    _change_mount(tree, _MountAttr(attr_set=MOUNT_ATTR_RDONLY))


def _change_mount(tree: int, change: _MountAttr) -> None:
    size = ctypes.c_size_t(ctypes.sizeof(change))
    flags = AT_EMPTY_PATH | AT_RECURSIVE
    _call(SYS_MOUNT_SETATTR, "", ctypes.c_int(tree), b"", ctypes.c_uint(flags), ctypes.byref(change), size)


def put_mount_on(tree: int, place: int) -> None:
    """Mount the copy *tree* on what is open at *place* (O_PATH)."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    _call(SYS_MOVE_MOUNT, "", ctypes.c_int(tree), b"", ctypes.c_int(place), b"", ctypes.c_uint(flags))


def put_mount(tree: int, target: Path) -> None:
    """Mount the copy *tree* at *target*, a folder of ours."""
    to = (ctypes.c_int(AT_FDCWD), os.fsencode(target))
    _call(SYS_MOVE_MOUNT, str(target), ctypes.c_int(tree), b"", *to, ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH))


def _openat2(folder: int, path: str, how: _OpenHow) -> int:
    size = ctypes.c_size_t(ctypes.sizeof(how))
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            return _call(SYS_OPENAT2, path, ctypes.c_int(folder), os.fsencode(path), ctypes.byref(how), size)
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def _call(number: int, path: str, *arguments: Any) -> int:
    found: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if found < 0:
        raise _error(path)
    return found


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
