"""ipset's sets: read from what ``ipset save`` prints, and what ``-m set --match-set`` asks of them (ipset(8)).

A rule names a set, so its meaning is found when it is read together with the sets. What is not modelled (exceptions, sets of MAC
addresses, lists of several fields) leaves the condition unknown, and is shown all the same.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from networks.cnm.rules import Match

from . import words
from .members import Item, Key, Members, Span, parse_network
from .model import Condition, Field, Statement, Unknown

LIST = "list:set"
MOST_MEMBERS = 65536
"""Beyond so many a set is not worked out: that costs more than an answer is worth."""
_FIELDS = {("ip", "src"): "saddr", ("ip", "dst"): "daddr", ("net", "src"): "saddr", ("net", "dst"): "daddr"} | {
    ("port", "src"): "sport",
    ("port", "dst"): "dport",
    ("iface", "src"): "iifname",
    ("iface", "dst"): "oifname",
}


@dataclass(frozen=True, slots=True)
class IpSet:
    """One set. Members are as ipset spells them, without their timeouts, counters and comments."""

    name: str
    type: str
    family: int
    members: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "type": self.type, "family": self.family, "members": list(self.members)}


def from_json(value: Iterable[Mapping[str, object]]) -> dict[str, IpSet]:
    """The inverse of :meth:`IpSet.to_json`, by name."""
    found = {}
    for item in value:
        members = item["members"]
        assert isinstance(members, list)  # noqa: S101  # as to_json wrote it
        family = item["family"]
        name = str(item["name"])
        found[name] = IpSet(name, str(item["type"]), int(str(family)), tuple(map(str, members)))
    return found


def parse_ipsets(text: str) -> tuple[IpSet, ...]:
    """What ``ipset save`` printed. Lines that are neither ``create`` nor ``add`` are passed over."""
    kinds: dict[str, tuple[str, int]] = {}
    members: dict[str, list[str]] = {}
    for line in text.splitlines():
        parts = shlex.split(line)
        if len(parts) >= 3 and parts[0] == "create":
            kinds[parts[1]] = (parts[2], 6 if "inet6" in parts[3:] else 4)
        elif len(parts) >= 3 and parts[0] == "add":
            excepted = " nomatch" if "nomatch" in parts[3:] else ""
            members.setdefault(parts[1], []).append(parts[2] + excepted)
    return tuple(IpSet(name, kind, family, tuple(members.get(name, ()))) for name, (kind, family) in kinds.items())


def match_set(match: Match, sets: Mapping[str, IpSet]) -> Statement:
    """The condition of ``--match-set NAME DIRECTIONS``."""
    text = f"{'! ' if match.negated else ''}{match.option} {' '.join(match.values)}".strip()
    found = sets.get(match.values[0]) if match.option == "--match-set" and len(match.values) == 2 else None
    if found is None:
        return Unknown("set", text)
    try:
        return _condition(found, tuple(match.values[1].split(",")), sets, negated=match.negated)
    except (ValueError, KeyError, IndexError):
        return Unknown(f"set {found.name}", text)


def _condition(found: IpSet, directions: tuple[str, ...], sets: Mapping[str, IpSet], *, negated: bool) -> Condition:
    members = list(found.members)
    if found.type == LIST:
        listed = [sets[name] for name in members]
        if len({one.type.partition(":")[2] for one in listed}) > 1:
            raise ValueError(found.type)
        members = [member for one in listed for member in one.members]
        found = listed[0] if listed else IpSet(found.name, "hash:ip", found.family)
    kinds = found.type.partition(":")[2].split(",")
    if len(members) > MOST_MEMBERS or any("nomatch" in member for member in members):
        raise ValueError(found.name)
    wanted = directions[: len(kinds)]
    fields: list[Field] = []
    for kind, direction in zip(kinds, wanted, strict=True):
        if kind == "port":
            fields.append(Field("protocol"))
        version = found.family if kind in {"ip", "net"} else 0
        fields.append(Field(_FIELDS[kind, direction], version))
    keys = [tuple(_items(member, kinds)) for member in members]
    if found.type == "bitmap:port":  # it has no protocol, and matches any that has ports
        fields, keys = fields[1:], [key[1:] for key in keys]
    return Condition(tuple(fields), Members.of(_merged(keys) if len(fields) == 1 else keys), negated)


def _items(member: str, kinds: Iterable[str]) -> Iterable[Item]:
    for kind, part in zip(kinds, member.split(","), strict=True):
        yield from _READERS[kind](part)


def _address(text: str) -> tuple[Item, ...]:
    return (parse_network(text)[1],)


def _port(text: str) -> tuple[Item, ...]:
    protocol, colon, port = text.rpartition(":")
    number = words.protocol_number(protocol) if colon else words.TCP
    if number is None:
        raise ValueError(text)
    low, _, high = port.partition("-")
    return (Span.one(number), Span(int(low), int(high or low)))


_READERS: dict[str, Callable[[str], tuple[Item, ...]]] = {
    "ip": _address,
    "net": _address,
    "port": _port,
    "iface": lambda text: (text,),
}


def _merged(keys: Iterable[Key]) -> list[Key]:
    """Spans that overlap as one: networks of a set may lie within one another."""
    spans = sorted(key[0] for key in keys if isinstance(key[0], Span))
    merged: list[Span] = []
    for span in spans:
        if merged and span.low <= merged[-1].high + 1:
            merged[-1] = Span(merged[-1].low, max(merged[-1].high, span.high))
        else:
            merged.append(span)
    return [*((span,) for span in merged), *(key for key in keys if isinstance(key[0], str))]
