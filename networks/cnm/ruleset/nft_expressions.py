"""What the expressions and statements of nft's JSON mean (libnftables-json(5), nft(8))."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from . import words
from .members import Item, Key, Members, Span, network_span
from .model import (
    Condition,
    Depends,
    Field,
    NamedSet,
    Note,
    SetMark,
    Statement,
    Translation,
    Unknown,
    Untrack,
    Verdict,
    VerdictMap,
)

Json = Mapping[str, Any]
Sets = Callable[[str], NamedSet | None]
VERDICTS = frozenset({"accept", "drop", "return", "continue", "jump", "goto"})
HARMLESS = frozenset(
    {
        "counter",
        "log",
        "set",
        "map",
        "dup",
        "ct helper",
        "ct timeout",
        "ct expectation",
        "flow",
        "last",
        "add",
        "update",
    }
)
MORE_THAN_THE_PACKET = frozenset({"limit", "quota", "ct count", "meter"})
FAMILIES = {"ip": 4, "ip6": 6}
FULL_MARK = 0xFFFFFFFF
FLAG_NAMES = {"ct.state": words.CT_STATES, "ct.status": words.CT_STATUS, "tcp.flags": words.TCP_FLAGS}
NAMES = {
    "ipv4": 2, "ipv6": 10,  # meta nfproto
    "original": 0, "reply": 1,  # ct direction
}  # fmt: skip
_PAYLOAD = {
    ("ip", "saddr"): Field("saddr", 4),
    ("ip", "daddr"): Field("daddr", 4),
    ("ip", "protocol"): Field("protocol", 4),
    ("ip6", "saddr"): Field("saddr", 6),
    ("ip6", "daddr"): Field("daddr", 6),
    ("ip6", "nexthdr"): Field("protocol", 6),
    ("tcp", "flags"): Field("tcp.flags", protocol=words.TCP),
    ("icmp", "type"): Field("icmp.type", protocol=words.ICMP),
    ("icmp", "code"): Field("icmp.code", protocol=words.ICMP),
    ("icmpv6", "type"): Field("icmp.type", protocol=words.ICMPV6),
    ("icmpv6", "code"): Field("icmp.code", protocol=words.ICMPV6),
    ("th", "sport"): Field("sport"),
    ("th", "dport"): Field("dport"),
} | {
    (name, field): Field(field, protocol=words.PROTOCOLS[name])
    for name in ("tcp", "udp", "sctp", "dccp", "udplite")
    for field in ("sport", "dport")
}
_META = {
    "iifname": "iifname", "oifname": "oifname", "iif": "iifname", "oif": "oifname", "mark": "mark", "l4proto": "protocol",
    "nfproto": "nfproto", "pkttype": "pkttype", "ibrname": "iifname", "obrname": "oifname",
}  # fmt: skip
_CT = {"state": "ct.state", "status": "ct.status", "mark": "ct.mark", "direction": "ct.direction"}
_CT_TUPLE = {
    "saddr": "saddr", "daddr": "daddr", "ip saddr": "saddr", "ip daddr": "daddr", "ip6 saddr": "saddr", "ip6 daddr": "daddr",
    "proto-src": "sport", "proto-dst": "dport",
}  # fmt: skip


class NotModelled(ValueError):
    """An expression that this model does not know."""


def read_statement(one: Json, family: str, sets: Sets) -> Iterator[Statement]:
    """The statements of one entry of a rule's ``expr``."""
    ((kind, value),) = one.items() if isinstance(one, dict) and len(one) == 1 else (("unknown", one),)
    try:
        yield _statement(kind, value, family, sets)
    except (NotModelled, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        yield Unknown(kind, repr(one), ends=kind not in {"match"})


def _statement(kind: str, value: Any, family: str, sets: Sets) -> Statement:
    if kind == "match":
        return _match(value, sets)
    if kind in VERDICTS:
        return _verdict({kind: value})
    if kind == "reject":
        return Verdict("reject", detail=str((value or {}).get("expr") or (value or {}).get("type") or ""))
    if kind == "vmap":
        return _vmap(value, sets)
    if kind in {"dnat", "snat", "masquerade", "redirect"}:
        return _translation(kind, value or {}, family, sets)
    if kind == "mangle":
        return _mangle(value)
    if kind == "notrack":
        return Untrack()
    if kind in MORE_THAN_THE_PACKET:
        return Depends(kind)
    if kind in HARMLESS:
        return Note(kind)
    if kind == "xt":
        name = (value or {}).get("name", "")
        return Unknown(f"xt {name}".strip(), repr(value), ends=(value or {}).get("type") != "match")
    raise NotModelled(kind)


def _match(value: Json, sets: Sets) -> Condition | Depends:
    left, right, operator = value["left"], value["right"], value["op"]
    if isinstance(left, dict) and next(iter(left), "") in {"numgen", "jhash", "symhash", "socket", "osf", "rt"}:
        return Depends(next(iter(left)))
    if isinstance(left, dict) and left.get("meta", {}).get("key") in {
        "skuid", "skgid", "time", "day", "hour", "cpu", "random", "cgroup", "length", "ipsec", "secpath",
    }:  # fmt: skip
        return Depends(f"meta {left['meta']['key']}")
    fields = read_fields(left)
    if operator == "in" or (len(fields) == 1 and fields[0].name == "ct.state" and not _is_set(right)):
        return _match_flags(fields[0], right, operator)
    negated = operator == "!="
    if operator in {"<", ">", "<=", ">="}:
        return Condition(fields, Members.of([(_beyond(operator, _number(right, fields[0])),)]))
    if fields[0].name == "fib.oif" and isinstance(right, bool):
        return Condition(fields, Members.of([("",)]), negated=right != negated)
    if isinstance(right, str) and right.startswith("@"):
        return Condition(fields, _set_named(right, sets), negated)
    return Condition(fields, members_of_set(right["set"] if _is_set(right) else [right], fields), negated)


def _match_flags(field: Field, right: Any, operator: str) -> Condition:
    """``ct state new,established`` and ``tcp flags syn``: any of these bits. ``ct state != new`` is *not* any of them."""
    names = FLAG_NAMES.get(field.name)
    if names is None:
        raise NotModelled(field.name)
    flags = right if isinstance(right, list) else right["|"] if isinstance(right, dict) and "|" in right else [right]
    bits = sum(names[flag] if isinstance(flag, str) else int(flag) for flag in flags)
    return Condition((field,), Members.of(()), operator == "!=", bits)


def _beyond(operator: str, number: int) -> Span:
    most = (1 << 128) - 1
    return {
        "<": Span(0, number - 1),
        "<=": Span(0, number),
        ">": Span(number + 1, most),
        ">=": Span(number, most),
    }[operator]


def _set_named(reference: str, sets: Sets) -> Members[Any]:
    found = sets(reference[1:])
    if found is None or found.members is None:
        raise NotModelled(reference)
    return found.members


def _is_set(value: Any) -> bool:
    return isinstance(value, dict) and "set" in value


def read_fields(left: Any) -> tuple[Field, ...]:
    """The fields of an expression: one, or those of a concatenation."""
    if isinstance(left, dict) and "concat" in left:
        return tuple(_field(part) for part in left["concat"])
    return (_field(left),)


def _field(left: Json) -> Field:
    ((kind, value),) = left.items()
    if kind == "payload":
        if "protocol" not in value or (value["protocol"], value["field"]) not in _PAYLOAD:
            raise NotModelled(str(value))
        return _PAYLOAD[value["protocol"], value["field"]]
    if kind == "meta":
        if value["key"] not in _META:
            raise NotModelled(value["key"])
        return Field(_META[value["key"]])
    if kind == "ct":
        return _ct_field(value)
    if kind == "fib":
        return _fib_field(value)
    if kind == "&":
        inner, mask = value
        field = _field(inner)
        return Field(field.name, field.family, field.protocol, _number(mask, field))
    raise NotModelled(kind)


def _ct_field(value: Json) -> Field:
    key, direction = value["key"], value.get("dir")
    if direction is None and key in _CT:
        return Field(_CT[key])
    if direction == "original" and key in _CT_TUPLE:
        family = 6 if key.startswith("ip6") else 4 if key.startswith("ip ") else 0
        return Field(f"ct.original.{_CT_TUPLE[key]}", family)
    if direction == "reply" and key in _CT_TUPLE:
        return Field(f"ct.reply.{_CT_TUPLE[key]}")
    raise NotModelled(key)


def _fib_field(value: Json) -> Field:
    flags = set(value["flags"] if isinstance(value["flags"], list) else [value["flags"]])
    if value["result"] == "type" and flags in ({"daddr"}, {"saddr"}):
        return Field(f"fib.{flags.pop()}.type")
    if value["result"] in {"oif", "oifname"} and flags in ({"saddr", "iif"}, {"saddr", "mark", "iif"}):
        return Field("fib.oif")
    raise NotModelled("fib")


def members_of_set(elements: Any, kinds: Iterable[Field] | Iterable[str]) -> Members[None]:
    """A set of elements; *kinds* are the fields it is compared with, or the types it was declared with."""
    typed = list(kinds)
    listed = elements if isinstance(elements, list) else [elements]
    return Members(tuple((_key(element, typed), None) for element in listed), _comments(listed))


def members_of_map(elements: Iterable[Any], kinds: Iterable[Field] | Iterable[str]) -> Members[Any]:
    """A map: to verdicts, or to keys (an address, or an address and a port)."""
    typed = list(kinds)
    listed = list(elements)
    entries = tuple((_key(key, typed), _map_value(value)) for key, value in listed)
    return Members(entries, _comments([key for key, _ in listed]))


def _comments(elements: list[Any]) -> dict[int, str]:
    found = {}
    for place, element in enumerate(elements):
        if isinstance(element, dict) and "elem" in element and element["elem"].get("comment"):
            found[place] = str(element["elem"]["comment"])
    return found


def _map_value(value: Any) -> Verdict | Key:
    if isinstance(value, dict) and next(iter(value), "") in {*VERDICTS, "queue"}:
        return _verdict(value)
    parts = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    return tuple(_item(part, "") for part in parts)


def _key(element: Any, kinds: list[Any]) -> Key:
    if isinstance(element, dict) and "elem" in element:
        element = element["elem"]["val"]
    parts = element["concat"] if isinstance(element, dict) and "concat" in element else [element]
    return tuple(_item(part, kinds[place] if place < len(kinds) else "") for place, part in enumerate(parts))


def _item(value: Any, kind: Field | str) -> Item:
    name = kind.name if isinstance(kind, Field) else kind
    if isinstance(value, dict) and "prefix" in value:
        return network_span(ip_network(f"{value['prefix']['addr']}/{value['prefix']['len']}", strict=False))
    if isinstance(value, dict) and "range" in value:
        low, high = value["range"]
        return Span(_number(low, kind), _number(high, kind))
    if name in {"iifname", "oifname", "ifname", "iface_index", "physin", "physout", "fib.oif"}:
        return str(value)
    if value == "*":
        return Span(0, (1 << 128) - 1)
    return Span.one(_number(value, kind))


def _number(value: Any, kind: Field | str) -> int:
    """A number as nft prints it: itself, an address, or a name that the field's kind knows."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, list):
        return sum(_number(part, kind) for part in value)
    if isinstance(value, dict) and "|" in value:
        return sum(_number(part, kind) for part in value["|"])
    text = str(value)
    for names in _names(kind):
        if text in names:
            found = names[text]
            return int(found[0] if isinstance(found, tuple) else found)
    try:
        return int(ip_address(text))
    except ValueError:
        return int(text, 0)


def _names(kind: Field | str) -> list[dict[str, Any]]:
    if not isinstance(kind, Field):
        by_type: dict[str, list[dict[str, Any]]] = {
            "inet_proto": [words.PROTOCOLS],
            "inet_service": [words.SERVICES],
            "ct_state": [words.CT_STATES],
            "ct_status": [words.CT_STATUS],
            "icmp_type": [words.ICMP_TYPES],
            "icmpv6_type": [words.ICMPV6_TYPES],
            "fib_addrtype": [words.ADDRESS_TYPES],
            "pkt_type": [words.PACKET_TYPES],
        }
        return by_type.get(kind, [])
    if kind.name in FLAG_NAMES:
        return [FLAG_NAMES[kind.name]]
    if kind.name == "icmp.type":
        return [words.ICMP_TYPES if kind.protocol == words.ICMP else words.ICMPV6_TYPES]
    by_field: dict[str, list[dict[str, Any]]] = {
        "protocol": [words.PROTOCOLS],
        "dport": [words.SERVICES],
        "sport": [words.SERVICES],
        "pkttype": [words.PACKET_TYPES],
        "fib.daddr.type": [words.ADDRESS_TYPES],
        "fib.saddr.type": [words.ADDRESS_TYPES],
    }
    return by_field.get(kind.name, [NAMES])


def _verdict(value: Json) -> Verdict:
    ((name, detail),) = value.items()
    return Verdict(name, detail["target"] if isinstance(detail, dict) else "")


def _vmap(value: Json, sets: Sets) -> VerdictMap:
    fields = read_fields(value["key"])
    data = value["data"]
    members = _set_named(data, sets) if isinstance(data, str) else members_of_map(data["set"], fields)
    return VerdictMap(fields, members)


def _translation(kind: str, value: Json, family: str, sets: Sets) -> Translation:
    version = FAMILIES.get(value.get("family", family), 0)
    address, port = value.get("addr"), value.get("port")
    if isinstance(address, dict) and "map" in address:
        fields, lookup = _map(address["map"], sets)
        port_fields, port_lookup = _map(port["map"], sets) if isinstance(port, dict) and "map" in port else ((), None)
        if port is not None and port_lookup is None:
            raise NotModelled("one port beside a map")
        return Translation(
            kind, version, fields=fields, lookup=lookup, port_fields=port_fields, port_lookup=port_lookup
        )
    if isinstance(port, dict) and "map" in port:
        raise NotModelled("a map of ports beside one address")
    span = _item(address, "") if address is not None else None
    ports = _item(port, "inet_service") if port is not None else None
    if isinstance(span, str) or isinstance(ports, str):
        raise NotModelled(kind)
    return Translation(kind, version, span, ports)


def _map(value: Json, sets: Sets) -> tuple[tuple[Field, ...], Members[Any]]:
    fields, data = read_fields(value["key"]), value["data"]
    return fields, _set_named(data, sets) if isinstance(data, str) else members_of_map(data["set"], fields)


def _mangle(value: Json) -> Statement:
    key, new = value["key"], value["value"]
    if "meta" in key and key["meta"]["key"] in {"nftrace", "pkttype", "priority"}:
        return Note(f"meta {key['meta']['key']}")
    which = {("meta", "mark"): "mark", ("ct", "mark"): "ct.mark"}.get(
        (next(iter(key)), next(iter(key.values()))["key"])
    )
    if which is None:
        raise NotModelled(str(key))
    if isinstance(new, int):
        return SetMark(which, new)
    ((operator, operands),) = new.items()
    if operator in {"meta", "ct"} and operands["key"] == "mark":
        return SetMark(which, copy="mark" if operator == "meta" else "ct.mark")
    if operator in {"|", "&"} and operands[0] == key and isinstance(operands[1], int):
        bits = operands[1]
        return SetMark(which, bits, bits) if operator == "|" else SetMark(which, 0, ~bits & FULL_MARK)
    raise NotModelled(str(value))
