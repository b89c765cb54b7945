"""A strict reader of pcapng files (draft-ietf-opsawg-pcapng), for tests: what is not as the draft says fails."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6


@dataclass(frozen=True)
class Packet:
    ns: int
    data: bytes
    length: int
    direction: int


@dataclass(frozen=True)
class File:
    comment: str
    interface: str
    snap_length: int
    packets: list[Packet]
    received: int
    dropped: int


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, body) of each block; every length stands twice, and is a multiple of four."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0
        assert length >= 12
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length
        yield kind, data[at + 8 : at + length - 4]
        at += length
    assert at == len(data)


def options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            assert (length, at + 4) == (0, len(data))
            return found
        found[code] = data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
    return found


def read(data: bytes) -> File:
    """A whole file of one section and one interface, its statistics at the end."""
    (kind, section), (second, interface), *others, (last, statistics) = blocks(data)
    assert (kind, second, last) == (SECTION, INTERFACE, STATISTICS)
    assert struct.unpack_from("<IHHq", section) == (0x1A2B3C4D, 1, 0, -1)
    link, _, snap_length = struct.unpack_from("<HHI", interface)
    described = options(interface[8:])
    assert (link, described[9]) == (1, b"\x09"), "Ethernet, nanoseconds"
    counted = options(statistics[12:])
    return File(
        comment=options(section[16:])[1].decode(),
        interface=described[2].decode(),
        snap_length=snap_length,
        packets=[_packet(kind, body, snap_length) for kind, body in others],
        received=struct.unpack("<Q", counted[4])[0],
        dropped=struct.unpack("<Q", counted[5])[0],
    )


def _packet(kind: int, body: bytes, snap_length: int) -> Packet:
    assert kind == PACKET
    interface, high, low, kept, length = struct.unpack_from("<IIIII", body)
    assert interface == 0
    assert kept <= min(length, snap_length)
    end = 20 + kept + -kept % 4
    assert body[20 + kept : end] == bytes(end - 20 - kept)
    flags = options(body[end:]).get(2, bytes(4))
    return Packet(high << 32 | low, body[20 : 20 + kept], length, struct.unpack("<I", flags)[0] & 3)
