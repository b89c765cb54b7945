"""A table of our own that counts what published ports carry, there while somebody looks at it.

The counters of the rules that publish a port tell of new connections only: connection tracking sees to the other packets. So two
rules put every packet of a translated connection under its first destination, each way, into a set whose elements count. The table
decides nothing about any packet, and its cost does not grow with the number of ports. What a container is sent by its own host counts
too; what the port holder carries does not, for nothing is translated there.
"""

from __future__ import annotations

import subprocess
from ipaddress import ip_address

from . import nft
from .counters import Counted

NAME = "cnm_traffic"
_TIMEOUT_S = 10
_FAMILIES = {"ip": 2, "ip6": 10}
_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
_MOST = 65_535
"""Elements of one set; what more there were is not counted, and passes all the same."""
_AFTER_TRANSLATION = 300
"""Priority of the chains: behind all translation, where both ways of a connection are known by their first packet's destination."""


def start() -> None:
    """Begin to count, from nothing. Raises OSError or CalledProcessError where the kernel cannot."""
    _nft(_removed() + "".join(_table(family) for family in _FAMILIES))


def stop() -> None:
    """Take the table away; none is no error."""
    _nft(_removed())


def read() -> dict[tuple[str, str, int], Counted]:
    """(protocol, address, port) that was asked for -> what went to it and came from it since :func:`start`."""
    totals: dict[tuple[str, str, int], list[int]] = {}
    for number in _FAMILIES.values():
        for place, name in enumerate(("asked", "answered")):
            for key, octets, packets in nft.counted_elements(number, NAME, name):
                total = totals.setdefault(_key(key), [0, 0, 0, 0])
                total[2 * place] += octets
                total[2 * place + 1] += packets
    return {key: Counted(*total) for key, total in totals.items()}


def _key(raw: bytes) -> tuple[str, str, int]:
    """Each part of a concatenation fills up words of four bytes."""
    return _PROTOCOLS.get(raw[4], str(raw[4])), str(ip_address(raw[8:])), int.from_bytes(raw[:2], "big")


def _removed() -> str:
    return "".join(f"add table {family} {NAME}\ndelete table {family} {NAME}\n" for family in _FAMILIES)


def _table(family: str) -> str:
    # In this order, and by typeof: of others nft 1.0.6 forgets the parts behind the address.
    key = f"ct original proto-dst . meta l4proto . ct original {family} daddr"
    sets = "".join(f"set {name} {{ typeof {key}; size {_MOST}; flags dynamic; }}\n" for name in ("asked", "answered"))
    rules = "".join(
        f"ct status dnat ct direction {way} update @{name} {{ {key} counter }}\n"
        for way, name in (("original", "asked"), ("reply", "answered"))
    )
    chains = "".join(
        f"chain {hook} {{ type filter hook {hook} priority {_AFTER_TRANSLATION}; policy accept;\n{rules}}}\n"
        for hook in ("postrouting", "input")
    )
    return f"table {family} {NAME} {{\n{sets}{chains}}}\n"


def _nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, text=True, capture_output=True, timeout=_TIMEOUT_S, check=True)
