"""What the worker may ask: one JSON object a line, one line as the answer.

    {"reserve": [{"protocol", "address", "port", "target": ["10.0.0.2", 80] | null}, …], "release": […]}
    → {"ok": true}  or  {"ok": false, "code": "conflict" | "malformed" | "full" | "refused", …}
    {"about": [{"protocol", "address", "port"}, …]}  → {"ok": true, "ports": [those of them that are held, with their targets]}
    {}                                               → {"ok": true, "ports": [all]}

A batch is carried out whole or not at all.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import socket
from pathlib import Path
from typing import Any

from worker.root_socket import answering

from .carry import CARRIERS, Carrier, Target
from .ports import Port, open_port

LONGEST_REQUEST = 32 * 2**20
SPARE_FILES = 512
"""File descriptors that are left for connections."""


class Holder:
    """The ports that are held."""

    def __init__(self) -> None:
        self._held: dict[Port, Carrier] = {}

    def obey(self, request: object) -> dict[str, Any]:
        """Carry out one request."""
        try:
            wanted, released = _parse(request)
            about = _about(request)
        except (ValueError, TypeError, KeyError, AttributeError):
            return {"ok": False, "code": "malformed"}
        if len(self._held) + len(wanted) + SPARE_FILES > resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
            return {"ok": False, "code": "full", "held": len(self._held)}
        if not wanted and not released:
            listed = self._held if about is None else self._held.keys() & about
            return {"ok": True, "ports": [self._described(port) for port in sorted(listed)]}
        # One that is released and reserved at once is never given up, but one that moves (from an address to all of them) has to be
        # before it is there; no request of anybody else is heard meanwhile.
        new = [port for port in wanted if port not in self._held]
        numbers = {(port.protocol, port.port) for port in new}
        leaving = [port for port in released & self._held.keys() if (port.protocol, port.port) in numbers]
        moving = {port: self._held[port].target for port in leaving if any(map(port.meets, new))}
        self._settle({}, set(moving), {})
        opened: dict[Port, socket.socket] = {}
        for port in new:
            try:
                opened[port] = open_port(port)
            except OSError as error:
                for held in opened.values():
                    held.close()
                self._settle(moving, set(), {port: open_port(port) for port in moving})
                return _refusal(port, error)
        self._settle(wanted, released - wanted.keys(), opened)
        return {"ok": True}

    def close(self) -> None:
        for carrier in self._held.values():
            carrier.close()
        self._held.clear()

    def _settle(
        self, wanted: dict[Port, Target | None], released: set[Port], opened: dict[Port, socket.socket]
    ) -> None:
        for port in released:
            carrier = self._held.pop(port, None)
            if carrier is not None:
                carrier.close()
        for port, target in wanted.items():
            if port in opened:
                self._held[port] = CARRIERS[port.protocol](opened[port], target)
            else:
                self._held[port].target = target

    def _described(self, port: Port) -> dict[str, Any]:
        target = self._held[port].target
        return {
            "protocol": port.protocol,
            "address": port.address,
            "port": port.port,
            "target": list(target) if target else None,
        }


def _parse(request: object) -> tuple[dict[Port, Target | None], set[Port]]:
    if not isinstance(request, dict):
        raise ValueError("no object")
    wanted = {Port.of(item): _target(item.get("target")) for item in request.get("reserve", [])}
    return wanted, {Port.of(item) for item in request.get("release", [])}


def _about(request: object) -> set[Port] | None:
    """The ports that are asked about; None: all of them."""
    if not isinstance(request, dict) or "about" not in request:
        return None
    return {Port.of(item) for item in request["about"]}


def _target(value: object) -> Target | None:
    if value is None:
        return None
    address, port = value  # type: ignore[misc]  # anything else is malformed
    found = Port.of({"protocol": "tcp", "address": address, "port": port})
    return found.address, found.port


def _refusal(port: Port, error: OSError) -> dict[str, Any]:
    code = "conflict" if error.errno == errno.EADDRINUSE else "refused"
    return {
        "ok": False,
        "code": code,
        "protocol": port.protocol,
        "address": port.address,
        "port": port.port,
        "errno": error.errno,
        "cause": os.strerror(error.errno or 0),
    }


async def serve(path: Path, stop: asyncio.Event) -> None:
    """Answer root on *path* until *stop*."""
    holder = Holder()

    async def answer(line: bytes) -> dict[str, Any]:
        try:
            return holder.obey(json.loads(line))
        except ValueError:
            return {"ok": False, "code": "malformed"}

    async with answering(path, answer, LONGEST_REQUEST):
        await stop.wait()
    holder.close()
