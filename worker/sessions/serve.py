"""The socket on which faces speak to sessions: our own web process and root are answered, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from networks.cnm import frames
from networks.cnm.errors import CnmError
from networks.cnm.frames import BadFrame, Frame, Frames

from .holder import Held, Holder
from .session import Client

log = logging.getLogger("worker.sessions")

_CREDENTIALS = struct.Struct("3i")
"""pid, uid and gid of the caller (unix(7), ``SO_PEERCRED``)."""
GREETING_S = 10.0
"""How long a caller may take to show its ticket."""
READ = 64 << 10


@asynccontextmanager
async def serving(path: Path, holder: Holder, users: frozenset[int], group: int) -> AsyncIterator[None]:
    """Inside, processes of *users* are served on *path*, which those of *group* may open."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _uid(writer) in users:
                await _Conversation(holder, reader, writer).run()
            else:
                log.warning("user %s was not answered", _uid(writer))
        except (OSError, BadFrame, TimeoutError, KeyError, ValueError, TypeError) as error:
            log.warning("a caller was left: %r", error)
        finally:
            writer.close()

    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(talk, path, limit=READ)
    finally:
        os.umask(before)
    os.chown(path, 0, group)
    os.chmod(path, 0o660)
    async with server:
        yield


def _uid(writer: asyncio.StreamWriter) -> int:
    caller = writer.get_extra_info("socket")
    return int(_CREDENTIALS.unpack(caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1])


class _Conversation:
    """One connection: a ticket, then what is typed and what is printed."""

    def __init__(self, holder: Holder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._holder = holder
        self._reader = reader
        self._writer = writer
        self._frames = Frames()
        self._client = Client(writer)

    async def run(self) -> None:
        async with asyncio.timeout(GREETING_S):
            first, *others = await self._read()
        if first.kind != frames.TICKET:
            raise BadFrame("no ticket")
        wish = first.json()
        try:
            session = await self._holder.connect(
                wish["ticket"], self._client, _number(wish, "since"), _number(wish, "columns"), _number(wish, "rows")
            )
        except CnmError as error:
            self._writer.write(frames.told(frames.STATE, {"state": "refused", "error": error.to_json()}))
            with contextlib.suppress(OSError):
                await self._writer.drain()
            return
        if session is None:
            return
        try:
            while others or (others := await self._read()):
                for item in others:
                    self._hear(session, item)
                others = []
        finally:
            session.detach(self._client)

    async def _read(self) -> list[Frame]:
        """The next frames, at least one; none: the caller has gone."""
        while data := await self._reader.read(READ):
            if found := self._frames.feed(data):
                return found
        return []

    def _hear(self, session: Held, item: Frame) -> None:
        if item.kind == frames.STDIN:
            session.type(self._client, item.data)
            if not session.has_room:
                raise BadFrame("more was typed than may be under way")
        elif item.kind == frames.RESIZE:
            size = item.json()
            session.resize(_number(size, "columns"), _number(size, "rows"))
        elif item.kind == frames.END_OF_INPUT:
            session.type(self._client, None)
        else:
            raise BadFrame(f"kind {item.kind} is not for us")


def _number(value: Mapping[str, Any], name: str) -> int:
    number = value.get(name, 0)
    return number if isinstance(number, int) and 0 <= number < 1 << 53 else 0
