"""What this host keeps for its containers, read or taken for faces on other hosts: logs, files of captures, archives that were sent.

A ticket says what, and for whom; like those of terminals it is checked again by the rows before anything is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from networks import exec_sessions, follow, logs
from networks.captures import file_of
from networks.cnm import frames
from networks.cnm.errors import CnmError, InvalidSpec
from networks.cnm.text import gettext_noop
from networks.models import Container

from . import book
from .session import Client

log = logging.getLogger("worker.sessions")

READ = 32 << 10
VERBS = (exec_sessions.READ_LOG, exec_sessions.READ_CAPTURE, exec_sessions.TAKE_UPLOAD)
_UPLOAD = re.compile(r"[0-9a-f]{32}\Z")


async def begin(asked: Mapping[str, Any], client: Client, images: Path) -> Reading | Taking:
    """What the ticket *asked* for, begun. Raises CnmError, OSError."""
    if asked["verb"] == exec_sessions.READ_LOG:
        container, user = await book.checked_log(str(asked["container"]), str(asked["user"]))
        return Reading(_log(container, user, asked), client)
    if asked["verb"] == exec_sessions.READ_CAPTURE:
        capture = await book.checked_capture(str(asked["capture"]), str(asked["user"]))
        return Reading(_pieces(file_of(capture).open("rb")), client)
    await book.checked_operator(str(asked["user"]))
    name = str(asked["upload"])
    if not _UPLOAD.match(name):
        raise InvalidSpec(gettext_noop("{name} is not the name of an upload."), field="source", name=repr(name))
    return Taking(images / f"upload-{name}", client)


class Reading:
    """Sends what there is to be read as fast as it is taken, and then says that it was all."""

    has_room = True

    def __init__(self, pieces: AsyncIterator[bytes], client: Client) -> None:
        client.stall_s = None  # whoever reads slowly gets it slowly
        self._client = client
        self._task = asyncio.create_task(self._send(pieces))

    def type(self, client: Client, data: bytes | None) -> None:
        """Nobody types into what is read."""

    def resize(self, columns: int, rows: int) -> None:
        """It has no window."""

    def detach(self, client: Client) -> None:
        """The face has gone."""
        self._task.cancel()

    async def _send(self, pieces: AsyncIterator[bytes]) -> None:
        try:
            async with contextlib.aclosing(pieces):  # type: ignore[type-var]
                async for piece in pieces:
                    for part in frames.pieces(piece):
                        if not await self._client.send(frames.frame(frames.STDOUT, part)):
                            return
            self._client.part({"state": "ended"})
        except CnmError as error:
            self._client.part({"state": "refused", "error": error.to_json()})
        except OSError as error:
            log.info("what was read broke off: %s", error)
            self._client.writer.close()


class Taking:
    """Writes down what is sent, in a folder of root's, where the slow worker looks for it."""

    def __init__(self, path: Path, client: Client) -> None:
        self._path = path
        self._client = client
        self._waiting = 0
        self._written = 0
        self._whole = False
        self._came: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._take())

    @property
    def has_room(self) -> bool:
        return self._waiting <= frames.INPUT_WINDOW

    def type(self, client: Client, data: bytes | None) -> None:
        """What was sent next; None: that was all."""
        self._waiting += len(data or b"")
        self._came.put_nowait(data)

    def resize(self, columns: int, rows: int) -> None:
        """It has no window."""

    def detach(self, client: Client) -> None:
        """The face has gone: half an archive is none."""
        self._task.cancel()

    async def _take(self) -> None:
        try:
            with self._path.open("xb") as file:
                while (data := await self._came.get()) is not None:
                    self._written += len(data)
                    if self._written > settings.UPLOAD_MAX_BYTES:
                        raise _too_large()
                    await asyncio.to_thread(file.write, data)
                    self._waiting -= len(data)
                    self._client.writer.write(frames.taken(len(data)))
                await asyncio.to_thread(_to_disk, file)
            self._whole = True
            self._client.part({"state": "ended"})
        except CnmError as error:
            self._client.part({"state": "refused", "error": error.to_json()})
        except OSError as error:
            log.warning("an archive could not be taken: %s", error)
            self._client.writer.close()
        finally:
            if not self._whole:
                self._path.unlink(missing_ok=True)


def _to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _too_large() -> InvalidSpec:
    return InvalidSpec(
        gettext_noop("The archive is larger than {most} MiB."),
        remedy=gettext_noop("Copy it to the host and give its path, or raise CNM_UPLOAD_MAX_MIB."),
        field="file",
        most=settings.UPLOAD_MAX_BYTES // 2**20,
    )


async def _log(container: Container, user: Any, asked: Mapping[str, Any]) -> AsyncIterator[bytes]:
    path = logs.log_path(settings.STATE_DIR, container.pk)
    tail = asked.get("tail")
    count = tail if isinstance(tail, int) else None
    if asked.get("follow"):
        since = str(asked.get("since", ""))
        async for piece in follow.follow_in_batches(path, container.pk, user, tail=count or 0, since=since):
            yield piece
        return
    lines = await asyncio.to_thread(logs.tail, path, count)
    for start in range(0, len(lines), 500):
        told = [[line.time, line.stream, line.text] for line in lines[start : start + 500]]
        yield (json.dumps({"lines": told}) + "\n").encode()


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, READ):
            yield piece
