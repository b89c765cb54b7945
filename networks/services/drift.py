"""Use cases of drift: look again, and mend."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from networks import feed, withheld
from networks.models import Drift, Host

from .actor import Actor, require
from .operations import check_alive, enqueue, record
from .outcome import Outcome


def repair(actor: Actor, host: Host, drift_ids: Sequence[int] | None = None) -> Outcome:
    """Mend the drift of these rows, or all of it."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        if drift_ids is None:
            withheld.take_up_all(host)  # what could not be made is part of what is to be mended
        args = {} if drift_ids is None else {"drift": list(drift_ids)}
        operation = enqueue(actor, host, "host.repair", None, everything=True, args=args)
        record(actor, "host.repair", None, args, operation)
    return Outcome(None, operation)


def mended(host: Host, drift_ids: Sequence[int] | None = None) -> QuerySet[Drift]:
    """The open drift that :func:`repair` with the same ids is asked to mend."""
    rows = Drift.objects.select_related("host").filter(host=host, resolved_at=None)
    return rows if drift_ids is None else rows.filter(pk__in=drift_ids)


def look(actor: Actor, host: Host) -> Outcome:
    """Compare everything with the kernel now."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        operation = enqueue(actor, host, "host.look", None)
    return Outcome(None, operation)
