"""Blocks of a pcapng file, little endian, one interface, times in nanoseconds. Pure.

Source: IETF draft-ietf-opsawg-pcapng, "PCAP Now Generic (pcapng) Capture File Format", section 4.
"""

from __future__ import annotations

import struct

ETHERNET = 1
"""LINKTYPE_ETHERNET."""
INBOUND, OUTBOUND = 1, 2
"""``epb_flags``, bits 0 and 1: as the host sees it that captures."""
_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_COMMENT, _OS, _APPLICATION = 1, 3, 4
_NAME, _DESCRIPTION, _RESOLUTION, _FILTER = 2, 3, 9, 11
_FLAGS = 2
_BEGAN, _ENDED, _RECEIVED, _DROPPED = 2, 3, 4, 5
_NANOSECONDS = b"\x09"
"""``if_tsresol``: a power of ten."""


def section(*, application: str, system: str, comment: str = "") -> bytes:
    """The beginning of a file."""
    options = _text(_COMMENT, comment) + _text(_OS, system) + _text(_APPLICATION, application)
    return _block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), options)


def interface(*, name: str, description: str, snap_length: int, packet_filter: str = "") -> bytes:
    """The interface that all packets are of."""
    options = _text(_NAME, name) + _text(_DESCRIPTION, description) + _option(_RESOLUTION, _NANOSECONDS)
    if packet_filter:
        options += _option(_FILTER, b"\0" + packet_filter.encode())  # 0: as libpcap's users write it
    return _block(_INTERFACE, struct.pack("<HHI", ETHERNET, 0, snap_length), options)


def packet(data: bytes, *, length: int, ns: int, direction: int = 0) -> bytes:
    """One packet: what was kept of it, how long it was, when it came (nanoseconds since 1970)."""
    head = struct.pack("<IIIII", 0, ns >> 32, ns & 0xFFFFFFFF, len(data), length)
    options = _option(_FLAGS, struct.pack("<I", direction)) if direction else b""
    return _block(_PACKET, head + _padded(data), options)


def statistics(*, began_ns: int, ended_ns: int, received: int, dropped: int) -> bytes:
    """What the kernel counted, at the end of a file."""
    options = b"".join(
        _option(code, struct.pack("<II", value >> 32, value & 0xFFFFFFFF))
        for code, value in ((_BEGAN, began_ns), (_ENDED, ended_ns))
    )
    options += _option(_RECEIVED, struct.pack("<Q", received)) + _option(_DROPPED, struct.pack("<Q", dropped))
    return _block(_STATISTICS, struct.pack("<III", 0, ended_ns >> 32, ended_ns & 0xFFFFFFFF), options)


def _block(kind: int, body: bytes, options: bytes) -> bytes:
    if options:
        options += struct.pack("<HH", 0, 0)
    length = struct.pack("<I", 12 + len(body) + len(options))
    return struct.pack("<I", kind) + length + body + options + length


def _text(code: int, text: str) -> bytes:
    return _option(code, text.encode()[:1024]) if text else b""


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
