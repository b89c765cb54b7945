"""What the monitor has to tell the kernel process: one box that either may look into, however many messages are under way.

News is put together in it until it is taken, so a kernel process that is busy finds all of it at once, and a message that is lost or
comes late loses nothing: it only says that there may be something in the box.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NOTICES = "notices"
"""The box's name in the run folder."""


@dataclass(slots=True)
class Notice:
    """Kinds of news (``rules``, ``links``, ``exits``, ``clock``, …), and who was seen to cause them, if anybody."""

    what: set[str] = field(default_factory=set)
    writer: str = ""


class NoticeBox:
    """A small file in the run folder, changed under a lock: of root's processes one puts, another takes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, what: Iterable[str], writer: str = "") -> bool:
        """Add news; whether the box was empty, so that nobody has been told of it yet."""
        with self._opened() as file:
            before = _read(file)
            _write(file, Notice(before.what | set(what), writer or before.writer))
        return not before.what

    def take(self) -> Notice:
        """All news, which are forgotten here; a notice of nothing where there are none."""
        with self._opened() as file:
            notice = _read(file)
            if notice.what:
                os.ftruncate(file, 0)
        return notice

    def is_empty(self) -> bool:
        with self._opened() as file:
            return not _read(file).what

    @contextmanager
    def _opened(self) -> Iterator[int]:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)  # and with it the lock


def _read(file: int) -> Notice:
    """What the box holds. One that was cut off, by a death in the middle of a write, asks for a look at everything."""
    text = os.pread(file, os.fstat(file).st_size, 0)
    if not text:
        return Notice()
    try:
        value = json.loads(text)
        return Notice(set(value["what"]), str(value["writer"]))
    except (ValueError, KeyError, TypeError):
        return Notice({"full"})


def _write(file: int, notice: Notice) -> None:
    text = json.dumps({"what": sorted(notice.what), "writer": notice.writer}).encode()
    os.pwrite(file, text, 0)
    os.ftruncate(file, len(text))
