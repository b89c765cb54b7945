"""Small files that are bind-mounted into containers, written in place.

A bind mount holds an inode: a file that is replaced by ``rename`` stays the old one for the container. So the same inode
is written, and in a way that a reader who looks at any moment finds the old text or the new one, at most with blank lines
at the end: the file is first made as long as the longer of the two with line ends, then what differs is written over in
one ``pwrite``, then it is cut. Left is the one copy within the kernel, which no lock guards against readers (met by one
look in 100,000 of a reader without pause, and by none where an address gives way to one of the same length), and readers
who read a file in several pieces.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MODE = 0o644
MOST_BYTES = 4 << 20
"""How much of a file is read: more than the hosts file of a full network holds."""


def read(path: Path) -> str | None:
    """The text of *path*, or None where there is no such file. Of one longer than MOST_BYTES its beginning: a container may have
    written it."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode(errors="surrogateescape")
    except FileNotFoundError:
        return None


def write_in_place(path: Path, text: str) -> None:
    """Give *path* the content *text*, keeping its inode; a new file appears whole."""
    content = text.encode(errors="surrogateescape")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        _create(path, content)
        return
    try:
        length = os.fstat(descriptor).st_size
        if length > max(MOST_BYTES, len(content)):  # somebody else's doing: never made room for in memory
            length = max(MOST_BYTES, len(content))
            os.ftruncate(descriptor, length)
        if length < len(content):
            _write(descriptor, b"\n" * (len(content) - length), length)
        over = content + b"\n" * (length - len(content))
        start, end = _difference(os.pread(descriptor, len(over), 0), over)
        if start < end:
            _write(descriptor, over[start:end], start)
        if length > len(content):
            os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)


def _difference(before: bytes, after: bytes) -> tuple[int, int]:
    """The part of *after* (from, to) that *before* has not, from its first to its last other byte."""
    if before == after:
        return 0, 0
    start = _shared(before, after)
    if len(before) != len(after):
        return start, len(after)
    return start, len(after) - _shared(before[:start:-1], after[:start:-1])


def _shared(one: bytes, other: bytes) -> int:
    """How many bytes both begin with, by halves: a comparison of a whole span costs next to nothing."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _create(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        os.fchmod(descriptor, MODE)  # whatever the umask says: every user of the container reads it
        _write(descriptor, content, 0)
    finally:
        os.close(descriptor)
    try:
        os.rename(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _write(descriptor: int, content: bytes, offset: int) -> None:
    written = os.pwrite(descriptor, content, offset)
    if written != len(content):
        raise OSError(28, "the file system took only a part of the file", str(written))
