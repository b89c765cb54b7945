"""The rules that stand in maps and sets, where a packet's cost does not grow with their number. Pure.

A published port is an element of a map; what lets its traffic in, its hairpin and the guards of containers' addresses are elements of
sets. One rule of each chain, its *lookup*, asks them all at once. An element carries its owner's id as a comment, as a rule does.

A rule fits a lookup when it says exactly what the lookup's fields say, with ``! -i DEVICE`` or without. Such an exception stands in a
set of its own, by the same key with the device before it. All else (and a second rule of the same key) stands as a rule.

nft 1.0.6 takes no map whose values are an address and a port at once (by JSON), so a port's address and its port are two maps of one
key; the packet that opens a connection asks both, and an element that stands in only one of them translates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from networks.cnm.iptables_text import quote
from networks.cnm.names import CNM_NAMING
from networks.cnm.rules import Match, Rank, Rule, Target
from worker.firewall import layout, words

from .expressions import FAMILIES, TRANSPORTS, Expression, condition, join_destination, meta, payload, split_destination

Value = str | int
ElementKey = tuple[Value, ...]
LOOKUP = ("nft", "--lookup")
_MARK = f"-m {LOOKUP[0]} {LOOKUP[1]} "
_CACHED = 1 << 16
_TYPES = {"-s": "addr", "-d": "addr", "-i": "ifname", "-o": "ifname", "-p": "inet_proto", "--dport": "inet_service"}


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a set or map: in *set*, by *key*."""

    set: str
    key: ElementKey
    value: Value | None = None
    """What a map gives; None in a set."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The rules of one shape in one chain."""

    name: str
    """Of its set or map. ``NAME.port`` holds the ports of a translation, ``NAME.not`` the exceptions."""
    table: str
    chain: str
    fields: tuple[str, ...]
    """The options of iptables that make the key, as iptables prints them."""
    target: str
    rank: Rank
    """Where its one rule stands among the chain's others."""
    but: tuple[tuple[int, str], ...] = ()
    """(family, CIDR): sources that none of its rules is for."""

    @property
    def translates(self) -> bool:
        return self.target == "DNAT"

    @property
    def exceptions(self) -> str:
        """The set of its exceptions."""
        return f"{self.name}.not"

    @property
    def set_names(self) -> tuple[str, ...]:
        """All that it asks."""
        ports = (f"{self.name}.port",) if self.translates else ()
        return (self.name, *ports, self.exceptions)

    def rule(self, family: int) -> Rule:
        """The rule that looks up, as data that no other backend has a word for."""
        return Rule(
            family=family,
            table=self.table,
            chain=self.chain,
            matches=(Match(*LOOKUP, (self.name,)),),
            target=Target(self.target),
            rank=self.rank,
        )

    def expressions(self, family: int) -> list[Expression]:
        """What that rule does. Its set counts for each element by itself."""
        key = [_render_field(field, family) for field in self.fields]
        found = []
        if "-p" in self.fields:
            found.append(condition(meta("l4proto"), {"set": list(TRANSPORTS)}))
        for source in self._kept_out(family):
            network = ip_network(source)
            prefix = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
            found.append(condition(payload(FAMILIES[family], "saddr"), prefix, but=True))
        if not self.translates:
            found.append(condition(_joined(key), f"@{self.name}"))
        found.append(condition(_joined([meta("iifname"), *key]), f"@{self.exceptions}", but=True))
        if not self.translates:
            return [*found, {self.target.lower(): None}]
        maps = {
            part: {"map": {"key": _joined(key), "data": f"@{name}"}}
            for part, name in (("addr", self.name), ("port", f"{self.name}.port"))
        }
        return [*found, {"dnat": maps}]

    def sets(self, family: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """(``set`` or ``map``, definition) of all that it asks."""
        types = [_type(field, family) for field in self.fields]
        counted = {"stmt": [{"counter": None}]}
        if self.translates:
            yield "map", {"name": self.name, "type": types, "map": _type("-d", family)} | counted
            yield "map", {"name": f"{self.name}.port", "type": types, "map": "inet_service"}
        else:
            yield "set", {"name": self.name, "type": types[0] if len(types) == 1 else types} | counted
        yield "set", {"name": self.exceptions, "type": ["ifname", *types]}

    def key(self, rule: Rule) -> ElementKey | None:
        """The key under which *rule* would stand here; None when it is of another shape."""
        if (rule.table, rule.chain, rule.target.name) != (self.table, self.chain, self.target):
            return None
        values = {match.option: match.values[0] for match in rule.matches if match.values and not match.negated}
        try:
            key = tuple(_from_text(field, values[field]) for field in self.fields)
            elements = list(self.elements(rule, key))
            again = self.assemble(rule.family, elements)
        except (KeyError, ValueError, IndexError):
            return None
        return key if (again.matches, again.target) == (rule.matches, rule.target) else None

    def elements(self, rule: Rule, key: ElementKey) -> Iterator[Element]:
        """What *rule* is made of."""
        comment = rule.matches[-1].values[0] if rule.matches[-1].option == "--comment" else ""
        if self.translates:
            address, port = split_destination(rule.target.options[0][1][0])
            yield Element(self.name, key, address, comment)
            yield Element(f"{self.name}.port", key, port, comment)
        else:
            yield Element(self.name, key, None, comment)
        for match in rule.matches:
            if match.option == "-i" and match.negated:
                yield Element(self.exceptions, (match.values[0], *key), None, comment)

    def assemble(self, family: int, elements: list[Element]) -> Rule:
        """The rule that *elements* are. Raises :class:`ValueError` where one without which it does nothing is missing."""
        by_set: dict[str, list[Element]] = {}
        for element in elements:
            by_set.setdefault(element.set, []).append(element)
        (first,) = by_set.get(self.name, [])
        matches: list[Match] = [Match("", "-s", (source,), True) for source in self._kept_out(family)]
        values = dict(zip(self.fields, first.key, strict=True))
        exceptions = [Match("", "-i", (str(item.key[0]),), True) for item in by_set.get(self.exceptions, ())]
        for option in ("-s", "-d", "-i", "-o"):
            if option in values:
                matches.append(Match("", option, (_to_text(option, values[option]),)))
            if option == "-i":
                matches += exceptions
        if "-p" in values:
            matches += words.to_port(str(values["-p"]), int(values["--dport"]))
        if first.comment:
            matches.append(Match("comment", "--comment", (first.comment,)))
        target = Target(self.target)
        if self.translates:
            (port,) = by_set.get(f"{self.name}.port", [])
            where = join_destination(str(first.value), int(port.value or 0))
            target = Target(self.target, (("--to-destination", (where,)),))
        return Rule(family=family, table=self.table, chain=self.chain, matches=tuple(matches), target=target)

    def _kept_out(self, family: int) -> list[str]:
        return [source for version, source in self.but if version == family]


_PORT = ("-p", "--dport")
_NO_LINK_LOCAL = ((6, str(words.LINK_LOCAL_IPV6)),)
LOOKUPS = (
    Lookup("ports-at", "nat", CNM_NAMING.chain, ("-d", *_PORT), "DNAT", layout.looked_up(2, 0), _NO_LINK_LOCAL),
    Lookup("ports", "nat", CNM_NAMING.chain, _PORT, "DNAT", layout.looked_up(2, 1), _NO_LINK_LOCAL),
    Lookup("hairpins", "nat", "POSTROUTING", ("-s", "-d", *_PORT), "MASQUERADE", layout.looked_up(2, 0)),
    Lookup("admitted", "filter", CNM_NAMING.chain, ("-d", "-o", *_PORT), "ACCEPT", layout.looked_up(1, 0)),
    Lookup("guarded", "raw", "PREROUTING", ("-d",), "DROP", layout.looked_up(2, 0)),
    Lookup("guarded-ports", "raw", "PREROUTING", ("-d", *_PORT), "DROP", layout.looked_up(2, 1)),
)
BY_NAME = {lookup.name: lookup for lookup in LOOKUPS}


def lookup_of(text: str) -> Lookup | None:
    """The lookup whose one rule prints as *text*."""
    _, mark, rest = text.partition(_MARK)
    return BY_NAME.get(rest.partition(" ")[0]) if mark else None


@lru_cache(maxsize=_CACHED)
def lookup_for(rule: Rule) -> tuple[Lookup, ElementKey] | None:
    """Where *rule* would stand, by its shape; None: in its chain."""
    for lookup in LOOKUPS:
        key = lookup.key(rule)
        if key is not None:
            return lookup, key
    return None


def slot_name(key: ElementKey) -> str:
    """A key in one word."""
    return " . ".join(quote(value) if isinstance(value, str) else str(value) for value in key)


def _render_field(field: str, family: int) -> Expression:
    return {
        "-s": payload(FAMILIES[family], "saddr"),
        "-d": payload(FAMILIES[family], "daddr"),
        "-i": meta("iifname"),
        "-o": meta("oifname"),
        "-p": meta("l4proto"),
        "--dport": payload("th", "dport"),
    }[field]


def _joined(parts: list[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else {"concat": parts}


def _type(field: str, family: int) -> str:
    name = _TYPES[field]
    return f"ipv{family}_{name}" if name == "addr" else name


def _from_text(option: str, text: str) -> Value:
    """The element's value for an option of iptables. Raises :class:`ValueError` for what no element can say."""
    if option in {"-s", "-d"}:
        network = ip_network(text)
        if network.prefixlen != network.max_prefixlen:
            raise ValueError(text)
        return str(network.network_address)
    if option in {"-i", "-o"}:
        if text.endswith("+"):
            raise ValueError(text)
        return text
    if option == "--dport":
        return int(text)
    if text not in TRANSPORTS:
        raise ValueError(text)
    return text


def _to_text(option: str, value: Value) -> str:
    return str(ip_network(str(value))) if option in {"-s", "-d"} else str(value)
