"""Netlink messages of VXLAN devices, of their forwarding entries and their neighbours (rtnetlink(7), bridge(8)).

Made and read by hand, as in :mod:`worker.kernel.rtnl`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from socket import AF_BRIDGE, AF_INET, AF_INET6, AF_UNSPEC
from typing import Any

from networks.cnm.addresses import AnyAddress

from .netlink import attribute, attributes, compose, number, string
from .rtnl import (
    IFLA_IFNAME,
    IFLA_MASTER,
    IFLA_MTU,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTM_NEWLINK,
    link_info,
    link_message,
)

RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
NTF_SELF, NTF_MASTER = 0x02, 0x04
_DESTINATION, _LINK_ADDRESS, _INDEX = 1, 2, 8
"""NDA_DST, NDA_LLADDR and NDA_IFINDEX, linux/neighbour.h."""
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
"""``struct ndmsg``: family, index of the link, state, flags, type."""
_ID, _LOCAL, _LEARNING, _PROXY, _PORT, _LOCAL6 = 1, 4, 7, 11, 15, 17
"""Attributes of IFLA_INFO_DATA (IFLA_VXLAN_*, linux/if_link.h)."""


@dataclass(frozen=True, slots=True)
class VxlanLink:
    """What makes a VXLAN device one."""

    vni: int
    port: int
    local: AnyAddress | None
    learning: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A permanent forwarding entry or neighbour of a device."""

    mac: str
    address: AnyAddress | None
    """A neighbour's own; a forwarding entry's host. None: an entry of a bridge, which leads to the port."""


def create_vxlan(name: str, *, vni: int, port: int, local: AnyAddress | None, master: int, mtu: int) -> bytes:
    """A device, down, as a port of the bridge *master*; what nobody told it of it drops."""
    data = number(_ID, vni) + attribute(_PORT, port.to_bytes(2, "big")) + _LEARNS_NOTHING + attribute(_PROXY, b"\1")
    info = link_info("vxlan", data + (_spoken_from(local) if local is not None else b""))
    attrs = (string(IFLA_IFNAME, name), number(IFLA_MTU, mtu), number(IFLA_MASTER, master), info)
    return link_message(RTM_NEWLINK, *attrs, flags=NLM_F_CREATE | NLM_F_EXCL)


def set_vxlan(name: str, local: AnyAddress) -> bytes:
    """Have a device speak from another address, and learn nothing."""
    info = link_info("vxlan", _LEARNS_NOTHING + _spoken_from(local))
    return link_message(RTM_NEWLINK, string(IFLA_IFNAME, name), info)


def _spoken_from(address: AnyAddress) -> bytes:
    return attribute(_LOCAL if address.version == 4 else _LOCAL6, address.packed)


def set_forwarding(index: int, mac: str, remote: AnyAddress) -> tuple[bytes, bytes]:
    """Frames for *mac* go to the host *remote*: the bridge's entry, and the device's own."""
    flags = NLM_F_CREATE | NLM_F_REPLACE
    # Not permanent on the bridge: there that would mean that the MAC is the port's own (BR_FDB_LOCAL).
    bridged = _neighbour(RTM_NEWNEIGH, flags, AF_BRIDGE, index, NUD_NOARP, NTF_MASTER, _mac(mac))
    attrs = _mac(mac) + attribute(_DESTINATION, remote.packed)
    return bridged, _neighbour(RTM_NEWNEIGH, flags, AF_BRIDGE, index, NUD_PERMANENT, NTF_SELF, attrs)


def delete_forwarding(index: int, mac: str) -> tuple[bytes, bytes]:
    attrs = _mac(mac)
    bridged = _neighbour(RTM_DELNEIGH, 0, AF_BRIDGE, index, NUD_NOARP, NTF_MASTER, attrs)
    return bridged, _neighbour(RTM_DELNEIGH, 0, AF_BRIDGE, index, NUD_PERMANENT, NTF_SELF, attrs)


def set_neighbour(index: int, address: AnyAddress, mac: str) -> bytes:
    attrs = attribute(_DESTINATION, address.packed) + _mac(mac)
    family = AF_INET if address.version == 4 else AF_INET6
    return _neighbour(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, family, index, NUD_PERMANENT, 0, attrs)


def delete_neighbour(index: int, address: AnyAddress) -> bytes:
    family = AF_INET if address.version == 4 else AF_INET6
    return _neighbour(RTM_DELNEIGH, 0, family, index, 0, 0, attribute(_DESTINATION, address.packed))


@lru_cache(maxsize=1024)
def list_forwarding(index: int) -> bytes:
    """The entries of one device and of its bridge for it, for a dump."""
    return _neighbour(RTM_GETNEIGH, 0, AF_BRIDGE, index, 0, 0, b"")


@lru_cache(maxsize=1024)
def list_neighbours(index: int) -> bytes:
    """The neighbours of one device, both versions of IP, for a dump."""
    return _neighbour(RTM_GETNEIGH, 0, AF_UNSPEC, 0, 0, 0, number(_INDEX, index))


def _neighbour(kind: int, flags: int, family: int, index: int, state: int, of: int, attrs: bytes) -> bytes:
    return compose(kind, flags, _NEIGHBOUR.pack(family, index, state, of, 0) + attrs)


def _mac(mac: str) -> bytes:
    return attribute(_LINK_ADDRESS, bytes.fromhex(mac.replace(":", "")))


def read_vxlan(message: memoryview) -> VxlanLink | None:
    """What a link's message says of VXLAN; None: it is another kind of link."""
    info = attributes(message, 32).get(18)
    found = attributes(info, 0) if info is not None else {}
    if bytes(found.get(1, b"")).rstrip(b"\0") != b"vxlan" or 2 not in found:
        return None
    data = attributes(found[2], 0)
    local = data.get(_LOCAL, data.get(_LOCAL6))
    address = ip_address(bytes(local)) if local is not None and any(local) else None
    return VxlanLink(
        vni=int.from_bytes(data[_ID][:4], _ORDER) if _ID in data else 0,
        port=int.from_bytes(data[_PORT][:2], "big") if _PORT in data else 0,
        local=address,
        learning=_LEARNING in data and bool(data[_LEARNING][0]),
    )


def read_entry(message: memoryview) -> Entry | None:
    """None: an entry that the kernel made itself or will forget (a port's own MAC, something learned)."""
    family, state, flags = struct.unpack_from("=B7xHB", message, 16)
    found = attributes(message, 28)
    mac = bytes(found[2]).hex(":") if 2 in found else ""
    address = ip_address(bytes(found[1])) if 1 in found else None
    if family == AF_BRIDGE and address is None:
        return Entry(mac, None) if state & NUD_NOARP and not state & NUD_PERMANENT and not flags & NTF_SELF else None
    return Entry(mac, address) if state & NUD_PERMANENT else None


_LEARNS_NOTHING = attribute(_LEARNING, b"\0")
_ORDER: Any = "little" if struct.pack("=H", 1)[0] == 1 else "big"
