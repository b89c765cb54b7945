"""What a packet capture is asked for: which packets, how much of each, and when it is enough. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

PROTOCOLS = ("", "tcp", "udp", "icmp", "arp")
"""Empty: all. ``icmp`` means that of both families."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketFilter:
    """All that is given must hold; nothing given: every packet."""

    protocol: str = ""
    host: IPv4Address | IPv6Address | None = None
    """Either end."""
    port: int = 0
    """Either end, of TCP, UDP or SCTP; 0: any."""

    def __str__(self) -> str:
        """In words that tcpdump's users know."""
        parts = [self.protocol, f"host {self.host}" if self.host else "", f"port {self.port}" if self.port else ""]
        return " and ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        return {"protocol": self.protocol, "host": str(self.host or ""), "port": self.port}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PacketFilter:
        """The inverse of :meth:`to_json`. Raises ValueError for what is no filter."""
        protocol, port = str(value["protocol"]), int(value["port"])
        if protocol not in PROTOCOLS or not 0 <= port < 1 << 16:
            raise ValueError(f"no filter: {value!r}")
        return cls(protocol=protocol, host=ip_address(value["host"]) if value["host"] else None, port=port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Whichever is reached first ends a capture."""

    seconds: int = 60
    size: int = 10 << 20
    """Bytes of the file."""
    snap_length: int = 65535
    """Bytes of each packet that are kept."""


LONGEST_S = 600
LARGEST = 100 << 20
SNAP_LENGTHS = (64, 65535)
