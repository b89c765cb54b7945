"""The streams of a container's own process, for a face that is connected to them: through conmon, run after run.

conmon listens on ``attach`` in the container's bundle (a sequenced-packet socket): what is sent there is typed; what is printed comes as
packets of a stream's number (2 standard output, 3 standard error) and bytes. conmon waits for whoever takes them, and so does the process:
nothing is lost, however fast it prints and however slowly its reader reads. Only when the process has ended is the rest kept here for a
slow reader, for conmon tells of the end once it has passed on all; that is no more than pipes hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque

from networks.cnm import frames
from worker.runtime.folders import Folders
from worker.runtime.joining import noted
from worker.runtime.records import Record, read_record

from .console import Console
from .session import Client

log = logging.getLogger("worker.sessions")

PIECE = 8 << 10
"""Bytes of one packet of input: what conmon reads at once."""
PACKET = 64 << 10
MOST = 256 << 10
"""Bytes that wait for a reader while the process runs."""
_SOON_S, _LATER_S = 0.005, 0.1
"""Between two looks for a run to connect to: while one may just be starting, and after :data:`_SOON` looks."""
_SOON = 4000
_STREAMS = {2: frames.STDOUT, 3: frames.STDERR}


class Joined(Console):
    """One face's connection to the process of one container; others may have their own.

    It says ``joined`` when it is connected to a ``run`` (``whole``: from its first byte, or from the moment when the face asked), and
    ``left`` when that run's output was sent (``whole``: all of it).
    """

    def __init__(self, folders: Folders, container_id: str, client: Client) -> None:
        super().__init__(folders.bundle(container_id))
        self._folders = folders
        self._id = container_id
        self._client = client
        client.stall_s = None  # as at Docker's pipes: what reads slowly gets all of it
        self._waiting = 0
        self._typed: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._input_over = False
        self._typed_any = False
        """Whether conmon was sent anything in this run."""
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._over)

    @property
    def has_room(self) -> bool:  # type: ignore[override]
        return self._waiting <= frames.INPUT_WINDOW

    def type(self, client: Client, data: bytes | None) -> None:
        """Pass on what was typed; None: no more will be."""
        self._waiting += len(data or b"")
        self._typed.put_nowait(data)

    def detach(self, client: Client) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        with noted(self._folders, self._id) as connected:
            self._tell({"state": "attached"})
            record = read_record(self._folders, self._id)
            goes_on = record.run if record is not None and record.started else ""
            before = ""
            while not self._client.writer.is_closing():
                channel, record, whole = await self._next(before, goes_on)
                before = record.run
                with channel:
                    self._tell({"state": "joined", "run": record.run, "whole": whole})
                    connected(record.run)
                    heard = await self._speak(channel, record.run)
                self._tell({"state": "left", "whole": heard})

    def _over(self, task: asyncio.Task[None]) -> None:
        """A defect of ours stands in the log: nobody waits for that task. The face sees the connection end."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection to a container's streams broke", exc_info=error)
            self._client.part({"state": "broken"})

    def _tell(self, state: dict[str, object]) -> None:
        if not self._client.writer.is_closing():
            self._client.writer.write(frames.told(frames.STATE, state))

    async def _next(self, before: str, goes_on: str) -> tuple[socket.socket, Record, bool]:
        """A connection to the run after *before*, once there is one, and whether it printed nothing yet. Of *goes_on*, which ran already
        when the face asked, it wants what comes from now on."""
        looks = 0
        while True:
            record = read_record(self._folders, self._id)
            if record is not None and record.run != before and (record.running or not record.started):
                channel = self._connected()
                if channel is not None:
                    now = read_record(self._folders, self._id)
                    begun = now is None or now.started or now.unawaited
                    late = now is None or now.run != record.run or (begun and now.run != goes_on)
                    return channel, record, not late
            looks += 1
            await asyncio.sleep(_SOON_S if looks < _SOON else _LATER_S)

    def _connected(self) -> socket.socket | None:
        """None: conmon does not listen (yet)."""
        try:
            folder = os.open(self._bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            # Through the descriptor: the whole path may be longer than a socket's name can be.
            channel.connect(f"/proc/self/fd/{folder}/attach")
        except OSError:
            channel.close()
            return None
        finally:
            os.close(folder)
        return channel

    async def _speak(self, channel: socket.socket, run: str) -> bool:
        """Pass everything to and fro until conmon has no more to say and the face has all of it; whether that is all that was printed."""
        kept = _Kept()
        self._typed_any = False
        tasks = [
            asyncio.create_task(self._hear(channel, kept)),
            asyncio.create_task(self._type(channel, run)),
            asyncio.create_task(self._let_go(kept, run)),
        ]
        try:
            while (piece := await kept.take()) is not None:
                if not await self._client.send(piece):
                    return False
            return kept.whole
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await task

    async def _hear(self, channel: socket.socket, kept: _Kept) -> None:
        """Until conmon has said all. One that ends without having read all that was typed resets the connection, and the kernel tells that
        first, once, before what was sent earlier and is still to be had (``sock_error`` in ``__skb_try_recv_datagram``)."""
        loop = asyncio.get_running_loop()
        heard = reset = False
        try:
            while True:
                try:
                    packet = await loop.sock_recv(channel, PACKET)
                except ConnectionResetError:
                    reset = True
                    continue
                if not packet:
                    break
                heard = True
                kind = _STREAMS.get(packet[0])
                if kind is not None:
                    await kept.add(frames.frame(kind, packet[1:]))
            # Reset without a word typed or heard: it ended before it took the connection from its queue.
            kept.whole = heard or self._typed_any or not reset
        except OSError as error:
            log.warning("conmon of container %s broke off: %s", self._id[:12], error)
        finally:
            kept.end()

    async def _type(self, channel: socket.socket, run: str) -> None:
        await self._started(run, _SOON_S)  # conmon loses what is typed before the process is there
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # it ended, or has closed its input
            while not self._input_over:
                data = await self._typed.get()
                if data is None:
                    self._input_over = True
                    break
                self._typed_any = True
                for start in range(0, len(data), PIECE):
                    await loop.sock_sendall(channel, data[start : start + PIECE])
                self._waiting -= len(data)
                if not self._client.writer.is_closing():
                    self._client.writer.write(frames.taken(len(data)))
            channel.shutdown(socket.SHUT_WR)

    async def _let_go(self, kept: _Kept, run: str) -> None:
        """Once the process has ended, keep the rest here, however slowly the face takes it."""
        record = await self._started(run, _LATER_S)
        if record is not None and record.pid.alive:
            await _end_of(record.pid.number)
        kept.unbounded()

    async def _started(self, run: str, pause_s: float) -> Record | None:
        """The run once its command was executed; None: it is gone."""
        while True:
            record = read_record(self._folders, self._id)
            if record is None or record.run != run:
                return None
            if record.started:
                return record
            await asyncio.sleep(pause_s)


class _Kept:
    """Frames on their way to a face."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._bounded = True
        self.whole = False
        """Whether conmon has said all of it."""
        self._ended = False
        self._changed = asyncio.Event()

    async def add(self, frame: bytes) -> None:
        """Returns when there is room for more."""
        self._frames.append(frame)
        self._size += len(frame)
        self._changed.set()
        while self._bounded and self._size > MOST:
            await self._wait()

    async def take(self) -> bytes | None:
        """What there is, at once; None: all is taken, and no more comes."""
        while not self._frames:
            if self._ended:
                return None
            await self._wait()
        taken = b"".join(self._frames)
        self._frames.clear()
        self._size = 0
        self._changed.set()
        return taken

    def unbounded(self) -> None:
        self._bounded = False
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


async def _end_of(number: int) -> None:
    """Return when a process has ended."""
    try:
        pidfd = os.pidfd_open(number)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(pidfd, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
