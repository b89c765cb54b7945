"""One HTTP connection of a Docker client: requests one after the other, streams flushed piece by piece, and the raw socket where a client
asks for it. h11 parses and composes HTTP; this module only moves bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import select
import socket
import struct
import termios
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import h11

READ = 64 << 10
MOST_HEAD = 64 << 10
MOST_BODY = 8 << 20
"""Bytes of a JSON body; archives are taken piece by piece and have a limit of their own."""
JSON = "application/json"
RAW_STREAM = "application/vnd.docker.raw-stream"
IDLE_S = 600
"""How long a connection may wait between two requests."""
HEAD_S = 2.0
"""How long a raw stream is kept from a client that does not read the head before it."""


class Gone(ConnectionError):
    """The client has gone in the middle."""


class TooLarge(Exception):
    """A body is larger than we take into memory."""


@dataclass(slots=True)
class Request:
    """The head of a request; the body is read on demand."""

    method: str
    path: str
    query: Mapping[str, str]
    """The first value of each parameter."""
    headers: Mapping[str, str]
    """By their names in lower case."""
    repeated: Mapping[str, list[str]] = field(default_factory=dict)
    """All values of each parameter."""

    @property
    def upgrades(self) -> bool:
        """Whether the client asks for the raw connection."""
        return "upgrade" in self.headers.get("connection", "").lower()


@dataclass(slots=True)
class Raw:
    """A connection that speaks no HTTP any more."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    first: bytes
    """What came along with the request."""

    async def read(self) -> bytes:
        """What the client sends next; nothing: it sends no more."""
        if self.first:
            data, self.first = self.first, b""
            return data
        try:
            return await self.reader.read(READ)
        except OSError:
            return b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def abort(self) -> None:
        """Break it off, without what was not sent yet: over TCP the other end sees a reset."""
        found: socket.socket | None = self.writer.get_extra_info("socket")
        if found is not None and found.family != socket.AF_UNIX:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    @property
    def gone(self) -> bool:
        """Whether the other end is closed altogether, which an end of its input alone does not say."""
        return _hung_up(self.writer)


class Exchange:
    """One request and its answer."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self.request = request
        self.started = False
        self.raw: Raw | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        async for data in self._connection.body():
            yield data

    async def body(self) -> bytes:
        """The whole body. Raises TooLarge."""
        found = bytearray()
        async for data in self.pieces():
            found += data
            if len(found) > MOST_BODY:
                raise TooLarge
        return bytes(found)

    async def answer(self, status: int, content: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole answer of known length."""
        sent = {**(headers or {})}
        if status not in {204, 304}:
            sent["Content-Length"] = str(len(content))
        await self.start(status, sent)
        if self.request.method != "HEAD":
            await self.send(content)

    async def answer_json(self, status: int, value: Any) -> None:
        await self.answer(status, json.dumps(value).encode() + b"\n", {"Content-Type": JSON})

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head now; what follows goes out a piece at a time."""
        self.started = True
        lines = list({**COMMON, **headers}.items())
        await self._connection.write(h11.Response(status_code=status, headers=lines, reason=HTTPStatus(status).phrase))

    async def send(self, data: bytes) -> None:
        """Send a piece of the body, at once. Raises Gone."""
        if data:
            await self._connection.write(h11.Data(data=data))

    async def hijack(self, media_type: str = RAW_STREAM) -> Raw:
        """Take the connection for raw bytes, as Docker does for ``attach`` and ``exec``: 101 where the client asked for an upgrade, else
        200 and the same bytes."""
        async for _ in self.pieces():
            pass
        self.started = True
        self.raw = await self._connection.hijack(self.request.upgrades, media_type)
        return self.raw


COMMON = {"Server": "Docker/CNM Web (linux)", "Api-Version": "", "Ostype": "linux", "Docker-Experimental": "false"}
"""Headers of every answer; the application sets the version."""

Application = Callable[[Exchange], Awaitable[None]]


class Connection:
    """Speaks HTTP/1.1 on one socket until the client has enough, or takes the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, application: Application) -> None:
        self._reader = reader
        self._writer = writer
        self._application = application
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        self._hijacked = False

    async def serve(self) -> None:
        try:
            while not self._hijacked and await self._one():
                self._h11.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._refuse(error)
        except (Gone, h11.LocalProtocolError):
            pass  # the client left a request half-way, or the answer ended early: there is no next one
        finally:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _one(self) -> bool:
        """One request; whether another may follow on this connection."""
        try:
            async with asyncio.timeout(IDLE_S):
                event = await self._event()
        except TimeoutError:
            return False
        if not isinstance(event, h11.Request):
            return False
        exchange = Exchange(self, _request(event))
        await self._watched(exchange)
        if self._hijacked:
            return False
        with contextlib.suppress(Gone, h11.LocalProtocolError):
            await self.write(h11.EndOfMessage())
        async for _ in self.body():  # what the handler did not want
            pass
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    async def _watched(self, exchange: Exchange) -> None:
        """Run the application, and give it up when the client goes."""
        work = asyncio.ensure_future(self._application(exchange))
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=0.5 if exchange.started else 5)
                if not work.done() and not self._hijacked and _hung_up(self._writer):
                    work.cancel()
                    await asyncio.wait({work})
                    raise Gone
            work.result()
        except asyncio.CancelledError:
            work.cancel()
            raise

    async def body(self) -> AsyncIterator[bytes]:
        """What is left of the request's body."""
        while self._h11.their_state is h11.SEND_BODY:
            event = await self._event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.ConnectionClosed):
                raise Gone
            else:
                return

    async def write(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data:
            await self._send(data)

    async def hijack(self, upgrade: bool, media_type: str) -> Raw:
        # Written by hand: neither a switch without its request nor a body without a frame is HTTP as h11 knows it.
        self._hijacked = True
        head = "101 UPGRADED" if upgrade else "200 OK"
        lines = [f"HTTP/1.1 {head}", f"Content-Type: {media_type}"]
        lines += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
        await self._send("\r\n".join([*lines, "", ""]).encode())
        await _taken(self._writer)
        first, _ = self._h11.trailing_data
        return Raw(self._reader, self._writer, bytes(first))

    async def _event(self) -> Any:
        while True:
            event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._h11.they_are_waiting_for_100_continue:
                await self.write(h11.InformationalResponse(status_code=100, headers=[], reason="Continue"))
            try:
                self._h11.receive_data(await self._reader.read(READ))
            except OSError as error:
                raise Gone from error

    async def _send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Gone from error

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        text = json.dumps({"message": f"the request is no HTTP: {error}"}).encode()
        head = f"HTTP/1.1 {error.error_status_hint} Bad Request\r\nContent-Type: {JSON}\r\nContent-Length: {len(text)}"
        with contextlib.suppress(Gone):
            await self._send(f"{head}\r\nConnection: close\r\n\r\n".encode() + text)


def _request(event: h11.Request) -> Request:
    """Raises RemoteProtocolError for a target that is none."""
    try:
        parts = urlsplit(event.target.decode("latin-1"))
        repeated = parse_qs(parts.query, keep_blank_values=True)
    except ValueError as error:  # [ without ], too many parameters
        raise h11.RemoteProtocolError(f"its target cannot be read: {error}", error_status_hint=400) from error
    return Request(
        method=event.method.decode("ascii"),
        path=unquote(parts.path),
        query={name: values[0] for name, values in repeated.items()},
        headers={name.decode("ascii"): value.decode("latin-1") for name, value in event.headers},
        repeated=repeated,
    )


async def _taken(writer: asyncio.StreamWriter) -> None:
    """Wait until the client read what was sent, where the kernel tells (Unix sockets): docker-py throws away what it reads of a raw
    stream together with the head before it."""
    found: socket.socket | None = writer.get_extra_info("socket")
    if found is None or found.family != socket.AF_UNIX:
        return
    with contextlib.suppress(TimeoutError, OSError, ValueError):
        async with asyncio.timeout(HEAD_S):
            while writer.transport.get_write_buffer_size() or _unread(found.fileno()):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.001)


def _unread(fd: int) -> int:
    """Bytes, with the kernel's own, that wait in the socket of the other side (SIOCOUTQ, which is TIOCOUTQ)."""
    found: int = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0]
    return found


def _hung_up(writer: asyncio.StreamWriter) -> bool:
    found: socket.socket | None = writer.get_extra_info("socket")
    if found is None or writer.is_closing():
        return True
    poll = select.poll()
    try:
        poll.register(found.fileno(), 0)  # POLLHUP and POLLERR are told always (poll(2))
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True
