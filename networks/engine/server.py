"""The sockets that Docker clients connect to."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path

from networks.docker_plugin import app as docker_plugin

from .app import handle
from .http import READ, Application, Connection, Exchange, Gone
from .peer import Peer, of_certificate, of_unix
from .tls import Channel

log = logging.getLogger("networks.engine")

BACKLOG = 1024
"""Connections that may wait to be accepted: who comes while that many wait is refused by the kernel, which not every client bears."""
GREETING_S = 10.0
"""How long a client may take to show its certificate."""


def bind_unix(path: Path, group: int) -> socket.socket:
    """A socket at *path* that root and the members of *group* may open. It listens when it is served."""
    path.unlink(missing_ok=True)  # one that a killed predecessor left
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    os.chown(path, 0, group)
    os.chmod(path, 0o660)
    listener.setblocking(False)
    return listener


def bind_plugin(path: Path, user: int) -> socket.socket:
    """A socket at *path* that root alone may open. Where it has a folder of its own (``NAME/NAME.sock``), that is *user*'s, so that the
    socket can go with us: an engine that lists its volumes waits 15 s for a plugin that only left its socket."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.name == path.stem:
        os.chown(path.parent, user, -1)
    listener = bind_unix(path, 0)
    os.chmod(path, 0o600)
    return listener


def bind_tcp(address: str, port: int) -> socket.socket:
    """A listening socket on *address* of the host."""
    return socket.create_server(
        (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=BACKLOG
    )


class Servers:
    """Serves on every socket until it is told to stop."""

    def __init__(self, group: int, role: str, remote_role: str) -> None:
        self._group = group
        self._role = role
        self._remote_role = remote_role
        self._open: set[asyncio.Task[None]] = set()

    async def run(
        self,
        unix: socket.socket,
        tcp: socket.socket | None,
        tls: ssl.SSLContext | None,
        plugin: socket.socket | None,
        stop: asyncio.Event,
    ) -> None:
        servers = [await asyncio.start_unix_server(self._unix, sock=unix, limit=READ, backlog=BACKLOG)]
        if plugin is not None:
            servers.append(await asyncio.start_unix_server(self._plugin, sock=plugin, limit=READ, backlog=BACKLOG))
        if tcp is not None:
            assert tls is not None  # noqa: S101  # the settings give both or neither
            self._tls = tls
            servers.append(await asyncio.start_server(self._tcp, sock=tcp, limit=READ))
        await stop.wait()
        for server in servers:
            server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _unix(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(reader, writer, of_unix(writer.get_extra_info("socket"), self._group, self._role))

    async def _plugin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A Docker Engine, which asks for networks: the socket is root's alone."""
        await self._kept(reader, writer, docker_plugin.handle)

    async def _tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer, self._tls)
        try:
            async with asyncio.timeout(GREETING_S):
                certificate = await channel.greet()
        except (OSError, TimeoutError) as error:
            log.warning("a caller from %s was left: %s", writer.get_extra_info("peername"), error)
            writer.close()
            return
        plain_reader, plain_writer, carrying = await channel.carry()
        try:
            await self._serve(plain_reader, plain_writer, of_certificate(certificate, self._remote_role))
            await carrying
        finally:
            carrying.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer | None) -> None:
        async def application(exchange: Exchange) -> None:
            await handle(exchange, peer)

        await self._kept(reader, writer, application)

    async def _kept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, application: Application) -> None:
        """Serve one connection, which ends with us at the latest."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # asyncio runs each connection in a task
        self._open.add(task)
        try:
            await Connection(reader, writer, application).serve()
        except (Gone, OSError, asyncio.CancelledError):
            with suppress(OSError):
                writer.close()
        except Exception:
            log.exception("a connection failed")
        finally:
            self._open.discard(task)
