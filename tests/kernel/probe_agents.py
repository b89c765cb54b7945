"""One small process in each network namespace that answers on ports and calls others: thousands of real packets in seconds.

A namespace's agent answers with its name, so that a caller learns who answered. Calls run side by side; each ends as who
answered, as ``error:<errno>``, or as ``silence``.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from worker.kernel.syscalls import CLONE_NEWNET, setns

IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_PKTINFO = 8, 49, 50
SILENCE = "silence"
REFUSED = frozenset({errno.ECONNREFUSED, errno.ECONNRESET})


@dataclass(frozen=True, slots=True)
class Call:
    """One connection to try."""

    caller: str
    protocol: str
    destination: str
    port: int
    source: str = ""


class Agents:
    """Agents by name; each is a child process with a pipe to it."""

    def __init__(self, namespaces: Mapping[str, str], ports: Iterable[int]) -> None:
        self._pipes: dict[str, tuple[Any, Any]] = {}
        self._children: list[int] = []
        for name, path in namespaces.items():
            self._start(name, path, tuple(ports))

    def _start(self, name: str, path: str, ports: tuple[int, ...]) -> None:
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(to_write)
                os.close(from_read)
                for reader, writer in self._pipes.values():
                    reader.close()
                    writer.close()
                descriptor = os.open(path, os.O_RDONLY)
                setns(descriptor, CLONE_NEWNET)
                _serve(name, ports, os.fdopen(to_read, "r"), os.fdopen(from_write, "w"))
            finally:
                os._exit(0)
        os.close(to_read)
        os.close(from_write)
        self._children.append(child)
        self._pipes[name] = (os.fdopen(from_read, "r"), os.fdopen(to_write, "w"))
        assert self._pipes[name][0].readline() == "ready\n", name

    def call(self, calls: list[Call], wait_s: float) -> list[str]:
        """Who answered each of *calls*, all tried at once."""
        by_caller: dict[str, list[int]] = {}
        for place, one in enumerate(calls):
            by_caller.setdefault(one.caller, []).append(place)
        for caller, places in by_caller.items():
            order = [[calls[at].protocol, calls[at].destination, calls[at].port, calls[at].source] for at in places]
            self._pipes[caller][1].write(json.dumps({"calls": order, "wait_s": wait_s}) + "\n")
            self._pipes[caller][1].flush()
        answers = [""] * len(calls)
        for caller, places in by_caller.items():
            for place, answer in zip(places, json.loads(self._pipes[caller][0].readline()), strict=True):
                answers[place] = answer
        return answers

    def close(self) -> None:
        for reader, writer in self._pipes.values():
            writer.close()
            reader.close()
        for child in self._children:
            os.waitpid(child, 0)


@contextlib.contextmanager
def agents(namespaces: Mapping[str, str], ports: Iterable[int]) -> Iterator[Agents]:
    started = Agents(namespaces, ports)
    try:
        yield started
    finally:
        started.close()


def _serve(name: str, ports: tuple[int, ...], orders: Any, answers: Any) -> None:
    selector = selectors.DefaultSelector()
    for port in ports:
        for family in (socket.AF_INET, socket.AF_INET6):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with contextlib.suppress(OSError):  # a namespace without IPv6
                    selector.register(_server(family, kind, port), selectors.EVENT_READ, ("server", kind))
    selector.register(orders, selectors.EVENT_READ, ("orders", 0))
    answers.write("ready\n")
    answers.flush()
    open_calls: dict[int, tuple[socket.socket, str]] = {}
    results: list[str] = []
    until = 0.0
    while True:
        left = max(0.0, until - time.monotonic()) if open_calls else None
        for key, _ in selector.select(left):
            kind, detail = key.data
            if kind == "orders":
                line = orders.readline()
                if not line:
                    return
                order = json.loads(line)
                until = time.monotonic() + order["wait_s"]
                results = [SILENCE] * len(order["calls"])
                for place, (protocol, destination, port, source) in enumerate(order["calls"]):
                    _begin(place, protocol, destination, port, source, selector, open_calls, results)
                if not open_calls:
                    _report(answers, results)
            elif kind == "server":
                _answer(name, key.fileobj, detail)
            elif detail in open_calls:
                _finish(detail, selector, open_calls, results)
                if not open_calls:
                    _report(answers, results)
        if open_calls and time.monotonic() >= until:
            for client, _ in open_calls.values():
                selector.unregister(client)
                client.close()
            open_calls.clear()
            _report(answers, results)


def _report(answers: Any, results: list[str]) -> None:
    answers.write(json.dumps(results) + "\n")
    answers.flush()


def _server(family: int, kind: int, port: int) -> socket.socket:
    server = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    else:
        server.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    server.bind(("", port))
    if kind == socket.SOCK_STREAM:
        server.listen(256)
    return server


def _answer(name: str, server: Any, kind: int) -> None:
    with contextlib.suppress(OSError):
        if kind == socket.SOCK_STREAM:
            client, _ = server.accept()
            client.send(name.encode())
            client.close()
            return
        _, ancillary, _, peer = server.recvmsg(100, 256)
        # From the very address that was called: a host has several, and the one that its route prefers may be another.
        server.sendmsg([name.encode()], [_from(level, what, data) for level, what, data in ancillary], 0, peer)


def _from(level: int, what: int, data: bytes) -> tuple[int, int, bytes]:
    if level == socket.IPPROTO_IP:
        _, _, called = struct.unpack("=i4s4s", data)
        return level, what, struct.pack("=i4s4s", 0, called, b"\0" * 4)
    return level, what, data[:16] + struct.pack("=i", 0)


def _begin(
    place: int,
    protocol: str,
    destination: str,
    port: int,
    source: str,
    selector: selectors.BaseSelector,
    open_calls: dict[int, tuple[socket.socket, str]],
    results: list[str],
) -> None:
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    client = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        if source:
            client.bind((source, 0))
        with contextlib.suppress(BlockingIOError):
            client.connect((destination, port))
        if protocol == "udp":
            client.send(b"?")
    except OSError as error:
        results[place] = f"error:{error.errno}"
        client.close()
        return
    open_calls[place] = (client, protocol)
    selector.register(client, selectors.EVENT_READ, ("call", place))


def _finish(
    place: int, selector: selectors.BaseSelector, open_calls: dict[int, tuple[socket.socket, str]], results: list[str]
) -> None:
    client, _ = open_calls[place]
    try:
        results[place] = client.recv(100).decode() or "closed"
    except BlockingIOError:
        return
    except OSError as error:
        results[place] = f"error:{error.errno}"
    del open_calls[place]
    selector.unregister(client)
    client.close()
