"""Messages between opener and resolver: JSON objects over a Unix stream, some with open sockets (SCM_RIGHTS, unix(7)).

A frame is its length, how many descriptors came with it, and the JSON text.
"""

from __future__ import annotations

import json
import socket
import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

Message = dict[str, Any]
_HEAD = struct.Struct("!IB")
LONGEST = 64 * 2**20
RECEIVE_BYTES = 1 << 18
MOST_DESCRIPTORS = 64


class Closed(Exception):
    """The other side is gone, or does not keep to the form."""


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one message. Blocks as long as the socket's timeout allows; raises OSError."""
    body = json.dumps(message).encode()
    head = _HEAD.pack(len(body), len(descriptors))
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
    sent = channel.sendmsg([head], rights)
    channel.sendall(head[sent:] + body)


class Reader:
    """Puts the messages of a non-blocking socket together."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._buffer = bytearray()
        self._descriptors: list[int] = []

    def read(self) -> Iterator[tuple[Message, list[int]]]:
        """The messages that are whole by now, each with its descriptors. Raises :class:`Closed`."""
        self._receive()
        while len(self._buffer) >= _HEAD.size:
            length, count = _HEAD.unpack_from(self._buffer)
            if length > LONGEST or count > MOST_DESCRIPTORS:
                raise Closed
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            if len(self._descriptors) < count:
                raise Closed
            try:
                message = json.loads(bytes(self._buffer[_HEAD.size : end]))
            except ValueError:
                raise Closed from None
            del self._buffer[:end]
            taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
            if not isinstance(message, dict):
                raise Closed
            yield message, taken

    def _receive(self) -> None:
        room = socket.CMSG_SPACE(MOST_DESCRIPTORS * array("i").itemsize)
        try:
            data, ancillary, flags, _ = self._channel.recvmsg(RECEIVE_BYTES, room, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            raise Closed from None
        for level, kind, rights in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found = array("i")
                found.frombytes(rights[: len(rights) - len(rights) % found.itemsize])
                self._descriptors += found
        if not data or flags & socket.MSG_CTRUNC:
            raise Closed
        self._buffer += data
