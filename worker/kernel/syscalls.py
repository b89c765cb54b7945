"""The system calls around namespaces that Python 3.11 does not offer."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SHARED = 0x100000
MNT_DETACH = 0x2

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """``unshare(2)`` for the calling thread."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """``setns(2)`` for the calling thread."""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, flags: int) -> None:
    """``mount(2)`` without a file system type: binds and changes of propagation."""
    code = _libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None)
    _check(code, target)


def unmount(target: str) -> None:
    """Detach what is mounted at *target*; those who use it keep it."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


def _check(code: int, what: str) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
