"""The past: what there was at a moment, what differs between two, and who or what made it so.

Events tell what happened and are kept for a while; now and then the state that they lead to is kept whole (a checkpoint), so that any
moment is one checkpoint and at most :data:`EVERY` events away. A checkpoint is made of the one before and the events since: no object
is described anew.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from . import represent
from .cnm.changes import Change, RuleKey, changes, rule_changes
from .cnm.errors import NotFound
from .cnm.names import short
from .cnm.text import gettext_noop
from .models import Checkpoint, Event, FeedCounter, Host, RulesVersion
from .steady import steady

KINDS = ("host", "network", "container", "drift", "foreign")
EVERY = 500
"""Events from one checkpoint to the next, at most."""
AT_LEAST_EVERY = timedelta(hours=1)
MOST_POINTS = 2000
"""Points of time that the slider is told of: the last ones."""
MOST_CHANGES = 500
OURS = "CNM Web"

State = dict[str, dict[str, dict[str, Any]]]


def keep() -> bool:
    """Make a checkpoint if it is time for one; whether it was. For each tick of a worker's clock."""
    counter = FeedCounter.objects.filter(pk=1).first()
    if counter is None:
        return False
    last = Checkpoint.objects.filter(epoch=counter.epoch).defer("data").last()
    if last is not None:
        since = counter.last - last.number
        if not since or (since < EVERY and timezone.now() - last.at < AT_LEAST_EVERY):
            return False
    state = _replayed(last.number, counter.last) if last is not None else None
    number = counter.last
    if state is None:
        with steady():
            counter.refresh_from_db()
            number, everything = counter.last, represent.everything()
            state = {kind: everything.get(kind, {}) for kind in KINDS}
    open_drift = {key: item for key, item in state.get("drift", {}).items() if not item.get("resolved_at")}
    data = _packed({**state, "drift": open_drift})
    Checkpoint.objects.exclude(epoch=counter.epoch).delete()
    Checkpoint.objects.get_or_create(
        number=number, defaults={"epoch": counter.epoch, "at": timezone.now(), "data": data}
    )
    return True


def keep_rules(host: Host, snapshot: Mapping[str, Any], generation: str, writer: str) -> None:
    """Note the rules of *host* as they are from now on."""
    data = _packed([[rule[name] for name in _RULE] for rule in snapshot["rules"]])
    RulesVersion.objects.create(host=host, generation=generation, writer=writer[:100], size=len(data), data=data)


_RULE = ("flavour", "family", "table", "chain", "text", "tag")


def forget(most_bytes: int) -> int:
    """Delete checkpoints whose events are gone, and of the rules what is more than *most_bytes*; how many rows.

    The last of each stays, whatever it takes.
    """
    first = Event.objects.order_by("number").values_list("number", flat=True).first()
    newest = Checkpoint.objects.order_by("-number").values_list("number", flat=True).first()
    count = Checkpoint.objects.filter(number__lt=(first or 0) - 1).exclude(number=newest).delete()[0]
    surplus = (RulesVersion.objects.aggregate(all=Sum("size"))["all"] or 0) - most_bytes
    if surplus <= 0:
        return count
    last = RulesVersion.objects.values_list("pk", flat=True).last()
    doomed = []
    for pk, size in RulesVersion.objects.exclude(pk=last).values_list("pk", "size")[:MOST_CHANGES]:
        if surplus <= 0:
            break
        surplus -= size
        doomed.append(pk)
    return count + RulesVersion.objects.filter(pk__in=doomed).delete()[0]


def span() -> dict[str, Any]:
    """From when to when there is a past, and the points of time at which something happened: ``[at, kind, op]``, oldest first."""
    first = Checkpoint.objects.defer("data").first()
    rows = Event.objects.filter(kind__in=(*KINDS, "firewall")).order_by("-number")
    if first is not None:
        rows = rows.filter(number__gt=first.number)
    points = [[at.isoformat(), kind, op] for at, kind, op in rows.values_list("at", "kind", "op")[:MOST_POINTS]]
    oldest = (
        (first.at + timedelta(milliseconds=1)).isoformat() if first is not None else None
    )  # browsers count in those
    return {"oldest": oldest, "now": timezone.now().isoformat(), "points": points[::-1]}


def state_at(at: datetime) -> tuple[int, State]:
    """The number of the last event before *at*, and what there was then. Raises NotFound for what is too long ago."""
    number = _number_at(at)
    base = Checkpoint.objects.filter(number__lte=number).defer("data").last()
    state = _replayed(base.number, number) if base is not None else None
    if state is None:
        raise _too_long_ago()
    return number, state


def rules_at(host: Host, at: datetime, owner: str = "") -> dict[str, Any]:
    """The rules of *host* that stood at *at* (those of *owner*, an object's id, if it is given), since when, and who wrote last."""
    version = RulesVersion.objects.filter(host=host, at__lte=at).last()
    if version is None:
        raise _too_long_ago()
    rules = _rules(version)
    if owner:
        rules = [rule for rule in rules if rule[5].endswith(f":{short(owner)}")]
    return {
        "since": version.at.isoformat(),
        "writer": version.writer,
        "rules": [dict(zip(_RULE, one, strict=True)) for one in rules],
    }


def between(hosts: Sequence[Host], since: datetime, at: datetime) -> dict[str, Any]:
    """What differs at *at* from what was at *since*, each with its causes; and the rules of *hosts* that came and went."""
    first, before = state_at(since)
    last, after = state_at(at)
    found = changes(before, after, KINDS)
    causes = _Causes(first, last)
    rules = _rules_of_all(hosts, since, at)
    return {
        "since": since.isoformat(),
        "at": at.isoformat(),
        "changes": [change.to_json() | {"causes": causes.of(change, after)} for change in found[:MOST_CHANGES]],
        "left_out": max(0, len(found) - MOST_CHANGES),
        "rules": rules,
    }


def _number_at(at: datetime) -> int:
    number = Event.objects.filter(at__lte=at).order_by("-number").values_list("number", flat=True).first()
    if number is None:
        number = Checkpoint.objects.filter(at__lte=at).order_by("-number").values_list("number", flat=True).first()
    if number is None:
        raise _too_long_ago()
    return int(number)


def _replayed(base: int, number: int) -> State | None:
    """The state of the checkpoint *base* with the events after it up to *number*; None where one of those is gone."""
    events = Event.objects.filter(number__gt=base, number__lte=number)
    if events.count() != number - base:
        return None
    state: State = _unpacked(Checkpoint.objects.values_list("data", flat=True).get(pk=base))
    shown = events.filter(kind__in=KINDS).order_by("number").values_list("op", "kind", "object_id", "data")
    for op, kind, key, data in shown:
        objects = state.setdefault(kind, {})
        if op == "put":
            objects[key] = data
        else:
            objects.pop(key, None)
    return state


def _too_long_ago() -> NotFound:
    first = Checkpoint.objects.defer("data").first()
    return NotFound(
        gettext_noop("Nothing is kept of that moment. The past begins at {oldest}."),
        remedy=gettext_noop("Ask for a later moment. CNM_KEEP_EVENTS says how many events are kept."),
        field="at",
        oldest=first.at.isoformat(timespec="seconds") if first is not None else "—",
    )


class _Causes:
    """Who or what made objects as they are: operations on them, else who wrote them, and of drift the process that was seen."""

    def __init__(self, first: int, last: int) -> None:
        rows = Event.objects.filter(number__gt=first, number__lte=last)
        self._operations: dict[str, dict[str, dict[str, Any]]] = {}
        for data in rows.filter(kind="operation", op="put").values_list("data", flat=True):
            one = {"operation": data["id"], "verb": data["verb"], "by": data["created_by"], "at": data["created_at"]}
            self._operations.setdefault(str(data["subject"]["id"]), {})[data["id"]] = one
        self._actors: dict[tuple[str, str], dict[str, str]] = {}
        for kind, key, actor, at in rows.filter(kind__in=KINDS).values_list("kind", "object_id", "actor", "at"):
            self._actors.setdefault((kind, key), {}).setdefault(actor, at.isoformat())

    def of(self, change: Change, after: State) -> list[dict[str, Any]]:
        operations = list(self._operations.get(change.id, {}).values())
        if operations:
            return operations
        if change.kind == "drift":
            writer = after.get("drift", {}).get(change.id, {}).get("writer", "")
            return [{"writer": writer}] if writer else []
        return [{"by": actor, "at": at} for actor, at in self._actors.get((change.kind, change.id), {}).items()]


def _rules_of_all(hosts: Sequence[Host], since: datetime, at: datetime) -> dict[str, Any] | None:
    """Each rule with its host; None where those of no host are known of both moments. ``unknown``: the hosts of which they are not."""
    found = {host.name: _rules_between(host, since, at) for host in hosts}
    known = {name: rules for name, rules in found.items() if rules is not None}
    if not known:
        return None
    return {
        "added": [rule | {"host": name} for name, rules in known.items() for rule in rules["added"]],
        "removed": [rule | {"host": name} for name, rules in known.items() for rule in rules["removed"]],
        "left_out": sum(rules["left_out"] for rules in known.values()),
        "writers": list(dict.fromkeys(writer for rules in known.values() for writer in rules["writers"])),
        "unknown": [name for name in found if name not in known],
    }


def _rules_between(host: Host, since: datetime, at: datetime) -> dict[str, Any] | None:
    """None where the rules of one of the two moments are not known."""
    versions = RulesVersion.objects.filter(host=host)
    old, new = (versions.filter(at__lte=moment).last() for moment in (since, at))
    if old is None or new is None:
        return None
    came, went = rule_changes(_rules(old), _rules(new))
    writers = versions.filter(pk__gt=old.pk, pk__lte=new.pk).exclude(writer="").values_list("writer", flat=True)
    return {
        "added": _listed(came),
        "removed": _listed(went),
        "left_out": max(0, len(came) - MOST_CHANGES) + max(0, len(went) - MOST_CHANGES),
        "writers": list(dict.fromkeys(writers)),
    }


def _listed(rules: Iterable[RuleKey]) -> list[dict[str, Any]]:
    return [dict(zip(_RULE, rule, strict=True)) for rule in list(rules)[:MOST_CHANGES]]


def _rules(version: RulesVersion) -> list[RuleKey]:
    return [tuple(rule) for rule in _unpacked(version.data)]


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def _unpacked(data: bytes | memoryview) -> Any:
    return json.loads(zlib.decompress(bytes(data)))
