"""The faces' way to the process that holds exec sessions, and what else is kept on a host: a ticket first, then frames.

On this host by a Unix socket, on another by :mod:`networks.relay`; nobody who has the two streams sees a difference.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from django.conf import settings

from . import relay
from .cnm import frames
from .cnm.errors import CnmError, Unavailable, from_json
from .cnm.frames import BadFrame, Frame, Frames
from .cnm.text import gettext_noop
from .models import Host

PATIENCE_S = 5.0
READ = 64 << 10

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def socket_path() -> Path:
    """Where the sessions process listens."""
    return Path(settings.RUN_DIR) / "sessions.sock"


async def connect(ticket: str, host: str, **wishes: Any) -> Streams:
    """A connection to what *ticket* names, at the sessions process of *host*; *wishes* are ``since``, ``columns`` and ``rows``.

    Raises Unavailable.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await (_here() if host == settings.HOST_NAME else _there(host))
    except (OSError, TimeoutError) as error:
        raise away(host) from error
    writer.write(frames.told(frames.TICKET, {"ticket": ticket, **wishes}))
    return reader, writer


async def _here() -> Streams:
    return await asyncio.open_unix_connection(str(socket_path()), limit=READ)


async def _there(host: str) -> Streams:
    known = Host.objects.filter(name=host).values_list("fingerprint", flat=True)
    # In a thread of its own: in the caller's, where that is not async, its connection would be closed in the middle of its work.
    first = database_sync_to_async(known.first, thread_sensitive=False)
    return await relay.call(host, await first() or "")


async def heard(reader: asyncio.StreamReader, host: str) -> AsyncIterator[Frame]:
    """What the sessions process of *host* says, up to its last word. Raises its refusal, and Unavailable where that never came."""
    whole = Frames()
    try:
        while data := await reader.read(READ):
            for item in whole.feed(data):
                if item.kind == frames.STATE and item.json()["state"] == "refused":
                    raise from_json(item.json()["error"])
                if item.kind == frames.STATE and item.json()["state"] == "ended":
                    return
                yield item
    except (OSError, BadFrame, KeyError) as error:
        raise away(host) from error
    raise away(host)


async def read(ticket: str, host: str) -> AsyncIterator[bytes]:
    """What *ticket* lets be read on *host*. Raises as :func:`heard` does."""
    reader, writer = await connect(ticket, host)
    try:
        async for item in heard(reader, host):
            if item.kind == frames.STDOUT:
                yield item.data
    finally:
        await close(writer)


async def send(ticket: str, host: str, pieces: AsyncIterable[bytes]) -> None:
    """Have *host* take what *ticket* announces; returns when it has all of it. Raises as :func:`heard` does."""
    reader, writer = await connect(ticket, host)
    window = _Window()
    sending = asyncio.create_task(_send(writer, pieces, window))
    try:
        async for item in heard(reader, host):
            if item.kind == frames.TAKEN:
                window.took(item.count())
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await sending
        await close(writer)


class _Window:
    """How much of what was sent may still be under way."""

    def __init__(self) -> None:
        self._under_way = 0
        self._room = asyncio.Event()

    async def take(self, count: int) -> None:
        """Returns when *count* bytes more may be sent."""
        while self._under_way + count > frames.INPUT_WINDOW:
            self._room.clear()
            await self._room.wait()
        self._under_way += count

    def took(self, count: int) -> None:
        self._under_way -= count
        self._room.set()


async def _send(writer: asyncio.StreamWriter, pieces: AsyncIterable[bytes], window: _Window) -> None:
    try:
        async for piece in pieces:
            for part in frames.pieces(piece):
                await window.take(len(part))
                writer.write(frames.frame(frames.STDIN, part))
                await writer.drain()
        writer.write(frames.frame(frames.END_OF_INPUT))
        await writer.drain()
    except BaseException:
        writer.close()  # the rest never comes: the other end must not wait for it, nor we for its answer
        raise


def ask_to_close(ticket: str, host: str) -> None:
    """Have a session on *host* ended; returns when it is. Raises Unavailable."""
    async_to_sync(_ask_to_close)(ticket, host)


async def _ask_to_close(ticket: str, host: str) -> None:
    reader, writer = await connect(ticket, host)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await reader.read(READ):
                pass  # it answers by closing
    except (OSError, TimeoutError) as error:
        raise away(host) from error
    finally:
        await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """Let go of a connection; the session goes on."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def away(host: str) -> CnmError:
    """The refusal where nobody answers."""
    return Unavailable(
        gettext_noop("The process on host {host} that holds terminals, logs and captures does not answer."),
        remedy=gettext_noop("It is started again by itself; if not, run make up there."),
        host=host,
    )
