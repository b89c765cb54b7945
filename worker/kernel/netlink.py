"""A netlink socket that sends many messages in one datagram and checks the answer to each (netlink(7)).

Messages are bytes with a netlink header; :mod:`worker.kernel.rtnl` makes and reads them. A socket belongs to the
network namespace in which it was opened, wherever its process is later.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Self

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLM_F_DUMP = 0x300
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSGERR_ATTR_MSG = 1

SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33

BUFFER_BYTES = 4 << 20
DATAGRAM_MESSAGES = 256
"""Messages in one datagram at most: the answers to all of them wait in the receive buffer at once."""
RECEIVE_BYTES = 1 << 16
"""More than the kernel puts into one datagram of a dump (32 KiB, af_netlink.c)."""
ANSWER_TIMEOUT_S = 60.0
"""The kernel answers within the call; only a wait for its own lock (RTNL) can take long."""
DUMP_ATTEMPTS = 20

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=HHI")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the kernel said to one message: ``errno`` 0 is yes; ``data`` is the object asked for, header and all."""

    errno: int = 0
    text: str = ""
    """The kernel's own sentence (extended ACK), where it gave one."""
    data: memoryview | None = None

    @property
    def cause(self) -> str:
        """The error in words: the kernel's sentence, else the error number's."""
        words = os.strerror(self.errno)
        return f"{self.text} ({words})" if self.text else words


class Netlink:
    """A netlink socket (of routes, if no other *protocol* is named) of the current network namespace. Not for several threads."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        try:
            for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
                self._socket.setsockopt(SOL_NETLINK, option, 1)
            for option in (SO_SNDBUFFORCE, SO_RCVBUFFORCE):
                self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            self._socket.settimeout(ANSWER_TIMEOUT_S)
            self._socket.bind((0, 0))
        except BaseException:
            self._socket.close()
            raise
        self._sequence = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def exchange(self, messages: Sequence[bytes]) -> list[Answer]:
        """Send *messages*, as few datagrams as can be, and give the answer to each, in order.

        An error of one message does not keep the kernel from carrying out those after it.
        """
        answers: list[Answer] = []
        for start in range(0, len(messages), DATAGRAM_MESSAGES):
            answers += self._exchange(messages[start : start + DATAGRAM_MESSAGES])
        return answers

    def _exchange(self, messages: Sequence[bytes]) -> list[Answer]:
        datagram = bytearray()
        places: dict[int, int] = {}
        for place, message in enumerate(messages):
            sequence = next(self._sequence)
            places[sequence] = place
            datagram += self._addressed(message, sequence, NLM_F_ACK)
        self._socket.send(datagram)
        answers: list[Answer | None] = [None] * len(messages)
        found: dict[int, memoryview] = {}
        while places:
            for kind, flags, sequence, item in self._receive():
                if sequence not in places:
                    continue
                if kind == NLMSG_ERROR:
                    errno, text = _read_error(item, flags)
                    answers[places.pop(sequence)] = Answer(errno, text, found.get(sequence))
                else:
                    found[sequence] = item
        return [answer or Answer() for answer in answers]

    def dump(self, message: bytes) -> list[memoryview]:
        """All objects that the request *message* asks for. Raises OSError when the kernel refuses.

        A dump that ran into a change is taken anew, so the list is that of one moment.
        """
        for _ in range(DUMP_ATTEMPTS):
            found, interrupted = self._dump(message)
            if not interrupted:
                break
        return found

    def _dump(self, message: bytes) -> tuple[list[memoryview], bool]:
        own = next(self._sequence)
        self._socket.send(self._addressed(message, own, NLM_F_DUMP))
        found: list[memoryview] = []
        interrupted = False
        while True:
            for kind, flags, sequence, item in self._receive():
                if sequence != own:
                    continue
                interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                if kind in {NLMSG_DONE, NLMSG_ERROR}:
                    errno, text = _read_error(item, flags) if len(item) >= 20 else (0, "")
                    if errno:
                        raise OSError(errno, text or os.strerror(errno))
                    return found, interrupted
                found.append(item)

    @staticmethod
    def _addressed(message: bytes, sequence: int, flags: int) -> bytes:
        length, kind, own_flags, _, _ = _HEADER.unpack_from(message)
        header = _HEADER.pack(length, kind, own_flags | flags | NLM_F_REQUEST, sequence, 0)
        return header + message[16:] + b"\0" * (-len(message) % 4)

    def _receive(self) -> Iterator[tuple[int, int, int, memoryview]]:
        """(type, flags, sequence, whole message) of each message of the next datagram."""
        datagram = memoryview(self._socket.recv(RECEIVE_BYTES))
        at = 0
        while at + 16 <= len(datagram):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(datagram, at)
            if length < 16:
                return
            yield kind, flags, sequence, datagram[at : at + length]
            at += (length + 3) & ~3


def compose(kind: int, flags: int, body: bytes) -> bytes:
    """A message; its sequence number is given where it is sent."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute; one that is made of others has these as its value."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + b"\0" * (-len(value) % 4)


def string(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits, in the host's own order."""
    return _NUMBER.pack(_NUMBER.size, kind, value)


def attributes(data: memoryview, start: int) -> dict[int, memoryview]:
    """The attributes of *data* from *start* on: type -> value; of attributes of one type the last."""
    found = {}
    end = len(data)
    while start + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, start)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[start + 4 : start + length]
        start += (length + 3) & ~3
    return found


def each_attribute(data: memoryview, start: int) -> Iterator[tuple[int, memoryview]]:
    """(type, value) of every attribute of *data* from *start* on, in order: a list repeats one type."""
    end = len(data)
    while start + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, start)
        if length < 4:
            break
        yield kind & 0x3FFF, data[start + 4 : start + length]
        start += (length + 3) & ~3


def _read_error(message: memoryview, flags: int) -> tuple[int, str]:
    (code,) = struct.unpack_from("=i", message, 16)
    if not code:
        return 0, ""
    text = b""
    if flags & NLM_F_ACK_TLVS:
        # For an ACK the original's header stands between, for the end of a dump nothing does.
        start = 36 if struct.unpack_from("=H", message, 4)[0] == NLMSG_ERROR else 20
        text = bytes(attributes(message, start).get(NLMSGERR_ATTR_MSG, b"")).rstrip(b"\0")
    return -code, text.decode(errors="replace").rstrip(".")
