"""What a command printed last is passed on, however late it is looked for."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from networks.cnm import frames
from worker.runtime.interactive import Running
from worker.sessions.streams import Streams


def begun(terminal: bool, folder: Path) -> Running:
    script = "echo out; echo err >&2"
    master, slave = os.openpty() if terminal else (None, subprocess.PIPE)
    process = subprocess.Popen(["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
    if terminal:
        os.close(slave)
    return Running(process, folder, master)


async def printed_after_the_end(running: Running) -> list[tuple[int, bytes]]:
    streams = Streams(running)
    await streams.open()
    running.process.wait()
    await asyncio.sleep(0.05)  # the loop sees output and end before anybody asks for them
    heard = [piece async for piece in streams.printed()]
    streams.close()
    await asyncio.sleep(0)
    running.close()
    return heard


async def test_a_terminals_output_is_not_lost_with_its_end(tmp_path: Path) -> None:
    heard = await printed_after_the_end(begun(True, tmp_path))
    assert b"".join(data for _, data in heard) == b"out\r\nerr\r\n"


async def test_a_pipes_output_is_not_lost_with_its_end(tmp_path: Path) -> None:
    heard = await printed_after_the_end(begun(False, tmp_path))
    assert sorted(heard) == sorted([(frames.STDOUT, b"out\n"), (frames.STDERR, b"err\n")])
