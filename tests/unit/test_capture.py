"""Filters of captures, run by a small machine of the tests' own, and files of captures, read strictly."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks.cnm.capture import PacketFilter
from tests.testlib.pcapng import blocks, options
from worker.capture import bpf, pcapng
from worker.capture.bpf import Instruction, compile_filter

TCP, UDP, ICMP, SCTP, ICMPV6 = 6, 17, 1, 132, 58


def run(program: list[Instruction], packet: bytes) -> int:
    """Classic BPF as the kernel's document describes it; a read behind the packet's end drops it."""
    accumulator = index = at = 0
    sizes = {bpf.LOAD_WORD: 4, bpf.LOAD_HALF: 2, bpf.LOAD_BYTE: 1, bpf.LOAD_HALF_AT_X: 2}
    while True:
        one = program[at]
        at += 1
        if one.code in sizes:
            start = one.value + (index if one.code == bpf.LOAD_HALF_AT_X else 0)
            data = packet[start : start + sizes[one.code]]
            if len(data) < sizes[one.code]:
                return 0
            accumulator = int.from_bytes(data, "big")
        elif one.code == bpf.LOAD_X_IP_HEADER:
            index = 4 * (packet[one.value] & 15)
        elif one.code == bpf.JUMP_EQUAL:
            at += one.true if accumulator == one.value else one.false
        elif one.code == bpf.JUMP_BITS:
            at += one.true if accumulator & one.value else one.false
        elif one.code == bpf.RETURN:
            return one.value
        else:
            raise AssertionError(f"unknown instruction {one.code:#x}")


def frame(
    source: str, destination: str, protocol: int, ports: tuple[int, int] = (0, 0), *, words: int = 5, fragment: int = 0
) -> bytes:
    one, other = ip_address(source), ip_address(destination)
    after = struct.pack("!HH", *ports) + bytes(16)
    ethernet = bytes(12)
    if one.version == 4:
        head = struct.pack("!BBHHHBBH", 0x40 | words, 0, 0, 0, fragment, 64, protocol, 0) + one.packed + other.packed
        return ethernet + struct.pack("!H", 0x0800) + head + bytes(4 * (words - 5)) + after
    head = struct.pack("!IHBB", 0x60000000, len(after), protocol, 64) + one.packed + other.packed
    return ethernet + struct.pack("!H", 0x86DD) + head + after


def arp(source: str, target: str) -> bytes:
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + bytes(6) + ip_address(source).packed
    return bytes(12) + struct.pack("!H", 0x0806) + body + bytes(6) + ip_address(target).packed


PACKETS: dict[str, tuple[bytes, dict[str, Any]]] = {
    f"{kind} {one}:{ports[0]} {other}:{ports[1]}": (
        frame(one, other, number, ports, words=words),
        {"kind": kind, "hosts": {one, other}, "ports": set(ports)},
    )
    for kind, number in (("tcp", TCP), ("udp", UDP), ("sctp", SCTP))
    for one, other, words in (
        ("10.0.0.2", "10.0.0.3", 5),
        ("10.0.0.3", "192.0.2.1", 7),
        ("fd00::2", "fd00::3", 5),
        ("fd00::3", "2001:db8::1", 5),
    )
    for ports in ((40000, 80), (80, 40000), (53, 53))
}
PACKETS |= {
    "ping": (frame("10.0.0.2", "10.0.0.3", ICMP), {"kind": "icmp", "hosts": {"10.0.0.2", "10.0.0.3"}, "ports": set()}),
    "ping6": (frame("fd00::2", "fd00::3", ICMPV6), {"kind": "icmp", "hosts": {"fd00::2", "fd00::3"}, "ports": set()}),
    "arp": (arp("10.0.0.2", "10.0.0.3"), {"kind": "arp", "hosts": {"10.0.0.2", "10.0.0.3"}, "ports": set()}),
    "other": (bytes(12) + b"\x88\xcc" + bytes(30), {"kind": "lldp", "hosts": set(), "ports": set()}),
    "short": (bytes(14), {"kind": "short", "hosts": set(), "ports": set()}),
}


@pytest.mark.parametrize("protocol", ["", "tcp", "udp", "icmp", "arp"])
@pytest.mark.parametrize("host", ["", "10.0.0.3", "10.0.0.9", "fd00::3", "fd00::9"])
@pytest.mark.parametrize("port", [0, 80, 53])
def test_a_filter_keeps_what_is_asked_for_and_nothing_else(protocol: str, host: str, port: int) -> None:
    wanted = PacketFilter(protocol=protocol, host=ip_address(host) if host else None, port=port)
    program = compile_filter(wanted, 96)
    for name, (packet, facts) in PACKETS.items():
        expected = (
            (not protocol or facts["kind"] == protocol)
            and (not host or host in facts["hosts"])
            and (not port or port in facts["ports"])
        )
        assert run(program, packet) == (96 if expected else 0), f"{wanted}: {name}"


def test_a_later_fragment_has_no_ports() -> None:
    program = compile_filter(PacketFilter(protocol="udp", port=80), 96)
    assert run(program, frame("10.0.0.2", "10.0.0.3", UDP, (80, 80))) == 96
    assert run(program, frame("10.0.0.2", "10.0.0.3", UDP, (80, 80), fragment=0x2010)) == 0
    assert run(program, frame("10.0.0.2", "10.0.0.3", UDP, (80, 80), fragment=0x2000)) == 96, "the first one has"


@given(st.binary(max_size=80))
def test_no_packet_leads_a_filter_astray(packet: bytes) -> None:
    wanted = PacketFilter(host=ip_address("fd00::3"), port=443)
    assert run(compile_filter(wanted, 96), packet.ljust(15, b"\0")) in {0, 96}


def test_a_filter_says_itself_and_comes_back_from_its_row() -> None:
    wanted = PacketFilter(protocol="tcp", host=ip_address("10.0.0.3"), port=80)
    assert str(wanted) == "tcp and host 10.0.0.3 and port 80"
    assert PacketFilter.from_json(wanted.to_json()) == wanted
    assert PacketFilter.from_json(PacketFilter().to_json()) == PacketFilter()
    for bad in ({"protocol": "x", "host": "", "port": 0}, {"protocol": "", "host": "", "port": 1 << 16}):
        with pytest.raises(ValueError, match="no filter"):
            PacketFilter.from_json(bad)


def test_a_file_is_as_the_draft_says() -> None:
    ns = 1_800_000_000_123_456_789
    data = pcapng.section(application="CNM Web", system="Linux", comment="container größe")
    data += pcapng.interface(name="eth0", description="web on app", snap_length=96, packet_filter="tcp")
    data += pcapng.packet(b"12345", length=1500, ns=ns, direction=pcapng.OUTBOUND)
    data += pcapng.statistics(began_ns=ns, ended_ns=ns + 5, received=3, dropped=2)
    section, interface, packet, statistics = blocks(data)
    assert section[0] == 0x0A0D0D0A
    assert struct.unpack_from("<IHHq", section[1]) == (0x1A2B3C4D, 1, 0, -1)
    assert options(section[1][16:])[1].decode() == "container größe"
    assert (interface[0], struct.unpack_from("<HHI", interface[1])) == (1, (1, 0, 96))
    assert options(interface[1][8:]) == {2: b"eth0", 3: b"web on app", 9: b"\x09", 11: b"\0tcp"}
    number, high, low, kept, length = struct.unpack_from("<IIIII", packet[1])
    assert (packet[0], number, high << 32 | low, kept, length) == (6, 0, ns, 5, 1500)
    assert packet[1][20:28] == b"12345\0\0\0"
    assert options(packet[1][28:]) == {2: struct.pack("<I", 2)}
    assert statistics[0] == 5
    assert options(statistics[1][12:])[4] == struct.pack("<Q", 3)
    assert options(statistics[1][12:])[5] == struct.pack("<Q", 2)
