"""Rows as they are now, for use cases: what was read before the transaction may have changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Model, Prefetch, prefetch_related_objects

from networks.cnm.errors import NotFound
from networks.cnm.text import gettext_noop
from networks.models import Container, Endpoint, Link
from networks.models.choices import Wanted


def refresh(*rows: Model) -> None:
    """Read *rows* again, in place. Inside ``feed.transaction`` nobody else writes, so they stay true until it commits.

    Raises :class:`NotFound` when one is gone.
    """
    for row in rows:
        kept = {name: row._state.fields_cache[name] for name in ("host",) if name in row._state.fields_cache}
        try:
            row.refresh_from_db()
        except type(row).DoesNotExist:
            raise NotFound(
                gettext_noop("{name} was removed meanwhile."),
                remedy=gettext_noop("See the list of what there is."),
                name=row,
            ) from None
        row._state.fields_cache |= kept


def read_parts(container: Container) -> None:
    """Read what *container* consists of once, for all that is decided about it in this transaction.

    What was read before and not dropped since (:func:`refresh` drops it, and so does who adds to it) is not read again.
    """
    ways = Endpoint.objects.select_related("network__host").prefetch_related("network__subnets")
    links = Link.objects.select_related("source")
    prefetch_related_objects([container], Prefetch("endpoints", ways), "ports", Prefetch("links", links))


def know_parts(container: Container, endpoints: Iterable[Endpoint]) -> None:
    """The parts of a *container* that is just being made are those that its maker made: they need not be read."""
    for name, rows in {"endpoints": endpoints, "ports": (), "links": ()}.items():
        found = getattr(container, name).all()
        found._result_cache = list(rows)
        found._prefetch_done = True
        container._prefetched_objects_cache[name] = found


def check_not_removed(container: Container) -> None:
    """Raises :class:`NotFound` for a container whose removal somebody has asked for."""
    if container.wanted == Wanted.REMOVED:
        raise NotFound(
            gettext_noop("Container {name} is being removed."),
            remedy=gettext_noop("Run a new one."),
            name=container.name,
        )
