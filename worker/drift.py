"""Drift: what changed behind our back, as rows that are opened when seen and closed when gone."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from networks import feed
from networks.cnm.plan import Action, Plan, Step
from networks.cnm.resources import Key, Process
from networks.cnm.rules import Rule
from networks.models import Drift, Host, Operation
from networks.models.choices import OperationState

from .shadows import Shadow

KINDS = {Action.CREATE: "missing", Action.CHANGE: "changed", Action.DELETE: "left over"}
"""What a step that would mend a drift says about the drift."""
SHADOWED = "shadowed"
"""A rule of somebody else decides before one of ours. No step mends it: foreign rules are never fought over."""


def kind_of(step: Step) -> str:
    """What the drift that *step* would mend is: a rule that changed stands twice, or out of its order."""
    before, after = step.before, step.after
    if isinstance(before, Rule) and isinstance(after, Rule):
        if before.copies > after.copies:
            return "duplicated"
        if before.rank != after.rank:
            return "out of order"
    return KINDS[step.action]


def record(host: Host, plan: Plan, looked_at: frozenset[str], writer: str = "") -> int:
    """Open a row for each step of *plan* that no open row speaks of, close rows that no step speaks of; how many.

    *plan* would mend everything; *looked_at* are the kinds of resources that were looked at, so that rows of other kinds
    stay as they are. *writer* is the process that made the change, where the kernel told.
    """
    ending = _ending(host) if any(step.resource.kind == Process.kind for step in plan) else frozenset[str]()
    rows = Drift.objects.filter(host=host, resolved_at=None).exclude(kind=SHADOWED)
    open_rows = {(row.key, row.kind): row for row in rows}
    seen = {(" ".join(step.key)[:600], kind_of(step)): step for step in plan if not _is_of(step, ending)}
    gone = [row for at, row in open_rows.items() if at not in seen and row.resource_kind in looked_at]
    new = [_row(host, step, writer) for at, step in seen.items() if at not in open_rows]
    return _write(gone, new)


def _ending(host: Host) -> frozenset[str]:
    """The containers whose processes are being ended: they may be gone before the operation that waits for that goes on."""
    under_way = Operation.objects.filter(host=host, state__in=(OperationState.PENDING, OperationState.RUNNING))
    return frozenset(name for args in under_way.values_list("args", flat=True) for name in args.get("ends", ()))


def _is_of(step: Step, containers: frozenset[str]) -> bool:
    return isinstance(step.resource, Process) and step.resource.container_id in containers


def open_kinds(host: Host) -> frozenset[str]:
    """The kinds of resources of which something has drifted and was not seen to be right again; shadowed rules aside."""
    rows = Drift.objects.filter(host=host, resolved_at=None).exclude(kind=SHADOWED)
    return frozenset(rows.values_list("resource_kind", flat=True))


def record_shadows(host: Host, shadows: Sequence[Shadow], writer: str = "") -> int:
    """The same for rules of others that decide before ours: *shadows* are all that there are now."""
    rows = Drift.objects.filter(host=host, resolved_at=None, kind=SHADOWED)
    open_rows = {row.key: row for row in rows}
    seen = {" ".join(("rule", *shadow.key))[:600]: shadow for shadow in shadows}
    gone = [row for key, row in open_rows.items() if key not in seen]
    new = [
        Drift(
            host=host,
            key=key,
            kind=SHADOWED,
            resource_kind="rule",
            text=shadow.text[:1000],
            difference={"key": ["rule", *shadow.key], "fields": {"before": [shadow.ours.text, ""]}},
            owner=shadow.ours.owner.to_json(),
            why=shadow.ours.why.to_json(),
            writer=writer[:100],
        )
        for key, shadow in seen.items()
        if key not in open_rows
    ]
    return _write(gone, new)


def _write(gone: Sequence[Drift], new: Sequence[Drift]) -> int:
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
        kind=kind_of(step),
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
