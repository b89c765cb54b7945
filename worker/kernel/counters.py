"""What went through each device of the host, as the kernel counts it (``RTM_GETSTATS``, rtnetlink(7)).

Much cheaper than a dump of links, which holds every setting of each: 230 bytes a device.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from .netlink import Netlink, attributes

RTM_GETSTATS = 94
RTM_GETLINK = 18
_IFLA_STATS_LINK_64 = 1
_IFLA_IFNAME, _IFLA_EXT_MASK, _SKIP_STATS = 3, 29, 8
_HEADER = struct.Struct("=IHHII")
_BODY = struct.Struct("=BBHII")
_REQUEST = _HEADER.pack(28, RTM_GETSTATS, 0, 0, 0) + _BODY.pack(0, 0, 0, 0, 1 << (_IFLA_STATS_LINK_64 - 1))
_LINK = struct.Struct("=BBHiII")
"""``struct ifinfomsg``."""
_NAMES = (
    _HEADER.pack(40, RTM_GETLINK, 0, 0, 0) + _LINK.pack(*[0] * 6) + struct.pack("=HHI", 8, _IFLA_EXT_MASK, _SKIP_STATS)
)
_COUNTERS = struct.Struct("=QQQQ")
"""The first of ``struct rtnl_link_stats64``: rx_packets, tx_packets, rx_bytes, tx_bytes."""


class Counted(NamedTuple):
    """Totals since there is something to count. *To*: what the host sent there; *from*: what came from there."""

    bytes_to: int
    packets_to: int
    bytes_from: int
    packets_from: int


class LinkCounters:
    """The counters of all devices of the network namespace in which it was made, again and again."""

    def __init__(self) -> None:
        self._netlink = Netlink()
        self._names: Mapping[int, str] = {}

    def read(self) -> dict[tuple[int, str], Counted]:
        """(index, name) -> totals. One dump; names are read anew when a device is there that was not."""
        found = dict(map(_read, self._netlink.dump(_REQUEST)))
        if found.keys() - self._names.keys():
            self._names = dict(map(_name, self._netlink.dump(_NAMES)))
        return {(index, self._names[index]): item for index, item in found.items() if index in self._names}

    def close(self) -> None:
        self._netlink.close()


def _name(message: memoryview) -> tuple[int, str]:
    index = _LINK.unpack_from(message, _HEADER.size)[3]
    name = bytes(attributes(message, _HEADER.size + _LINK.size)[_IFLA_IFNAME])
    return index, name.rstrip(b"\0").decode()


def _read(message: memoryview) -> tuple[int, Counted]:
    _, _, _, index, _ = _BODY.unpack_from(message, _HEADER.size)
    rx_packets, tx_packets, rx_bytes, tx_bytes = _COUNTERS.unpack_from(
        attributes(message, _HEADER.size + _BODY.size)[_IFLA_STATS_LINK_64]
    )
    return index, Counted(tx_bytes, tx_packets, rx_bytes, rx_packets)
