"""A container's log: followed for as long as somebody looks, or taken along."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from networks.cnm.errors import CnmError
from networks.follow import stamped
from networks.models import Container
from networks.services import kept
from networks.services.find import find_container

from ..base import PageRequest, page, status_of
from ..which_host import one_host

LINES = 500
MOST_LINES = 50_000


async def follow(request: Any, reference: str) -> HttpResponseBase:
    """A JSON object a line (see :func:`networks.follow.follow_in_batches`): the last ``?tail=`` lines, or those after ``?since=``,
    then each new one."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    tail = request.GET.get("tail", "")
    count = min(int(tail), MOST_LINES) if tail.isascii() and tail.isdigit() and len(tail) < 9 else LINES
    try:
        container = await sync_to_async(_found)(request, reference)
        lines = kept.log_in_batches(container, user, tail=count, since=request.GET.get("since", "")[:40])
    except CnmError as error:
        return HttpResponse(str(error), status=status_of(error), content_type="text/plain; charset=utf-8")
    response = StreamingHttpResponse(lines, content_type="application/x-ndjson")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _found(request: HttpRequest, reference: str) -> Container:
    return find_container(one_host(request), reference)


@page()
def download(request: PageRequest, reference: str) -> HttpResponse:
    """All that is kept, as a file: each line with its time."""
    container = find_container(request.host, reference)
    lines = kept.log_lines(container, request.user, None)
    response = HttpResponse(stamped(lines), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{container.name}.log"'
    return response
