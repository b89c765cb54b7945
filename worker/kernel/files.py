"""Small files that are bind-mounted into containers, written in place.

A bind mount holds an inode: a file that is replaced by ``rename`` stays the old one for the container. So the same inode
is written, and in a way that a reader who looks at any moment finds the old text or the new one, at most with blank lines
at the end: the file is first made as long as the longer of the two with line ends, then written over in one ``pwrite``,
then cut. Left is the one copy within the kernel, which no lock guards against readers (met by one look in 100,000 of a
reader without pause), and readers who read a file in several pieces.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MODE = 0o644


def read(path: Path) -> str | None:
    """The text of *path*, or None where there is no such file."""
    try:
        return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return None


def write_in_place(path: Path, text: str) -> None:
    """Give *path* the content *text*, keeping its inode; a new file appears whole."""
    content = text.encode(errors="surrogateescape")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        _create(path, content)
        return
    try:
        length = os.fstat(descriptor).st_size
        if length < len(content):
            _write(descriptor, b"\n" * (len(content) - length), length)
        _write(descriptor, content + b"\n" * (length - len(content)), 0)
        if length > len(content):
            os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)


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
