"""The resolver as the opener's child: its process, the channel to it, and what may be said on that."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from typing import Any

from worker.kernel.netns import NotANamespace

from . import frames

ANSWER_TIMEOUT_S = 5.0
"""A resolver that is silent for so long is started again."""
START_TIMEOUT_S = 30.0
"""And one that has said nothing yet: a process that is still starting has more to do than one that runs."""
LONGEST_LINE = 4096
"""Of what the resolver may say."""
SHORT_LIFE_S = 5.0
"""A resolver that ends sooner did not get to work."""


class Child:
    """A resolver process, and the channel to it."""

    def __init__(self, user: str, open_socket: Any, ended: Any) -> None:
        self._open_socket = open_socket
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            command = (sys.executable, "-m", "worker.dns.resolver", "--control", str(theirs.fileno()), "--user", user)
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._started = self._loop.time()
        # Blocking with a limit: whole messages, in order; the resolver reads at once, whatever else it does.
        self._channel.settimeout(ANSWER_TIMEOUT_S)
        self._number = 0
        self._answered = False
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._buffer = bytearray()
        self._turn = asyncio.Lock()
        self._loop.add_reader(self._channel.fileno(), self._hear)

    async def say(self, message: frames.Message, sockets: list[socket.socket] | None = None) -> None:
        """Tell it something and wait until it holds there. Raises OSError, TimeoutError."""
        async with self._turn:
            self._number += 1
            number = self._number
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiting[number] = future
            try:
                frames.send(self._channel, {"number": number, **message}, [s.fileno() for s in sockets or ()])
                await asyncio.wait_for(future, ANSWER_TIMEOUT_S if self._answered else START_TIMEOUT_S)
            finally:
                self._waiting.pop(number, None)

    def end(self) -> None:
        """It is killed: it holds nothing that must be put away."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._gone()

    def _hear(self) -> None:
        try:
            data = self._channel.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._buffer += data
        while (at := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:at])
            del self._buffer[: at + 1]
            try:
                self._obey(json.loads(line))
            except (ValueError, TypeError, KeyError, OSError):
                data = b""  # it does not keep to the form: it is no longer trusted
        if not data or len(self._buffer) > LONGEST_LINE:
            self.end()

    def _obey(self, said: Any) -> None:
        if "done" in said:
            self._answered = True
            future = self._waiting.get(said["done"])
            if future is not None and not future.done():
                future.set_result(None)
            return
        number = int(said["open"])
        try:
            opened = self._open_socket(str(said["sandbox"]), tcp=said["tcp"] is True, ipv6=said["ipv6"] is True)
        except (OSError, NotANamespace) as error:
            frames.send(self._channel, {"opened": number, "errno": getattr(error, "errno", None) or 2})
            return
        with opened:
            frames.send(self._channel, {"opened": number, "errno": 0}, [opened.fileno()])

    def _gone(self) -> None:
        if self._channel.fileno() < 0:
            return
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ANSWER_TIMEOUT_S)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("the resolver ended"))
        self._ended(self, self._loop.time() - self._started)
