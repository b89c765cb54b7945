"""The expressions that rules of nf_tables are made of, as the kernel takes them (linux/netfilter/nf_tables.h). Pure.

A *register* is named by its place in bytes: values are loaded there, and compared or looked up from there. The parts of a
concatenation each fill up four bytes.
"""

from __future__ import annotations

import struct

from .nft_message import attribute, nest, number, string

NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
META = {"mark": 3, "iifname": 6, "oifname": 7, "l4proto": 16, "ipsec": 25}
ROUTE = {"ipsec": 4}
"""NFT_RT_XFRM."""
CONNECTION = {"state": 0, "proto-dst": 12, "ip daddr": 20, "ip6 daddr": 22}
"""NFT_CT_STATE, NFT_CT_PROTO_DST, NFT_CT_DST_IP, NFT_CT_DST_IP6."""
VERDICTS = {"drop": 0, "accept": 1, "jump": -3, "goto": -4, "return": -5}
EQUAL, UNEQUAL, AT_MOST, AT_LEAST = 0, 1, 3, 5
SOURCE_NAT, DESTINATION_NAT = 0, 1
_FIB = {"saddr": 1, "daddr": 2}
_FIB_TYPE = 3
_ORIGINAL = 0
_ADDRESS_GIVEN, _PORT_GIVEN = 1, 2
"""NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PROTO_SPECIFIED."""
_LOOKUP_INVERTED = 1
_WIDE, _NARROW = 1, 8
"""NFT_REG_1, of sixteen bytes, and NFT_REG32_00, of four."""


def register(place: int) -> int:
    """The number of the register at *place*."""
    return _WIDE + place // 16 if place % 16 == 0 else _NARROW + place // 4


def payload(base: int, offset: int, length: int, place: int = 0) -> bytes:
    where = number(1, register(place)) + number(2, base) + number(3, offset) + number(4, length)
    return _expression("payload", where)


def meta(key: str, place: int = 0) -> bytes:
    return _expression("meta", number(2, META[key]) + number(1, register(place)))


def route(key: str, place: int = 0) -> bytes:
    """What is known of the way that a packet leaves by."""
    return _expression("rt", number(2, ROUTE[key]) + number(1, register(place)))


def connection(key: str, *, original: bool) -> bytes:
    """What connection tracking knows; *original*: of the connection's first direction."""
    direction = attribute(3, bytes([_ORIGINAL])) if original else b""
    return _expression("ct", number(2, CONNECTION[key]) + number(1, register(0)) + direction)


def address_type(whose: str) -> bytes:
    """What kind of address (``local``) ``saddr`` or ``daddr`` is."""
    return _expression("fib", number(3, _FIB[whose]) + number(2, _FIB_TYPE) + number(1, register(0)))


def masked(mask: bytes) -> bytes:
    width = number(1, register(0)) + number(2, register(0)) + number(3, len(mask))
    return _expression("bitwise", width + _data(4, mask) + _data(5, bytes(len(mask))))


def compare(value: bytes, operator: int = EQUAL) -> bytes:
    return _expression("cmp", number(1, register(0)) + number(2, operator) + _data(3, value))


def outside(first: bytes, last: bytes) -> bytes:
    between = _data(3, first) + _data(4, last)
    return _expression("range", number(1, register(0)) + number(2, UNEQUAL) + between)


def look_up(name: str, place: int = 0, *, into: int | None = None, inverted: bool = False, id_: int = 0) -> bytes:
    """Ask a set for the key at *place*; a map puts what it gives *into* a register. *id_*: of a set that gets its name from the kernel."""
    said = string(1, name) + number(2, register(place))
    said += number(3, register(into)) if into is not None else b""
    said += number(4, id_) if id_ else b""
    return _expression("lookup", said + (number(5, _LOOKUP_INVERTED) if inverted else b""))


def immediate(value: bytes, place: int = 0) -> bytes:
    return _expression("immediate", number(1, register(place)) + _data(2, value))


def verdict(word: str, chain: str = "") -> bytes:
    """``accept``, ``drop``, ``return``; ``jump`` and ``goto`` to *chain*."""
    code = number(1, VERDICTS[word]) + (string(2, chain) if chain else b"")
    return _expression("immediate", number(1, 0) + nest(2, nest(2, code)))


def counter() -> bytes:
    return _expression("counter", b"")


def translate(kind: int, family: int, address: int, port: int | None = None) -> bytes:
    """To what the registers at these places hold."""
    said = number(1, kind) + number(2, family) + number(3, register(address))
    if port is not None:
        said += number(5, register(port)) + number(7, _PORT_GIVEN)
    return _expression("nat", said)


def translate_exactly(kind: int, family: int, address: int, port: int) -> bytes:
    """The same, said as nft says it of what a map gives: from this address and port to this address and port."""
    said = number(1, kind) + number(2, family) + number(3, register(address)) + number(4, register(address))
    said += number(5, register(port)) + number(6, register(port)) + number(7, _ADDRESS_GIVEN | _PORT_GIVEN)
    return _expression("nat", said)


def masquerade() -> bytes:
    return _expression("masq", b"")


def comment(text: str) -> bytes:
    """The user data of a rule or set element with a comment (NFTNL_UDATA_RULE_COMMENT)."""
    said = text.encode()[:253] + b"\0"
    return bytes([0, len(said)]) + said


def port_number(port: int) -> bytes:
    return struct.pack("!H", port)


def listed(expressions: tuple[bytes, ...] | list[bytes]) -> bytes:
    """A rule's list of them."""
    return b"".join(nest(1, item) for item in expressions)


def _data(kind: int, value: bytes) -> bytes:
    return nest(kind, attribute(1, value))


def _expression(name: str, data: bytes) -> bytes:
    return string(1, name) + nest(2, data)
