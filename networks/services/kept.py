"""What is kept on the host of a container alone, for faces on any host: its log, files of captures, the place for archives that are sent.

On this host files are read as they lie. On another its sessions process reads them (:mod:`worker.sessions.kept`), shown a ticket that says
what, and for whom.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.utils.translation import gettext

from networks import exec_client, follow, logs
from networks.captures import file_of
from networks.cnm.errors import CnmError, NotFound
from networks.cnm.text import gettext_noop
from networks.exec_sessions import READ_CAPTURE, READ_LOG, TAKE_UPLOAD
from networks.models import Capture, Container, Host, User
from networks.represent import is_alive

from .actor import Actor, require
from .tickets import signed

log = logging.getLogger("networks.services")

READ = 64 << 10
_BROKEN_OFF = gettext_noop("The log is not followed any further:")


def is_here(host: Host) -> bool:
    """Whether this process runs on *host*."""
    return host.name == settings.HOST_NAME


def log_lines(container: Container, user: User, count: int | None) -> list[logs.LogLine]:
    """The last *count* lines (None: all that are kept). Raises Unavailable where their host does not answer, OSError."""
    if is_here(container.host):
        return logs.tail(logs.log_path(settings.STATE_DIR, container.pk), count)
    ticket = _log_ticket(container, user, tail=count, follow=False)
    text = async_to_sync(_whole)(exec_client.read(ticket, container.host.name))
    return [logs.LogLine(*line) for row in text.splitlines() for line in json.loads(row).get("lines", ())]


def log_followed(container: Container, user: User, *, tail: int, text: follow.Printed) -> AsyncIterator[bytes]:
    """As :func:`networks.follow.follow`, of a container of any host."""
    if is_here(container.host):
        path = logs.log_path(settings.STATE_DIR, container.pk)
        return follow.follow(path, container.pk, user, tail=tail, text=text)
    return _printed(_followed(container, user, tail=tail), text)


def log_in_batches(container: Container, user: User, *, tail: int, since: str = "") -> AsyncIterator[bytes]:
    """As :func:`networks.follow.follow_in_batches`, of a container of any host."""
    if is_here(container.host):
        path = logs.log_path(settings.STATE_DIR, container.pk)
        return follow.follow_in_batches(path, container.pk, user, tail=tail, since=since)
    return _until_broken(_followed(container, user, tail=tail, since=since))


def _followed(container: Container, user: User, **wanted: Any) -> AsyncIterator[bytes]:
    """From another host; raises CnmError where its process goes, or nobody may read any more."""
    ticket = _log_ticket(container, user, **wanted, follow=True)
    return _lines(exec_client.read(ticket, container.host.name))


def capture_file(actor: Actor, capture: Capture) -> IO[bytes]:
    """The packets of *capture*, to be read. Raises NotFound, Unavailable."""
    require(actor, "operator")
    if not is_here(capture.host):
        ticket = signed(actor, capture.host, READ_CAPTURE, capture=capture.pk)
        return _fetched(exec_client.read(ticket, capture.host.name))
    path = file_of(capture)
    if not path.exists():
        raise no_file()
    return path.open("rb")


def no_file() -> NotFound:
    """The refusal of a capture that has not begun."""
    return NotFound(
        gettext_noop("This capture has no file."), remedy=gettext_noop("Wait until it has begun, or start another.")
    )


def send_upload(actor: Actor, host: Host, path: Path) -> None:
    """Bring the archive at *path* to *host*, under its name. Raises Unavailable, InvalidSpec."""
    require(actor, "operator")
    ticket = signed(actor, host, TAKE_UPLOAD, upload=path.name)

    async def send() -> None:
        await exec_client.send(ticket, host.name, _pieces(path))

    async_to_sync(send)()


def _log_ticket(container: Container, user: User, **wanted: Any) -> str:
    if not is_alive(container.host):
        raise exec_client.away(container.host.name)
    reader = Actor(name=user.get_username(), role=user.role)
    return signed(reader, container.host, READ_LOG, container=container.pk, **wanted)


async def _whole(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


def _fetched(pieces: AsyncIterator[bytes]) -> IO[bytes]:
    """A file without a name that holds all of *pieces*."""
    file = TemporaryFile()  # noqa: SIM115  # whoever asked closes it

    async def fetch() -> None:
        async for piece in pieces:
            await sync_to_async(file.write)(piece)

    try:
        async_to_sync(fetch)()
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """*pieces* cut at the ends of lines."""
    rest = b""
    async for piece in pieces:
        whole, end, rest_of_it = (rest + piece).rpartition(b"\n")
        rest = rest_of_it
        if end:
            yield whole + end


async def _until_broken(batches: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """*batches* as far as they come: without the word that it was the end, a page comes back for more."""
    try:
        async for batch in batches:
            yield batch
    except CnmError as error:
        log.info("a log of another host is not followed to its end: %s", error)


async def _printed(batches: AsyncIterator[bytes], text: Callable[..., str]) -> AsyncIterator[bytes]:
    """The lines of *batches*; where they break off, the last line says so and why."""
    try:
        async for batch in batches:
            for row in batch.splitlines():
                said = json.loads(row)
                if lines := said.get("lines"):
                    yield text(logs.LogLine(*line) for line in lines).encode()
                if said.get("gap"):
                    yield f"[{gettext(follow.LOST)}]\n".encode()
    except CnmError as error:
        yield f"[{gettext(_BROKEN_OFF)} {error}]\n".encode()


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await sync_to_async(file.read)(READ):
            yield piece
