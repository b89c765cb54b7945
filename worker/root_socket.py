"""A Unix socket on which root alone is answered: one JSON object a line, one line as the answer."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_CREDENTIALS = struct.Struct("3i")
"""pid, uid and gid of the caller (unix(7), ``SO_PEERCRED``)."""

Answer = Callable[[bytes], Awaitable[dict[str, Any]]]


@asynccontextmanager
async def answering(path: Path, answer: Answer, longest: int) -> AsyncIterator[None]:
    """Inside, every line of at most *longest* bytes that root sends to *path* gets its *answer*; one at a time, whoever asks."""
    turn = asyncio.Lock()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _is_root(writer):
                while line := await reader.readline():
                    async with turn:
                        answered = await answer(line)
                    writer.write(json.dumps(answered).encode() + b"\n")
                    await writer.drain()
        except (OSError, ValueError, asyncio.LimitOverrunError) as error:
            log.warning("a caller was left: %s", error)
        finally:
            writer.close()

    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(talk, path, limit=longest)
    finally:
        os.umask(before)
    async with server:
        yield


def _is_root(writer: asyncio.StreamWriter) -> bool:
    caller = writer.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return bool(uid == 0)
