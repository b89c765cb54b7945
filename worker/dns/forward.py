"""Asking the servers of a sandbox about names that nobody here has.

Every question goes out from a socket of its own, connected to the server, so its port is the kernel's random choice and nobody else's
datagrams reach it; the id is random too, and an answer that does not repeat the question is passed over. Servers are asked one after
the other; one that was silent is asked last for a while.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from . import packet as wire
from .packet import HEADER, Query
from .zone import Sandbox

SERVER_TIMEOUT_S = 2.0
"""A program that asks waits five seconds by habit (resolv.conf(5)): two servers have their chance before."""
SILENT_FOR_S = 10.0
"""How long a server that did not answer is asked after the others."""
MOST_FORWARDS = 1024
"""Questions under way, of all sandboxes together, as Docker allows one server."""
MOST_OF_ONE = 256
"""Of one sandbox: it must not use up the others' share."""
STRAY_DATAGRAMS = 16
"""Datagrams that are no answer to the question, before a server counts as silent."""
LONGEST_MESSAGE = 65535
_LENGTH = struct.Struct("!H")
_TRY_THE_NEXT = {wire.SERVFAIL, wire.REFUSED, wire.NOTIMP}

OpenSocket = Callable[[Sandbox, int, int], Awaitable[socket.socket]]
"""(sandbox, family, kind) -> a socket, in the host's or in the sandbox's namespace; raises OSError."""


class Forwarder:
    """Asks other servers, so many questions at once and no more."""

    def __init__(self, open_socket: OpenSocket, port: int = 53) -> None:
        self._open = open_socket
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._under_way: dict[str, int] = {}
        self._total = 0
        self._silent: dict[tuple[str, bool, str], float] = {}

    async def ask(self, query: Query, sandbox: Sandbox, *, tcp: bool) -> bytes:
        """The answer of the first server that gives one, for the asker of *query*; SERVFAIL where none does."""
        if self._total >= MOST_FORWARDS or self._under_way.get(sandbox.name, 0) >= MOST_OF_ONE:
            return wire.reply(query, rcode=wire.SERVFAIL)
        self._count(sandbox.name, 1)
        try:
            return self._for_asker(query, await self._ask_all(query, sandbox, tcp), tcp)
        finally:
            self._count(sandbox.name, -1)

    def forget(self, sandbox: str) -> None:
        """The sandbox is served no more."""
        self._silent = {key: until for key, until in self._silent.items() if key[0] != sandbox}

    def _count(self, sandbox: str, change: int) -> None:
        self._total += change
        now = self._under_way.get(sandbox, 0) + change
        if now:
            self._under_way[sandbox] = now
        else:
            del self._under_way[sandbox]

    async def _ask_all(self, query: Query, sandbox: Sandbox, tcp: bool) -> bytes | None:
        refusal = None
        for server in self._in_order(sandbox):
            try:
                async with asyncio.timeout(SERVER_TIMEOUT_S):
                    answer = await self._ask_one(query, sandbox, server, tcp)
            except (OSError, TimeoutError, EOFError):
                self._silent[self._mark(sandbox, server)] = time.monotonic() + SILENT_FOR_S
                continue
            self._silent.pop(self._mark(sandbox, server), None)
            if answer[3] & wire.RCODE not in _TRY_THE_NEXT:
                return answer
            refusal = answer
        return refusal

    def _in_order(self, sandbox: Sandbox) -> list[str]:
        now = time.monotonic()
        return sorted(sandbox.servers, key=lambda server: self._silent.get(self._mark(sandbox, server), 0.0) > now)

    @staticmethod
    def _mark(sandbox: Sandbox, server: str) -> tuple[str, bool, str]:
        """The host's servers are the same ones for all sandboxes."""
        return (sandbox.name if sandbox.inside else "", sandbox.inside, server)

    async def _ask_one(self, query: Query, sandbox: Sandbox, server: str, tcp: bool) -> bytes:
        question = outgoing(query)
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        sock = await self._open(sandbox, family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        with sock:
            sock.setblocking(False)
            if tcp:
                await self._connect(sock, server)
                return await self._over_tcp(sock, question)
            sock.connect((server, self._port))
            return await self._over_udp(sock, question)

    async def _connect(self, sock: socket.socket, server: str) -> None:
        """Without the loop's own way, which may start a thread to look the address up: we may start none."""
        if (code := sock.connect_ex((server, self._port))) not in {0, errno.EINPROGRESS}:
            raise OSError(code, os.strerror(code))
        writable: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(sock.fileno(), lambda: writable.done() or writable.set_result(None))
        try:
            await writable
        finally:
            self._loop.remove_writer(sock.fileno())
        if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))

    async def _over_udp(self, sock: socket.socket, question: bytes) -> bytes:
        await self._loop.sock_sendall(sock, question)
        for _ in range(STRAY_DATAGRAMS):
            answer = await self._loop.sock_recv(sock, LONGEST_MESSAGE)
            if is_answer(question, answer):
                return answer
        raise TimeoutError

    async def _over_tcp(self, sock: socket.socket, question: bytes) -> bytes:
        await self._loop.sock_sendall(sock, _LENGTH.pack(len(question)) + question)
        (length,) = _LENGTH.unpack(await self._exactly(sock, _LENGTH.size))
        answer = await self._exactly(sock, length)
        if not is_answer(question, answer):
            raise EOFError
        return answer

    async def _exactly(self, sock: socket.socket, count: int) -> bytes:
        received = b""
        while len(received) < count:
            part = await self._loop.sock_recv(sock, count - len(received))
            if not part:
                raise EOFError
            received += part
        return received

    @staticmethod
    def _for_asker(query: Query, answer: bytes | None, tcp: bool) -> bytes:
        if answer is None:
            return wire.reply(query, rcode=wire.SERVFAIL)
        if not tcp and len(answer) > query.limit:
            return wire.reply(query, rcode=answer[3] & wire.RCODE, truncated=True)
        # The asker's own id, and its own spelling of the name.
        end = HEADER.size + len(query.question)
        return query.id.to_bytes(2, "big") + answer[2 : HEADER.size] + query.question + answer[end:]


def outgoing(query: Query) -> bytes:
    """*query* as it is passed on: with an id of ours, and of its extras only size and DO (no cookies, no client subnet)."""
    number = secrets.randbits(16)
    flags = query.flags & (wire.RD | wire.AD | wire.CD)
    extras = wire.opt(min(query.size, LONGEST_MESSAGE), query.wants_dnssec) if query.size else b""
    return HEADER.pack(number, flags, 1, 0, 0, 1 if extras else 0) + query.question + extras


def is_answer(question: bytes, answer: bytes) -> bool:
    """Whether *answer* is one to *question*: its id, its kind, and the question itself."""
    with suppress(IndexError):
        if answer[:2] == question[:2] and answer[2] & 0x80 and not answer[2] & 0x78:
            return wire.question_of(answer) == wire.question_of(question)
    return False
