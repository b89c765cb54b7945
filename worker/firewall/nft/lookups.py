"""The rules that stand in maps and sets, where a packet's cost does not grow with their number. Pure.

A published port is an element of a map; what lets its traffic in, its hairpin and the guards of containers' addresses are elements of
sets. One rule of each chain, its *lookup*, asks them all at once. An element carries its owner's id as a comment, as a rule does;
what goes along with it (the port of a translation, an exception) needs none.

A rule fits a lookup when it says exactly what the lookup's fields say, with ``! -i DEVICE`` or without. Such an exception stands in a
set of its own, by the same key with the device before it. All else (and a second rule of the same key) stands as a rule.

A port's map gives the address and the port of its translation at once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import ip_network
from itertools import product
from operator import attrgetter
from typing import Any, NamedTuple

from networks.cnm.iptables_text import parse_rule
from networks.cnm.names import CNM_NAMING
from networks.cnm.rules import Match, Rank, Rule, Target
from worker.firewall import layout, words

from .expressions import FAMILIES, TRANSPORTS, Expression, condition, join_destination, meta, payload

Value = str | int
ElementKey = tuple[Value, ...]
Place = tuple[str, int]
"""An address and a port."""
LOOKUP = ("nft", "--lookup")
_MARK = f"-m {LOOKUP[0]} {LOOKUP[1]} "
_CACHED = 1 << 16
_LONGEST_COMMENT = 127
"""Of an element, in bytes (NFTNL_UDATA_COMMENT_MAXLEN, with its end)."""
_DESTINATION = re.compile(r"(?:([0-9.]+)|\[([0-9a-f:.]+)\]):([1-9][0-9]*)\Z")
"""One address and one port."""
_TYPES = {"-s": "addr", "-d": "addr", "-i": "ifname", "-o": "ifname", "-p": "inet_proto", "--dport": "inet_service"}


class Element(NamedTuple):
    """One element of a set or map: in *set*, by *key*. A tuple, for they are made by the ten thousand."""

    set: str
    key: ElementKey
    value: Place | None = None
    """What a map gives; None in a set."""
    comment: str = ""


@dataclass(frozen=True, eq=False)
class Lookup:
    """The rules of one shape in one chain."""

    name: str
    """Of its set or map. ``NAME.not`` holds the exceptions."""
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

    @cached_property
    def exceptions(self) -> str:
        """The set of its exceptions."""
        return f"{self.name}.not"

    @cached_property
    def set_names(self) -> tuple[str, ...]:
        """All that it asks."""
        return (self.name, self.exceptions)

    @lru_cache(maxsize=64)  # noqa: B019  # lookups are few, and live as long as the process
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
        for source in self.kept_out(family):
            network = ip_network(source)
            prefix = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
            found.append(condition(payload(FAMILIES[family], "saddr"), prefix, but=True))
        if not self.translates:
            found.append(condition(_joined(key), f"@{self.name}"))
        found.append(condition(_joined([meta("iifname"), *key]), f"@{self.exceptions}", but=True))
        if not self.translates:
            return [*found, {self.target.lower(): None}]
        return [
            *found,
            {"dnat": {"family": FAMILIES[family], "addr": {"map": {"key": _joined(key), "data": f"@{self.name}"}}}},
        ]

    def sets(self, family: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """(``set`` or ``map``, definition) of all that it asks."""
        types = [_type(field, family) for field in self.fields]
        counted = {"stmt": [{"counter": None}]}
        if self.translates:
            given = " . ".join((_type("-d", family), _type("--dport", family)))
            yield "map", {"name": self.name, "type": types, "map": given} | counted
        else:
            yield "set", {"name": self.name, "type": types[0] if len(types) == 1 else types} | counted
        yield "set", {"name": self.exceptions, "type": ["ifname", *types]}

    def assemble(self, family: int, elements: list[Element]) -> Rule:
        """The rule that *elements* are. Raises :class:`ValueError` where the one without which it does nothing is missing."""
        by_set: dict[str, list[Element]] = {}
        for element in elements:
            by_set.setdefault(element.set, []).append(element)
        (first,) = by_set.get(self.name, [])
        matches: list[Match] = [Match("", "-s", (source,), True) for source in self.kept_out(family)]
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
            where = join_destination(*(first.value or ("", 0)))
            target = Target(self.target, (("--to-destination", (where,)),))
        return Rule(family=family, table=self.table, chain=self.chain, matches=tuple(matches), target=target)

    @lru_cache(maxsize=64)  # noqa: B019  # lookups are few, and live as long as the process
    def kept_out(self, family: int) -> list[str]:
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


class Held(NamedTuple):
    """Where a rule stands that is no line of its chain: behind the rule *via*, by *key*."""

    via: Rule
    key: ElementKey
    lookup: Lookup
    elements: tuple[Element, ...]


def lookup_for(rule: Rule) -> Held | None:
    """Where *rule* would stand, by its shape; None: in its chain. Remembered by its text, which says all of it."""
    known = _known[rule.family, rule.table]
    text = rule.text
    if text in known:
        return known[text]
    if len(known) >= _CACHED:
        known.clear()
    shape = _SHAPES.get(_shape(rule))
    held = known[text] = None if shape is None else shape.read(rule)
    return held


def known_lookups(family: int, table: str) -> Mapping[str, Held | None]:
    """Where rules would stand that were asked about before, by their text."""
    return _known[family, table]


def lookup_for_text(family: int, table: str, text: str) -> Held | None:
    """The same for a rule that may have been asked about before, and is not taken apart again then."""
    known = _known[family, table]
    return known[text] if text in known else lookup_for(parse_rule(text, family, table))


_known: dict[tuple[int, str], dict[str, Held | None]] = defaultdict(dict)


_said = attrgetter("module", "option", "negated", "joined")


def _shape(rule: Rule) -> tuple[object, ...]:
    """All that a rule says but for its values."""
    target = rule.target
    return rule.family, rule.table, rule.chain, target.name, len(target.options), tuple(map(_said, rule.matches))


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


@lru_cache(maxsize=1 << 14)
def _host(text: str) -> Value | None:
    address, _, length = text.partition("/")
    return address if length == ("128" if ":" in address else "32") else None


@lru_cache(maxsize=1 << 10)
def _device(text: str) -> Value | None:
    return None if text.endswith("+") else text


@lru_cache(maxsize=1 << 16)
def _port(text: str) -> Value | None:
    return int(text) if text.isdecimal() else None


@lru_cache(maxsize=1 << 4)
def _transport(text: str) -> Value | None:
    return text if text in TRANSPORTS else None


_FROM_TEXT: dict[str, Callable[[str], Value | None]] = {
    "-s": _host,
    "-d": _host,
    "-i": _device,
    "-o": _device,
    "-p": _transport,
    "--dport": _port,
}
"""The element's value for an option of iptables; None for what no element can say."""


def _to_text(option: str, value: Value) -> str:
    if option not in {"-s", "-d"}:
        return str(value)
    return f"{value}/128" if ":" in str(value) else f"{value}/32"


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the parts of an element stand in the rules of one shape: the places of their matches."""

    lookup: Lookup
    via: Rule
    key: tuple[tuple[int, Callable[[str], Value | None]], ...]
    kept_out: tuple[str, ...]
    exception: int = -1
    comment: int = -1

    def read(self, rule: Rule) -> Held | None:
        """The elements that *rule* is; None where its values are no element's."""
        matches, lookup = rule.matches, self.lookup
        key: Any = tuple([read(matches[at].values[0]) for at, read in self.key])
        comment = matches[self.comment].values[0] if self.comment >= 0 else ""
        if None in key or len(comment) > _LONGEST_COMMENT:
            return None
        if self.kept_out and tuple([match.values[0] for match in matches[: len(self.kept_out)]]) != self.kept_out:
            return None
        place = None
        if lookup.translates:
            where = _DESTINATION.match(rule.target.options[0][1][0])
            if where is None:
                return None
            place = (where[1] or where[2], int(where[3]))
        first = Element(lookup.name, key, place, comment)
        if self.exception < 0:
            return Held(self.via, key, lookup, (first,))
        device = _device(matches[self.exception].values[0])
        if device is None:
            return None
        return Held(self.via, key, lookup, (first, Element(lookup.exceptions, (device, *key))))


def _shapes() -> Iterator[tuple[tuple[object, ...], _Shape]]:
    """The shape of every rule that a lookup can hold: of each protocol, with an exception and without, with a comment and without."""
    for lookup, family, protocol in product(LOOKUPS, FAMILIES, TRANSPORTS):
        sample: dict[str, Value] = dict.fromkeys(("-s", "-d"), _NOWHERE[family])
        sample |= {"-i": "lo", "-o": "lo", "-p": protocol, "--dport": 1}
        key = tuple(sample[option] for option in lookup.fields)
        for comment, excepted in product(("", "said"), (False, True)):
            elements = [Element(lookup.name, key, (_NOWHERE[family], 1) if lookup.translates else None, comment)]
            elements += [Element(lookup.exceptions, ("lo", *key))] if excepted else []
            rule = lookup.assemble(family, elements)
            places = {(match.option, match.negated): at for at, match in enumerate(rule.matches)}
            yield (
                _shape(rule),
                _Shape(
                    lookup,
                    lookup.rule(family),
                    tuple((places[option, False], _FROM_TEXT[option]) for option in lookup.fields),
                    tuple(lookup.kept_out(family)),
                    places["-i", True] if excepted else -1,
                    places["--comment", False] if comment else -1,
                ),
            )


_NOWHERE = {4: "0.0.0.0", 6: "::"}  # noqa: S104  # a value like any other
_SHAPES = dict(_shapes())
