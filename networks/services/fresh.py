"""Rows as they are now, for use cases: what was read before the transaction may have changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.db.models import Model

from networks.cnm.errors import Conflict, NotFound
from networks.cnm.text import gettext_noop
from networks.composed import Composed, composed
from networks.models import Container, Endpoint, Link, PublishedPort, Subnet
from networks.models.choices import ContainerKind, Wanted
from networks.steady import gone


@cache
def _one(model: type[Model]) -> Composed[Any]:
    return composed(lambda pk: model._default_manager.filter(pk=pk))


def refresh(*rows: Model) -> None:
    """Read *rows* again, in place. Inside ``feed.transaction`` nobody else writes, so they stay true until it commits.

    Raises :class:`NotFound` when one is gone.
    """
    for row in rows:
        fresh = _one(type(row)).first(row.pk)
        if fresh is None:
            raise gone(row)
        if "host" in row._state.fields_cache:
            fresh._state.fields_cache["host"] = row._state.fields_cache["host"]
        row.__dict__ = fresh.__dict__  # with nothing of what was read around it


_ways = composed(lambda container: Endpoint.objects.select_related("network__host").filter(container=container))
_ports = composed(lambda container: PublishedPort.objects.filter(container=container))
_links = composed(lambda container: Link.objects.select_related("source").filter(recipient=container))
_subnets = composed(lambda networks: Subnet.objects.filter(network__pk__in=networks))


def read_parts(container: Container) -> None:
    """Read what *container* consists of once, for all that is decided about it in this transaction.

    What was read before and not dropped since (:func:`refresh` drops it, and so does who adds to it) is not read again.
    """
    known = container.__dict__.setdefault("_prefetched_objects_cache", {})
    if "endpoints" not in known:
        endpoints = _ways(container.pk)
        networks = {endpoint.network_id: endpoint.network for endpoint in endpoints}
        subnets = _subnets(list(networks))
        for network in networks.values():
            _know(network, "subnets", [row for row in subnets if row.network_id == network.pk])
        for endpoint in endpoints:
            endpoint.network = networks[endpoint.network_id]
        know_parts(container, endpoints=endpoints)
    if "ports" not in known:
        know_parts(container, ports=_ports(container.pk))
    if "links" not in known:
        know_parts(container, links=_links(container.pk))


def know_parts(container: Container, **parts: Iterable[Model]) -> None:
    """These parts of *container*, in their order, are those that somebody has just read or made: they need not be read."""
    for name, rows in parts.items():
        _know(container, name, rows)


def _know(row: Model, name: str, rows: Iterable[Model]) -> None:
    """What ``prefetch_related`` leaves with a row, without the queries that it composes."""
    related = getattr(row, name)
    found = related.all()
    found._result_cache, found._prefetch_done = list(rows), True
    for one in found._result_cache:
        related.field.set_cached_value(one, row)
    row.__dict__.setdefault("_prefetched_objects_cache", {})[name] = found


PAUSED = gettext_noop("Container {name} is paused.")
UNPAUSE = gettext_noop("Let it go on (unpause), or stop it.")


def check_not_paused(container: Container) -> None:
    """Raises :class:`Conflict` for a container in which nothing moves: a command in it would hang."""
    if container.paused:
        raise Conflict(PAUSED, remedy=UNPAUSE, name=container.name)


def check_not_dockers(container: Container) -> None:
    """Raises :class:`Conflict` for a container that a Docker Engine looks after: only the engine may change what it has."""
    if container.kind == ContainerKind.DOCKER:
        raise Conflict(
            gettext_noop("Container {name} is a Docker Engine's, which alone starts, stops and connects it."),
            remedy=gettext_noop(
                "Use docker there; here it can be looked at, and taken off its network by removing it."
            ),
            name=container.name,
        )


def check_not_removed(container: Container) -> None:
    """Raises :class:`NotFound` for a container whose removal somebody has asked for."""
    if container.wanted == Wanted.REMOVED:
        raise NotFound(
            gettext_noop("Container {name} is being removed."),
            remedy=gettext_noop("Run a new one."),
            name=container.name,
        )


def check_has_files(container: Container) -> None:
    """Raises :class:`Conflict` for a sandbox that holds no process: it has no image below it."""
    if container.kind != "process":
        raise Conflict(
            gettext_noop("Container {name} has no files of its own."),
            remedy=gettext_noop("Choose one with a process."),
            name=container.name,
        )
