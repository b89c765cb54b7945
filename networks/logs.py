"""Containers' logs: reading the file that conmon writes, from its end, and following it as it grows.

Each line is ``<RFC 3339 time> <stdout|stderr> <F|P> <text>`` (the Kubernetes CRI log format); ``P`` is a part of a line
that the next entry of the same stream goes on with. Only read access to the file is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 64 << 10
LONGEST_LINE = 1 << 20
"""Characters at which a line that was written in parts is given out although its end has not come."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a container printed."""

    time: str
    """When it began, as conmon wrote it: RFC 3339 with nanoseconds."""
    stream: str
    """``stdout`` or ``stderr``; a container with a terminal has ``stdout`` only."""
    text: str
    """Without its line end."""


def log_path(state_dir: Path, container_id: str) -> Path:
    """Where the worker has conmon write the log of a container."""
    return state_dir / "containers" / container_id / "log"


class LogParser:
    """Puts entries together to lines. One for each file, for it remembers unfinished lines."""

    def __init__(self) -> None:
        self._parts: dict[str, LogLine] = {}

    def lines(self, entries: Iterable[bytes]) -> Iterator[LogLine]:
        """The lines that *entries* (without their line ends) complete. What is no entry is passed over."""
        for entry in entries:
            line = self._line(entry)
            if line is not None:
                yield line

    def unfinished(self) -> list[LogLine]:
        """What was printed without a line end so far: a prompt, say."""
        return sorted(self._parts.values(), key=lambda line: line.time)

    def _line(self, entry: bytes) -> LogLine | None:
        time, _, rest = entry.decode(errors="replace").partition(" ")
        stream, _, rest = rest.partition(" ")
        kind, _, text = rest.partition(" ")
        if stream not in {"stdout", "stderr"} or kind not in {"F", "P"}:
            return None
        before = self._parts.pop(stream, None)
        line = LogLine(before.time if before else time, stream, (before.text if before else "") + text)
        if kind == "F" or len(line.text) > LONGEST_LINE:
            return line
        self._parts[stream] = line
        return None


def tail(path: Path, count: int | None = None) -> list[LogLine]:
    """The last *count* lines, oldest first; all of them when *count* is None. No file: no lines.

    Reads little more of the file than that takes.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        return _tail(fd, count)[0]
    finally:
        os.close(fd)


def _tail(fd: int, count: int | None) -> tuple[list[LogLine], int]:
    """The last *count* lines of an open log, and where in the file they end."""
    end = os.fstat(fd).st_size
    size = end if count is None else min(end, BLOCK)
    while True:
        start = end - size
        content = os.pread(fd, size, start)
        first = content.find(b"\n") + 1 if start else 0
        last = content.rfind(b"\n") + 1
        parser = LogParser()
        lines = list(parser.lines(content[first:last].split(b"\n")))
        # One more than asked for, because the first may be only the end of a line that was written in parts.
        if start == 0 or (count is not None and len(lines) > count):
            lines += parser.unfinished()
            return lines if count is None else lines[max(0, len(lines) - count) :], start + last
        size = min(end, size * 4)


class LogFollower:
    """Gives out lines as they are written, also over conmon's rotation of the file.

    ``read()`` never waits: a caller sleeps between calls, or waits for the file by other means.
    """

    def __init__(self, path: Path, *, tail: int | None = 0) -> None:
        self._path = path
        self._fd: int | None = None
        self._parser = LogParser()
        self._rest = b""
        self.first: list[LogLine] = []
        """The last *tail* lines (None: all) that were there already."""
        self._open()
        if self._fd is not None:
            self.first, end = _tail(self._fd, tail)
            os.lseek(self._fd, end, os.SEEK_SET)

    def read(self) -> list[LogLine]:
        """What was written since the last call."""
        if self._fd is None:
            self._open()
        if self._fd is None:
            return []
        lines = self._drain(self._fd)
        if self._rotated(self._fd):
            self.close()
            self._open()
            if self._fd is not None:
                lines += self._drain(self._fd)
        return lines

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _drain(self, fd: int) -> list[LogLine]:
        if os.fstat(fd).st_size < os.lseek(fd, 0, os.SEEK_CUR):
            os.lseek(fd, 0, os.SEEK_SET)  # it was cut off in place
            self._rest = b""
        lines: list[LogLine] = []
        while block := os.read(fd, BLOCK):
            *entries, self._rest = (self._rest + block).split(b"\n")
            lines += self._parser.lines(entries)
        return lines

    def _open(self) -> None:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            self._fd = None  # not there yet, or new and not yet shared with our group
        self._rest = b""

    def _rotated(self, fd: int) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        own = os.fstat(fd)
        return (found.st_dev, found.st_ino) != (own.st_dev, own.st_ino)
