"""Route netlink messages (rtnetlink(7)): made with pyroute2's message classes, read by hand.

Reading by hand, because a full look at a host decodes every link of every sandbox, and only a handful of their
attributes are wanted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    ip_address,
    ip_interface,
    ip_network,
)
from socket import AF_INET, AF_INET6, AF_UNSPEC
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from networks.cnm.addresses import AnyAddress, AnyInterface, AnyNetwork

from .netlink import attributes

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
IFF_UP = 0x1
IFA_F_NODAD, IFA_F_PERMANENT = 0x02, 0x80
RT_TABLE_MAIN = 254
RTPROT_BOOT, RTPROT_STATIC = 3, 4
RTN_UNICAST = 1
RTEXT_FILTER_SKIP_STATS = 8
IPV4_ROUTE_LOCALNET = 26
"""Place in the array of IFLA_INET_CONF, counted from 1 (``IPV4_DEVCONF_ROUTE_LOCALNET``, linux/ip.h)."""
IPV6_DISABLE = 26
"""Place in the array of IFLA_INET6_CONF, counted from 0 (``DEVCONF_DISABLE_IPV6``, linux/ipv6.h)."""

Attributes = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Link:
    """What is wanted of a link."""

    index: int
    name: str
    kind: str
    up: bool
    mtu: int
    mac: str
    master: int
    """Index of the bridge that it is a port of, or 0."""
    peer: int
    """Index of a veth's other end in that end's namespace, or 0."""
    alias: str
    hairpin: bool
    route_localnet: bool
    ipv6: bool
    """Whether IPv6 is on for this link."""


@dataclass(frozen=True, slots=True)
class LinkAddress:
    index: int
    """The link's index."""
    address: AnyInterface
    permanent: bool
    nodad: bool
    broadcast: IPv4Address | None


@dataclass(frozen=True, slots=True)
class LinkRoute:
    """A unicast route of the main table with one gateway."""

    destination: AnyNetwork
    gateway: AnyAddress
    index: int
    protocol: int
    metric: int


def create_bridge(name: str, mac: str) -> bytes:
    """A bridge, down. The MAC is fixed, or it would change with each port."""
    info = {"attrs": [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", {"attrs": [("IFLA_BR_STP_STATE", 0)]})]}
    attrs: Attributes = [("IFLA_IFNAME", name), ("IFLA_ADDRESS", mac), ("IFLA_LINKINFO", info)]
    return _encode(ifinfmsg, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, attrs)


def create_veth(name: str, *, master: int, mtu: int, peer: str, peer_mac: str, namespace: int) -> bytes:
    """A veth whose host end *name* is a port of *master*, down; the other end is born in *namespace* (a descriptor).

    The other end is never moved: a move costs a grace period of 20 ms.
    """
    born: Attributes = [("IFLA_IFNAME", peer), ("IFLA_NET_NS_FD", namespace), ("IFLA_MTU", mtu)]
    if peer_mac:
        born.append(("IFLA_ADDRESS", peer_mac))
    data = {"attrs": [("VETH_INFO_PEER", {"attrs": born})]}
    info = {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", data)]}
    attrs: Attributes = [("IFLA_IFNAME", name), ("IFLA_MTU", mtu), ("IFLA_LINKINFO", info)]
    if master:
        attrs.append(("IFLA_MASTER", master))
    return _encode(ifinfmsg, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, attrs)


def set_link(
    link: int | str,
    *,
    up: bool | None = None,
    mtu: int | None = None,
    mac: str | None = None,
    master: int | None = None,
    alias: str | None = None,
    group: int | None = None,
) -> bytes:
    """Change a link, by index or by name, in what is given."""
    attrs: Attributes = [] if isinstance(link, int) else [("IFLA_IFNAME", link)]
    given = {"IFLA_MTU": mtu, "IFLA_ADDRESS": mac, "IFLA_MASTER": master, "IFLA_IFALIAS": alias, "IFLA_GROUP": group}
    attrs += [(name, value) for name, value in given.items() if value is not None]
    flags = {} if up is None else {"flags": IFF_UP if up else 0, "change": IFF_UP}
    return _encode(ifinfmsg, RTM_NEWLINK, 0, attrs, index=link if isinstance(link, int) else 0, **flags)


def set_port(name: str, *, hairpin: bool) -> bytes:
    """Change how a link is a port of its bridge; it must be one already."""
    port = {"attrs": [("IFLA_BRPORT_MODE", int(hairpin))]}
    info = {"attrs": [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", port)]}
    return _encode(ifinfmsg, RTM_NEWLINK, 0, [("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)])


def delete_link(name: str) -> bytes:
    return _encode(ifinfmsg, RTM_DELLINK, 0, [("IFLA_IFNAME", name)])


def delete_group(group: int) -> bytes:
    """Delete all links of a group in one go: the kernel waits for its grace periods once for all of them."""
    return _encode(ifinfmsg, RTM_DELLINK, 0, [("IFLA_GROUP", group)])


@lru_cache(maxsize=4096)
def get_link(link: int | str) -> bytes:
    attrs: Attributes = [("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)]
    if isinstance(link, str):
        attrs.append(("IFLA_IFNAME", link))
    return _encode(ifinfmsg, RTM_GETLINK, 0, attrs, index=link if isinstance(link, int) else 0)


@lru_cache
def list_links(kind: str = "") -> bytes:
    """All links, or those of one kind, for a dump."""
    attrs: Attributes = [("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)]
    if kind:
        attrs.append(("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind)]}))
    return _encode(ifinfmsg, RTM_GETLINK, 0, attrs)


def add_address(index: int, address: AnyInterface) -> bytes:
    """A permanent address as Docker gives it: IPv4 with its broadcast address, IPv6 without duplicate detection."""
    attrs: Attributes = [("IFA_LOCAL", str(address.ip)), ("IFA_ADDRESS", str(address.ip))]
    broadcast = broadcast_of(address)
    if broadcast is not None:
        attrs.append(("IFA_BROADCAST", str(broadcast)))
    flags = IFA_F_NODAD | IFA_F_PERMANENT if address.version == 6 else IFA_F_PERMANENT
    return _address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address, attrs, flags=flags)


def delete_address(index: int, address: AnyInterface) -> bytes:
    return _address(RTM_DELADDR, 0, index, address, [("IFA_LOCAL", str(address.ip))])


@lru_cache
def list_addresses(index: int = 0) -> bytes:
    """All addresses, or those of one link, for a dump."""
    return _encode(ifaddrmsg, RTM_GETADDR, 0, [], family=AF_UNSPEC, prefixlen=0, flags=0, scope=0, index=index)


def broadcast_of(address: AnyInterface) -> IPv4Address | None:
    """The broadcast address of an IPv4 subnet; /31 and /32 have none (RFC 3021)."""
    if isinstance(address, IPv4Interface) and address.network.prefixlen < 31:
        return address.network.broadcast_address
    return None


def add_route(destination: AnyNetwork, gateway: AnyAddress, index: int, *, replace: bool) -> bytes:
    """A route of the main table; with *replace* in the place of one to the same destination.

    A default route looks as Docker's (protocol ``boot``); any other is marked ``static``, so that it is known again.
    """
    flags = NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
    return _route(RTM_NEWROUTE, flags, destination, gateway, index)


def delete_route(destination: AnyNetwork, gateway: AnyAddress, index: int) -> bytes:
    return _route(RTM_DELROUTE, 0, destination, gateway, index)


@lru_cache
def list_routes(version: int) -> bytes:
    """The main table of one IP version, for a dump."""
    return _encode(rtmsg, RTM_GETROUTE, 0, [], family=_family(version), table=RT_TABLE_MAIN, dst_len=0, src_len=0)


def read_link(message: memoryview) -> Link:
    index, flags = struct.unpack_from("=iI", message, 20)
    found = attributes(message, 32)
    info = attributes(found[18], 0) if 18 in found else {}
    slave = attributes(info[5], 0) if 5 in info else {}
    by_family = attributes(found[26], 0) if 26 in found else {}
    ipv4 = attributes(by_family[AF_INET], 0).get(1) if AF_INET in by_family else None
    ipv6 = attributes(by_family[AF_INET6], 0).get(2) if AF_INET6 in by_family else None
    return Link(
        index=index,
        name=_text(found.get(3)),
        kind=_text(info.get(1)),
        up=bool(flags & IFF_UP),
        mtu=_number(found.get(4)),
        mac=bytes(found[1]).hex(":") if 1 in found else "",
        master=_number(found.get(10)),
        peer=_number(found.get(5)),
        alias=_text(found.get(20)),
        hairpin=4 in slave and bool(slave[4][0]),
        route_localnet=bool(ipv4 is not None and _item(ipv4, IPV4_ROUTE_LOCALNET - 1)),
        ipv6=ipv6 is not None and not _item(ipv6, IPV6_DISABLE),
    )


def read_address(message: memoryview) -> LinkAddress:
    family, prefix, flags, _, index = struct.unpack_from("=BBBBI", message, 16)
    found = attributes(message, 24)
    raw = found.get(2, found.get(1, memoryview(b"")))
    if 8 in found:  # IFA_FLAGS: the wider copy of the header's flags
        flags = _number(found[8])
    broadcast = IPv4Address(bytes(found[4])) if family == AF_INET and 4 in found else None
    address = ip_interface((bytes(raw), prefix))
    return LinkAddress(index, address, bool(flags & IFA_F_PERMANENT), bool(flags & IFA_F_NODAD), broadcast)


def read_route(message: memoryview) -> LinkRoute | None:
    """None: a route of another shape than ours (no gateway, several next hops, another type or table)."""
    family, length, _, _, table, protocol, _, kind = struct.unpack_from("=BBBBBBBB", message, 16)
    found = attributes(message, 28)
    if table != RT_TABLE_MAIN or kind != RTN_UNICAST or 5 not in found or 4 not in found:
        return None
    raw = bytes(found[1]) if 1 in found else bytes(4 if family == AF_INET else 16)
    gateway = ip_address(bytes(found[5]))
    return LinkRoute(ip_network((raw, length)), gateway, _number(found[4]), protocol, _number(found.get(6)))


def _address(kind: int, flags_: int, index: int, address: AnyInterface, attrs: Attributes, flags: int = 0) -> bytes:
    prefix = address.network.prefixlen
    return _encode(
        ifaddrmsg, kind, flags_, attrs, family=_family(address.version), prefixlen=prefix, flags=flags, index=index
    )


def _route(kind: int, flags: int, destination: AnyNetwork, gateway: AnyAddress, index: int) -> bytes:
    attrs: Attributes = [("RTA_GATEWAY", str(gateway)), ("RTA_OIF", index)]
    if destination.prefixlen:
        attrs.append(("RTA_DST", str(destination.network_address)))
    return _encode(
        rtmsg,
        kind,
        flags,
        attrs,
        family=_family(destination.version),
        dst_len=destination.prefixlen,
        table=RT_TABLE_MAIN,
        proto=RTPROT_STATIC if destination.prefixlen else RTPROT_BOOT,
        type=RTN_UNICAST,
    )


def _encode(message: type[Any], kind: int, flags_: int, attrs: Attributes, **fields: int) -> bytes:
    made = message()
    made["header"]["type"] = kind
    made["header"]["flags"] = flags_
    for name, value in fields.items():
        made[name] = value
    made["attrs"] = attrs
    made.encode()
    return bytes(made.data)


def _family(version: int) -> int:
    return AF_INET6 if version == 6 else AF_INET


def _text(value: memoryview | None) -> str:
    return bytes(value).rstrip(b"\0").decode(errors="replace") if value is not None else ""


def _number(value: memoryview | None) -> int:
    return int.from_bytes(value[:4], "little" if _LITTLE else "big") if value is not None else 0


def _item(array: memoryview, place: int) -> int:
    """The 32-bit number at *place*; an older kernel's array may be shorter."""
    return int(struct.unpack_from("=i", array, place * 4)[0]) if len(array) >= place * 4 + 4 else 0


_LITTLE = struct.pack("=H", 1)[0] == 1
