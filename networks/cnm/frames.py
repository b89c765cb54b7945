"""The bytes between a face and the process that holds an exec session: frames, and nothing that reads or writes. Pure.

A frame is a kind (one byte), a length (four bytes, big endian) and so many bytes. A caller's first frame is :data:`TICKET`. Input is
answered by :data:`TAKEN`, so that a face knows how much may follow: a program that does not read stops its own input and nothing else.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TICKET, STDIN, STDOUT, STDERR, RESIZE, END_OF_INPUT, TAKEN, STATE = range(8)
"""``TICKET``, ``RESIZE`` and ``STATE`` hold a JSON object, ``TAKEN`` a count of bytes (8, big endian), the streams what is typed
or printed."""
MOST = 64 << 10
"""Bytes of one frame."""
INPUT_WINDOW = 128 << 10
"""Bytes of input that may be under way: sent and not yet taken."""
_HEAD = struct.Struct(">BI")
_COUNT = struct.Struct(">Q")


class BadFrame(ValueError):
    """The other side does not keep to the form."""


@dataclass(frozen=True, slots=True)
class Frame:
    kind: int
    data: bytes = b""

    def json(self) -> dict[str, Any]:
        """The object that it holds. Raises BadFrame."""
        try:
            value = json.loads(self.data)
        except ValueError as error:
            raise BadFrame("no JSON") from error
        if not isinstance(value, dict):
            raise BadFrame("no object")
        return value

    def count(self) -> int:
        """The number of bytes that it tells of. Raises BadFrame."""
        if len(self.data) != _COUNT.size:
            raise BadFrame("no count")
        return int(_COUNT.unpack(self.data)[0])


def frame(kind: int, data: bytes = b"") -> bytes:
    """One frame; at most :data:`MOST` bytes of data."""
    if len(data) > MOST:
        raise ValueError(f"{len(data)} bytes are too many for a frame")
    return _HEAD.pack(kind, len(data)) + data


def told(kind: int, value: dict[str, Any]) -> bytes:
    """A frame with a JSON object."""
    return frame(kind, json.dumps(value).encode())


def taken(count: int) -> bytes:
    """A frame that says how many bytes of input were taken since the last one."""
    return frame(TAKEN, _COUNT.pack(count))


def pieces(data: bytes) -> Iterator[bytes]:
    """*data* in parts that fit a frame."""
    for start in range(0, len(data), MOST):
        yield data[start : start + MOST]


class Frames:
    """Takes bytes as they come, gives whole frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that *data* completes. Raises BadFrame for an unknown kind or a length that is too large."""
        self._rest += data
        found = []
        while len(self._rest) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._rest)
            if kind > STATE or length > MOST:
                raise BadFrame(f"kind {kind}, {length} bytes")
            end = _HEAD.size + length
            if len(self._rest) < end:
                break
            found.append(Frame(kind, bytes(self._rest[_HEAD.size : end])))
            del self._rest[:end]
        return found
