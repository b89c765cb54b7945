"""The resolver: answers every sandbox of this host. Started by the opener; has given up root before it reads anything.

python -m worker.dns.resolver --control FD --user NAME
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import os
import pwd
import resource
import socket
from typing import Any

import uvloop

from . import frames
from .answer import service_name
from .forward import Forwarder
from .serve import Service
from .zone import Record, Sandbox, Zone

log = logging.getLogger("worker.dns.resolver")

MEMORY_BYTES = 2 << 30
"""Address space: far more than is needed, and an end to whatever would grow without one."""
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_NOBODY = 65534


class Resolver:
    """What the opener says, done; what it is asked for, awaited."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._reader = frames.Reader(channel)
        self._zone = Zone()
        self._services: dict[str, Service] = {}
        self._forward = Forwarder(self._open)
        self._wanted: dict[int, asyncio.Future[socket.socket]] = {}
        self._number = 0
        self._stop = asyncio.Event()
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._outgoing = bytearray()

    async def run(self) -> None:
        """Until the opener is gone."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._hear)
        await self._stop.wait()

    def _hear(self) -> None:
        try:
            for message, descriptors in self._reader.read():
                if "opened" in message:
                    self._opened(message, descriptors)
                    continue
                task = asyncio.get_running_loop().create_task(self._obey(message, descriptors))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except frames.Closed:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._stop.set()

    async def _obey(self, message: frames.Message, descriptors: list[int]) -> None:
        """One message after the other, in their order, each acknowledged when it holds."""
        async with self._turn:
            try:
                await self._change(message, descriptors)
            except Exception:
                # The opener starts us again with everything anew, rather than let us answer from half of it.
                log.exception("the opener's message could not be obeyed")
                self._stop.set()
                return
            self._say({"done": message["number"]})

    async def _change(self, message: frames.Message, descriptors: list[int]) -> None:
        for network, endpoint in message.get("forget", ()):
            self._zone.forget((network, endpoint))
        for name in message.get("stop", ()):
            service = self._services.pop(name, None)
            self._zone.stop(name)
            self._forward.forget(name)
            if service is not None:
                await service.close()
        for item in message.get("names", ()):
            self._zone.put(Record.of(item))
        sockets = iter([socket.socket(fileno=descriptor) for descriptor in descriptors])
        for item in message.get("serve", ()):
            sandbox = Sandbox.of(item)
            self._zone.serve(sandbox)
            if item["sockets"]:
                before = self._services.pop(sandbox.name, None)
                if before is not None:
                    await before.close()
                self._services[sandbox.name] = Service(self._zone, sandbox, next(sockets), next(sockets), self._forward)
            else:
                self._services[sandbox.name].become(sandbox, self._zone)

    async def _open(self, sandbox: Sandbox, family: int, kind: int) -> socket.socket:
        """A socket to ask with: our own in the host's namespace, or one that the opener makes inside the sandbox."""
        if not sandbox.inside:
            return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._number += 1
        number = self._number
        future: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        self._wanted[number] = future
        try:
            words = {"tcp": kind == socket.SOCK_STREAM, "ipv6": family == socket.AF_INET6}
            self._say({"open": number, "sandbox": sandbox.name, **words})
            return await future
        finally:
            self._wanted.pop(number, None)

    def _opened(self, message: frames.Message, descriptors: list[int]) -> None:
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        future = self._wanted.get(message["opened"])
        if future is None or future.done():  # its question has timed out
            for sock in sockets:
                sock.close()
        elif sockets:
            future.set_result(sockets[0])
        else:
            future.set_exception(OSError(message["errno"], os.strerror(message["errno"])))

    def _say(self, message: frames.Message) -> None:
        """A line to the opener. It never blocks: what does not fit at once goes when there is room."""
        waiting = bool(self._outgoing)
        self._outgoing += json.dumps(message).encode() + b"\n"
        if not waiting:
            self._flush()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sent = self._channel.send(self._outgoing)
            del self._outgoing[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._outgoing.clear()
        if self._outgoing:
            loop.add_writer(self._channel.fileno(), self._flush)
        else:
            loop.remove_writer(self._channel.fileno())


def give_up_root(user: str) -> None:
    """Become *user* for good, with no way to gain rights, to start programs or to be looked into."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        try:
            found = pwd.getpwnam(user)
            uid, gid = found.pw_uid, found.pw_gid
        except KeyError:
            uid = gid = _NOBODY
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits: dict[int, tuple[int, int]] = {
        resource.RLIMIT_NOFILE: (files, files),
        resource.RLIMIT_NPROC: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_AS: (MEMORY_BYTES, MEMORY_BYTES),
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, value)


def _prepare() -> Any:
    """What would be read from disk later is read while we still may: the product may lie in a folder that only root enters."""
    service_name(80, "tcp")
    for encoding in ("idna", "latin-1", "ascii"):
        "x".encode(encoding)
    return uvloop.new_event_loop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="worker.dns.resolver", description="Answers the sandboxes of this host.")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--user", required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s resolver: %(message)s")
    channel = socket.socket(fileno=options.control)
    channel.setblocking(False)
    with asyncio.Runner(loop_factory=_prepare) as runner:
        runner.get_loop()
        give_up_root(options.user)
        gc.freeze()
        runner.run(_main(channel))


async def _main(channel: socket.socket) -> None:
    await Resolver(channel).run()


if __name__ == "__main__":
    main()
