"""Carrying connections and datagrams from a held port to a container."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

Target = tuple[str, int]

CHUNK = 64 * 1024
CONNECT_TIMEOUT_S = 10.0
UDP_IDLE_S = 90.0
UDP_SESSIONS = 4096
"""Sessions of one port at most; the one that is idle longest makes room."""
_RESET = struct.pack("ii", 1, 0)


class TcpCarrier:
    """Accepts on a held socket and carries each connection to the target; without one, it is reset."""

    def __init__(self, held: socket.socket, target: Target | None) -> None:
        self.held = held
        self.target = target
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop.add_reader(held.fileno(), self._accept)

    def close(self) -> None:
        """Give the port up. Connections under way end with it: their container goes, or changes its address."""
        self._loop.remove_reader(self.held.fileno())
        self.held.close()
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        try:
            client, _ = self.held.accept()
        except OSError:
            return  # it went away again, or we are out of file descriptors: the backlog waits
        if self.target is None:
            _reset(client)
            return
        client.setblocking(False)
        task = self._loop.create_task(self._carry(client, self.target))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, client: socket.socket, target: Target) -> None:
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        with client, server:
            try:
                await asyncio.wait_for(self._loop.sock_connect(server, target), CONNECT_TIMEOUT_S)
            except (OSError, TimeoutError):
                _reset(client)
                return
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(self._pipe(client, server), self._pipe(server, client))

    async def _pipe(self, source: socket.socket, sink: socket.socket) -> None:
        """One direction, until its sender ends it; the other goes on (half-close). A slow reader slows the sender."""
        buffer = bytearray(CHUNK)
        view = memoryview(buffer)
        with suppress(OSError):
            while count := await self._loop.sock_recv_into(source, buffer):
                await self._loop.sock_sendall(sink, view[:count])
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _reset(client: socket.socket) -> None:
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()


class UdpCarrier:
    """Carries datagrams to the target, each sender by a socket of its own, and the answers back."""

    def __init__(self, held: socket.socket, target: Target | None) -> None:
        self.held = held
        self.target = target
        self._loop = asyncio.get_running_loop()
        self._sessions: dict[tuple[object, ...], tuple[socket.socket, asyncio.TimerHandle]] = {}
        self._loop.add_reader(held.fileno(), self._receive)

    def close(self) -> None:
        self._loop.remove_reader(self.held.fileno())
        self.held.close()
        for sender in list(self._sessions):
            self._end(sender)

    def _receive(self) -> None:
        try:
            data, sender = self.held.recvfrom(65535)
        except OSError:
            return
        if self.target is None:
            return
        with suppress(OSError):
            self._session(sender, self.target).send(data)

    def _session(self, sender: tuple[object, ...], target: Target) -> socket.socket:
        found = self._sessions.pop(sender, None)
        if found is not None:
            own, timer = found
            timer.cancel()
        else:
            if len(self._sessions) >= UDP_SESSIONS:
                self._end(next(iter(self._sessions)))
            family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
            own = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            own.connect(target)
            self._loop.add_reader(own.fileno(), self._answer, own, sender)
        self._sessions[sender] = (own, self._loop.call_later(UDP_IDLE_S, self._end, sender))
        return own

    def _answer(self, own: socket.socket, sender: tuple[object, ...]) -> None:
        with suppress(OSError):  # the container refuses, or the sender is gone: datagrams may be lost
            self.held.sendto(own.recv(65535), sender)

    def _end(self, sender: tuple[object, ...]) -> None:
        own, timer = self._sessions.pop(sender)
        timer.cancel()
        self._loop.remove_reader(own.fileno())
        own.close()


class Keeper:
    """Holds a port of a protocol that is not carried."""

    def __init__(self, held: socket.socket, target: Target | None) -> None:
        self.held = held
        self.target = target

    def close(self) -> None:
        self.held.close()


Carrier = TcpCarrier | UdpCarrier | Keeper
CARRIERS: dict[str, type[TcpCarrier] | type[UdpCarrier] | type[Keeper]] = {
    "tcp": TcpCarrier,
    "udp": UdpCarrier,
    "sctp": Keeper,
}
