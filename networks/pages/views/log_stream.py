"""A container's log, followed for as long as somebody looks."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from networks import logs
from networks.cnm.errors import CnmError
from networks.follow import follow as follow_log
from networks.services.find import find_container, find_host

LINES = 500


async def follow(request: Any, reference: str) -> HttpResponseBase:
    """Plain text: the last lines, then each new one; it ends when the container's run does."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    try:
        container = await sync_to_async(lambda: find_container(find_host(), reference))()
    except CnmError as error:
        return HttpResponse(str(error), status=404, content_type="text/plain; charset=utf-8")
    path = logs.log_path(settings.STATE_DIR, container.pk)
    lines = follow_log(path, container.pk, user, tail=LINES)
    response = StreamingHttpResponse(lines, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response
