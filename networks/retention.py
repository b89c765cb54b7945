"""What is history is kept for a while and then forgotten, a slice at a time, so that no write waits long for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, Model, Q, QuerySet
from django.utils import timezone

from . import feed, history
from .models import Activity, Drift, Event, ExecSession, Host, Operation
from .models.choices import OperationState

SLICE = 500
"""Rows of one kind that one call deletes at most."""
_UNFINISHED = (OperationState.PENDING, OperationState.RUNNING)


def forget_history(host: Host) -> int:
    """Delete a slice of what is older, or more, than the settings keep; how many rows.

    For each tick of a worker's clock. Of operations and drift the host's own, of what no host owns everybody's. An operation that
    has not ended and a drift that has not gone are no history.
    """
    oldest = timezone.now() - timedelta(days=settings.KEEP_HISTORY_DAYS)
    most = settings.KEEP_HISTORY_ROWS
    operations = Operation.objects.filter(host=host).exclude(state__in=_UNFINISHED)
    drifts = Drift.objects.filter(host=host).exclude(resolved_at=None)
    terminals = ExecSession.objects.filter(container__host=host, state=ExecSession.ENDED)
    return (
        _forget(operations, "number", Q(created_at__lt=oldest), most)
        + _forget(Activity.objects.all(), "pk", Q(at__lt=oldest), most)
        + _forget(drifts, "pk", Q(resolved_at__lt=oldest), most)
        + _forget(terminals, "created_at", Q(ended_at__lt=oldest), most)
        + _forget_events()
        + _forget_past()
    )


def _forget(rows: QuerySet[Any], order: str, old: Q, most: int) -> int:
    """Delete the first of *rows* that are *old*, or that have *most* rows after them in *order*."""
    newest = rows.order_by(f"-{order}").values_list(order, flat=True)[most : most + 1]
    surplus = next(iter(newest), None)
    condition = old if surplus is None else old | Q(**{f"{order}__lte": surplus})
    return _delete(rows.model, list(rows.filter(condition).order_by(order).values_list("pk", flat=True)[:SLICE]))


def _forget_events() -> int:
    last = Event.objects.aggregate(last=Max("number"))["last"] or 0
    surplus = Event.objects.filter(number__lte=last - settings.KEEP_EVENTS).order_by("number")
    return _delete(Event, list(surplus.values_list("pk", flat=True)[:SLICE]))


def _forget_past() -> int:
    """What the past is made of goes with the events that follow it, and the rules of then when they take too much room."""
    return history.forget(settings.KEEP_RULES_MIB * 2**20)


def _delete(model: type[Model], keys: list[Any]) -> int:
    if not keys:
        return 0
    with feed.transaction("worker"):
        model._default_manager.filter(pk__in=keys).delete()
    return len(keys)
