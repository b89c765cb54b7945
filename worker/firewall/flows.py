"""Connections that the kernel remembers: they go on by the translation of their first packet, whatever the rules say by now."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyroute2.conntrack import Conntrack

from networks.cnm.rules import Rule

_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Called:
    """The host port that a connection was first sent to."""

    family: int
    protocol: str
    port: int


def called(rules: Iterable[Rule]) -> frozenset[Called]:
    """The host ports whose connections *rules* decide: those they translate, and those they admit or keep out by their port."""
    found = set()
    for rule in rules:
        options = {match.option: match.values[0] for match in rule.matches if match.values}
        port = options.get("--dport") if rule.target.name == "DNAT" else options.get("--ctorigdstport")
        if port and port.isdigit() and options.get("-p") in _PROTOCOLS:
            found.add(Called(rule.family, options["-p"], int(port)))
    return frozenset(found)


def forget(ports: Iterable[Called]) -> int:
    """Make the kernel forget the connections to *ports*, so that their next packet meets the rules anew; how many there were."""
    wanted = {(port.family, _PROTOCOLS[port.protocol], port.port) for port in ports}
    if not wanted or not _any_remembered():
        return 0
    forgotten = 0
    for family in sorted({item[0] for item in wanted}):
        with Conntrack(nfgen_family=_FAMILIES[family]) as table:  # type: ignore[no-untyped-call]  # pyroute2 has no types
            for entry in list(table.dump_entries()):
                first = entry.tuple_orig
                if (family, first.proto, first.dport) in wanted:
                    forgotten += _forget_one(table, entry)
    return forgotten


def _any_remembered() -> bool:
    try:
        return _COUNT.read_text().strip() != "0"
    except OSError:
        return False


def _forget_one(table: Conntrack, entry: object) -> bool:
    try:
        table.delete(entry)  # type: ignore[no-untyped-call]
    except Exception:  # pyroute2 wraps the errno; a connection that ended by itself meanwhile is as good
        return False
    return True
