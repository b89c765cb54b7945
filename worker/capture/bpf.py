"""A packet filter as a program for the kernel's classic BPF machine. Pure.

Source: ``linux/filter.h``, kernel document ``networking/filter.rst``. The packets are Ethernet frames whose VLAN tag the kernel has
taken off, where there was one. Of IPv6, extension headers are not followed: a port is looked for right behind the fixed header.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from networks.cnm.capture import PacketFilter

LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30
LOAD_HALF_AT_X = 0x48
LOAD_X_IP_HEADER = 0xB1
"""``ldxb 4*([k]&0xf)``: the length of an IPv4 header."""
JUMP_EQUAL, JUMP_BITS, RETURN = 0x15, 0x45, 0x06
IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58
_NUMBERS = {"tcp": (TCP, TCP), "udp": (UDP, UDP), "icmp": (ICMP, ICMPV6)}
_WITH_PORTS = (TCP, UDP, SCTP)
_INSTRUCTION = struct.Struct("=HBBI")
_NEXT, _ACCEPT, _DROP = "", "accept", "drop"


@dataclass(frozen=True, slots=True)
class Instruction:
    code: int
    true: int
    false: int
    value: int


@dataclass(slots=True)
class _Program:
    """Instructions whose jumps name labels; all of them lead forward."""

    lines: list[tuple[int, str, str, int]] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    def put(self, code: int, value: int, true: str = _NEXT, false: str = _NEXT) -> None:
        self.lines.append((code, true, false, value))

    def label(self, name: str) -> None:
        self.labels[name] = len(self.lines)

    def finished(self) -> list[Instruction]:
        def distance(at: int, name: str) -> int:
            return self.labels[name] - at - 1 if name else 0

        return [
            Instruction(code, distance(at, true), distance(at, false), value)
            for at, (code, true, false, value) in enumerate(self.lines)
        ]


def compile_filter(wanted: PacketFilter, snap_length: int) -> list[Instruction]:
    """A program that keeps *snap_length* bytes of each packet that is wanted, and none of others."""
    program = _Program()
    host = wanted.host
    program.put(LOAD_HALF, 12)
    families = [
        (IPV4, "ipv4", wanted.protocol != "arp" and not isinstance(host, IPv6Address)),
        (IPV6, "ipv6", wanted.protocol != "arp" and not isinstance(host, IPv4Address)),
        (ARP, "arp", wanted.protocol in {"", "arp"} and not wanted.port and not isinstance(host, IPv6Address)),
    ]
    for kind, name, possible in families:
        if possible:
            program.put(JUMP_EQUAL, kind, true=name)
    everything = wanted == PacketFilter()
    program.put(RETURN, snap_length if everything else 0)
    for _kind, name, possible in families:
        if possible:
            program.label(name)
            {"ipv4": _ipv4, "ipv6": _ipv6, "arp": _arp}[name](program, wanted)
    program.label(_ACCEPT)
    program.put(RETURN, snap_length)
    program.label(_DROP)
    program.put(RETURN, 0)
    return program.finished()


def packed(instructions: list[Instruction]) -> bytes:
    """An array of ``struct sock_filter``, as ``SO_ATTACH_FILTER`` takes it."""
    return b"".join(_INSTRUCTION.pack(one.code, one.true, one.false, one.value) for one in instructions)


def _ipv4(program: _Program, wanted: PacketFilter) -> None:
    _protocol(program, "ipv4", 23, wanted, 0)
    if isinstance(wanted.host, IPv4Address):
        _host(program, "ipv4", int(wanted.host), 26, 30)
    if wanted.port:
        program.put(LOAD_HALF, 20)
        program.put(JUMP_BITS, 0x1FFF, true=_DROP)  # a later fragment has no ports
        program.put(LOAD_X_IP_HEADER, 14)
        program.put(LOAD_HALF_AT_X, 14)
        program.put(JUMP_EQUAL, wanted.port, true=_ACCEPT)
        program.put(LOAD_HALF_AT_X, 16)
        program.put(JUMP_EQUAL, wanted.port, true=_ACCEPT, false=_DROP)
    else:
        _accept(program)


def _ipv6(program: _Program, wanted: PacketFilter) -> None:
    _protocol(program, "ipv6", 20, wanted, 1)
    if isinstance(wanted.host, IPv6Address):
        for offset, name, otherwise in ((22, "source", "ipv6-other"), (38, "destination", _DROP)):
            words = struct.unpack("!4I", wanted.host.packed)
            for number, word in enumerate(words):
                program.put(LOAD_WORD, offset + 4 * number)
                last = number == len(words) - 1
                program.put(JUMP_EQUAL, word, true="ipv6-host" if last else _NEXT, false=otherwise)
            if name == "source":
                program.label("ipv6-other")
        program.label("ipv6-host")
    if wanted.port:
        for offset, otherwise in ((54, _NEXT), (56, _DROP)):
            program.put(LOAD_HALF, offset)
            program.put(JUMP_EQUAL, wanted.port, true=_ACCEPT, false=otherwise)
    else:
        _accept(program)


def _arp(program: _Program, wanted: PacketFilter) -> None:
    if isinstance(wanted.host, IPv4Address):
        _host(program, "arp", int(wanted.host), 28, 38)
    _accept(program)


def _protocol(program: _Program, family: str, offset: int, wanted: PacketFilter, which: int) -> None:
    if wanted.protocol:
        program.put(LOAD_BYTE, offset)
        program.put(JUMP_EQUAL, _NUMBERS[wanted.protocol][which], false=_DROP)
    elif wanted.port:
        program.put(LOAD_BYTE, offset)
        *others, last = _WITH_PORTS
        for number in others:
            program.put(JUMP_EQUAL, number, true=f"{family}-ports")
        program.put(JUMP_EQUAL, last, false=_DROP)
        program.label(f"{family}-ports")


def _host(program: _Program, family: str, address: int, source: int, destination: int) -> None:
    program.put(LOAD_WORD, source)
    program.put(JUMP_EQUAL, address, true=f"{family}-host")
    program.put(LOAD_WORD, destination)
    program.put(JUMP_EQUAL, address, false=_DROP)
    program.label(f"{family}-host")


def _accept(program: _Program) -> None:
    """A jump that always goes there: classic BPF's own, ``ja``, would need no condition but another form."""
    program.put(JUMP_EQUAL, 0, true=_ACCEPT, false=_ACCEPT)
