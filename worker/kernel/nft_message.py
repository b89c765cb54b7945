"""What messages of nf_tables are made of: headers and attributes (linux/netlink.h, linux/netfilter/nfnetlink.h). Pure."""

from __future__ import annotations

import struct

SUBSYSTEM = 10
"""NFNL_SUBSYS_NFTABLES."""
REQUEST, ACK, DUMP, CREATE, APPEND = 0x1, 0x4, 0x300, 0x400, 0x800
IPV4, IPV6 = 2, 10
"""NFPROTO_IPV4, NFPROTO_IPV6."""
PROTOCOLS = {"inet": 1, "ip": IPV4, "arp": 3, "netdev": 5, "bridge": 7, "ip6": IPV6}
"""NFPROTO of each family of nft's."""
NESTED = 0x8000
HEADER = struct.Struct("=IHHII")
GENERIC = struct.Struct("!BBH")


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def nest(kind: int, value: bytes) -> bytes:
    return attribute(kind | NESTED, value)


def string(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!i", value))


def long(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!Q", value))


def compose(
    kind: int, flags: int, body: bytes, *, subsystem: int = SUBSYSTEM, resource: int = 0, family: int = IPV4
) -> bytes:
    content = GENERIC.pack(family if subsystem else 0, 0, resource) + body
    return HEADER.pack(HEADER.size + len(content), subsystem << 8 | kind, flags, 0, 0) + content
