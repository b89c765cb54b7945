"""One command that runs, with what it printed last, and with whoever is connected to it now."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from networks.cnm import frames
from worker.runtime.interactive import Running, exit_code_of

from .scrollback import Scrollback
from .streams import Streams

log = logging.getLogger("worker.sessions")

STALL_S = 30.0
"""How long a connection may take nothing of what is printed before it is dropped; the session goes on without it."""
HANG_UP_S = 2.0
"""How long a command may take to end after it was hung up on."""
LAST_WORDS_S = 1.0
"""How long is waited for more output after a command's end: something it started may hold the terminal for ever."""


@dataclass(slots=True)
class Client:
    """A connection of a face."""

    writer: asyncio.StreamWriter
    stall_s: float | None = STALL_S
    """None: it may take nothing for as long as it likes, and the command waits."""

    async def send(self, data: bytes) -> bool:
        """Whether it takes what it is sent; one that does not is dropped."""
        if self.writer.is_closing():
            return False
        self.writer.write(data)
        try:
            async with asyncio.timeout(self.stall_s):
                await self.writer.drain()
        except (OSError, TimeoutError):
            self.writer.transport.abort()
            return False
        return True

    def part(self, state: dict[str, Any]) -> None:
        """Say why it is over, and let go."""
        if not self.writer.is_closing():
            self.writer.write(frames.told(frames.STATE, state))
            self.writer.close()


class Session:
    """Goes on while nobody is connected, for as long as its clock says. One connection at a time: a new one takes over."""

    def __init__(
        self, session_id: str, running: Running, ended: Callable[[Session, str, int], Awaitable[str]], *, tty: bool
    ) -> None:
        self.id = session_id
        self.tty = tty
        self.container_id = ""
        self.lasting = False
        """Whether it goes on until its command ends, whoever is connected: as Docker's do."""
        self._running = running
        self._streams = Streams(running)
        self._ended = ended
        self._scrollback = Scrollback()
        self._client: Client | None = None
        self._typed: asyncio.Queue[tuple[Client | None, bytes | None]] = asyncio.Queue()
        self._waiting = 0
        """Bytes that were typed and are not taken yet."""
        self._passed_on = 0
        """Bytes that were printed."""
        self._turn = asyncio.Lock()
        """Whoever sends to the client, or changes it."""
        self.typed_at = self.left_at = time.monotonic()
        self._reason = "exited"
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def connected(self) -> bool:
        return self._client is not None and not self._client.writer.is_closing()

    async def begin(self) -> None:
        await self._streams.open()
        self._tasks = [asyncio.create_task(self._print()), asyncio.create_task(self._type())]
        self._whole = asyncio.create_task(self._live())
        self._whole.add_done_callback(_told)

    async def attach(self, client: Client, since: int, columns: int, rows: int) -> None:
        """Take over: the client gets what it has not seen, then what is printed."""
        before = self._client
        if before is not None:
            before.part({"state": "taken"})
            asyncio.get_running_loop().call_later(1, before.writer.transport.abort)  # it may be one that takes nothing
        async with self._turn:
            begins, missed = self._scrollback.since(since)
            self._client = client
            if self.lasting:
                client.stall_s = None  # as at Docker's pipes: what reads slowly, or stops for a while, gets all of it
            self.resize(columns, rows)
            told = {"state": "attached", "from": begins, "total": self._scrollback.total, "tty": self.tty}
            client.writer.write(frames.told(frames.STATE, told))
            for piece in frames.pieces(missed):
                await client.send(frames.frame(frames.STDOUT, piece))
        self.typed_at = time.monotonic()

    def detach(self, client: Client) -> None:
        """The connection broke, or was left."""
        if self._client is client:
            self._client = None
            self.left_at = time.monotonic()

    def resize(self, columns: int, rows: int) -> None:
        if 0 < columns < 10_000 and 0 < rows < 10_000:
            with contextlib.suppress(OSError):
                self._running.resize(columns, rows)

    def type(self, client: Client | None, data: bytes | None) -> None:
        """Pass on what *client* typed (None: nobody); *data* None: no more will be."""
        self.typed_at = time.monotonic()
        self._waiting += len(data or b"")
        self._typed.put_nowait((client, data))

    @property
    def has_room(self) -> bool:
        """Whether the face keeps to what may be under way; one that does not would fill our memory."""
        return self._waiting <= frames.INPUT_WINDOW

    async def hang_up(self, reason: str) -> None:
        """End it: SIGHUP, as a terminal that is hung up sends, and SIGKILL to what stays. Returns when it is over."""
        self._reason = reason
        self._running.signal(signal.SIGHUP)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._whole), HANG_UP_S)
        if not self._whole.done():
            self._running.signal(signal.SIGKILL)
            await self._whole

    async def _live(self) -> None:
        await _end_of(self._running.process.pid)
        code = exit_code_of(self._running.process.wait())
        printing, typing = self._tasks
        await self._last_words(printing)
        for task in (printing, typing):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._streams.close()
        await asyncio.sleep(0)  # the transports let go of their descriptors at the loop's next turn
        self._running.close()
        reason = await self._ended(self, self._reason, code)
        if self._client is not None:
            self._client.part({"state": "ended", "reason": reason, "exit_code": code})

    async def _last_words(self, printing: asyncio.Task[None]) -> None:
        """Until everything was passed on; whoever reads slowly gets it slowly, but nobody waits for it after hanging up."""
        while not printing.done():
            before = self._passed_on
            await asyncio.wait({printing}, timeout=LAST_WORDS_S)
            if self._passed_on == before and (self._reason != "exited" or not self._turn.locked()):
                return

    async def _print(self) -> None:
        async for kind, data in self._streams.printed():
            self._passed_on += len(data)
            async with self._turn:
                if kind == frames.STDOUT:
                    self._scrollback.add(data)
                client = self._client
                if client is not None and not await client.send(frames.frame(kind, data)):
                    self.detach(client)

    async def _type(self) -> None:
        while True:
            client, data = await self._typed.get()
            if data is None:
                self._streams.end_of_input()
                continue
            await self._streams.type(data)
            self._waiting -= len(data)
            if client is not None and client is self._client and not client.writer.is_closing():
                client.writer.write(frames.taken(len(data)))


def _told(whole: asyncio.Task[None]) -> None:
    """A defect of ours in a session's life stands in the log: nobody waits for that task."""
    if not whole.cancelled() and (error := whole.exception()) is not None:
        log.error("a session broke", exc_info=error)


async def _end_of(pid: int) -> None:
    """Return when a child of ours has ended; it is not reaped yet."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    pidfd = os.pidfd_open(pid)
    loop.add_reader(pidfd, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
