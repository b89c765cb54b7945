"""The rules inside a sandbox that lead 127.0.0.11, port 53, to the sockets of the embedded DNS server.

They are translations, not a socket on port 53, so that a container's own port 53 stays free. Docker naming has Docker's own rules, in
the host's flavour of iptables. CNM naming has a table of nf_tables of its own where that is the host's flavour: it takes a third of
a millisecond over netlink, where a program takes ten times as long; and the same chains as Docker's, under our names, elsewhere.

All functions that read or write work in the network namespace that the process is in.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Protocol

from networks.cnm.iptables_text import Saved
from networks.cnm.names import Naming
from networks.cnm.resources import Owner
from networks.cnm.rules import Rule, Target
from worker.kernel import nft
from worker.kernel import nft_expressions as packet
from worker.kernel.nft_message import IPV4

from . import words
from .backend import Script
from .generation import legacy_tables
from .iptables import FLAVOURS, Iptables

ADDRESS = IPv4Address("127.0.0.11")
PORT = 53
TABLE = "cnm-dns"
LEGACY = "iptables-legacy"
_PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_GET_INFO, _GET_ENTRIES = 64, 65
"""IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES (linux/netfilter_ipv4/ip_tables.h)."""
_INFO = struct.Struct("=32s13I")
_SIZE_AT = 13


class Leader(Protocol):
    """One way to write the translations."""

    def lead(self, udp: int, tcp: int, owner: Owner) -> None:
        """Write them, whatever stood there of ours. Raises OSError or a CnmError."""
        ...

    def leads(self, udp: int, tcp: int) -> bool:
        """Whether they stand and lead to these ports."""
        ...


def leader(flavour: str, naming: Naming) -> Leader:
    """The way that fits a host of *flavour* (of iptables); where there is no iptables, nf_tables serves either naming."""
    native = flavour not in FLAVOURS or (naming.comments and flavour != LEGACY)
    if native and nft.is_present():
        return NftLeader(naming)
    return IptablesLeader(flavour if flavour in FLAVOURS else LEGACY, naming)


class NftLeader:
    """A table of our own, written over netlink in one transaction."""

    def __init__(self, naming: Naming) -> None:
        self._chain = naming.dns_output

    def lead(self, udp: int, tcp: int, owner: Owner) -> None:
        messages = [nft.new_table(TABLE)]
        if nft.rules_of(TABLE):  # removing costs a grace period of the kernel (10 ms), so only where there is something
            messages += [nft.delete_table(TABLE), nft.new_table(TABLE)]
        messages.append(nft.new_nat_chain(TABLE, self._chain))
        for name, port in (("tcp", tcp), ("udp", udp)):
            said = _translation(_PROTOCOLS[name], port)
            messages.append(nft.new_rule(TABLE, self._chain, said, comment=owner.tag))
        nft.transact(messages)

    def leads(self, udp: int, tcp: int) -> bool:
        rules = nft.rules_of(TABLE)
        return all(any(_translated_port(port) in rule for rule in rules) for port in (udp, tcp))


def _translation(protocol: int, port: int) -> list[bytes]:
    """``ip daddr ADDRESS meta l4proto PROTOCOL th dport 53 dnat to ADDRESS:PORT``"""
    return [
        packet.payload(packet.NETWORK_HEADER, 16, 4),
        packet.compare(ADDRESS.packed),
        packet.meta("l4proto"),
        packet.compare(bytes([protocol])),
        packet.payload(packet.TRANSPORT_HEADER, 2, 2),
        packet.compare(packet.port_number(PORT)),
        packet.immediate(ADDRESS.packed, 0),
        packet.immediate(packet.port_number(port), 16),
        packet.translate(packet.DESTINATION_NAT, IPV4, 0, 16),
    ]


def _translated_port(port: int) -> bytes:
    """What a raw rule of :func:`_translation` to *port* has in it."""
    return packet.immediate(packet.port_number(port))[-8:-2]


class IptablesLeader:
    """Docker's chains in the nat table, written by iptables-restore."""

    def __init__(self, flavour: str, naming: Naming) -> None:
        self._backend = Iptables(flavour)
        self._naming = naming

    def lead(self, udp: int, tcp: int, owner: Owner) -> None:
        own = (self._naming.dns_output, self._naming.dns_postrouting)
        standing = {line.text for line in self._standing().lines}
        lines = [f":{chain} - [0:0]" for chain in own]  # makes a chain, or empties it
        for rule in sandbox_rules(self._naming, udp, tcp, owner):
            if rule.chain in own or rule.text not in standing:
                lines.append(rule.text)
        self._backend.write(4, Script({"nat": tuple(lines)}))

    def leads(self, udp: int, tcp: int) -> bool:
        held = self._held()
        return all(any(form in held for form in _translated_forms(port)) for port in (udp, tcp))

    def _standing(self) -> Saved:
        return self._backend.read(4) if self._held() else Saved(4)

    def _held(self) -> bytes:
        """The nat table as the kernel has it, or nothing: read without a program, and without making a table by looking."""
        if self._backend.is_nft:
            return b"".join(nft.rules_of("nat"))
        return _legacy_entries("nat") if "nat" in legacy_tables(4) else b""


def sandbox_rules(naming: Naming, udp: int, tcp: int, owner: Owner) -> tuple[Rule, ...]:
    """Docker's rules, as captured of a Docker Engine 20.10. Pure.

    The second chain gives answers their port back. The kernel does that by itself for what it has translated; Docker says it too.
    """
    writer = words.Writer(4, naming)
    output, back = naming.dns_output, naming.dns_postrouting
    to, since = words.destination(ADDRESS), words.source(ADDRESS)
    ports = (("tcp", tcp), ("udp", udp))

    def rules() -> Iterator[Rule]:
        yield writer.rule("nat", "OUTPUT", to, words.jump(output), (0,), owner)
        yield writer.rule("nat", "POSTROUTING", to, words.jump(back), (0,), owner)
        for number, (protocol, port) in enumerate(ports):
            matches = to + words.to_port(protocol, PORT)
            yield writer.rule("nat", output, matches, words.translate_to(ADDRESS, port), (number,), owner)
        for number, (protocol, port) in enumerate(ports):
            target = Target("SNAT", (("--to-source", (f":{PORT}",)),))
            yield writer.rule("nat", back, since + words.from_port(protocol, port), target, (number,), owner)

    return tuple(rules())


def _translated_forms(port: int) -> tuple[bytes, bytes]:
    """The range of a DNAT target in the kernel: of revision 0 (IPv4), and of 2 (either family, 16 bytes an address)."""
    ports = struct.pack("!HH", port, port)
    return ADDRESS.packed * 2 + ports, (ADDRESS.packed + bytes(12)) * 2 + ports


def _legacy_entries(table: str) -> bytes:
    """A registered legacy table as the kernel gives it."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = table.encode().ljust(32, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as handle:

        def get(option: int, buffer: ctypes.Array[ctypes.c_char]) -> bytes:
            length = ctypes.c_uint32(len(buffer))
            if libc.getsockopt(handle.fileno(), socket.IPPROTO_IP, option, buffer, ctypes.byref(length)):
                return b""
            return buffer.raw

        info = get(_GET_INFO, ctypes.create_string_buffer(name, _INFO.size))
        if not info:
            return b""
        size = _INFO.unpack(info)[_SIZE_AT]
        head = name + struct.pack("=I", size)
        return get(_GET_ENTRIES, ctypes.create_string_buffer(head.ljust(40, b"\0") + bytes(size), 40 + size))
