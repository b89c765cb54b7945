"""A container's log as it grows, for the two faces that show it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from asgiref.sync import sync_to_async
from django.db import connection
from django.utils.translation import gettext

from . import logs
from .cnm.text import gettext_noop
from .load import is_live
from .models import Container, User

PAUSE_S = 0.2
QUIET = 50
"""Pauses without a line between two signs of life."""
HIDDEN = 50
"""Pauses for which the last of a log's files is waited for, that cannot be read yet."""
CHECK_EVERY = 10
"""Pauses between two looks at whether the container still runs and the reader may still read."""

LOST = gettext_noop(
    "Some of what the container printed here is lost: it printed faster than its log could be followed."
)

Printed = Callable[[Iterable[logs.LogLine]], str]


def printed(lines: Iterable[logs.LogLine]) -> str:
    """Each line's text."""
    return "".join(f"{line.text}\n" for line in lines)


def stamped(lines: Iterable[logs.LogLine]) -> str:
    """Each line with the time at which it was written."""
    return "".join(f"{line.time} {line.text}\n" for line in lines)


async def follow(
    path: Path, container_id: str, user: User, *, tail: int, text: Printed = printed
) -> AsyncIterator[bytes]:
    """The last *tail* lines, then each new one; it ends when the container's run does, or the reader may read no more."""
    follower = await sync_to_async(logs.LogFollower)(path, tail=tail)
    async for lines in _batches(follower, container_id, user):
        yield text(lines).encode()
        if follower.missed:
            follower.missed = False
            yield f"[{gettext(LOST)}]\n".encode()


async def follow_in_batches(
    path: Path, container_id: str, user: User, *, tail: int, since: str = ""
) -> AsyncIterator[bytes]:
    """As :func:`follow`, for a page: each line is a JSON object with the lines (time, stream, text), and ``at``, the place after them.

    A reader that comes back names the last ``at`` that it has read as *since*, and gets what followed; ``gap`` says that some is lost.
    The last object says ``end``. Now and then one comes without lines, so that a broken connection is noticed.
    """
    follower = await sync_to_async(logs.LogFollower)(path, tail=tail, since=since)
    gap = {"gap": True} if follower.gap else {}
    quiet = 0
    async for lines in _batches(follower, container_id, user, every=True):
        quiet = 0 if lines else quiet + 1
        if lines or gap or quiet % QUIET == 1:
            told = [[line.time, line.stream, line.text] for line in lines]
            yield (json.dumps({"lines": told, "at": follower.position, **gap}) + "\n").encode()
            gap = {}
        if follower.missed:  # it lies between these lines and the next
            follower.missed, gap = False, {"gap": True}
    yield b'{"end": true}\n'


async def _batches(
    follower: logs.LogFollower, container_id: str, user: User, *, every: bool = False
) -> AsyncIterator[list[logs.LogLine]]:
    """What there was, then what is written, until the run ends. *every*: also when nothing was."""
    try:
        yield follower.first
        pauses = hidden = 0
        goes_on = True
        while goes_on or follower.behind or (follower.hidden and hidden < HIDDEN):
            if pauses % CHECK_EVERY == 0:  # asked before the last lines are read, so that none is missed
                goes_on = await _goes_on(container_id, user)
            lines = await sync_to_async(follower.read)()
            if lines or every or follower.missed:
                yield lines
            if follower.behind:
                continue
            pauses += 1
            hidden = 0 if goes_on else hidden + 1
            await asyncio.sleep(PAUSE_S if goes_on or follower.hidden else 0)
    finally:
        await sync_to_async(follower.close)()


@sync_to_async
def _goes_on(container_id: str, user: User) -> bool:
    """Whether there is more to come. A log may be followed for days: no connection to the database is kept meanwhile, of which a
    server has few."""
    try:
        user.refresh_from_db()
        container = Container.objects.filter(pk=container_id).first()
        return user.is_active and container is not None and is_live(container)
    finally:
        connection.close()
