"""What differs between two states of everything, as the feed tells them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .addresses import bracketed

Json = dict[str, Any]
State = Mapping[str, Mapping[str, Json]]
RuleKey = tuple[str, int, str, str, str, str]
"""(flavour, family, table, chain, text, tag)"""

UNSAID = frozenset(
    {
        "heartbeat_at",
        "facts_at",
        "alive",
        "connections",
        "files",
        "pid",
        "started_at",
        "finished_at",
        "linked_by",
        "sandbox",
        "generation",
    }
)
"""What changes with every breath, or says again what another field says."""
OF_OTHERS = {"network": frozenset({"endpoints"})}
"""Fields of a kind that only mirror other objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One object that came (``+``), went (``-``) or differs (``~``), and in what: (field, before, after) as short texts."""

    kind: str
    id: str
    name: str
    sign: str
    fields: tuple[tuple[str, str, str], ...] = ()

    def to_json(self) -> Json:
        fields = [{"name": name, "before": before, "after": after} for name, before, after in self.fields]
        return {"kind": self.kind, "id": self.id, "name": self.name, "sign": self.sign, "fields": fields}


def changes(before: State, after: State, kinds: Iterable[str]) -> tuple[Change, ...]:
    """Every object of *kinds* that is not as it was, by kind, then as the states list them."""
    return tuple(
        change
        for kind in kinds
        for key in dict.fromkeys((*before.get(kind, {}), *after.get(kind, {})))
        if (change := _change(kind, key, before.get(kind, {}).get(key), after.get(kind, {}).get(key))) is not None
    )


def _change(kind: str, key: str, before: Json | None, after: Json | None) -> Change | None:
    if kind == "drift":  # resolved drift is none
        before, after = (one if one is not None and not one.get("resolved_at") else None for one in (before, after))
    one = after or before
    if one is None:
        return None
    name = str(one.get("name") or one.get("text") or key)
    if before is None or after is None:
        return Change(kind=kind, id=key, name=name, sign="-" if after is None else "+")
    unsaid = UNSAID | OF_OTHERS.get(kind, frozenset())
    fields = tuple(
        (field, _text(field, before.get(field)), _text(field, after.get(field)))
        for field in dict.fromkeys((*before, *after))
        if field not in unsaid and before.get(field) != after.get(field)
    )
    said = tuple(field for field in fields if field[1] != field[2])
    return Change(kind=kind, id=key, name=name, sign="~", fields=said) if said else None


def _text(field: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, list):
        return ", ".join(_item(field, item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    return str(value)


def _item(field: str, item: Any) -> str:
    if isinstance(item, list | tuple):
        return " ".join(map(str, item))
    if not isinstance(item, dict):
        return str(item)
    if field == "endpoints":
        return f"{item['network']['name']} {item.get('ipv4') or item.get('ipv6')}"
    if field == "ports":
        return f"{bracketed(item['host_address']) or '*'}:{item['host_port']} → {item['container_port']}/{item['protocol']}"
    if field == "links":
        return f"{item['source']['name']} ({item['alias']})"
    return str(item.get("subnet") or item.get("name") or item)


def rule_changes(before: Sequence[RuleKey], after: Sequence[RuleKey]) -> tuple[list[RuleKey], list[RuleKey]]:
    """(rules that came, rules that went), each as often as it did; order alone is no change."""
    old, new = Counter(before), Counter(after)
    return list((new - old).elements()), list((old - new).elements())
