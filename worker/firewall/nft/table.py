"""Our table of one address family as the kernel holds it, and the commands that take it elsewhere. Pure.

The kernel's own chains of iptables are base chains here, made with the first rule in them and taken away with the last one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from networks.cnm.iptables_text import Saved, SavedChain, SavedRule

from . import expressions
from .expressions import chain_place
from .lookups import LOOKUPS, Element, ElementKey, Lookup

NAME = "cnm"
ChainKey = tuple[str, str]
"""(table, chain), as iptables calls them."""
Command = dict[str, Any]

BASE_CHAINS: Mapping[ChainKey, tuple[str, str, int]] = {
    ("raw", "PREROUTING"): ("filter", "prerouting", -300),
    ("nat", "PREROUTING"): ("nat", "prerouting", -100),
    ("nat", "OUTPUT"): ("nat", "output", -100),
    ("nat", "POSTROUTING"): ("nat", "postrouting", 100),
    ("filter", "INPUT"): ("filter", "input", 0),
    ("filter", "FORWARD"): ("filter", "forward", 0),
    ("filter", "OUTPUT"): ("filter", "output", 0),
}
"""(type, hook, priority): where iptables has the chain of that name (linux/netfilter_ipv4.h)."""


@dataclass(slots=True)
class Line:
    """A rule that stands in a chain."""

    text: str
    handle: int | None = None
    """None: it is not in the kernel yet."""
    packets: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Gathered:
    """A rule that stands in a map or set."""

    lookup: Lookup
    key: ElementKey
    packets: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Table:
    """What the kernel holds. The text of each rule is the one that iptables would print."""

    family: int
    exists: bool = False
    chains: dict[ChainKey, list[Line]] = field(default_factory=dict)
    policies: dict[ChainKey, str] = field(default_factory=dict)
    elements: dict[str, dict[ElementKey, Element]] = field(default_factory=dict)
    """By set; a set that does not exist is missing."""
    gathered: dict[ChainKey, dict[str, Gathered]] = field(default_factory=lambda: defaultdict(dict))
    """Rules by their text, where their lookup stands in the chain: without it an element does nothing."""
    taken: set[tuple[str, ElementKey]] = field(default_factory=set)
    """(name of the lookup, key) of each of them."""
    exceptions: dict[str, dict[ElementKey, list[Element]]] = field(default_factory=dict)
    """What a lookup leaves out (``! -i BRIDGE``): by its name, then by the key that it looks for."""
    foreign: bool = False
    """Whether others keep more than chains and rules in it."""

    def asks(self, lookup: Lookup) -> bool:
        """Whether the one rule of *lookup* stands in its chain."""
        text = lookup.rule(self.family).text
        return any(line.text == text for line in self.chains.get((lookup.table, lookup.chain), ()))

    def saved(self, *, counters: bool = False) -> Saved:
        """The table as an iptables-save. A gathered rule names the lookup that it stands behind."""
        chains = [SavedChain(table, name, self.policies.get((table, name), "-")) for table, name in self.chains]
        lines: list[SavedRule] = []
        for (table, chain), standing in self.chains.items():
            behind: dict[str, list[SavedRule]] = defaultdict(list)
            for text, item in self.gathered.get((table, chain), {}).items():
                via = item.lookup.rule(self.family).text
                behind[via].append(SavedRule(table, chain, text, item.packets, item.bytes, via, item.key))
            for line in standing:
                lines += behind.pop(line.text, ())
                lines.append(SavedRule(table, chain, line.text, line.packets, line.bytes))
        if not counters:
            lines = [replace(line, packets=0, bytes=0) for line in lines]
        return Saved(self.family, tuple(chains), tuple(lines))


def parse_table(family: int, objects: Iterable[Mapping[str, Any]]) -> Table:
    """The table that ``nft -j list table`` printed."""
    table = Table(family)
    known = {name for lookup in LOOKUPS for name in lookup.set_names}
    counters: dict[tuple[str, ElementKey], tuple[int, int]] = {}
    for item in objects:
        ((kind, value),) = item.items()
        if kind == "table":
            table.exists = True
        elif kind == "chain":
            _read_chain(table, value)
        elif kind == "rule":
            _read_rule(table, value)
        elif kind in {"set", "map"} and value["name"] in known:
            table.elements[value["name"]] = dict(_read_elements(value, counters))
        elif kind != "metainfo":
            table.foreign = True
    for lookup in LOOKUPS:
        table.exceptions[lookup.name] = _exceptions(table, lookup)
        if table.asks(lookup):
            found = dict(_gather(table, lookup, counters))
            table.gathered[lookup.table, lookup.chain] |= found
            table.taken |= {(lookup.name, item.key) for item in found.values()}
    return table


def _read_chain(table: Table, value: Mapping[str, Any]) -> None:
    place = chain_place(value["name"])
    table.chains.setdefault(place, [])
    if "hook" in value:
        table.policies[place] = value.get("policy", "accept").upper()


def _read_rule(table: Table, value: Mapping[str, Any]) -> None:
    place = chain_place(value["chain"])
    comment = value.get("comment", "")
    lookup = _lookup_of(table.family, place, value["expr"])
    if lookup is not None and not comment:
        line = Line(lookup.rule(table.family).text, value["handle"])
    else:
        parsed = expressions.parse_rule(value["expr"], comment, table.family, *place)
        line = Line(parsed.rule.text, value["handle"], parsed.packets, parsed.bytes)
    table.chains.setdefault(place, []).append(line)


def _lookup_of(family: int, place: ChainKey, found: list[dict[str, Any]]) -> Lookup | None:
    for lookup in LOOKUPS:
        if (lookup.table, lookup.chain) == place and lookup.expressions(family) == found:
            return lookup
    return None


def _read_elements(
    value: Mapping[str, Any], counters: dict[tuple[str, ElementKey], tuple[int, int]]
) -> Iterator[tuple[ElementKey, Element]]:
    name, is_map = value["name"], "map" in value
    for item in value.get("elem", ()):
        left, right = item if is_map else (item, None)
        wrapped = left["elem"] if isinstance(left, dict) and "elem" in left else {"val": left}
        inner = wrapped["val"]
        key = tuple(inner["concat"]) if isinstance(inner, dict) else (inner,)
        if "counter" in wrapped:
            counters[name, key] = (wrapped["counter"]["packets"], wrapped["counter"]["bytes"])
        address_and_port = tuple(right["concat"]) if right is not None else None
        yield key, Element(name, key, address_and_port, wrapped.get("comment", ""))


def _gather(
    table: Table, lookup: Lookup, counters: Mapping[tuple[str, ElementKey], tuple[int, int]]
) -> Iterator[tuple[str, Gathered]]:
    exceptions = table.exceptions[lookup.name]
    for key, first in table.elements.get(lookup.name, {}).items():
        parts = [first, *exceptions.get(key, ())]
        rule = lookup.assemble(table.family, parts)
        yield rule.text, Gathered(lookup, key, *counters.get((lookup.name, key), (0, 0)))


def _exceptions(table: Table, lookup: Lookup) -> dict[ElementKey, list[Element]]:
    found: dict[ElementKey, list[Element]] = {}
    for key, element in table.elements.get(lookup.exceptions, {}).items():
        found.setdefault(key[1:], []).append(element)
    return found
