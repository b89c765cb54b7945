"""TLS whose two directions end apart: a client that types no more (``docker run -i`` at the end of its input) still reads.

asyncio's own TLS closes a connection at the first ``close_notify``. So the bytes are carried here between the connection and one end of a
pair of sockets, whose other end is served like any other.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

READ = 64 << 10


def server_context(certificate: Path, key: Path, authority: Path) -> ssl.SSLContext:
    """For clients that show a certificate of *authority*; others get no connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Channel:
    """One connection that speaks TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def greet(self) -> Mapping[str, Any] | None:
        """Agree on a session; the client's certificate. Raises OSError (``ssl.SSLError`` is one)."""
        await self._fed(self._tls.do_handshake)
        return self._tls.getpeercert()

    async def carry(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Task[None]]:
        """The plain end of the connection, and what carries the bytes until both directions have ended."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=theirs, limit=READ)
        plain = await asyncio.open_unix_connection(sock=ours, limit=READ)
        return *plain, asyncio.create_task(self._carry(reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inward, outward = asyncio.create_task(self._inward(writer)), asyncio.create_task(self._outward(reader))
        try:
            # Who has gone altogether reads nothing more; who only ended its input is still answered to the end.
            await asyncio.wait({inward, outward}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (inward, outward):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await task
            for end in (writer, self._writer):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _inward(self, writer: asyncio.StreamWriter) -> None:
        with suppress(ssl.SSLZeroReturnError, ssl.SSLEOFError):
            while data := await self._fed(lambda: self._tls.read(READ)):
                writer.write(data)
                await writer.drain()
        writer.write_eof()
        while await self._reader.read(READ):
            pass  # until the connection itself is closed

    async def _outward(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(READ):
            self._tls.write(data)
            await self._flush()
        with suppress(ssl.SSLError):
            self._tls.unwrap()  # says that no more comes
        await self._flush()

    async def _fed(self, call: Callable[[], T]) -> T:
        """What *call* gives, once TLS has got from the other side what it needs for that."""
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._reader.read(READ)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
                continue
            except ssl.SSLError:
                await self._flush()  # the alert that says why
                raise
            await self._flush()
            return result

    async def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._writer.write(data)
            await self._writer.drain()
