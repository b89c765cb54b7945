"""The way to the sessions process of another host: bytes both ways, through the Redis that all hosts share, sealed from end to end.

    face ─ socket pair ─ Relay ═══ TLS, in messages of Redis' publish and subscribe ═══ Relay ─ Unix socket ─ sessions process

Nothing is kept in Redis: a message goes to who is subscribed to its channel, and :data:`WINDOW` bytes at most are under way each way. Each
end knows of the other's end at once, for Redis says how many took a message. What is lost on the way breaks the seal, and
with it the connection; whoever holds terminals and logs knows how to go on from a place.

Redis sees no plain text. The answering end has a key of its own, made at its start, whose certificate's fingerprint stands in its host's
row; the calling end shows a ticket inside (:mod:`networks.exec_client`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
import secrets
import socket
import ssl
import struct
import time
from typing import Any

from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from .ending import end

log = logging.getLogger(__name__)

READ = 64 << 10
WINDOW = 512 << 10
"""Sealed bytes that may be under way in one direction: what Redis holds for a reader that is slow."""
PING_S = 5.0
SILENT_S = 20.0
"""An end that says nothing for so long, not even that it is there, is gone."""
PATIENCE_S = 5.0
LAST_S = 2.0
"""How long the last words of an end that hears no more may be on their way: they come by another connection than that news."""
NAME = re.compile(r"[A-Za-z0-9_-]{32}\Z")
_DATA, _TAKEN, _PING, _END = b"d", b"t", b"p", b"e"
_COUNT = struct.Struct(">Q")


class Gone(OSError):
    """The other end, or Redis between, is not there (any more)."""


def calls(host: str) -> str:
    """The channel on which the sessions process of *host* is called."""
    return f"cnm:relay:{host}"


def connected() -> Redis:
    """A client of the Redis that hosts share, for one event loop."""
    return Redis.from_url(settings.REDIS_URL)


async def heard(channel: PubSub, timeout_s: float) -> bytes | None:
    """The next message; None: none came in time. Raises :class:`Gone`."""
    until = time.monotonic() + timeout_s
    try:
        while (left_s := until - time.monotonic()) > 0:
            message: Any = await channel.get_message(ignore_subscribe_messages=True, timeout=left_s)
            if message is not None:
                return bytes(message["data"])
    except (RedisError, OSError) as error:
        raise Gone(f"Redis: {error}") from error
    return None


async def subscribed(redis: Redis, name: str) -> PubSub:
    """An ear on the channel *name*, from now on. Raises :class:`Gone`."""
    channel = redis.pubsub()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await channel.subscribe(name)
            while (said := await channel.get_message(timeout=PATIENCE_S)) is None or said["type"] != "subscribe":
                pass
    except (RedisError, OSError, TimeoutError) as error:
        await let_go(channel)
        raise Gone(f"Redis: {error}") from error
    return channel


async def let_go(channel: PubSub) -> None:
    with contextlib.suppress(RedisError, OSError):
        await channel.aclose()  # type: ignore[no-untyped-call]


async def published(redis: Redis, name: str, message: bytes) -> int:
    """How many took *message*. Raises :class:`Gone`."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return int(await redis.publish(name, message))
    except (RedisError, OSError, TimeoutError) as error:
        raise Gone(f"Redis: {error}") from error


class Line:
    """Messages both ways in order, a window of them under way."""

    def __init__(self, redis: Redis, ear: PubSub, says: str) -> None:
        self._redis = redis
        self._ear = ear
        self._says = says
        self._under_way = 0
        self._room = asyncio.Event()
        self._turn = asyncio.Lock()
        self._ended = False
        """Whether the other end has said that it has ended: then it hears no more, either."""

    async def send(self, data: bytes) -> None:
        """Returns when the other end's window has room for *data* and Redis has passed it on. Raises :class:`Gone`."""
        while self._under_way and self._under_way + len(data) > WINDOW:
            self._room.clear()
            await self._room.wait()
        self._under_way += len(data)
        await self._say(_DATA + data)

    async def took(self, count: int) -> None:
        """Tell the other end that *count* bytes of its are out of the way."""
        await self._say(_TAKEN + _COUNT.pack(count))

    async def ping(self) -> None:
        await self._say(_PING)

    async def end(self) -> None:
        """Say that nothing more comes."""
        with contextlib.suppress(Gone):
            await self._say(_END)

    async def receive(self) -> bytes | None:
        """What was sent next; empty: the other end is there; None: it has ended. Raises :class:`Gone`."""
        message = await heard(self._ear, SILENT_S)
        if message is None:
            raise Gone("the other end is silent")
        kind, rest = message[:1], message[1:]
        if kind == _TAKEN and len(rest) == _COUNT.size:
            self._under_way = max(0, self._under_way - int(_COUNT.unpack(rest)[0]))
            self._room.set()
        self._ended = kind == _END
        return None if self._ended else rest if kind == _DATA else b""

    async def _say(self, message: bytes) -> None:
        async with self._turn:  # one after the other, for a second connection might overtake the first
            if not self._ended and not await published(self._redis, self._says, message):
                raise Gone("the other end has gone")


class Seal:
    """TLS that reads and writes bytes instead of a socket."""

    def __init__(self, context: ssl.SSLContext, *, answers: bool) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=answers)

    def shake(self, data: bytes = b"") -> bool:
        """Go on with the handshake by what was received; whether it is through. Raises ssl.SSLError."""
        self._in.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def waiting(self) -> bytes:
        """What is to be sent."""
        return self._out.read()

    def seal(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._out.read()

    def open(self, data: bytes) -> bytes:
        """What *data* says. Raises ssl.SSLError where it is not what was sent, in the order in which it was."""
        self._in.write(data)
        parts = []
        with contextlib.suppress(ssl.SSLWantReadError):
            while piece := self._tls.read(READ):
                parts.append(piece)
        return b"".join(parts)

    @property
    def fingerprint(self) -> str:
        """Of the other end's certificate."""
        return fingerprint_of(self._tls.getpeercert(binary_form=True) or b"")


def fingerprint_of(certificate: bytes) -> str:
    """SHA-256 of a certificate (DER)."""
    return hashlib.sha256(certificate).hexdigest()


def calling() -> ssl.SSLContext:
    """For the end that calls. Whom it speaks to is known by the very certificate, so no authority and no time of day is asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Relay:
    """Carries what a pair of streams gives and takes over a line, until either side ends."""

    def __init__(self, line: Line, seal: Seal, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._line = line
        self._seal = seal
        self._reader = reader
        self._writer = writer
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting = 0
        self._unheard = asyncio.Event()
        """Set when the other end does not hear us any more."""
        self._over = asyncio.Event()
        """Set when the other end has said that nothing more comes."""

    async def run(self) -> None:
        """Returns when it is over; the streams are closed then."""
        tasks = [asyncio.create_task(work()) for work in (self._outward, self._inward, self._hear, self._say_so)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (error := task.exception()) is not None:
                    log.info("a relay broke: %s", error)
        finally:
            await end(tasks)
            self._writer.close()

    async def _outward(self) -> None:
        try:
            while data := await self._reader.read(READ):
                await self._line.send(self._seal.seal(data))
        except Gone:
            self._unheard.set()
            await asyncio.Event().wait()  # what it said last is still to be passed on
        await self._line.end()

    async def _hear(self) -> None:
        while (data := await self._line.receive()) is not None:
            if data:
                self._waiting += len(data)
                if self._waiting > 2 * WINDOW:
                    raise Gone("more was sent than may be under way")
                self._arrived.put_nowait(data)
        self._over.set()
        self._arrived.put_nowait(None)
        await asyncio.Event().wait()  # what has arrived is still to be passed on

    async def _inward(self) -> None:
        told = 0
        while (data := await self._arrived.get()) is not None:
            self._writer.write(self._seal.open(data))
            await self._writer.drain()
            self._waiting -= len(data)
            told += len(data)
            if not self._unheard.is_set() and (told >= WINDOW // 4 or self._arrived.empty()):
                try:
                    await self._line.took(told)
                except Gone:
                    self._unheard.set()
                told = 0

    async def _say_so(self) -> None:
        while not self._unheard.is_set():
            try:
                async with asyncio.timeout(PING_S):  # asyncio.wait_for swallows a cancellation that comes with the news
                    await self._unheard.wait()
            except TimeoutError:
                with contextlib.suppress(Gone):
                    await self._line.ping()
                    continue
                self._unheard.set()
        async with asyncio.timeout(LAST_S):
            await self._over.wait()
        await asyncio.Event().wait()  # what has arrived is still to be passed on


_running: set[asyncio.Task[None]] = set()
"""So that nobody collects them."""


async def call(host: str, fingerprint: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams to the sessions process of *host*, whose certificate has this *fingerprint*. Raises :class:`Gone`."""
    name = secrets.token_urlsafe(24)
    stack = contextlib.AsyncExitStack()
    try:
        redis = connected()
        stack.push_async_callback(redis.aclose)
        ear = await subscribed(redis, f"{calls(host)}:{name}:down")
        stack.push_async_callback(let_go, ear)
        if not await published(redis, calls(host), name.encode()):
            raise Gone("nobody listens there")
        line = Line(redis, ear, f"{calls(host)}:{name}:up")
        async with asyncio.timeout(PATIENCE_S):
            seal = await _sealed(line, fingerprint)
        near = await _pair(line, seal, stack)
    except (TimeoutError, ssl.SSLError) as error:
        await stack.aclose()
        raise Gone(f"{type(error).__name__} {error}") from error
    except BaseException:
        await stack.aclose()
        raise
    return near


async def _sealed(line: Line, fingerprint: str) -> Seal:
    await line.receive()  # it is there
    seal = Seal(calling(), answers=False)
    through = seal.shake()
    while not through:
        await line.send(seal.waiting())
        while not (said := await line.receive()):
            if said is None:
                raise Gone("the other end has ended")
        await line.took(len(said))
        through = seal.shake(said)
    if not fingerprint or seal.fingerprint != fingerprint:
        raise Gone("somebody else answers")
    await line.send(seal.waiting())
    return seal


async def _pair(
    line: Line, seal: Seal, stack: contextlib.AsyncExitStack
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    ours, theirs = socket.socketpair()
    near = await asyncio.open_unix_connection(sock=ours, limit=READ)
    far = await asyncio.open_unix_connection(sock=theirs, limit=READ)

    async def carry() -> None:
        async with stack:
            await Relay(line, seal, *far).run()

    task = asyncio.create_task(carry())
    _running.add(task)
    task.add_done_callback(_running.discard)
    return near


async def answer(redis: Redis, host: str, name: str, context: ssl.SSLContext, path: str) -> None:
    """Serve one call: whoever called *name* gets the socket at *path*. Returns when that is over."""
    ear = await subscribed(redis, f"{calls(host)}:{name}:up")
    try:
        line = Line(redis, ear, f"{calls(host)}:{name}:down")
        await line.ping()
        async with asyncio.timeout(PATIENCE_S):
            seal = await _answered(line, context)
        reader, writer = await asyncio.open_unix_connection(path, limit=READ)
        await Relay(line, seal, reader, writer).run()
    finally:
        await let_go(ear)


async def _answered(line: Line, context: ssl.SSLContext) -> Seal:
    seal = Seal(context, answers=True)
    while True:
        said = await line.receive()
        if said is None:
            raise Gone("the caller has ended")
        if not said:
            continue
        with contextlib.suppress(Gone):  # a caller may have said all that it had to say: that is still to be passed on
            await line.took(len(said))
        through = seal.shake(said)
        if waiting := seal.waiting():
            await line.send(waiting)
        if through:
            return seal
