"""A command's streams on an event loop: what it prints, piece by piece, and what is typed, as fast as it takes it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import IO

from networks.cnm import frames
from worker.runtime.interactive import Running

READ = 32 << 10


class Streams:
    """The ends of a :class:`Running` that are ours. Made inside a loop; close it before the command's own."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._transports: list[asyncio.BaseTransport] = []
        self._readers: list[tuple[int, asyncio.StreamReader]] = []
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Connect the loop to a terminal's master, or to three pipes."""
        process, master = self._running.process, self._running.terminal
        if master is not None:
            await self._read(frames.STDOUT, os.fdopen(os.dup(master), "rb", buffering=0))
            await self._write(os.fdopen(os.dup(master), "wb", buffering=0))
            return
        for kind, stream in ((frames.STDOUT, process.stdout), (frames.STDERR, process.stderr)):
            if stream is not None:
                await self._read(kind, stream)
        if process.stdin is not None:
            await self._write(process.stdin)

    async def printed(self) -> AsyncIterator[tuple[int, bytes]]:
        """(kind of frame, bytes) as they come; it ends when nobody can print any more.

        Nothing is read while the consumer works: a slow one slows the command down, as a slow terminal does.
        """
        pending = {asyncio.ensure_future(self._piece(kind, reader)) for kind, reader in self._readers}
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    kind, reader, data = task.result()
                    if data:
                        yield kind, data
                        pending.add(asyncio.ensure_future(self._piece(kind, reader)))
        finally:
            for task in pending:
                task.cancel()

    async def type(self, data: bytes) -> None:
        """Hand *data* to the command; returns when it, or the kernel for it, has taken enough of it."""
        if self._writer is None or self._writer.is_closing():
            return
        self._writer.write(data)
        with contextlib.suppress(OSError):
            await self._writer.drain()

    def end_of_input(self) -> None:
        """No more will be typed: of a command with pipes. A terminal has Ctrl-D for that."""
        if self._writer is not None and self._running.terminal is None:
            self._writer.close()

    def close(self) -> None:
        for transport in self._transports:
            if isinstance(transport, asyncio.WriteTransport):
                if transport.is_closing() and not transport.get_write_buffer_size():
                    continue  # its end of input was passed on, and asyncio knows no second end
                transport.abort()  # what was typed and not taken has nobody to take it
            else:
                transport.close()

    async def _piece(self, kind: int, reader: asyncio.StreamReader) -> tuple[int, asyncio.StreamReader, bytes]:
        return kind, reader, await reader.read(READ)

    async def _read(self, kind: int, stream: IO[bytes]) -> None:
        os.set_blocking(stream.fileno(), False)
        reader = asyncio.StreamReader(limit=READ)
        protocol = _Printed(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, stream)
        self._readers.append((kind, reader))
        self._transports.append(transport)

    async def _write(self, stream: IO[bytes]) -> None:
        loop = asyncio.get_running_loop()
        os.set_blocking(stream.fileno(), False)
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, stream)
        transport.set_write_buffer_limits(high=frames.MOST)
        self._writer = asyncio.StreamWriter(transport, protocol, None, loop)
        self._transports.append(transport)


class _Printed(asyncio.StreamReaderProtocol):
    """A terminal whose last user is gone gives EIO for its end. Passed on as an error it would come before what was read and is
    not consumed yet, and that would be lost."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(None if isinstance(exc, OSError) else exc)
