"""Cheap signs that rules have changed."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_NETLINK_NETFILTER = 12
_GET_GENERATION = (10 << 8) | 16
"""NFNL_SUBSYS_NFTABLES and NFT_MSG_GETGEN (linux/netfilter/nf_tables.h)."""
_REQUEST = 1
_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_GENERATION_ID = 1
_TIMEOUT_S = 2.0


class Generation:
    """The generation id of nf_tables in this network namespace: it grows by one with each transaction of anybody (16 µs)."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def read(self) -> int | None:
        """The id; None where the kernel has no nf_tables or does not tell."""
        try:
            return self._ask()
        except (OSError, struct.error):
            self.close()
            return None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self) -> int | None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
            self._socket.settimeout(_TIMEOUT_S)
        body = _FAMILY.pack(0, 0, 0)
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), _GET_GENERATION, _REQUEST, 0, 0) + body)
        answer = self._socket.recv(4096)
        _, kind, _, _, _ = _HEADER.unpack_from(answer)
        if kind == _ERROR:
            return None
        at = _HEADER.size + _FAMILY.size
        while at < len(answer):
            length, attribute = _ATTRIBUTE.unpack_from(answer, at)
            if attribute == _GENERATION_ID:
                return int(struct.unpack_from(">I", answer, at + _ATTRIBUTE.size)[0])
            at += (length + 3) & ~3
        return None


def legacy_tables(family: int) -> tuple[str, ...]:
    """The tables of the legacy kind that exist in this namespace. Asking for another one would make it."""
    path = Path("/proc/net/ip_tables_names" if family == 4 else "/proc/net/ip6_tables_names")
    try:
        return tuple(sorted(path.read_text().split()))
    except OSError:
        return ()
