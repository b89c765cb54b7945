"""Containers' logs: reading the file that conmon writes, from its end, and following it as it grows.

Each line is ``<RFC 3339 time> <stdout|stderr> <F|P> <text>`` (the Kubernetes CRI log format); ``P`` is a part of a line
that the next entry of the same stream goes on with. Only read access to the file is needed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 64 << 10
TURN = 1 << 20
"""Bytes of a log that are read and taken apart at once, about, where it is followed."""
LARGEST = 10 << 20
"""Bytes of a log's file at which conmon begins a new one, so that a container that prints for ever does not fill the disk."""
_NEARLY = LARGEST - (64 << 10)
"""A file that is smaller was not followed by another: conmon begins a new one when an entry (8 KiB at most) does not fit."""
MODE = 0o640
"""Of a log that is shared with our group: the first one from its beginning."""
CONTINUES = stat.S_ISVTX
"""The mode's bit (it means nothing on a file) of a log that was begun anew: what was printed before it is lost. Of all files that conmon
rotates to, those who hand it the next one (``worker.runtime.files.share_log``) set it; conmon itself changes no mode."""
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
    return kept(path, count)[0]


def kept(path: Path, count: int | None = None) -> tuple[list[LogLine], bool]:
    """As :func:`tail`, and whether lines before them were asked for that are lost, for the file was begun anew meanwhile."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return [], False
    try:
        lines, parser, _ = _tail(fd, count)
        continues = _continues(fd)
    finally:
        os.close(fd)
    lines += parser.unfinished()
    lacking = continues and (count is None or len(lines) < count)
    return (lines if count is None else lines[max(0, len(lines) - count) :]), lacking


def _continues(fd: int) -> bool:
    """Root may read one that conmon had to make before it is shared, and marked so."""
    mode = os.fstat(fd).st_mode
    return bool(mode & CONTINUES) or mode & 0o777 != MODE


def _tail(fd: int, count: int | None) -> tuple[list[LogLine], LogParser, int]:
    """The last *count* whole lines of an open log, what knows of unfinished ones after them, and where in the file both end."""
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
            return lines if count is None else lines[max(0, len(lines) - count) :], parser, start + last
        size = min(end, size * 4)


class FileFollower:
    """Gives out the entries of a log, as bytes, as they are written, also over conmon's rotation of the file.

    conmon rotates by renaming ``log.tmp`` over ``log``, so the file that comes next is known, and held, before that happens. The monitor
    puts the file after that there once it hears of it: who prints ten megabytes faster than that is lost sight of (``missed``).

    ``entries()`` never waits: a caller sleeps between calls, or waits for the file by other means.
    """

    def __init__(self, path: Path, *, at_end: bool = False) -> None:
        """*at_end*: what is there already is passed over."""
        self._path = path
        self._fd: int | None = None
        self._next: int | None = None
        """The file that conmon begins when this one is full."""
        self._rest = b""
        self.missed = False
        """Whether entries may be lost after those that were given last: files came and went between two looks. Who tells so resets it."""
        self.behind = False
        """Whether there was more than one turn takes."""
        self._open()
        if self._fd is not None and at_end:
            os.lseek(self._fd, 0, os.SEEK_END)

    @property
    def found(self) -> bool:
        """Whether there is a file."""
        return self._fd is not None

    @property
    def hidden(self) -> bool:
        """Whether there is a file that may not be read yet: conmon had to make it itself, and it is shared with our group soon."""
        return self._fd is None and self._path.exists()

    @property
    def grown(self) -> bool:
        """Whether the next call gives anything, most probably; costs three system calls."""
        if self._fd is None or self.behind:
            return True
        return os.fstat(self._fd).st_size != os.lseek(self._fd, 0, os.SEEK_CUR) or self._rotated(self._fd)

    def entries(self) -> list[bytes]:
        """What was written since the last call, without line ends: a turn of it (``behind``), nothing from beyond a gap (``missed``)."""
        self.behind = False
        if self._fd is None:
            self._open()
        if self._fd is None:
            return []
        self._look_ahead(self._fd)
        entries = self._drain(self._fd, TURN)
        while not self.behind and self._fd is not None and self._rotated(self._fd):
            entries += self._drain(self._fd, TURN)  # what came between the first look and the rotation
            if self.behind or not self._go_on(self._fd):
                break
            if self.missed:
                self.behind = True
                break
            entries += self._drain(self._fd, TURN)
        return entries

    def close(self) -> None:
        for fd in (self._fd, self._next):
            if fd is not None:
                os.close(fd)
        self._fd = self._next = None

    def _drain(self, fd: int, most: int | None = None) -> list[bytes]:
        if os.fstat(fd).st_size < os.lseek(fd, 0, os.SEEK_CUR):
            os.lseek(fd, 0, os.SEEK_SET)  # it was cut off in place
            self._rest = b""
        found: list[bytes] = []
        left = most
        while block := os.read(fd, BLOCK):
            *entries, self._rest = (self._rest + block).split(b"\n")
            found += entries
            if left is not None and (left := left - len(block)) <= 0:
                self.behind = True
                break
        return found

    def _open(self) -> None:
        self._fd = _readable(self._path)
        self._rest = b""
        if self._fd is not None:
            self._look_ahead(self._fd)

    def _look_ahead(self, fd: int) -> None:
        """Hold the file that comes next, once it is there."""
        if self._next is not None:
            return
        self._next = _readable(self._path.with_name(f"{self._path.name}.tmp"))
        if self._next is not None and self._rotated(fd):  # it may be the one after the next
            os.close(self._next)
            self._next = None

    def _go_on(self, fd: int) -> bool:
        """Take the file that came after the open one; whether there is one to read."""
        if self._next is not None:
            os.close(fd)
            self._fd, self._next, self._rest = self._next, None, b""
            self._look_ahead(self._fd)
            return True
        if not self._path.exists():  # the container was removed: what is open is all there is
            self.missed = self.missed or os.fstat(fd).st_size >= _NEARLY
            return False
        self.missed = True
        self.close()
        self._open()
        return self._fd is not None

    def _rotated(self, fd: int) -> bool:
        """Whether the log is another file now, or none."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return True
        own = os.fstat(fd)
        return (found.st_dev, found.st_ino) != (own.st_dev, own.st_ino)


def _readable(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return None  # not there yet, or new and not yet shared with our group


class LogFollower(FileFollower):
    """Gives out lines as they are written. ``read()`` never waits."""

    def __init__(self, path: Path, *, tail: int | None = 0, since: str = "") -> None:
        super().__init__(path)
        self._parser = LogParser()
        self.first: list[LogLine] = []
        """The last *tail* lines (None: all) that were there already; where *since* is known, the lines after it."""
        self.gap = False
        """Whether lines after *since* are lost: the file was rotated meanwhile."""
        self.late = False
        """Whether of the last *tail* lines the first are lost."""
        if self._fd is None:
            return
        if since and self._resume(self._fd, since):
            self.first = list(self._parser.lines(self._drain(self._fd)))
            return
        self.gap = bool(since)
        self.first, self._parser, end = _tail(self._fd, tail)
        self.late = _continues(self._fd) and (tail is None or len(self.first) < tail)
        os.lseek(self._fd, end, os.SEEK_SET)

    @property
    def position(self) -> str:
        """The place after what was given out: a later follower goes on from there (*since*). Empty while there is no file."""
        if self._fd is None:
            return ""
        return f"{os.fstat(self._fd).st_ino}-{os.lseek(self._fd, 0, os.SEEK_CUR) - len(self._rest)}"

    def _resume(self, fd: int, since: str) -> bool:
        """Go to a place of this very file, knowing of the lines that were unfinished there; whether it is one."""
        inode, _, offset = since.partition("-")
        found = os.fstat(fd)
        if inode != str(found.st_ino) or not (offset.isascii() and offset.isdigit()) or int(offset) > found.st_size:
            return False
        begins = max(0, int(offset) - LONGEST_LINE)
        before = os.pread(fd, int(offset) - begins, begins)
        for _line in self._parser.lines(before.split(b"\n")):
            pass  # they were given out; what is unfinished stays with the parser
        os.lseek(fd, int(offset), os.SEEK_SET)
        return True

    def read(self) -> list[LogLine]:
        """What was written since the last call."""
        return list(self._parser.lines(self.entries()))
