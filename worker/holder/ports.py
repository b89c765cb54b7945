"""Opening host ports so that nobody else can have them."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

BACKLOG = 128
_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A host port: protocol, address, number."""

    protocol: str
    address: str
    port: int

    @classmethod
    def of(cls, value: dict[str, object]) -> Port:
        """From JSON. Raises ValueError for anything that is no port."""
        protocol, port = str(value.get("protocol")), value.get("port")
        if protocol not in _KINDS or not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
            raise ValueError("no such port")
        return cls(protocol, str(ip_address(str(value.get("address")))), port)

    def meets(self, other: Port) -> bool:
        """Whether one of the two, as a wildcard, covers the other."""
        if (self.protocol, self.port) != (other.protocol, other.port):
            return False
        one, two = ip_address(self.address), ip_address(other.address)
        return one.version == two.version and one != two and (one.is_unspecified or two.is_unspecified)


def open_port(port: Port) -> socket.socket:
    """A socket that holds *port*, in the listening state where the protocol has one.

    TCP listens even where nobody is served: a port that is merely bound can be bound again by a program that sets SO_REUSEADDR
    (socket(7)). The option is set here for the sake of connections that rest in TIME_WAIT. Raises OSError.
    """
    kind, number = _KINDS[port.protocol]
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    held = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, number)
    try:
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if port.protocol != "udp":
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((port.address, port.port))
        if port.protocol != "udp":
            held.listen(BACKLOG)
    except BaseException:
        held.close()
        raise
    return held
