"""A stream of a command is whole, or its client is told that it is not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from pathlib import Path

import pytest

from networks.cnm import frames
from networks.engine import execs
from networks.engine.http import Connection, Exchange, Raw
from networks.engine.raw import Held
from worker.runtime.interactive import Running
from worker.sessions import session as sessions
from worker.sessions.session import Client, Session


async def printed(said: bytes, tty: bool) -> bytes:
    """What a client gets where the process that holds the command says *said*, and no more."""
    (holder, ours), (client, theirs) = socket.socketpair(), socket.socketpair()
    held = Held(*await asyncio.open_connection(sock=ours))
    raw = Raw(*await asyncio.open_connection(sock=client), b"")
    holder.sendall(said)
    holder.close()
    with theirs:
        await execs._print(raw, held, tty)
        await held.close()
        raw.writer.close()
        with contextlib.suppress(OSError):
            await raw.writer.wait_closed()
        return theirs.recv(4096)


async def test_a_stream_that_breaks_off_is_an_error_to_the_client() -> None:
    out = frames.frame(frames.STDOUT, b"half")
    got = await printed(out, tty=False)
    assert got.startswith(b"\x01\0\0\0\0\0\0\x04half\x03\0\0\0"), "Systemerr"
    ended = frames.told(frames.STATE, {"state": "ended", "reason": "exited", "exit_code": 0})
    assert await printed(out + ended, tty=False) == b"\x01\0\0\0\0\0\0\x04half"
    assert await printed(out + ended, tty=True) == b"half"


async def test_a_client_reads_the_head_alone_however_late_it_comes() -> None:
    """docker-py throws away what it reads of the stream together with the head."""
    client, theirs = socket.socketpair()
    client.settimeout(10)

    async def answer(exchange: Exchange) -> None:
        raw = await exchange.hijack()
        await raw.send(b"output")

    client.sendall(b"POST /exec/x/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    serving = asyncio.ensure_future(Connection(*await asyncio.open_connection(sock=theirs), answer).serve())
    await asyncio.sleep(0.3)
    with client:
        assert client.recv(8192).endswith(b"Upgrade: tcp\r\n\r\n")
        assert await asyncio.to_thread(client.recv, 8192) == b"output"
        await serving


def zeros(count: int) -> subprocess.Popen[bytes]:
    command = ["head", "-c", str(count), "/dev/zero"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("lasting", [True, False])
async def test_who_takes_nothing_for_a_while_gets_all_of_a_lasting_session(
    lasting: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "STALL_S", 0.2)
    size = 4 << 20
    process = zeros(size)
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=theirs, limit=1024)

    async def ended(session: Session, reason: str, code: int) -> str:
        return reason

    session = Session("s", Running(process, tmp_path, None), ended, tty=False)
    session.lasting = lasting
    await session.begin()
    _, to_client = await asyncio.open_connection(sock=ours)
    await session.attach(Client(to_client, sessions.STALL_S), 0, 80, 24)
    await asyncio.sleep(1)
    parser, got, state = frames.Frames(), 0, {}
    with contextlib.suppress(ConnectionError):
        while data := await asyncio.wait_for(reader.read(1 << 16), 10):
            for item in parser.feed(data):
                got += len(item.data) if item.kind == frames.STDOUT else 0
                state = item.json() if item.kind == frames.STATE else state
    writer.close()
    assert (got == size, state["state"]) == ((True, "ended") if lasting else (False, "attached"))
