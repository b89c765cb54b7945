"""The stream of ``GET /events``: what happened since, then what happens, until the client has enough."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from django.utils import timezone

from networks.hub import Hub
from networks.models import Event, FeedCounter

from . import filters as filtering
from .call import Call
from .events import KNOWN, Change, Json, matches, said
from .http import JSON
from .threads import in_thread

LOOK_S = 2.0
"""How long a hint that was lost delays an event."""
_KINDS = ("container", "network", "image", "activity")
_BATCH = 500


class Reader:
    """Reads our events one after the other, and remembers each object as it was last told of."""

    def __init__(self, since: datetime | None) -> None:
        """*since* None: from now on."""
        first = Event.objects.filter(at__gte=since).order_by("number").first() if since else None
        counter = FeedCounter.objects.filter(pk=1).first()
        self._place = first.number - 1 if first is not None else counter.last if counter is not None else 0
        self._known: dict[tuple[str, str], Json | None] = {}

    def read(self) -> list[Change]:
        """What was written since the last call."""
        rows = list(Event.objects.filter(number__gt=self._place, kind__in=_KINDS).order_by("number")[:_BATCH])
        self._learn(rows)
        changes = []
        for row in rows:
            key = (row.kind, row.object_id)
            after = row.data if row.op == "put" else None
            changes.append(Change(kind=row.kind, id=row.object_id, before=self._known[key], after=after, at=row.at))
            self._known[key] = after
            self._place = row.number
        return changes

    def _learn(self, rows: Iterable[Event]) -> None:
        """What the objects of *rows* were before the first of them."""
        for row in rows:
            key = (row.kind, row.object_id)
            if key not in self._known:
                earlier = Event.objects.filter(kind=row.kind, object_id=row.object_id, number__lt=row.number)
                last = earlier.order_by("-number").first() if row.kind != "activity" else None
                self._known[key] = last.data if last is not None and last.op == "put" else None


async def stream(call: Call) -> None:
    now = timezone.now()
    wanted = filtering.read(call.query.get("filters", ""), KNOWN)
    since, until = (
        filtering.instant(text, now) if (text := call.query.get(name, "")) not in {"", "0"} else None
        for name in ("since", "until")
    )
    hub = Hub.here()
    bell = hub.subscribe()
    try:
        reader = await in_thread(Reader, since)
        await call.exchange.start(200, {"Content-Type": JSON})
        while True:
            bell.clear()
            changes = await in_thread(reader.read)
            for change in changes:
                if until is not None and change.at > until:
                    return
                for event in said(change):
                    if matches(event, wanted):
                        await call.exchange.send(json.dumps(event).encode() + b"\n")
            if changes:
                continue
            left = (until - timezone.now() if until is not None else timedelta(days=1)).total_seconds()
            if left <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_S, left)):
                    await bell.wait()
    finally:
        await hub.unsubscribe(bell)
