"""Connections that the kernel remembers: they go on by the translation of their first packet, whatever the rules say by now."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyroute2.conntrack import Conntrack

from networks.cnm.rules import Rule
from worker.kernel.netlink import Netlink

_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
_MOST = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

_NETLINK_NETFILTER = 12
# linux/netfilter/nfnetlink_conntrack.h
_GET_CONNECTION = (1 << 8) | 1
_TUPLE_ORIG, _TUPLE_PROTO, _PROTO_NUMBER, _PROTO_DST_PORT = 1, 2, 1, 3
_MESSAGE = struct.Struct("=IHHIIBBH")
"""A netlink header and the netfilter one."""
_ATTRIBUTE = struct.Struct("=HH")
_NOTHING = memoryview(b"")


@dataclass(frozen=True, slots=True)
class Called:
    """The host port that a connection was first sent to."""

    family: int
    protocol: str
    port: int


def called(made: Iterable[Rule], gone: Iterable[Rule]) -> frozenset[Called]:
    """The host ports whose connections are to meet the rules anew: what was translated, or is admitted or kept out by its port.

    A translation that was *made* is for new connections. Of TCP those begin anew by themselves, and one that stands already was accepted
    by a program of this host: cut off in its midst, it would be sent on to the container. Datagrams have no beginning, so what is
    remembered of them would pass the translation by for as long as they come.
    """
    found = {call for rule in gone if (call := _called(rule))}
    found |= {
        call for rule in made if (call := _called(rule)) and (call.protocol != "tcp" or rule.target.name != "DNAT")
    }
    return frozenset(found)


def _called(rule: Rule) -> Called | None:
    options = {match.option: match.values[0] for match in rule.matches if match.values}
    port = options.get("--dport") if rule.target.name == "DNAT" else options.get("--ctorigdstport")
    if port and port.isdigit() and options.get("-p") in _PROTOCOLS:
        return Called(rule.family, options["-p"], int(port))
    return None


def forget(ports: Iterable[Called]) -> int:
    """Make the kernel forget the connections to *ports*, so that their next packet meets the rules anew; how many there were.

    The kernel goes through its whole table to list them, however few they are: 9 ms with 262,144 places.
    """
    wanted = {(port.family, _PROTOCOLS[port.protocol], port.port) for port in ports}
    if not wanted or not any_remembered():
        return 0
    forgotten = 0
    for family in sorted({item[0] for item in wanted}):
        if not wanted & {(family, *seen) for seen in _remembered(_FAMILIES[family])}:
            continue
        with Conntrack(nfgen_family=_FAMILIES[family]) as table:  # type: ignore[no-untyped-call]  # pyroute2 has no types
            for entry in list(table.dump_entries()):
                first = entry.tuple_orig
                if (family, first.proto, first.dport) in wanted:
                    forgotten += _forget_one(table, entry)
    return forgotten


def _remembered(family: int) -> Iterator[tuple[int, int]]:
    """(protocol number, port first sent to) of every connection of *family*.

    Read by hand: mostly there is nothing to forget, and pyroute2 takes many milliseconds to say so.
    """
    request = _MESSAGE.pack(_MESSAGE.size, _GET_CONNECTION, 0, 0, 0, family, 0, 0)
    with Netlink(_NETLINK_NETFILTER) as connections:
        for item in connections.dump(request):
            first = _attributes(item[_MESSAGE.size :]).get(_TUPLE_ORIG)
            if first is None:
                continue
            ports = _attributes(_attributes(first).get(_TUPLE_PROTO, _NOTHING))
            if _PROTO_NUMBER in ports and _PROTO_DST_PORT in ports:
                yield ports[_PROTO_NUMBER][0], int.from_bytes(ports[_PROTO_DST_PORT][:2], "big")


def _attributes(data: memoryview) -> dict[int, memoryview]:
    """The attributes in *data* by their type, flags (nested, byte order) taken off."""
    found, at = {}, 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found


def any_remembered() -> bool:
    """Whether the kernel remembers any connection; asking costs nothing."""
    return _read(_COUNT) > 0


def remembered() -> tuple[int, int]:
    """How many connections the kernel remembers, and how many it can; 0: it remembers none, or does not say."""
    return _read(_COUNT), _read(_MOST)


def _read(path: Path) -> int:
    try:
        return int(path.read_text())
    except OSError:
        return 0


def _forget_one(table: Conntrack, entry: object) -> bool:
    try:
        table.delete(entry)  # type: ignore[no-untyped-call]
    except Exception:  # pyroute2 wraps the errno; a connection that ended by itself meanwhile is as good
        return False
    return True
