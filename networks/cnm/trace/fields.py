"""What a packet shows to a condition, and whether a condition holds: yes, no, or not to be said from the packet alone."""

from __future__ import annotations

from collections.abc import Callable

from networks.cnm.ruleset import words
from networks.cnm.ruleset.members import Item, Key, Span
from networks.cnm.ruleset.model import Condition, Field

from .packet import Packet, Tuple
from .routing import address_kind, find_way
from .world import World

Value = Item | None
"""None: the packet has no such thing."""
_KINDS = {"local": 2, "broadcast": 3, "multicast": 5}


def condition_holds(condition: Condition, packet: Packet, world: World) -> bool | None:
    """None: it depends on something that the question leaves open (such as the source port)."""
    values = read_values(condition.fields, packet, world)
    if values is None:
        return False  # nft and iptables alike: a rule about what the packet lacks does not match, negated or not
    if condition.bits is not None:
        value = values[0]
        found: bool | None = isinstance(value, Span) and bool(value.low & condition.bits)
    else:
        found, _ = condition.members.find(values)
    if found is None:
        return None
    return found != condition.negated


def read_values(fields: tuple[Field, ...], packet: Packet, world: World) -> Key | None:
    """The packet's values of *fields*; None where it lacks one of them."""
    values = []
    for field in fields:
        value = read_field(field, packet, world)
        if value is None:
            return None
        values.append(value)
    return tuple(values)


def read_field(field: Field, packet: Packet, world: World) -> Value:
    if field.family and field.family != packet.family:
        return None
    if field.protocol and field.protocol != packet.protocol:
        return None
    value = _READERS[field.name](packet, world) if field.name in _READERS else _of_connection(field.name, packet)
    if field.mask is not None and isinstance(value, Span):
        # A mask over a span that is open says nothing certain; over one number it does.
        return Span.one(value.low & field.mask) if value.low == value.high else Span(0, field.mask)
    return value


def _source(packet: Packet, _world: World) -> Value:
    return Span.one(int(packet.now.source))


def _destination(packet: Packet, _world: World) -> Value:
    return Span.one(int(packet.now.destination))


def _sport(packet: Packet, _world: World) -> Value:
    return packet.now.sport if packet.protocol in words.WITH_PORTS else None


def _dport(packet: Packet, _world: World) -> Value:
    return packet.now.dport if packet.protocol in words.WITH_PORTS else None


def _icmp(place: int) -> Callable[[Packet, World], Value]:
    return lambda packet, _world: None if packet.icmp is None else Span.one(packet.icmp[place])


def _address_type(which: str) -> Callable[[Packet, World], Value]:
    def read(packet: Packet, world: World) -> Value:
        kind = address_kind(world, packet.now.source if which == "source" else packet.now.destination)
        return Span.one(_KINDS.get(kind, 1))

    return read


def _way_back(packet: Packet, world: World) -> Value:
    """The device that the way back leads through, if it is the one that the packet came in by; else nothing."""
    back = find_way(world, packet.now.source, source=packet.now.destination, mark=packet.mark)
    return packet.iif if back.kind == "unicast" and back.device == packet.iif else ""


def _of_connection(name: str, packet: Packet) -> Value:
    connection = packet.connection if packet.tracked else None
    if name == "ct.state":
        return Span.one(packet.state_bits())
    if connection is None:
        return None
    if name == "ct.status":
        return Span.one(connection.status)
    if name == "ct.mark":
        return Span.one(connection.mark)
    if name == "ct.direction":
        return Span.one(1 if packet.reply else 0)
    if name == "ct.protocol":
        return Span.one(connection.protocol)
    _, direction, part = name.split(".")
    return _part(connection.original if direction == "original" else connection.reply, part)


def _part(of: Tuple, part: str) -> Value:
    if part == "saddr":
        return Span.one(int(of.source))
    if part == "daddr":
        return Span.one(int(of.destination))
    return of.sport if part == "sport" else of.dport


_READERS: dict[str, Callable[[Packet, World], Value]] = {
    "saddr": _source,
    "daddr": _destination,
    "sport": _sport,
    "dport": _dport,
    "protocol": lambda packet, _world: Span.one(packet.protocol),
    "nfproto": lambda packet, _world: Span.one(2 if packet.family == 4 else 10),
    "iifname": lambda packet, _world: packet.iif,
    "oifname": lambda packet, _world: packet.oif,
    "physin": lambda packet, _world: packet.physin or None,
    "physout": lambda packet, _world: packet.physout or None,
    "mark": lambda packet, _world: Span.one(packet.mark),
    "pkttype": lambda packet, _world: Span.one(0),
    "fragment": lambda packet, _world: Span.one(0),
    "tcp.flags": lambda packet, _world: Span.one(packet.flags) if packet.protocol == words.TCP else None,
    "icmp.type": _icmp(0),
    "icmp.code": _icmp(1),
    "fib.saddr.type": _address_type("source"),
    "fib.daddr.type": _address_type("destination"),
    "fib.oif": _way_back,
}
