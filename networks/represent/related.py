"""Fetching what a representation needs beside its row, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Model, Prefetch, QuerySet

from networks.models import (
    ApiToken,
    Capture,
    Container,
    Drift,
    Endpoint,
    ExecSession,
    Image,
    JoinToken,
    Link,
    Network,
    Operation,
    PublishedPort,
    Subnet,
)
from networks.steady import Steady, gone

_SHOWN = (
    "container",
    "network",
    "position",
    "ipv4",
    "ipv6",
    "mac",
    "aliases",
    "ifname",
    "gw_priority",
    "sysctls",
    "driver_options",
    "joined",
    "removing",
)

_OF_NETWORK = ("network__name", "network__driver", "network__internal", "network__options", "network__scope")


def _in_list(name: str, rows: QuerySet[Any]) -> Prefetch[Any]:
    """Fetch what is related in a plain list: Django makes a query object for each row otherwise, which takes half of the time."""
    return Prefetch(name, queryset=rows, to_attr=f"shown_{name.rpartition('__')[2]}")


def related(row: Model, name: str) -> Sequence[Any]:
    """The rows that *row* is related with by *name*: those that :func:`prepared` fetched, else the database is asked."""
    found = row.__dict__.get(f"shown_{name}")
    return found if found is not None else list(getattr(row, name).all())


def prepared(model: type[Model]) -> QuerySet[Any]:
    """All rows of *model* with what their representation needs, in a constant number of queries."""
    live_endpoints = Endpoint.objects.filter(removing=False)
    if model is Network:
        named = live_endpoints.select_related("container").only(*_SHOWN, "container__name")
        return (
            Steady(Network)
            .select_related("host")
            .prefetch_related(_in_list("subnets", Subnet.objects.all()), _in_list("endpoints", named))
        )
    if model is Container:
        # Only names of what is around it: rows of containers carry much text, and a network may have a thousand.
        ways = live_endpoints.select_related("network").only(*_SHOWN, *_OF_NETWORK)
        sources = Link.objects.select_related("source").only("alias", "recipient", "source__name")
        recipients = Link.objects.select_related("recipient").only("alias", "source", "recipient__name")
        gateways = _in_list("network__subnets", Subnet.objects.all())
        return (
            Steady(Container)
            .select_related("host")
            .prefetch_related(
                _in_list("endpoints", ways.prefetch_related(gateways)),
                _in_list("ports", PublishedPort.objects.all()),
                _in_list("links", sources),
                _in_list("linked_by", recipients),
            )
        )
    joined = {
        Endpoint: ("network", "container__host"),
        Link: ("recipient__host", "source"),
        ExecSession: ("container__host",),
        ApiToken: ("user",),
        JoinToken: ("host",),
    }
    wanted = joined.get(model, ("host",) if model in {Operation, Drift, Image, Capture} else ())
    return model._default_manager.select_related(*wanted)


def again(row: Model) -> Any:
    """A row that was found, with what its representation needs. Raises NotFound when it was removed meanwhile."""
    fresh = prepared(type(row)).filter(pk=row.pk).first()
    if fresh is None:
        raise gone(row)
    return fresh
