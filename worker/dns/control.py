"""What the worker may ask the opener: one JSON object a line, one line as the answer.

    {"serve": [sandbox, …], "names": [name, …], "stop": ["cnm-…", …], "forget": [[network, endpoint], …]}
    → {"ok": true, "ports": {"cnm-…": [udp, tcp]}} with the ports of sandboxes that were not served before
    → {"ok": false, "code": "malformed" | "refused", …}
    {"about": {"sandboxes": [...], "names": [[network, endpoint], ...]}}  → {"ok": true, "serve": [...], "names": [...]}
    {}                                                                    → the same, of everything

A sandbox and a name have the forms of :mod:`worker.dns.zone`. A request is carried out whole or not at all.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from pathlib import Path
from typing import Any

from .opener import Change, Opener

log = logging.getLogger(__name__)

LONGEST_REQUEST = 64 * 2**20
_CREDENTIALS = struct.Struct("3i")


async def serve(path: Path, opener: Opener, stop: asyncio.Event) -> None:
    """Answer root on *path* until *stop*."""
    turn = asyncio.Lock()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _is_root(writer):
                while line := await reader.readline():
                    async with turn:
                        answer = await _answer(opener, line)
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
        except (OSError, ValueError, asyncio.LimitOverrunError) as error:
            log.warning("a caller was left: %s", error)
        finally:
            writer.close()

    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(talk, path, limit=LONGEST_REQUEST)
    finally:
        os.umask(before)
    async with server:
        await opener.run(stop)


async def _answer(opener: Opener, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        if not request.keys() & {"serve", "names", "stop", "forget"}:
            return opener.describe(request.get("about"))
        change = Change.of(request)
    except (ValueError, TypeError, KeyError, AttributeError):
        return {"ok": False, "code": "malformed"}
    return await opener.obey(change)


def _is_root(writer: asyncio.StreamWriter) -> bool:
    caller = writer.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return bool(uid == 0)
