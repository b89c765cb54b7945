"""Which kind of row is described how, and the state that a fresh page starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Count, Model, Q, QuerySet

from networks.composed import composed
from networks.models import (
    Activity,
    ApiToken,
    Capture,
    Container,
    Drift,
    Endpoint,
    ExecSession,
    Host,
    Image,
    JoinToken,
    Link,
    Moment,
    Network,
    Observation,
    Operation,
    User,
)
from networks.steady import steady
from networks.uncollected import uncollected

from .containers import container, exec_session, image
from .endpoints import endpoint, link
from .hosts import host, join_token
from .networks import network
from .people import token, user
from .related import prepared
from .values import Json
from .work import activity, capture, drift, moment, operation

DESCRIBERS: Mapping[str, Callable[[Any], Json]] = {
    "host": host,
    "network": network,
    "container": container,
    "operation": operation,
    "drift": drift,
    "image": image,
    "activity": activity,
}
"""The kinds that the feed speaks of."""

RECENT = 50
"""Operations and activity rows that a snapshot holds."""

SINGLE_ROWS = frozenset({"operation", "activity", "drift"})
"""Kinds whose representation is that of one row (and its host's name), so the row that was just written has it all."""

_MODELS: Mapping[type[Model], Callable[[Any], Json]] = {
    Host: host,
    Network: network,
    Container: container,
    Endpoint: endpoint,
    Link: link,
    Operation: operation,
    Drift: drift,
    Image: image,
    Activity: activity,
    ApiToken: token,
    JoinToken: join_token,
    Capture: capture,
    ExecSession: exec_session,
    Moment: moment,
    User: user,
}

_READ = {model: composed(lambda ids, model=model: prepared(model).filter(pk__in=ids)) for model in _MODELS}


def read(model: type[Model], ids: list[Any]) -> list[Any]:
    """The rows of *model* with these primary keys, with what their representation needs."""
    return _READ[model](ids)


def current(row: Model | None) -> Json | None:
    """The representation of *row* as the database has it now; None for nothing, and for what is gone."""
    if row is None or row.pk is None:
        return None
    with steady():
        fresh = next(iter(read(type(row), [row.pk])), None)
    return _MODELS[type(row)](fresh) if fresh is not None else None


def of(kind: str, row: Model) -> Json:
    """The representation of one row of a kind that the feed speaks of."""
    return DESCRIBERS[kind](row)


def everything() -> dict[str, dict[str, Json]]:
    """The state that a fresh page starts from: kind -> id -> representation."""
    operations = prepared(Operation).filter(Q(state__in=["pending", "running"]) | Q(pk__in=_latest(Operation)))
    rows: dict[str, QuerySet[Any]] = {
        "host": Host.objects.all(),
        "network": prepared(Network),
        "container": prepared(Container),
        "operation": operations,
        "drift": prepared(Drift).filter(resolved_at=None),
        "image": prepared(Image),
        "activity": Activity.objects.filter(pk__in=_latest(Activity)),
    }
    with steady(), uncollected():
        found = {kind: {str(_id(kind, row)): of(kind, row) for row in query} for kind, query in rows.items()}
        seen = Observation.objects.filter(kind="foreign").select_related("host")
        return found | {"foreign": {row.host.name: {"host": row.host.name, **row.data} for row in seen}}


def _latest(model: type[Model]) -> list[Any]:
    return list(model._default_manager.values_list("pk", flat=True)[:RECENT])


def _id(kind: str, row: Any) -> Any:
    return row.name if kind == "host" else row.pk


def counts(rows: QuerySet[Container]) -> dict[str, int]:
    """How many of these containers there are by state, for dashboards."""
    return {row["status"]: row["n"] for row in rows.order_by().values("status").annotate(n=Count("pk"))}
