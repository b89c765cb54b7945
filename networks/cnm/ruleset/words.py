"""Names of numbers, as iptables and nft print them."""

from __future__ import annotations

from .members import Span

PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipencap": 4, "tcp": 6, "udp": 17, "dccp": 33, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51,
    "ipv6-icmp": 58, "icmpv6": 58, "ospf": 89, "ipcomp": 108, "comp": 108, "vrrp": 112, "sctp": 132, "udplite": 136,
}  # fmt: skip
"""IANA's protocol numbers, for those that people write rules about."""
TCP, UDP, ICMP, ICMPV6, SCTP, DCCP, UDPLITE = 6, 17, 1, 58, 132, 33, 136
WITH_PORTS = frozenset({TCP, UDP, SCTP, DCCP, UDPLITE})

CT_STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64, "dnat": 128, "snat": 256}
"""Bits of the kernel's ``NF_CT_STATE_BIT``; ``dnat`` and ``snat`` are iptables' own, beyond them."""
CT_STATUS = {"expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32, "dying": 512}
"""``enum ip_conntrack_status``."""
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "ece": 64, "cwr": 128}
ICMP_TYPES = {
    "echo-reply": (0, None), "destination-unreachable": (3, None), "network-unreachable": (3, 0),
    "host-unreachable": (3, 1), "protocol-unreachable": (3, 2), "port-unreachable": (3, 3),
    "fragmentation-needed": (3, 4), "source-quench": (4, None), "redirect": (5, None), "echo-request": (8, None),
    "router-advertisement": (9, None), "router-solicitation": (10, None), "time-exceeded": (11, None),
    "parameter-problem": (12, None), "timestamp-request": (13, None), "timestamp-reply": (14, None),
    "address-mask-request": (17, None), "address-mask-reply": (18, None),
}  # fmt: skip
ICMPV6_TYPES = {
    "destination-unreachable": (1, None), "packet-too-big": (2, None), "time-exceeded": (3, None),
    "parameter-problem": (4, None), "echo-request": (128, None), "echo-reply": (129, None),
    "mld-listener-query": (130, None), "mld-listener-report": (131, None), "mld-listener-done": (132, None),
    "mld-listener-reduction": (132, None),
    "nd-router-solicit": (133, None), "router-solicitation": (133, None), "nd-router-advert": (134, None),
    "router-advertisement": (134, None), "nd-neighbor-solicit": (135, None), "neighbour-solicitation": (135, None),
    "neighbor-solicitation": (135, None), "nd-neighbor-advert": (136, None), "neighbour-advertisement": (136, None),
    "neighbor-advertisement": (136, None), "nd-redirect": (137, None), "redirect": (137, None),
    "mld2-listener-report": (143, None),
}  # fmt: skip
ADDRESS_TYPES = {
    "unspec": 0, "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6,
    "unreachable": 7, "prohibit": 8,
}  # fmt: skip
"""``RTN_*`` of linux/rtnetlink.h."""
PACKET_TYPES = {"host": 0, "unicast": 0, "broadcast": 1, "multicast": 2, "other": 3}
SERVICES = {
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "http": 80, "ntp": 123,
    "imap": 143, "snmp": 161, "https": 443, "mdns": 5353, "dhcpv6-client": 546, "dhcpv6-server": 547,
}  # fmt: skip


def protocol_number(text: str) -> int | None:
    """The number of a protocol by its name or number; None where neither is known. ``all`` and ``0`` give 0."""
    name = text.lower()
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    if name == "all":
        return 0
    return int(name) if name.isascii() and name.isdigit() and int(name) < 256 else None


def number(text: str) -> int:
    """``0x10`` or ``16``. Raises :class:`ValueError`."""
    return int(text, 0)


def port_number(text: str) -> int:
    return SERVICES[text] if text in SERVICES else int(text)


def port_span(text: str, dash: str = ":") -> Span:
    """``80``, ``80:90``, ``:90``, ``80:``; *dash* is what stands between."""
    low, sign, high = text.partition(dash)
    first = port_number(low) if low else 0
    if not sign:
        return Span.one(first)
    return Span(first, port_number(high) if high else 65535)


def mask_span(text: str) -> tuple[Span, int | None]:
    """``0x1/0xff`` -> (the value, its mask)."""
    value, slash, mask = text.partition("/")
    return Span.one(number(value)), number(mask) if slash else None
