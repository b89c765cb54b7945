"""What the rules say of one address, or of one port: what tells parties apart, and what does not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address, ip_network
from itertools import pairwise

from .addresses import AnyAddress, AnyNetwork
from .ruleset.members import Span
from .ruleset.model import Chain, Condition, Field, Note, Rule, Ruleset, Statement, Translation, Verdict, VerdictMap
from .trace.world import World

ADDRESSES = frozenset({"saddr", "daddr", "ct.original.saddr", "ct.original.daddr", "ct.reply.saddr", "ct.reply.daddr"})
DEVICES = frozenset({"iifname", "oifname", "physin", "physout"})
PORTS = frozenset({"dport", "ct.original.dport"})
FAR: dict[int, AnyAddress] = {4: ip_address("203.0.113.7"), 6: ip_address("3fff:fff::7")}
"""An address of the internet at large that is nobody's (RFC 5737, RFC 9637)."""
UNUSUAL = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "127.0.0.0/8",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "255.255.255.255/32",
            "::/127",
            "fe80::/10",
            "ff00::/8",
        ),
    )
)
"""Addresses from which the kernel takes nothing, or that it treats apart (RFC 6890)."""
LINK_LOCAL = Span(int(ip_address("fe80::")), int(ip_address("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff")))
LEAST_EPHEMERAL = 32768
_TAG = re.compile(r'(?:-m comment --comment|comment) "?cnm:[^"\s]+"?')
"""What a rule of ours says of its owner: it decides nothing."""
Words = tuple[object, ...]


class AddressWords:
    """What rules say of an address and a device name: the rules that speak of many by themselves, those that speak of it alone by
    their words and by the run of such rules in which they stand."""

    def __init__(self, ruleset: Ruleset, world: World, version: int = 4) -> None:
        self._version = version
        self._count = 1 << FAR[version].max_prefixlen
        """How many addresses this version of IP has."""
        self._alone_of: dict[int | str, list[tuple[object, ...]]] = {}
        """An address as a number, or the name of a sandbox's device -> what the rules that speak of it alone say."""
        self._wide: list[tuple[object, Sequence[Statement]]] = []
        self._edges: set[int] = set()
        self._plugged = {plug.outer.name for plug in world.plugs}
        self._inside = {
            int(own.ip)
            for plug in (*world.plugs, *world.wires)
            for own in plug.inner.addresses
            if own.version == version
        }
        self._places = {0, self._count}
        for network in (*UNUSUAL, *(route.destination for route in world.routes), *_own(world)):
            if network.version == version:
                self._places |= {int(network.network_address), int(network.broadcast_address) + 1}
        for chain in ruleset.chains:
            self._read(chain)

    def _read(self, chain: Chain) -> None:
        run, before = 0, None
        for rule in chain.rules:
            speaks = [one for one in rule.statements if _speaks(one) and not self._general(one)]
            if exact_port(rule) is not None and _speaks_of_called(rule):
                continue  # a matter of the port that is called; it decides nothing of others
            if not speaks:
                run, before = run + 1, None
                continue
            alone = self._alone(speaks)
            if alone is None:
                run, before = run + 1, None
                self._wide.append((rule.key, speaks))
                self._note_edges(speaks)
                continue
            action = _action(rule)
            if action != before:
                run, before = run + 1, action
            self._alone_of.setdefault(alone, []).append((chain.place, chain.name, run, _words(rule, alone)))

    def _alone(self, speaks: Sequence[Statement]) -> int | str | None:
        """The one address, or the one plugged device, that the rule speaks of; None where it speaks of more, or of others too."""
        found: set[int | str] = set()
        for statement in speaks:
            if not isinstance(statement, Condition) or len(statement.fields) != 1 or statement.negated:
                return None
            item = statement.members.entries[0][0][0] if len(statement.members) == 1 else None
            if isinstance(item, Span) and item.low == item.high and statement.fields[0].mask is None:
                found.add(item.low)
            elif isinstance(item, str) and item in self._plugged:
                found.add(item)
            else:
                return None
        return next(iter(found)) if len(found) == 1 else None

    def _general(self, statement: Statement) -> bool:
        """A condition on devices none of which is a sandbox's: it does not tell sandboxes of one network apart."""
        if any(field.name not in DEVICES for field in _fields(statement)):
            return False
        names = [item for key, _ in _entries(statement) for item in key if isinstance(item, str)]
        return not any(name in self._plugged or name.endswith("*") for name in names)

    def _note_edges(self, speaks: Sequence[Statement]) -> None:
        for statement in speaks:
            for place, field in enumerate(_fields(statement)):
                if field.name == "saddr" and field.family in {0, self._version}:
                    for key, _ in _entries(statement):
                        item = key[place] if place < len(key) else None
                        if isinstance(item, Span) and self._is_ours(item.high):
                            self._edges |= {item.low, item.high + 1}

    @cached_property
    def outside(self) -> tuple[Span, ...]:
        """All addresses, in the intervals into which the rules cut them by their sources."""
        alone = [
            one for one in self._alone_of if isinstance(one, int) and self._is_ours(one) and one not in self._inside
        ]
        edges = sorted(
            {*self._places, *self._edges, *alone, *(number + 1 for number in alone), int(FAR[self._version])}
        )
        return tuple(Span(low, high - 1) for low, high in pairwise(edges))

    def _is_ours(self, number: int) -> bool:
        """Whether a number is an address of this version of IP: no rule speaks of the first addresses of IPv6."""
        return number < 1 << 32 if self._version == 4 else 1 << 32 <= number < self._count

    def of(self, address: AnyAddress, device: str) -> object:
        number = int(address)
        private = (tuple(self._alone_of.get(number, ())), tuple(self._alone_of.get(device, ())))
        wide = []
        for key, speaks in self._wide:
            parts = tuple(_part(statement, number, address.version, device) for statement in speaks)
            if any(parts):
                wide.append((key, parts))
        return (private, tuple(wide))


class PortWords:
    """What rules say of a port of somebody: those that ask for it, by their words but for the port and for addresses of sandboxes,
    which stand for their groups; and where they lead, what is said of it there."""

    def __init__(self, ruleset: Ruleset, groups: Mapping[int, int]) -> None:
        self._groups = groups
        self._exact: dict[tuple[int, int | None], list[tuple[int, Words, Rule]]] = {}
        """(port, the one address that is called too, or None) -> (place among all, place in its chain, rule)."""
        self._others: list[tuple[Words, Rule]] = []
        self._count = 0
        self._known: dict[tuple[int, int, int], Words] = {}
        for chain in ruleset.chains:
            self._read(chain)

    def _read(self, chain: Chain) -> None:
        """Rules for different ports never meet, so what counts of their order is only between which others they stand."""
        run = 0
        for rule in chain.rules:
            port = exact_port(rule)
            if port is not None:
                found = self._exact.setdefault((port, _called(rule)), [])
                self._count += 1
                found.append((self._count, (chain.place, chain.name, run), rule))
                continue
            run += 1
            if any(field.name in PORTS for one in rule.statements for field in _fields(one)):
                self._others.append(((chain.place, chain.name, run), rule))

    def of(self, protocol: int, port: int, address: int, deep: int = 0) -> Words:
        """Of *port* of the one who has *address*."""
        key = (protocol, port, address)
        if key not in self._known:
            self._known[key] = ()  # rules that lead to each other in a circle
            asking = (*self._exact.get((port, None), ()), *self._exact.get((port, address), ()))
            exact = [
                (*place, self._words(rule, protocol, port, deep))
                for _, place, rule in sorted(asking, key=lambda one: one[0])
                if _fits(rule, address)
            ]
            others = [
                (*place, part)
                for place, rule in self._others
                if (part := tuple(self._part(one, protocol, port, deep) for one in rule.statements)) and any(part)
            ]
            self._known[key] = (*exact, *others)
        return self._known[key]

    def _words(self, rule: Rule, protocol: int, port: int, deep: int) -> Words:
        text = _TAG.sub("", rule.text)
        found: list[object] = []
        for statement in rule.statements:
            if isinstance(statement, Translation):
                found.append(self._led_to(statement, protocol, port, deep))
                text = re.sub(r"--to-\S+ \S+|(?:dnat|snat|redirect) (?:ip6? )?to \S+", "", text)
            elif isinstance(statement, Condition) and statement.fields[0].name in ADDRESSES:
                name = statement.fields[0].name
                alike = name == "daddr" or _speaks_of_called(rule)
                for (item, *_), _value in statement.members:
                    found.append((name, statement.negated, self._group(item) if alike else item))
                text = re.sub(r"(?:! )?-[sd] \S+|ip6? [sd]addr (?:!= )?\S+", "", text)
        return (re.sub(rf"\b{port}\b", "#", text), *found)

    def _led_to(self, translation: Translation, protocol: int, port: int, deep: int) -> Words:
        spans = (translation.addresses, translation.ports)
        address = spans[0].low if spans[0] is not None and spans[0].low == spans[0].high else None
        number = spans[1].low if spans[1] is not None and spans[1].low == spans[1].high else port
        if translation.kind in {"masquerade", "snat"} and translation.lookup is None:
            return (translation.kind, *spans)
        if address is None or deep > 3 or translation.lookup is not None:
            return (translation.kind, *spans, port)
        there = self.of(protocol, number, address, deep + 1)
        return (translation.kind, self._group(Span.one(address)), there)

    def _group(self, item: object) -> object:
        known = isinstance(item, Span) and item.low == item.high and item.low in self._groups
        return ("group", self._groups[item.low]) if known and isinstance(item, Span) else item

    def _part(self, statement: Statement, protocol: int, port: int, deep: int) -> Words:
        """What of a set or map of ports speaks of this one: the rest of each such key, and its value."""
        found: list[object] = []
        for place, field in enumerate(_fields(statement)):
            if field.name not in PORTS:
                continue
            for key, value in _entries(statement):
                if _holds(key, place, port, field):
                    rest = tuple(self._group(item) for at, item in enumerate(key) if at != place)
                    exact = key[place] == Span.one(port)
                    found.append((place, None if exact else key[place], rest, self._value(value, protocol, port, deep)))
        return tuple(sorted(found, key=repr))

    def _value(self, value: object, protocol: int, port: int, deep: int) -> object:
        """Where a map leads to; an address beside a port, or alone."""
        if not isinstance(value, tuple) or not value or not isinstance(value[0], Span):
            return value
        address = value[0].low
        second = value[1] if len(value) > 1 else None
        number = second.low if isinstance(second, Span) else port
        if address not in self._groups or deep > 3:
            return value
        return (self._group(value[0]), self.of(protocol, number, address, deep + 1))


def exact_port(rule: Rule) -> int | None:
    """The one port that a rule asks for; None where it asks for several, for none, or for one that a program may send from."""
    for one in rule.statements:
        if isinstance(one, Condition) and len(one.fields) == 1 and one.fields[0].name == "dport" and not one.negated:
            item = one.members.entries[0][0][0] if len(one.members) == 1 else None
            if isinstance(item, Span) and item.low == item.high and item.low < LEAST_EPHEMERAL:
                return item.low
    return None


def _speaks_of_called(rule: Rule) -> bool:
    """Whether the only address that a rule speaks of is the one that is called (and calls itself, in a hairpin's)."""
    found = set()
    for one in rule.statements:
        for field in () if _of_nobody(one) else _fields(one):
            if field.name in ADDRESSES and field.name not in {"saddr", "daddr"}:
                return False
            if field.name in {"saddr", "daddr"}:
                only = isinstance(one, Condition) and len(one.fields) == 1 and len(one.members) == 1 and not one.negated
                found.add((field.name, one.members.entries[0][0][0] if only and isinstance(one, Condition) else None))
    items = {item for _, item in found}
    return "saddr" not in {name for name, _ in found} or (len(items) == 1 and len(found) == 2 and None not in items)


def _called(rule: Rule) -> int | None:
    """The one address that a rule asks for as the destination."""
    for one in rule.statements:
        if isinstance(one, Condition) and len(one.fields) == 1 and one.fields[0].name == "daddr" and not one.negated:
            item = one.members.entries[0][0][0] if len(one.members) == 1 else None
            if isinstance(item, Span) and item.low == item.high and one.fields[0].mask is None:
                return item.low
    return None


def _fits(rule: Rule, address: int) -> bool:
    """Whether what goes to *address* may match, by the rule's own condition on that."""
    for one in rule.statements:
        if isinstance(one, Condition) and len(one.fields) == 1 and one.fields[0].name == "daddr":
            held = any(_holds(key, 0, address, one.fields[0]) for key, _ in one.members)
            if held == one.negated:
                return False
    return True


def _own(world: World) -> Iterator[AnyNetwork]:
    """Each address of the host, and each network in which it has one with that network's first and last address, alone."""
    for device in world.devices:
        for own in device.addresses:
            for address in (own.ip, own.network.network_address, own.network.broadcast_address):
                yield ip_network(address)


def _speaks(statement: Statement) -> bool:
    return not _of_nobody(statement) and any(
        field.name in ADDRESSES or field.name in DEVICES for field in _fields(statement)
    )


def _of_nobody(statement: Statement) -> bool:
    """From anybody but link-local addresses (our own rule for IPv6): no party has such an address."""
    if (
        not isinstance(statement, Condition)
        or not statement.negated
        or [one.name for one in statement.fields] != ["saddr"]
    ):
        return False
    items = [item for (item, *_), _ in statement.members]
    return all(isinstance(item, Span) and LINK_LOCAL.low <= item.low and item.high <= LINK_LOCAL.high for item in items)


def _fields(statement: Statement) -> tuple[Field, ...]:
    if isinstance(statement, Condition | VerdictMap):
        return statement.fields
    if isinstance(statement, Translation):
        return (*statement.fields, *statement.port_fields)
    return ()


def _entries(statement: Statement) -> Iterator[tuple[tuple[object, ...], object]]:
    if isinstance(statement, Condition | VerdictMap):
        yield from statement.members.entries
    elif isinstance(statement, Translation) and statement.lookup is not None:
        yield from statement.lookup.entries


def _part(statement: Statement, number: int, version: int, device: str) -> object:
    """What of a set or map speaks of the address (or device), field by field: the rest of each such key, and its value."""
    found = []
    for place, field in enumerate(_fields(statement)):
        if field.name in ADDRESSES and (not field.family or field.family == version):
            found += [
                (place, *_rest(key, place, value))
                for key, value in _entries(statement)
                if _holds(key, place, number, field)
            ]
        elif field.name in DEVICES and device:
            found += [
                (place, *_rest(key, place, value)) for key, value in _entries(statement) if _named(key, place, device)
            ]
    return tuple(sorted(found, key=repr))


def _rest(key: tuple[object, ...], place: int, value: object) -> tuple[object, ...]:
    """The key without the item at *place* where that is one address (else with it), and the value."""
    item = key[place] if place < len(key) else None
    exact = isinstance(item, Span) and item.low == item.high
    return (None if exact and len(key) > 1 else item, key[:place], key[place + 1 :], value)


def _holds(key: tuple[object, ...], place: int, number: int, field: Field) -> bool:
    item = key[place] if place < len(key) else None
    value = number & field.mask if field.mask is not None else number
    return isinstance(item, Span) and item.low <= value <= item.high


def _named(key: tuple[object, ...], place: int, device: str) -> bool:
    item = key[place] if place < len(key) else None
    return isinstance(item, str) and (device.startswith(item[:-1]) if item.endswith("*") else item == device)


def _action(rule: Rule) -> object:
    """What a rule does where it matches. Rules of one action commute, so their order among each other tells nobody apart."""
    kept = [one for one in rule.statements if not isinstance(one, Condition | Note)]
    last = kept[-1] if len(kept) == 1 else None
    if isinstance(last, Verdict):
        return (last.name, last.chain, last.detail)
    if isinstance(last, Translation) and last.lookup is None:
        return (last.kind, last.family, last.addresses, last.ports)
    return rule.key  # marks, limits, maps: each for itself, in its place


def _words(rule: Rule, value: int | str) -> str:
    """The rule's words without the one that it speaks of, and without our own comment."""
    name = str(ip_address(value)) if isinstance(value, int) else value
    return re.sub(rf"(?<![\w.:]){re.escape(name)}(?:/(?:32|128))?(?![\w.:])", "@", _TAG.sub("", rule.text))
