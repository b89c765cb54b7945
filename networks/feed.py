"""Numbered events: what open pages are told, in the order in which it was committed; and the one door to all writing.

``put`` and ``delete`` inside ``transaction`` collect; at its end each object's last word is written as one event. The counter
row is the last thing that the transaction writes, so numbers commit in order (a database sequence does not promise that).

One transaction writes at a time, on every database: SQLite's begins with the write lock, and where rows are locked instead,
the counter row is taken first. So what a use case reads inside stays true until it commits: numbers, addresses and ports are
given out once, and a decision never rests on a row that another has changed meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from django.db import connection, models
from django.db import transaction as db_transaction
from redis.exceptions import RedisError

from . import represent
from .composed import composed, insert_many
from .models import Event, FeedCounter, Host
from .steady import steady
from .wake import redis

log = logging.getLogger(__name__)

GROUP = "live"

_Changes = dict[tuple[str, str], "models.Model | dict[str, Any] | None"]


@dataclass(slots=True)
class _Pending:
    actor: str
    changes: _Changes = field(default_factory=dict)


_pending: ContextVar[_Pending | None] = ContextVar("feed_pending", default=None)


@contextmanager
def transaction(actor: str = "") -> Iterator[None]:
    """A database transaction whose events are numbered last; nested use joins the outer one."""
    if _pending.get() is not None:
        yield
        return
    pending = _Pending(actor)
    token = _pending.set(pending)
    try:
        with db_transaction.atomic():
            become_writer()
            yield
            last = _write(pending)
    finally:
        _pending.reset(token)
    if last:
        _announce(last)


def become_writer() -> None:
    """Wait until nobody else writes. For the beginning of a transaction."""
    if connection.features.has_select_for_update:
        FeedCounter.objects.select_for_update().get_or_create(pk=1)


def put(kind: str, row: models.Model) -> None:
    """Say that *row* is new or changed; its representation is taken when the transaction ends."""
    _collect(kind, row.name if isinstance(row, Host) else str(row.pk), row)


def put_data(kind: str, object_id: str, data: dict[str, Any]) -> None:
    """An event about something that no row of its own stands for."""
    _collect(kind, object_id, data)


def delete(kind: str, object_id: str) -> None:
    """Tell at commit that an object is gone."""
    _collect(kind, str(object_id), None)


def _collect(kind: str, object_id: str, value: models.Model | dict[str, Any] | None) -> None:
    pending = _pending.get()
    if pending is None:
        raise RuntimeError("Events are written inside feed.transaction().")
    pending.changes.pop((kind, object_id), None)  # the last word stands where it was said
    pending.changes[kind, object_id] = value


def _write(pending: _Pending) -> int:
    if not pending.changes:
        return 0
    described = _describe(pending.changes)
    last = FeedCounter.objects.advance(len(described))
    first = last - len(described) + 1
    insert_many(
        Event(
            number=first + offset,
            op="delete" if data is None else "put",
            kind=kind,
            object_id=object_id,
            data=data,
            actor=pending.actor,
        )
        for offset, ((kind, object_id), data) in enumerate(described.items())
    )
    return last


def _describe(changes: _Changes) -> dict[tuple[str, str], dict[str, Any] | None]:
    """The representation of each changed object as the transaction leaves it, in a constant number of queries a kind.

    Read again, for what shows an object may be other rows than the one that changed; those kinds aside that are one row each.
    """
    wanted: dict[type[models.Model], dict[Any, tuple[str, str]]] = {}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for at, value in changes.items():
        if isinstance(value, models.Model) and at[0] in represent.SINGLE_ROWS:
            found[at] = represent.of(at[0], value)
        elif isinstance(value, models.Model):
            wanted.setdefault(type(value), {})[value.pk] = at
    for model, rows in wanted.items():
        for row in represent.read(model, list(rows)):
            at = rows[row.pk]
            found[at] = represent.of(at[0], row)
    return {at: found.get(at) if isinstance(value, models.Model) else value for at, value in changes.items()}


def _announce(last: int) -> None:
    """Tell open pages that there is news up to *last*. A layer that is down costs nothing: pages ask again by number."""
    layer = get_channel_layer()
    message = {"type": "feed.news", "last": last}
    try:
        if isinstance(layer, RedisPubSubChannelLayer):
            # What its group_send does, without an event loop and a connection for each call.
            prefix = settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"]
            redis().publish(f"{prefix}__group__{GROUP}", layer.serialize(message))
        elif layer is not None:
            async_to_sync(layer.group_send)(GROUP, message)
    except (OSError, RedisError) as error:
        log.warning("open pages could not be told of event %s: %s", last, error)


def since(number: int, epoch: str) -> list[dict[str, Any]] | None:
    """The events after *number*, or None where only a new snapshot helps."""
    counter = FeedCounter.objects.filter(pk=1).first()
    if counter is None or counter.epoch != epoch or number > counter.last:
        return None
    events = list(Event.objects.filter(number__gt=number)[: settings.KEEP_EVENTS + 1])
    if counter.last > number and (not events or events[0].number != number + 1):
        return None
    return [event_json(event) for event in events]


_last_of = composed(
    lambda kind, object_id: (
        Event.objects.filter(kind=kind, object_id=object_id).order_by("-number").values_list("op", "data")[:1]
    )
)


def last_word(row: models.Model | None) -> dict[str, Any] | None:
    """The representation of *row* as the last event about it has it, for those that have just written it. Of what there is
    no event of, or no longer, the database is asked."""
    if row is None or row.pk is None:
        return None
    kind = type(row).__name__.lower()
    found = _last_of.first(kind, str(row.pk)) if kind in represent.DESCRIBERS else None
    if found is None:
        return represent.current(row)
    return found[1] if found[0] == "put" else None


def event_json(event: Event) -> dict[str, Any]:
    """An event as open pages get it."""
    return {
        "n": event.number,
        "op": event.op,
        "kind": event.kind,
        "id": event.object_id,
        "data": event.data,
        "at": event.at.isoformat(),
        "actor": event.actor,
    }


def snapshot() -> dict[str, Any]:
    """The state of everything and its number, of one moment."""
    FeedCounter.objects.get_or_create(pk=1)
    with steady():
        counter = FeedCounter.objects.get(pk=1)
        return {"epoch": counter.epoch, "n": counter.last, "state": represent.everything()}


@contextmanager
def silenced() -> Iterator[None]:
    """Inside, events are collected and dropped: for a transaction that will be rolled back."""
    token = _pending.set(_Pending(""))
    try:
        yield
    finally:
        _pending.reset(token)
