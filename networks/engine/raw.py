"""A raw connection joined to the process that holds commands: what a client types goes there in frames, and back comes what is printed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from django.conf import settings

from networks import exec_client
from networks.cnm import frames
from networks.cnm.frames import Frame, Frames

from .errors import EngineError
from .http import Raw

DETACH_KEYS = "ctrl-p,ctrl-q"


class Held:
    """A connection to the process that holds commands and terminals."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._under_way = 0
        self._room = asyncio.Event()
        self._room.set()

    @classmethod
    async def open(cls, ticket: str, columns: int = 80, rows: int = 24) -> Held:
        """Raises Unavailable."""
        return cls(*await exec_client.connect(ticket, settings.HOST_NAME, since=0, columns=columns, rows=rows))

    async def heard(self) -> AsyncIterator[Frame]:
        """What it says, until it has no more to say."""
        parser = Frames()
        while data := await self._read():
            for item in parser.feed(data):
                if item.kind == frames.TAKEN:
                    self._under_way -= item.count()
                    self._room.set()
                else:
                    yield item

    async def type(self, data: bytes) -> None:
        """Hand over what was typed, no more than the other side has room for."""
        for piece in frames.pieces(data):
            while self._under_way + len(piece) > frames.INPUT_WINDOW:
                self._room.clear()
                await self._room.wait()
            self._under_way += len(piece)
            await self._send(frames.frame(frames.STDIN, piece))

    async def end_of_input(self) -> None:
        await self._send(frames.frame(frames.END_OF_INPUT))

    async def resize(self, columns: int, rows: int) -> None:
        await self._send(frames.told(frames.RESIZE, {"columns": columns, "rows": rows}))

    async def close(self) -> None:
        await exec_client.close(self._writer)

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(exec_client.READ)
        except OSError:
            return b""

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class DetachKeys:
    """Finds the keys by which a person leaves a terminal (``ctrl-p,ctrl-q``) among what is typed. Pure."""

    def __init__(self, text: str) -> None:
        """Raises EngineError 400 for what is no list of keys."""
        self._keys = bytes(_key(word) for word in (text or DETACH_KEYS).split(","))
        self._seen = 0

    def split(self, data: bytes) -> tuple[bytes, bool]:
        """What of *data* is to be passed on, and whether the keys were typed."""
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._seen]:
                self._seen += 1
                if self._seen == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._seen]
            self._seen = 1 if byte == self._keys[0] else 0
            if not self._seen:
                passed.append(byte)
        return bytes(passed), False


def _key(word: str) -> int:
    letter = word.removeprefix("ctrl-")
    if len(letter) == 1 and word != letter:
        code = ord(letter.upper()) ^ 0x40  # ctrl-a is 1, ctrl-[ is 27 (ASCII)
        if code < 32:
            return code
    elif len(word) == 1 and ord(word) < 128:
        return ord(word)
    raise EngineError(400, f"Invalid detach keys ({word}) provided")


async def pass_input(raw: Raw, held: Held, keys: DetachKeys | None) -> bool:
    """Pass on what the client types until it types no more; whether it wants to leave. *keys* None: there is no terminal."""
    while data := await raw.read():
        left = False
        if keys is not None:
            data, left = keys.split(data)
        if data:
            await held.type(data)
        if left:
            return True
    if keys is None:
        await held.end_of_input()
    return False


def size_of(value: Any) -> tuple[int, int]:
    """(columns, rows) of Docker's ``ConsoleSize``, which is [rows, columns]."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(item, int) and item > 0 for item in value):
        return value[1], value[0]
    return 80, 24
