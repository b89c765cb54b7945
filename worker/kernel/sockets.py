"""Who holds which port, and which program that is (proc(5)); as root, else some of it."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from networks.cnm.facts import Listener

from .sock_diag import BoundSocket, SocketDiag, decoded

_TABLES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6")}
_LISTEN = "0A"
_UNCONNECTED = "07"
_INODE = re.compile(r"socket:\[(\d+)\]\Z")


def listeners(besides: frozenset[int] = frozenset()) -> tuple[Listener, ...]:
    """Every port that a program of this host holds, those of the processes *besides* (pids) aside; sorted."""
    found = bound()
    owners = _owners({item.inode for item in found})
    result = {
        Listener(protocol=protocol, address=str(address), port=port, process=owners.get(inode, (0, ""))[1])
        for protocol, address, port, inode in found
        if owners.get(inode, (0, ""))[0] not in besides
    }
    return tuple(sorted(result, key=lambda item: (item.protocol, item.port, item.address, item.process)))


def holder_of(protocol: str, port: int) -> str:
    """``name (pid)`` of a program that holds *port*, or an empty text where that cannot be known."""
    inodes = {item.inode for item in bound() if (item.protocol, item.port) == (protocol, port)}
    return next((name for _, name in _owners(inodes).values()), "")


def bound() -> list[BoundSocket]:
    """Every socket of this network namespace that holds a port."""
    try:
        with closing(SocketDiag()) as diag:
            return [decoded(*item) for item in diag.read().values()]
    except OSError:  # not root, or a kernel without it
        return list(bound_by_proc())


def bound_by_proc() -> Iterator[BoundSocket]:
    """As :func:`bound`, from the tables of all sockets, which grow with what is connected."""
    for protocol, names in _TABLES.items():
        for name in names:
            try:
                lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                words = line.split()
                if words[3] == (_LISTEN if protocol == "tcp" else _UNCONNECTED):
                    address, _, port = words[1].partition(":")
                    yield BoundSocket(protocol, _address(address), int(port, 16), int(words[9]))


def _address(text: str) -> IPv4Address | IPv6Address:
    """The kernel prints addresses as words in its own byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def _owners(inodes: set[int]) -> dict[int, tuple[int, str]]:
    """Socket inode -> (pid, ``name (pid)``) of a process that has it open."""
    owners: dict[int, tuple[int, str]] = {}
    for entry in os.scandir("/proc") if inodes else ():
        if not entry.name.isdigit():
            continue
        try:
            links = [os.readlink(handle.path) for handle in os.scandir(f"{entry.path}/fd")]
            mine = {int(found[1]) for link in links if (found := _INODE.match(link))} & inodes
            if mine:
                name = Path(f"{entry.path}/comm").read_text().strip()
                owners |= {inode: (int(entry.name), f"{name} ({entry.name})") for inode in mine}
        except OSError:
            continue  # it ended meanwhile
    return owners
