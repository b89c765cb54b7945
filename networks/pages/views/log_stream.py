"""A container's log, followed for as long as somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from networks import logs
from networks.cnm.errors import CnmError
from networks.models import Container
from networks.services.find import find_container, find_host

LINES = 500
PAUSE_S = 0.3
CHECK_EVERY = 10
"""Pauses between two looks at whether the container still runs and the reader may still read."""


async def follow(request: Any, reference: str) -> HttpResponseBase:
    """Plain text: the last lines, then each new one; it ends when the container's run does."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    try:
        container = await sync_to_async(lambda: find_container(find_host(), reference))()
    except CnmError as error:
        return HttpResponse(str(error), status=404, content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(_lines(container.pk, user), content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _lines(container_id: str, user: Any) -> AsyncIterator[bytes]:
    follower = await sync_to_async(logs.LogFollower)(logs.log_path(settings.STATE_DIR, container_id), tail=LINES)
    try:
        yield _text(follower.first)
        pauses = 0
        while True:
            lines = await sync_to_async(follower.read)()
            if lines:
                yield _text(lines)
            elif pauses % CHECK_EVERY == 0 and not await _goes_on(container_id, user):
                return
            pauses += 1
            await asyncio.sleep(PAUSE_S)
    finally:
        await sync_to_async(follower.close)()


async def _goes_on(container_id: str, user: Any) -> bool:
    await user.arefresh_from_db()
    return bool(user.is_active) and await Container.objects.filter(pk=container_id, wanted="running").aexists()


def _text(lines: list[logs.LogLine]) -> bytes:
    return "".join(f"{line.text}\n" for line in lines).encode()
