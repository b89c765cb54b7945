"""Which tables of nf_tables changed since when: heard from the kernel, so that what nobody touched need not be read again."""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from .meter import NAME as METER
from .nft_message import GENERIC, HEADER, REQUEST, SUBSYSTEM, compose

Table = tuple[int, str]
"""(NFPROTO, name)."""
_NETLINK_NETFILTER = 12
_SOL_NETLINK, _ADD_MEMBERSHIP, _DROP_MEMBERSHIP, _GROUP = 270, 1, 2, 7
"""NFNLGRP_NFTABLES."""
_NEW_GENERATION, _GET_GENERATION = SUBSYSTEM << 8 | 15, 16
_GENERATION_ID, _GENERATION_PID, _GENERATION_NAME = 1, 2, 3
_RECEIVE_BYTES = 1 << 20
_PATIENCE_S = 0.05
"""A transaction's number may be known a moment before all that it did is told."""
_FEW = 4
"""So many writers, of a table and of all, are remembered until somebody asks."""
_ATTRIBUTE = struct.Struct("=HH")


class NftWatch:
    """Listens in the network namespace in which it is made. What it missed counts as changed."""

    def __init__(self) -> None:
        self._socket = _socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        self._asking = _socket()
        self._asking.settimeout(2.0)
        self._known_from = self._heard = 0
        self._changed: dict[Table, int] = {}
        self._writers: dict[Table, list[str]] = {}
        self._strangers: list[str] = []
        self._telling: set[Table] = set()
        self._begin()

    def close(self) -> None:
        self._socket.close()
        self._asking.close()

    def generation(self) -> int:
        """The number of the last transaction; it grows by one with each, of anybody. Raises OSError without nf_tables."""
        self._asking.send(compose(_GET_GENERATION, REQUEST, b"", family=0))
        (body,) = (body for kind, body in _messages(self._asking.recv(4096)) if kind == _NEW_GENERATION)
        return _generation(body)

    def untouched(self, tables: Collection[Table], since: int) -> int | None:
        """The generation now, where none of *tables* was touched after *since*; None where one was, or may have been."""
        now = self.generation()
        if not self._listen(now):
            self._begin()
            return None
        known = since >= self._known_from and all(self._changed.get(table, 0) <= since for table in tables)
        return now if known else None

    def writers(self, tables: Collection[Table]) -> list[str]:
        """Who was heard to touch *tables* since this was asked last: ``name (pid)``, each once."""
        return list(dict.fromkeys(writer for table in tables for writer in self._writers.pop(table, ())))

    def strangers(self) -> list[str]:
        """Who was heard to touch any table but the meter of traffic since this was asked last: ``name (pid)``, each once."""
        if not self._listen(self.generation()):
            self._begin()
        found, self._strangers = self._strangers, []
        return list(dict.fromkeys(found))

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Inside, nothing is heard: what is written there is known to whoever writes it, and would fill the socket."""
        self._listen(self.generation())  # who wrote until now is asked for later
        self._socket.setsockopt(_SOL_NETLINK, _DROP_MEMBERSHIP, _GROUP)
        try:
            yield
        finally:
            self._begin()

    def _begin(self) -> None:
        """Hear everything from now on."""
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        with suppress(BlockingIOError):
            while True:
                _receive(self._socket)
        self._telling.clear()
        self._known_from = self._heard = self.generation()

    def _listen(self, until: int) -> bool:
        """Hear all up to the generation *until*; false: some of it was lost."""
        while self._heard < until:
            try:
                told = _receive(self._socket)
            except BlockingIOError:
                if not select.select([self._socket], [], [], _PATIENCE_S)[0]:
                    return False
                continue
            if told is None:
                return False
            for kind, body in _messages(told):
                if kind == _NEW_GENERATION:
                    self._heard = max(self._heard, _generation(body))
                    self._note(writer_of(body))
                else:
                    self._telling.add(_table(body))
        return True

    def _note(self, writer: str) -> None:
        """A transaction is told whole."""
        if writer and any(name != METER for _, name in self._telling):
            self._strangers = [*self._strangers[-_FEW:], writer]
        for table in self._telling:
            self._changed[table] = self._heard
            self._writers[table] = [*self._writers.get(table, ())[-_FEW:], writer] if writer else []
        self._telling.clear()


def _socket() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    handle = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
    handle.bind((0, 0))  # without a number of its own a socket hears nothing
    return handle


def _receive(handle: socket.socket) -> bytes | None:
    """The next datagram; None: the kernel had to drop some."""
    try:
        return handle.recv(_RECEIVE_BYTES)
    except OSError as error:
        if error.errno == errno.ENOBUFS:
            return None
        raise


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + HEADER.size <= len(datagram):
        length, kind, *_ = HEADER.unpack_from(datagram, at)
        if length < HEADER.size:
            return
        yield kind, datagram[at + HEADER.size : at + length]
        at += (length + 3) & ~3


def _table(body: bytes) -> Table:
    """Every message begins with the name of its table."""
    (length, _) = _ATTRIBUTE.unpack_from(body, GENERIC.size)
    first = GENERIC.size + _ATTRIBUTE.size
    return body[0], body[first : GENERIC.size + length].rstrip(b"\0").decode(errors="replace")


def _generation(body: bytes) -> int:
    number = dict(_attributes(body)).get(_GENERATION_ID)
    if number is None:
        raise OSError(errno.EPROTO, "the kernel named no generation")
    return int(struct.unpack_from(">I", number)[0])


def writer_of(body: bytes) -> str:
    """``name (pid)`` of a transaction's maker, from the body of its NEWGEN message."""
    parts = dict(_attributes(body))
    name = parts.get(_GENERATION_NAME, b"").rstrip(b"\0").decode(errors="replace")
    return f"{name} ({int.from_bytes(parts.get(_GENERATION_PID, b'')[:4], 'big')})" if name else ""


def table_of(body: bytes) -> str:
    """The table of which any other message of a transaction speaks: each names it first."""
    _, name = next(_attributes(body), (0, b""))
    return name.rstrip(b"\0").decode(errors="replace")


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = GENERIC.size
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
