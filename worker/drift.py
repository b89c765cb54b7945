"""Drift: what changed behind our back, as rows that are opened when seen and closed when gone."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from networks import feed
from networks.cnm.plan import Action, Plan, Step
from networks.cnm.resources import Key
from networks.models import Drift, Host

KINDS = {Action.CREATE: "missing", Action.CHANGE: "changed", Action.DELETE: "left over"}
"""What a step that would mend a drift says about the drift."""


def record(host: Host, plan: Plan, looked_at: frozenset[str], writer: str = "") -> int:
    """Open a row for each step of *plan* that no open row speaks of, close rows that no step speaks of; how many.

    *plan* would mend everything; *looked_at* are the kinds of resources that were looked at, so that rows of other kinds
    stay as they are. *writer* is the process that made the change, where the kernel told.
    """
    open_rows = {(row.key, row.kind): row for row in Drift.objects.filter(host=host, resolved_at=None)}
    seen = {(" ".join(step.key), KINDS[step.action]): step for step in plan}
    gone = [row for at, row in open_rows.items() if at not in seen and row.resource_kind in looked_at]
    new = [_row(host, step, writer) for at, step in seen.items() if at not in open_rows]
    if not gone and not new:
        return 0
    with feed.transaction("worker"):
        for row in gone:
            row.resolved_at = timezone.now()
            row.save(update_fields=["resolved_at"])
            feed.put("drift", row)
        for row in new:
            row.save()
            feed.put("drift", row)
    return len(gone) + len(new)


def keys_of(ids: Sequence[int]) -> set[Key]:
    """The resource keys that drift rows speak of."""
    return {
        tuple(difference["key"]) for difference in Drift.objects.filter(pk__in=ids).values_list("difference", flat=True)
    }


def _row(host: Host, step: Step, writer: str) -> Drift:
    resource = step.resource
    return Drift(
        host=host,
        key=" ".join(step.key)[:600],
        kind=KINDS[step.action],
        resource_kind=resource.kind,
        text=resource.describe()[:1000],
        difference={
            "key": list(step.key),
            "fields": {name: list(pair) for name, pair in step.difference().items()},
        },
        owner=resource.owner.to_json(),
        why=resource.why.to_json(),
        writer=writer[:100],
    )
