"""A container's log as it grows, for the two faces that show it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from asgiref.sync import sync_to_async

from . import logs
from .load import is_live
from .models import Container, User

PAUSE_S = 0.2
CHECK_EVERY = 10
"""Pauses between two looks at whether the container still runs and the reader may still read."""

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
    try:
        yield text(follower.first).encode()
        pauses = 0
        goes_on = True
        while goes_on:
            if pauses % CHECK_EVERY == 0:  # asked before the last lines are read, so that none is missed
                goes_on = await _goes_on(container_id, user)
            if lines := await sync_to_async(follower.read)():
                yield text(lines).encode()
            pauses += 1
            await asyncio.sleep(PAUSE_S if goes_on else 0)
    finally:
        await sync_to_async(follower.close)()


async def _goes_on(container_id: str, user: User) -> bool:
    await user.arefresh_from_db()
    container = await Container.objects.filter(pk=container_id).afirst()
    return user.is_active and container is not None and is_live(container)
