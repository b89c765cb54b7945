"""``python -m worker.kernel.probe``: one real packet from within a network namespace, and what came back.

A process of its own: it enters the namespace for good, and nothing else of ours is in it. It reads its task as JSON from standard
input and prints the answer as JSON.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import probe_name
from .netns import OUR_NAME
from .syscalls import CLONE_NEWNET, setns

NETNS = Path("/run/netns")
CONNECTED, ANSWERED, REFUSED, UNREACHABLE, SILENCE = "connected", "answered", "refused", "unreachable", "silence"
_ECHO = {socket.AF_INET: (socket.IPPROTO_ICMP, 8, 0), socket.AF_INET6: (socket.IPPROTO_ICMPV6, 128, 129)}
"""Protocol, type of a ping and of its answer."""
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM})
PAYLOAD = b"cnm-probe\n"
NOBODY = 65534


def main() -> None:
    task = json.load(sys.stdin)
    if task["sandbox"]:
        enter(task["sandbox"])
    if task["protocol"] == "dns":
        give_up_root()  # what a server says is read by nobody
        print(json.dumps(probe_name.ask(*probe_name.checked(task), float(task["timeout_s"]))))
    else:
        print(json.dumps(probe(task)))


def enter(name: str) -> None:
    """Go into a sandbox of ours, for good."""
    if not OUR_NAME.match(name):
        raise SystemExit(f"{name!r} is no sandbox")
    descriptor = os.open(NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
    setns(descriptor, CLONE_NEWNET)
    os.close(descriptor)


def give_up_root() -> None:
    """Be nobody from now on: for what reads what strangers sent."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def probe(task: Mapping[str, Any]) -> dict[str, Any]:
    """Send it; ``answer`` is one of the words above, ``ms`` how long that took, ``detail`` the error's own words."""
    family = socket.AF_INET6 if ":" in task["address"] else socket.AF_INET
    begun = time.monotonic()
    answer, detail = SILENCE, ""
    try:
        answer = _PROBES[task["protocol"]](family, task)
    except TimeoutError:
        pass
    except ConnectionRefusedError as error:
        answer, detail = REFUSED, str(error)
    except OSError as error:
        answer, detail = (UNREACHABLE if error.errno in _UNREACHABLE else SILENCE), str(error)
    return {"answer": answer, "ms": round((time.monotonic() - begun) * 1000, 1), "detail": detail}


def _open(family: int, kind: int, protocol: int, task: Mapping[str, Any]) -> socket.socket:
    opened = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    opened.settimeout(float(task["timeout_s"]))
    return opened


def _tcp(family: int, task: Mapping[str, Any]) -> str:
    with _open(family, socket.SOCK_STREAM, 0, task) as tcp:
        tcp.bind(("", task["source_port"]))
        tcp.connect((task["address"], task["port"]))
    return CONNECTED


def _udp(family: int, task: Mapping[str, Any]) -> str:
    with _open(family, socket.SOCK_DGRAM, 0, task) as udp:
        udp.bind(("", task["source_port"]))
        udp.connect((task["address"], task["port"]))
        udp.send(PAYLOAD)
        udp.recv(2048)
    return ANSWERED


def _icmp(family: int, task: Mapping[str, Any]) -> str:
    protocol, request, reply = _ECHO[socket.AddressFamily(family)]
    identifier = task["source_port"] & 0xFFFF
    with _open(family, socket.SOCK_RAW, protocol, task) as raw:
        message = struct.pack("!BBHHH", request, 0, 0, identifier, 1) + PAYLOAD
        if family == socket.AF_INET:
            message = message[:2] + struct.pack("!H", _checksum(message)) + message[4:]
        raw.sendto(message, (task["address"], 0))
        deadline = time.monotonic() + float(task["timeout_s"])
        while (left := deadline - time.monotonic()) > 0:
            raw.settimeout(left)
            data, _ = raw.recvfrom(2048)
            body = data[(data[0] & 15) * 4 :] if family == socket.AF_INET else data
            if len(body) >= 8 and body[0] == reply and struct.unpack_from("!H", body, 4)[0] == identifier:
                return ANSWERED
            if len(body) >= 8 and body[0] in _ERRORS[family]:
                return UNREACHABLE
    return SILENCE


_ERRORS = {socket.AF_INET: frozenset({3, 11}), socket.AF_INET6: frozenset({1, 3})}
"""ICMP types that say that it goes no further."""


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


_PROBES: dict[str, Callable[[int, Mapping[str, Any]], str]] = {"tcp": _tcp, "udp": _udp, "icmp": _icmp}


if __name__ == "__main__":
    main()
