"""Guessing passwords is slowed down: after a few failures a name is refused for a while, from that address.

Failures are activity rows, so they survive a restart and an admin sees them. What is refused unseen writes none: nobody fills
the log.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Max
from django.http import HttpRequest
from django.utils import timezone

from networks import feed
from networks.models import Activity

FAILURES = 5
"""For one name from one address; four times as many for all names from one address."""
WINDOW = timedelta(minutes=5)
REFUSED = "session.refused"


def address_of(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR") or "socket")


def locked_for(request: HttpRequest, name: str) -> timedelta | None:
    """How long *name* must wait; None: it may try."""
    since = timezone.now() - WINDOW
    rows = Activity.objects.filter(verb=REFUSED, at__gt=since, request__address=address_of(request))
    for query, most in ((rows.filter(actor=name[:150]), FAILURES), (rows, 4 * FAILURES)):
        if query.count() >= most:
            latest: datetime = query.aggregate(latest=Max("at"))["latest"]
            return max(latest + WINDOW - timezone.now(), timedelta(seconds=1))
    return None


def failed(request: HttpRequest, name: str) -> None:
    note(REFUSED, name, {"address": address_of(request)})


def note(verb: str, name: str, request: dict[str, str]) -> None:
    """An activity row about a session."""
    with feed.transaction(name):
        row = Activity.objects.create(actor=name[:150], via="page", verb=verb, subject_kind="user", request=request)
        feed.put("activity", row)
