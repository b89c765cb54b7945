"""What a packet's fields are called by nft and by iptables, and how the kernel's registers hold their values. Pure."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from worker.kernel import nft_expressions as packet
from worker.kernel.nft_message import IPV4, IPV6

from .expressions import TRANSPORTS, Expression

Value = str | int
DEVICE_BYTES = 16
STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
_PROTOCOLS = {
    "icmp": socket.IPPROTO_ICMP,
    "tcp": socket.IPPROTO_TCP,
    "udp": socket.IPPROTO_UDP,
    "sctp": socket.IPPROTO_SCTP,
    "ipv6-icmp": socket.IPPROTO_ICMPV6,
}
_ADDRESS_TYPES = {"unspec": 0, "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5}
_BIG_ENDIAN, _HOSTS_ORDER = 2, 1


class Type(NamedTuple):
    """A type of nft's: its number, its length in bytes, its byte order."""

    number: int
    length: int
    order: int = _BIG_ENDIAN

    @property
    def filled(self) -> int:
        """The bytes that it takes in a concatenation."""
        return (self.length + 3) & ~3


TYPES = {
    "ipv4_addr": Type(7, 4),
    "ipv6_addr": Type(8, 16),
    "inet_proto": Type(12, 1),
    "inet_service": Type(13, 2),
    "ifname": Type(41, DEVICE_BYTES, _HOSTS_ORDER),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A part of a packet, or of what is known about it."""

    loads: Callable[[int, int], bytes]
    """The expression that loads it, by place and length."""
    length: int
    pack: Callable[[Value], bytes]
    protocol: str = ""
    """Only packets of this protocol have it."""

    @property
    def filled(self) -> int:
        return (self.length + 3) & ~3

    def load(self, place: int = 0, length: int = 0) -> bytes:
        return self.loads(place, length or self.length)


def field_of(left: Expression, family: int) -> Field:
    """What *left* reads. Raises :class:`ValueError` or :class:`KeyError` where no rule of ours reads it."""
    ((kind, what),) = left.items()
    if kind == "payload":
        return _in_payload(what["protocol"], what["field"], family)
    if kind == "meta":
        return _in_meta(what["key"])
    if kind == "rt":
        return Field(lambda place, length: packet.route(what["key"], place), 1, lambda yes: bytes([bool(yes)]))
    if kind == "fib":
        (flag,) = what["flags"]
        if what["result"] != "type":
            raise ValueError(what)
        return Field(lambda place, length: packet.address_type(flag), 4, lambda word: _hosts(_ADDRESS_TYPES[str(word)]))
    if kind == "ct":
        return _of_connection(what["key"], family, original=what.get("dir") == "original")
    raise ValueError(kind)


def _in_payload(protocol: str, name: str, family: int) -> Field:
    if name in {"saddr", "daddr"} and protocol in {"ip", "ip6"}:
        base, width = (12, 4) if family == IPV4 else (8, 16)
        at = base + (width if name == "daddr" else 0)
        return Field(
            lambda place, length: packet.payload(packet.NETWORK_HEADER, at, length, place), width, pack_address
        )
    if name not in {"sport", "dport"} or protocol not in {"th", *TRANSPORTS}:
        raise ValueError(protocol, name)
    at = 2 if name == "dport" else 0
    return Field(
        lambda place, length: packet.payload(packet.TRANSPORT_HEADER, at, length, place),
        2,
        lambda port: packet.port_number(int(port)),
        "" if protocol == "th" else protocol,
    )


def _in_meta(key: str) -> Field:
    if key == "l4proto":
        return Field(lambda place, length: packet.meta(key, place), 1, _protocol)
    if key == "ipsec":
        return Field(lambda place, length: packet.meta(key, place), 1, lambda yes: bytes([bool(yes)]))
    if key in {"iifname", "oifname"}:
        return Field(lambda place, length: packet.meta(key, place), DEVICE_BYTES, _devices)
    raise ValueError(key)


def _of_connection(key: str, family: int, *, original: bool) -> Field:
    if key == "state":
        return Field(
            lambda place, length: packet.connection(key, original=False), 4, lambda word: _hosts(STATES[str(word)])
        )
    if not original:
        raise ValueError(key)
    if key == "proto-dst":
        return Field(
            lambda place, length: packet.connection(key, original=True), 2, lambda port: packet.port_number(int(port))
        )
    width = 4 if family == IPV4 else 16
    return Field(lambda place, length: packet.connection(key, original=True), width, pack_address)


def _hosts(value: int) -> bytes:
    return value.to_bytes(4, "little" if socket.htons(1) != 1 else "big")


def _devices(name: Value) -> bytes:
    """A device, or (``eth*``) all whose names begin so."""
    text = str(name)
    return text[:-1].encode() if text.endswith("*") else pack_device(text)


def _protocol(name: Value) -> bytes:
    return bytes([_PROTOCOLS[name] if name in _PROTOCOLS else int(name)])


@lru_cache(maxsize=1 << 14)
def pack_address(text: Value) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in str(text) else socket.AF_INET, str(text))


@lru_cache(maxsize=1 << 10)
def pack_device(name: Value) -> bytes:
    return str(name).encode().ljust(DEVICE_BYTES, b"\0")


@lru_cache(maxsize=1 << 10)
def _pack_protocol(name: Value) -> bytes:
    return bytes([_PROTOCOLS[str(name)], 0, 0, 0])


@lru_cache(maxsize=1 << 14)
def pack_port(number: Value) -> bytes:
    return int(number).to_bytes(2, "big") + bytes(2)


PACK: dict[str, Callable[[Value], bytes]] = {
    "-s": pack_address,
    "-d": pack_address,
    "-i": pack_device,
    "-o": pack_device,
    "-p": _pack_protocol,
    "--dport": pack_port,
}
"""A part of a concatenation, by the option of iptables whose value it is: it fills up four bytes."""

NUMBERS = {4: IPV4, 6: IPV6}
"""The kernel's number of an address family."""
