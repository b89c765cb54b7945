"""The way to other hosts' sessions: through a real Redis, sealed, in order, with a bound on what is under way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from redis import Redis

from networks import exec_client, relay
from networks.cnm.errors import Unavailable
from tests.testlib.product import accepts
from worker.sessions import relayed

HOST = "two"
Work = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="cnm-redis-") as folder:
        path = Path(folder) / "redis.sock"
        command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not accepts(path):
            assert process.poll() is None
        yield f"unix://{path}"
        process.terminate()
        process.wait()


@pytest.fixture(autouse=True)
def redis(server: str, settings: LazySettings) -> Iterator[Redis]:
    settings.REDIS_URL = server
    with Redis.from_url(server) as client:
        yield client


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, work: Work, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A host whose socket does *work* with each caller; the fingerprint of its certificate."""
    told: asyncio.Queue[str] = asyncio.Queue()

    async def tell(fingerprint: str) -> None:
        told.put_nowait(fingerprint)

    monkeypatch.setattr(relayed.book, "tell_fingerprint", tell)
    path = tmp_path / "s.sock"
    async with await asyncio.start_unix_server(work, path):
        task = asyncio.create_task(relayed.relaying(path, HOST, tmp_path))
        try:
            fingerprint = await told.get()
            async with relay.connected() as client:
                for _try in range(1000):
                    if (await client.pubsub_numsub(relay.calls(HOST)))[0][1]:
                        break
                    await asyncio.sleep(0.01)
            yield fingerprint
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_bytes_go_both_ways_whole_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = b"".join(n.to_bytes(4, "big") for n in range(1 << 19))
    async with serving(tmp_path, echo, monkeypatch) as fingerprint:
        reader, writer = await relay.call(HOST, fingerprint)

        async def send() -> None:
            for start in range(0, len(sent), 1 << 16):
                writer.write(sent[start : start + (1 << 16)])
                await writer.drain()

        sending = asyncio.create_task(send())
        assert await reader.readexactly(len(sent)) == sent
        await sending
        writer.close()


async def test_what_was_said_last_arrives_though_its_reader_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 300_000 + b"end")
        await writer.drain()
        writer.close()

    async with serving(tmp_path, speak, monkeypatch) as fingerprint:
        reader, writer = await relay.call(HOST, fingerprint)
        await asyncio.sleep(0.3)
        assert (await reader.read(-1)).endswith(b"xend")
        writer.close()


async def test_a_slow_reader_slows_the_speaker_down_and_fills_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    said = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal said
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"x" * 4096)
                await writer.drain()
                said += 4096

    async with serving(tmp_path, flood, monkeypatch) as fingerprint:
        _reader, writer = await relay.call(HOST, fingerprint)
        before = -1
        while said != before:
            before = said
            await asyncio.sleep(0.3)
        assert said < 8 * relay.WINDOW, "it waits"
        assert max(int(client["tot-mem"]) for client in redis.client_list()) < 4 * relay.WINDOW
        writer.close()


async def test_who_listens_at_redis_reads_nothing_and_who_writes_there_breaks_the_line_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    heard: list[dict[str, bytes]] = []
    spy = redis.pubsub()
    spy.psubscribe("cnm:relay:*")
    got: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            got.append(data)
            writer.write(data)
        writer.close()

    async with serving(tmp_path, note, monkeypatch) as fingerprint:
        reader, writer = await relay.call(HOST, fingerprint)
        writer.write(b"a secret that is typed")
        assert await reader.readexactly(22) == b"a secret that is typed"
        while message := spy.get_message(timeout=0.2):
            heard.append(message)
        spoken = [one for one in heard if one["type"] == "pmessage" and one["data"][:1] == b"d"]
        assert spoken
        assert all(b"secret" not in one["data"] for one in spoken)
        again = next(one for one in reversed(spoken) if one["channel"].endswith(b":up"))
        redis.publish(again["channel"].decode(), again["data"])
        assert await reader.read(-1) == b"", "what is said twice is not heard twice"
        assert got == [b"a secret that is typed"]
        writer.close()
    spy.close()


async def test_nobody_and_somebody_else_are_told_apart_from_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(relay.Gone, match="nobody listens"):
        await relay.call(HOST, "0" * 64)
    async with serving(tmp_path, echo, monkeypatch):
        for wrong in ("0" * 64, ""):
            with pytest.raises(relay.Gone, match="somebody else"):
                await relay.call(HOST, wrong)


async def test_the_end_of_one_side_is_heard_by_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        over.set()
        writer.close()

    async with serving(tmp_path, wait, monkeypatch) as fingerprint:
        _reader, writer = await relay.call(HOST, fingerprint)
        writer.close()
        await asyncio.wait_for(over.wait(), 10)
        reader, writer = await relay.call(HOST, fingerprint)
    assert await asyncio.wait_for(reader.read(), 20) == b"", "the host's process has ended"
    writer.close()


async def test_a_relay_ends_though_it_is_told_to_as_it_hears_that_the_other_end_has_gone() -> None:
    """Whoever waits for the end of its event loop waits for the relay: a page did for ever."""

    class Silent(relay.Line):
        def __init__(self) -> None:
            pass

        async def receive(self) -> bytes | None:
            await asyncio.Event().wait()
            return None

    ours, theirs = socket.socketpair()
    with ours:
        reader, writer = await asyncio.open_unix_connection(sock=theirs)
        carrying = relay.Relay(Silent(), relay.Seal(relay.calling(), answers=False), reader, writer)
        task = asyncio.create_task(carrying.run())
        await asyncio.sleep(0.05)
        carrying._over.set()
        carrying._unheard.set()
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=10)
        assert done
        await writer.wait_closed()


async def test_a_caller_that_has_said_all_before_it_is_answered_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.put_nowait(await reader.read())
        writer.close()

    took = relay.Line.took

    async def late(line: relay.Line, count: int) -> None:
        if line._says.endswith(":down"):
            await asyncio.sleep(0.3)
        await took(line, count)

    async with serving(tmp_path, listen, monkeypatch) as fingerprint:
        monkeypatch.setattr(relay.Line, "took", late)
        _reader, writer = await relay.call(HOST, fingerprint)
        writer.write(b"this is all")
        writer.close()
        assert await asyncio.wait_for(came.get(), 10) == b"this is all"


async def test_what_was_under_way_arrives_though_the_news_that_the_speaker_has_gone_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages, and how many took one of ours, come by two connections: either may be late."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 300_000 + b"end")
        await writer.drain()
        writer.close()

    hear = relay.heard

    async def late(channel: Any, timeout_s: float) -> bytes | None:
        message = await hear(channel, timeout_s)
        if message is not None and message[:1] in b"de" and any(b":down" in name for name in channel.channels):
            await asyncio.sleep(0.1)
        return message

    async with serving(tmp_path, speak, monkeypatch) as fingerprint:
        monkeypatch.setattr(relay, "heard", late)
        reader, writer = await relay.call(HOST, fingerprint)
        assert (await reader.read(-1)).endswith(b"xend")
        writer.close()


async def test_what_cannot_be_read_to_its_end_is_not_waited_for(tmp_path: Path, settings: LazySettings) -> None:
    settings.RUN_DIR, settings.HOST_NAME = tmp_path, HOST

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError("the disk is broken")

    async with await asyncio.start_unix_server(take, exec_client.socket_path()):
        with pytest.raises(Unavailable):
            await asyncio.wait_for(exec_client.send("ticket", HOST, pieces()), 10)
