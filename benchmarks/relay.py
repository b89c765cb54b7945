"""What the way to another host's terminals, logs and files costs: one key and its echo, and bytes by the megabyte, through a Redis.

    python -m benchmarks.relay [--megabytes 64] [--keys 500]

Both ends and Redis are on this machine, so no network is in the figures; beside them the same by a Unix socket alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import django

PIECE = b"x" * (64 << 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--keys", type=int, default=500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cnm-relay-") as name:
        folder = Path(name)
        url = folder / "redis.sock"
        os.environ["CNM_REDIS_URL"] = f"unix://{url}"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnmweb.settings")
        django.setup()
        command = ["redis-server", "--port", "0", "--unixsocket", str(url), "--save", "", "--appendonly", "no"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not url.exists():
                time.sleep(0.01)
            asyncio.run(_measure(folder, asked.megabytes, asked.keys))
        finally:
            server.terminate()
            server.wait()
    print(f"load of the last minute: {os.getloadavg()[0]:.1f}")


async def _measure(folder: Path, megabytes: int, keys: int) -> None:
    from networks import relay
    from worker.sessions import relayed

    told: asyncio.Queue[str] = asyncio.Queue()

    async def tell(fingerprint: str) -> None:
        told.put_nowait(fingerprint)

    relayed.book.tell_fingerprint = tell
    path = folder / "s.sock"
    async with await asyncio.start_unix_server(_echo, path):
        listening = asyncio.create_task(relayed.relaying(path, "here", folder))
        fingerprint = await told.get()
        await asyncio.sleep(0.5)
        print(f"{'':16}{'opened, ms':>12}{'key, ms':>10}{'worst':>8}{'MiB/s, there and back':>24}")
        for name, call in (
            ("through Redis", lambda: relay.call("here", fingerprint)),
            ("Unix socket", lambda: asyncio.open_unix_connection(path)),
        ):
            began = time.perf_counter()
            reader, writer = await call()
            opened = time.perf_counter() - began
            times = [await _key(reader, writer) for _ in range(keys)]
            rate = await _rate(reader, writer, megabytes)
            writer.close()
            print(
                f"{name:16}{opened * 1e3:12.1f}{statistics.median(times) * 1e3:10.2f}{max(times) * 1e3:8.1f}{rate:24.0f}"
            )
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(len(PIECE)):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _key(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    began = time.perf_counter()
    writer.write(b"k")
    await reader.readexactly(1)
    return time.perf_counter() - began


async def _rate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, megabytes: int) -> float:
    async def send() -> None:
        for _ in range(megabytes * (1 << 20) // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()

    began = time.perf_counter()
    sending = asyncio.create_task(send())
    await reader.readexactly(megabytes << 20)
    await sending
    return megabytes / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
