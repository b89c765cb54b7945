"""A host makes so many copies of files at once; one that stands still keeps no place from others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from networks.cnm.errors import Exhausted
from worker.runtime.folders import Folders
from worker.sessions import copy
from worker.sessions.copy import Copies
from worker.sessions.session import Client

ENDLESS = "import sys\nwhile True: sys.stdout.buffer.write(bytes(65536))"
MEASURE: dict[str, Any] = {"container": "", "task": {"verb": "measure"}}


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copies:
    """Two at once, of things that never end."""
    monkeypatch.setattr(copy, "MOST", 2)
    monkeypatch.setattr(copy, "_COMMAND", (sys.executable, "-c", ENDLESS))
    folders = Folders(state_dir=tmp_path / "state", run_dir=tmp_path / "run")
    return Copies(SimpleNamespace(folders=folders, bind_roots=()))  # type: ignore[arg-type]


class Face:
    def __init__(self, reader: asyncio.StreamReader, client: Client) -> None:
        self.reader = reader
        self.client = client

    async def hears(self, wanted: bytes) -> None:
        """Returns once something with *wanted* in it was said."""
        kept = b""
        async with asyncio.timeout(20):
            while wanted not in kept:
                data = await self.reader.read(1 << 16)
                assert data, "the line was closed"
                kept = kept[-100:] + data


@asynccontextmanager
async def a_face() -> AsyncIterator[Face]:
    ours, theirs = socket.socketpair()
    reader, back = await asyncio.open_connection(sock=ours)
    _, writer = await asyncio.open_connection(sock=theirs)
    try:
        yield Face(reader, Client(writer))
    finally:
        for one in (back, writer):
            one.close()
            with contextlib.suppress(OSError):
                await one.wait_closed()


async def takes(face: Face) -> None:
    """Read on and on."""
    while await face.reader.read(1 << 16):
        pass


async def test_who_takes_nothing_gives_its_place_to_who_comes(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncExitStack() as stack:
        still, busy, third, fourth = [await stack.enter_async_context(a_face()) for _ in range(4)]
        running = [await copies.begin(MEASURE, "", face.client) for face in (still, busy)]
        reading = asyncio.create_task(takes(busy))
        async with asyncio.timeout(20):
            while not still.client.writer.transport.get_write_buffer_size():  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
        with pytest.raises(Exhausted):
            await copies.begin(MEASURE, "", third.client)
        monkeypatch.setattr(copy, "STILL_S", 0.0)
        running.append(await copies.begin(MEASURE, "", third.client))
        reading_too = asyncio.create_task(takes(third))
        await still.hears(b"refused")
        monkeypatch.setattr(copy, "STILL_S", 30.0)
        with pytest.raises(Exhausted):
            await copies.begin(MEASURE, "", fourth.client)
        for task in (reading, reading_too):
            task.cancel()
        for one in running:
            one.detach(one.client)
        await asyncio.gather(*copies.running, return_exceptions=True)
