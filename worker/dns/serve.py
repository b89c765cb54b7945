"""Listening in sandboxes: datagrams and connections in, answers out."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from .answer import Answers, Ask
from .forward import Forwarder
from .zone import Sandbox, Zone

log = logging.getLogger(__name__)

LONGEST_QUERY = 4096
BATCH = 64
"""Datagrams of one sandbox that are answered before the others have their turn."""
CONNECTIONS = 64
"""Of one sandbox at a time."""
IDLE_S = 10.0
"""How long a connection may be silent (RFC 7766 section 6.2.3)."""
_LENGTH = struct.Struct("!H")


class Service:
    """One sandbox's two sockets. It never raises for what came in."""

    def __init__(
        self, zone: Zone, sandbox: Sandbox, udp: socket.socket, tcp: socket.socket, forward: Forwarder
    ) -> None:
        self.answers = Answers(zone, sandbox)
        self._udp, self._tcp = udp, tcp
        self._forward = forward
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        for sock in (udp, tcp):
            sock.setblocking(False)
        self._loop.add_reader(udp.fileno(), self._datagrams)
        self._loop.add_reader(tcp.fileno(), self._accept)

    def become(self, sandbox: Sandbox, zone: Zone) -> None:
        """Answer as *sandbox* from now on: its networks or its servers have changed."""
        self.answers = Answers(zone, sandbox)

    async def close(self) -> None:
        """Let go of everything that is in the sandbox's namespace: it lives on as long as a socket is open in it."""
        for sock in (self._udp, self._tcp):
            self._loop.remove_reader(sock.fileno())
            sock.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _datagrams(self) -> None:
        receive, send, answer = self._udp.recvfrom, self._udp.sendto, self.answers.answer
        for _ in range(BATCH):
            try:
                packet, sender = receive(LONGEST_QUERY)
            except OSError:  # none is left; or an error of an earlier answer's receiver, which is no matter of ours
                return
            try:
                reply = answer(packet)
                if isinstance(reply, bytes):
                    send(reply, sender)
                elif reply is not None:
                    self._start(self._answer_later(reply, sender))
            except OSError:
                continue  # the asker is gone, or its buffer is full: datagrams may be lost
            except Exception:  # a defect of ours: this one question fails, and no other
                log.exception("a query could not be answered")

    async def _answer_later(self, ask: Ask, sender: tuple[str, int]) -> None:
        reply = await self._forward.ask(ask.query, self.answers.sandbox, tcp=False)
        with suppress(OSError):
            self._udp.sendto(reply, sender)

    def _accept(self) -> None:
        try:
            client, _ = self._tcp.accept()
        except OSError:
            return
        if self._connections >= CONNECTIONS:
            client.close()
            return
        client.setblocking(False)
        self._connections += 1
        self._start(self._talk(client))

    async def _talk(self, client: socket.socket) -> None:
        """One connection: question after question, each answered before the next is read."""
        try:
            with client:
                while True:
                    async with asyncio.timeout(IDLE_S):
                        (length,) = _LENGTH.unpack(await self._exactly(client, _LENGTH.size))
                        query = await self._exactly(client, length)
                    reply = self.answers.answer(query, limited=False) if length <= LONGEST_QUERY else None
                    if isinstance(reply, Ask):
                        reply = await self._forward.ask(reply.query, self.answers.sandbox, tcp=True)
                    if reply is None:
                        return
                    async with asyncio.timeout(IDLE_S):
                        await self._loop.sock_sendall(client, _LENGTH.pack(len(reply)) + reply)
        except (OSError, TimeoutError, EOFError):
            return
        finally:
            self._connections -= 1

    async def _exactly(self, client: socket.socket, count: int) -> bytes:
        received = b""
        while len(received) < count:
            part = await self._loop.sock_recv(client, count - len(received))
            if not part:
                raise EOFError
            received += part
        return received

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a query could not be answered", exc_info=error)
