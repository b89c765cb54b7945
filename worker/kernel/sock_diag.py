"""Which sockets hold ports, as the kernel lists them (``sock_diag(7)``): those alone are gone through, however many are connected."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from .netlink import Netlink

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
_LISTEN, _UNCONNECTED = 10, 7
"""``TCP_LISTEN``, and ``TCP_CLOSE``, which the kernel calls a UDP socket without a peer by."""
_ASKED = {"tcp": (socket.IPPROTO_TCP, 1 << _LISTEN), "udp": (socket.IPPROTO_UDP, 1 << _UNCONNECTED)}
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
"""``struct inet_diag_req_v2``, its socket left open."""
_PORT = struct.Struct("!H")
_PORT_AT, _ADDRESS_AT, _INODE_AT = 20, 24, 84
_COOKIE = slice(60, 68)
"""Within ``struct inet_diag_msg``, the header counted in: what tells the socket from every other for as long as it lasts."""


class BoundSocket(NamedTuple):
    """A socket that holds a port."""

    protocol: str
    address: IPv4Address | IPv6Address
    port: int
    inode: int


Found = Mapping[bytes, tuple[str, memoryview]]
"""A socket's cookie -> its protocol and what the kernel said of it, for :func:`decoded`."""


class SocketDiag:
    """Asks about the network namespace in which it was made, again and again. Raises OSError where it may not, or the kernel cannot."""

    def __init__(self) -> None:
        self._netlink = Netlink(NETLINK_SOCK_DIAG)

    def read(self) -> Found:
        """Every socket that holds a TCP or UDP port. A thousand cost a millisecond."""
        found: dict[bytes, tuple[str, memoryview]] = {}
        for protocol, (number, states) in _ASKED.items():
            for family in (socket.AF_INET, socket.AF_INET6):
                length = _HEADER.size + _REQUEST.size
                request = _HEADER.pack(length, SOCK_DIAG_BY_FAMILY, 0, 0, 0) + _REQUEST.pack(family, number, 0, states)
                found.update({bytes(item[_COOKIE]): (protocol, item) for item in self._netlink.dump(request)})
        return found

    def close(self) -> None:
        self._netlink.close()


def decoded(protocol: str, message: memoryview) -> BoundSocket:
    """What the kernel said of one socket, in words."""
    version: type[IPv4Address | IPv6Address] = IPv4Address if message[_HEADER.size] == socket.AF_INET else IPv6Address
    packed = bytes(message[_ADDRESS_AT : _ADDRESS_AT + (4 if version is IPv4Address else 16)])
    (port,) = _PORT.unpack_from(message, _PORT_AT)
    (inode,) = struct.unpack_from("=I", message, _INODE_AT)
    return BoundSocket(protocol, version(packed), port, inode)
