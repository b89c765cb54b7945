"""One question to name servers, from wherever the process is, and what they say. No library: it is meant to be seen on the wire."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

PORT = 53
MOST = 4096
_TYPES = {1: 4, 28: 16}
"""A and AAAA with the length of their data (RFC 1035, RFC 3596)."""
_WORDS = {0: "answered", 3: "unknown"}
"""NOERROR, NXDOMAIN; all others are a refusal."""


class Malformed(ValueError):
    """An answer that is none."""


def ask(name: str, servers: Sequence[str], timeout_s: float) -> dict[str, Any]:
    """Both families of *name*, of the first server that answers: ``answer``, ``addresses``, ``server``, ``ms``, ``detail``."""
    begun = time.monotonic()
    detail = ""
    for server in servers[:3]:  # as resolv.conf(5): no more are asked
        try:
            found = [_ask_one(name, server, kind, timeout_s) for kind in _TYPES]
        except OSError as error:  # a time-out is one, too
            detail = str(error)
            continue
        codes = [code for code, _ in found]
        answer = _WORDS.get(min(codes), "refused")
        addresses = [address for _, part in found for address in part]
        return _told(answer, begun, addresses=addresses, server=server)
    return _told("silence" if not detail or "timed out" in detail else "unreachable", begun, detail=detail)


def _told(answer: str, begun: float, **more: Any) -> dict[str, Any]:
    ms = round((time.monotonic() - begun) * 1000, 1)
    return {"answer": answer, "ms": ms, "detail": "", "addresses": [], "server": "", **more}


def _ask_one(name: str, server: str, kind: int, timeout_s: float) -> tuple[int, list[str]]:
    """(response code, addresses). Only an answer from that server, to this very question, counts."""
    number = secrets.randbelow(1 << 16)
    question = _wire(name) + struct.pack("!HH", kind, 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    deadline = time.monotonic() + timeout_s
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        asking.connect((server, PORT))  # from here on the kernel drops what others send
        asking.send(struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + question)
        while (left := deadline - time.monotonic()) > 0:
            asking.settimeout(left)
            data = asking.recv(MOST)
            with contextlib.suppress(Malformed):
                return read_answer(data, number, question)
    raise TimeoutError("timed out")


def read_answer(data: bytes, number: int, question: bytes) -> tuple[int, list[str]]:
    """(response code, addresses) of an answer to *question* with that id. Raises Malformed for anything else."""
    if len(data) < 12:
        raise Malformed("too short")
    found, flags, questions, answers = struct.unpack_from("!HHHH", data)
    asked = data[12 : 12 + len(question)]
    if found != number or not flags & 0x8000 or questions != 1 or asked.lower() != question.lower():
        raise Malformed("an answer to something else")
    addresses: list[str] = []
    at = 12 + len(question)
    for _ in range(answers):
        at = _after_name(data, at)
        if at + 10 > len(data):
            raise Malformed("cut off")
        kind, _, _, length = struct.unpack_from("!HHIH", data, at)
        at += 10 + length
        if at > len(data):
            raise Malformed("cut off")
        if _TYPES.get(kind) == length:
            addresses.append(str(ipaddress.ip_address(data[at - length : at])))
    return flags & 0x000F, addresses


def _after_name(data: bytes, at: int) -> int:
    """Where the name at *at* ends; a pointer ends it (RFC 1035 section 4.1.4)."""
    while at < len(data):
        length = data[at]
        if length >= 0xC0:
            return at + 2
        at += 1 + length
        if not length:
            return at
    raise Malformed("cut off")


def _wire(name: str) -> bytes:
    labels = [label.encode("ascii", "strict") for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise OSError(22, f"{name!r} is no name")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def checked(task: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Name and servers of a task. Raises ValueError for servers that are no addresses."""
    return str(task["name"]), [str(ipaddress.ip_address(server)) for server in task["servers"]]
