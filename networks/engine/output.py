"""What containers printed, for Docker's clients: chosen lines, framed by stream, and bytes as they come. Pure.

A frame is: 1 byte stream (1 standard output, 2 standard error, 3 a failure of the server), 3 zero bytes, 4 bytes length (big endian),
so many bytes; a container with a terminal has one stream, without frames.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from networks.logs import LogLine

from .times import rfc3339

_HEAD = struct.Struct(">BxxxI")
STREAMS = {"stdout": 1, "stderr": 2}
_FAILURE = 3
"""moby's ``stdcopy`` calls it Systemerr: its reader ends with an error that tells the text."""


def framed(stream: str, data: bytes, tty: bool) -> bytes:
    """*data* as a client wants it."""
    return data if tty else _HEAD.pack(STREAMS[stream], len(data)) + data


def failed(message: str, tty: bool) -> bytes:
    """The end of a stream that could not be given whole: clients fail with *message*. A terminal has no frames; there it is read."""
    return f"\r\n{message}\r\n".encode() if tty else _HEAD.pack(_FAILURE, len(message)) + message.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which lines of a log are asked for, and how."""

    streams: frozenset[str]
    tty: bool
    timestamps: bool = False
    since: datetime | None = None
    until: datetime | None = None

    def rendered(self, lines: Iterable[LogLine]) -> bytes:
        """The bytes to send of *lines*."""
        return b"".join(self._lines(lines))

    def said(self, sentence: str, at: datetime) -> bytes:
        """What we have to say among the lines, on standard error if that is asked for."""
        stream = "stderr" if "stderr" in self.streams else "stdout"
        stamp = f"{rfc3339(at)} " if self.timestamps else ""
        return framed(stream, f"{stamp}[{sentence}]\n".encode(), self.tty)

    def said_before(self, sentence: str, lines: Sequence[LogLine]) -> bytes:
        """What we have to say before the first of *lines*; nothing where only later ones are asked for."""
        if not lines or (self.since is not None and _at(lines[0]) <= self.since):
            return b""
        return self.said(sentence, _at(lines[0]))

    def past(self, lines: Iterable[LogLine]) -> bool:
        """Whether one of *lines* is later than what is asked for, so that no more can come."""
        return self.until is not None and any(_at(line) > self.until for line in lines)

    def _lines(self, lines: Iterable[LogLine]) -> Iterator[bytes]:
        for line in lines:
            if line.stream not in self.streams:
                continue
            if self.since is not None and _at(line) < self.since:
                continue
            if self.until is not None and _at(line) > self.until:
                continue
            stamp = f"{stamped(line.time)} " if self.timestamps else ""
            yield framed(line.stream, f"{stamp}{line.text}\n".encode(), self.tty)


def stamped(time: str) -> str:
    """conmon's time (RFC 3339 with an offset) as Docker's: in UTC, nine digits, ``Z``."""
    for offset in ("+00:00", "-00:00"):
        if time.endswith(offset):
            return time.removesuffix(offset) + "Z"
    at = datetime.fromisoformat(_micro(time))
    return rfc3339(at).replace("Z", f"{_digits(time)[6:9]:0<3}Z")


def _at(line: LogLine) -> datetime:
    return datetime.fromisoformat(_micro(line.time))


def _digits(time: str) -> str:
    fraction = time.partition(".")[2]
    return fraction[: next((n for n, letter in enumerate(fraction) if not letter.isdigit()), len(fraction))]


def _micro(time: str) -> str:
    """Nine digits of a second as six, which is what Python knows."""
    digits = _digits(time)
    return time.replace(f".{digits}", f".{digits[:6]:0<6}") if digits else time
