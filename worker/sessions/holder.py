"""All sessions of this host: who may connect is asked here, and what nobody needs any more is ended."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from dataclasses import dataclass
from typing import Any

from networks.cnm.errors import CnmError, Conflict, NotFound
from networks.cnm.text import gettext_noop
from networks.exec_sessions import ARCHIVE, CLOSE, CONSOLE, DOCKER, JOIN
from worker.runtime.records import read_record
from worker.runtime.runtime import Runtime

from . import book, kept
from .console import Console
from .copy import Copies, Copy
from .joined import Joined
from .session import Client, Session

log = logging.getLogger("worker.sessions")

CLOCK_S = 5.0
KILLED = 128 + signal.SIGKILL
ALONG_S = 1.0
"""How long after the kill of a command its container may take to end."""


Held = Session | Console | Joined | Copy | kept.Reading | kept.Taking
"""What a connection may lead to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds."""

    keep_s: float
    """How long a session goes on that nobody is connected to."""
    idle_s: float
    """How long one goes on in which nobody types."""


class Holder:
    """Holds every session; each belongs to a row of the database."""

    def __init__(self, runtime: Runtime, host: str, limits: Limits) -> None:
        self._runtime = runtime
        self._host = host
        self._limits = limits
        self._sessions: dict[str, Session] = {}
        self._tickets = book.Tickets()
        self._starting = asyncio.Lock()
        self._copies = Copies(runtime)

    async def connect(self, ticket: object, client: Client, since: int, columns: int, rows: int) -> Held | None:
        """What *ticket* leads to, with *client* connected; None: it was to be ended, and is. Raises CnmError."""
        asked = self._tickets.take(ticket, self._host, time.monotonic())
        via = str(asked.get("via", ""))
        if asked["verb"] == CONSOLE:
            container = await book.checked_container(str(asked["container"]), via)
            return Console(self._runtime.folders.bundle(container.pk))
        if asked["verb"] == JOIN:
            container = await book.checked_to_join(str(asked["container"]), via)
            return Joined(self._runtime.folders, container.pk, client)
        if asked["verb"] == ARCHIVE:
            return await self._copies.begin(asked, via, client)
        if asked["verb"] in kept.VERBS:
            return await self._kept(asked, client)
        row = await book.checked(str(asked["session"]), str(asked["user"]), via)
        if asked["verb"] == CLOSE:
            await self._close(row.pk)
            return None
        async with self._starting:
            session = self._sessions.get(row.pk)
            if session is None:
                session = await self._start(row, columns, rows)
                await session.attach(client, since, columns, rows)
                await session.begin()  # only now, so that its first words have a reader
            else:
                await session.attach(client, since, columns, rows)
        return session

    async def run(self, stop: asyncio.Event) -> None:
        """End what nobody needs, until *stop*; then everything."""
        while not stop.is_set():
            await self._look()
            try:
                await asyncio.wait_for(stop.wait(), CLOCK_S)
            except TimeoutError:
                continue
        await asyncio.gather(*(session.hang_up("lost") for session in list(self._sessions.values())))

    async def _kept(self, asked: dict[str, Any], client: Client) -> Held:
        try:
            return await kept.begin(asked, client, self._runtime.folders.images)
        except OSError as error:
            raise NotFound(
                gettext_noop("This cannot be read or written: {cause}."),
                remedy=gettext_noop("See the lists of what there is."),
                cause=error.strerror or error,
            ) from error

    async def _start(self, row: Any, columns: int, rows: int) -> Session:
        await book.claim(row)
        try:
            running = await asyncio.to_thread(
                self._runtime.open,
                row.container_id,
                row.command,
                env=list(row.env.items()),
                user=row.user,
                working_dir=row.working_dir,
                tty=row.tty,
                size=(columns, rows),
            )
        except CnmError as error:
            await book.note_end(row.pk, "refused", error=error.to_json())
            raise
        except OSError as error:
            failed = Conflict(
                gettext_noop("The command could not be started: {cause}."),
                remedy=gettext_noop("See that the container runs."),
                cause=error.strerror or error,
            )
            await book.note_end(row.pk, "refused", error=failed.to_json())
            raise failed from error
        session = Session(row.pk, running, self._ended, tty=row.tty)
        session.container_id = row.container_id
        session.lasting = row.via == DOCKER
        self._sessions[row.pk] = session
        if not row.open_stdin:
            session.type(None, None)
        return session

    async def _close(self, session_id: str) -> None:
        session = self._sessions.get(session_id)
        if session is not None:
            await session.hang_up("closed")
        else:
            await book.note_end(session_id, "closed")

    async def _look(self) -> None:
        now = time.monotonic()
        for session in list(self._sessions.values()):
            if session.lasting:
                continue
            if not session.connected and now - session.left_at > self._limits.keep_s:
                await session.hang_up("left")
            elif now - session.typed_at > self._limits.idle_s:
                await session.hang_up("idle")
        try:
            await book.end_unused()
        except Exception:
            log.exception("what nobody connected to could not be ended")

    async def _ended(self, session: Session, reason: str, exit_code: int) -> str:
        self._sessions.pop(session.id, None)
        if reason == "exited" and await asyncio.to_thread(self._ended_too, session.container_id, exit_code):
            reason = "container"
        await book.note_end(session.id, reason, exit_code)
        return reason

    def _ended_too(self, container_id: str, exit_code: int) -> bool:
        """Whether the container ended. The kernel kills what runs in it before its first process is seen to have ended."""
        record = read_record(self._runtime.folders, container_id)
        return record is None or record.pid.wait(ALONG_S if exit_code == KILLED else 0)
