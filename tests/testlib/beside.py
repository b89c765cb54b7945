"""A network for a browser that looks at a throw-away host: its own loopback, where one port leads to the host's.

When an address of its network comes or goes, Chromium ends each request that has no connection yet (``ERR_NETWORK_CHANGED``), and in
a host with containers they come and go all the time. So it stands beside the host, in a network where nothing ever changes.

Run as ``python -m tests.testlib.beside PID PORT``; ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .bottle import REPOSITORY, Bottle

CLONE_NEWNET = 0x40000000
PIECE = 1 << 16
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: whoever closes it says so by a reset."""
# Without a device that is up Chromium takes itself for offline. The kernel gives these no address of its own: one that it has
# made sure is free comes a second or two later.
LINKS = (
    "link set lo up",
    "link add eth0 type veth peer name eth1",
    "link set eth0 addrgenmode none",
    "link set eth1 addrgenmode none",
    "link set eth1 up",
    "addr add 198.18.0.1/30 dev eth0",
)


@contextmanager
def network_beside(bottle: Bottle, port: int) -> Iterator[str]:
    """Where to enter it: the path of its namespace."""
    command = [sys.executable, "-m", "tests.testlib.beside", str(bottle.pid), str(port)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        path = process.stdout.readline().strip()
        assert path, "the network for the browser was not made"
        try:
            yield path
        finally:
            process.stdin.close()


def main(pid: int, port: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    host = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    for words in (*LINKS, "link set eth0 up"):
        subprocess.run(["ip", *words.split()], check=True)
    ours = os.open("/proc/self/ns/net", os.O_RDONLY)
    server = socket.create_server(("127.0.0.1", port), backlog=256)
    if libc.setns(host, CLONE_NEWNET):  # a socket stays where it was made
        raise OSError(ctypes.get_errno(), "setns")
    asyncio.run(_serve(server, port, f"/proc/{os.getpid()}/fd/{ours}"))


async def _serve(server: socket.socket, port: int, path: str) -> None:
    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, to = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            _reset(writer)
            return
        await asyncio.gather(_carry(reader, to), _carry(there, writer))
        for end in (to, writer):
            end.close()

    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), over.set)
    async with await asyncio.start_server(lead, sock=server):
        print(path, flush=True)
        await over.wait()
        os._exit(0)  # whatever is still carried


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes, and that it ended, by whatever way."""
    try:
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
    except OSError:
        _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
