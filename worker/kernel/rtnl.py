"""Route netlink messages (rtnetlink(7)), made and read by hand.

By hand, because a full look at a host decodes every link of every sandbox, and only a handful of their attributes are
wanted; and because pyroute2's message classes, which a unit test compares with, take 0.2 ms to make a message.
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

from networks.cnm.addresses import AnyAddress, AnyInterface, AnyNetwork

from .netlink import attribute, attributes, compose, number, string

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNSID = 88
ANY_ID = 0xFFFFFFFF
"""``NETNSA_NSID_NOT_ASSIGNED`` (-1): the kernel chooses the number."""
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
IFF_UP, IFF_RUNNING = 0x1, 0x40
IFA_F_NODAD, IFA_F_PERMANENT = 0x02, 0x80
RT_TABLE_MAIN = 254
RTPROT_BOOT, RTPROT_STATIC = 3, 4
RTN_UNICAST = 1
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTEXT_FILTER_SKIP_STATS = 8
# linux/if_link.h
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_GROUP, IFLA_NET_NS_FD, IFLA_EXT_MASK = 18, 20, 27, 28, 29
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BR_STP_STATE, IFLA_BRPORT_MODE, IFLA_BRPORT_LEARNING, IFLA_MACVLAN_MODE, IFLA_VLAN_ID = 5, 4, 8, 1, 1
IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS = 1, 2
VETH_INFO_PEER = 1
"""linux/veth.h"""
NETNSA_NSID, NETNSA_FD = 1, 3
"""linux/net_namespace.h"""
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
"""linux/if_addr.h"""
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
"""linux/rtnetlink.h"""
_WITHOUT_STATISTICS = number(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
IPV4_ROUTE_LOCALNET = 26
"""Place in the array of IFLA_INET_CONF, counted from 1 (``IPV4_DEVCONF_ROUTE_LOCALNET``, linux/ip.h)."""
IPV6_DISABLE = 26
"""Place in the array of IFLA_INET6_CONF, counted from 0 (``DEVCONF_DISABLE_IPV6``, linux/ipv6.h)."""

MACVLAN_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
"""``enum macvlan_mode``, linux/if_link.h."""
IPVLAN_MODES = ("l2", "l3", "l3s")
IPVLAN_FLAGS = ("bridge", "private", "vepa")
"""By number (``enum ipvlan_mode`` and ``IPVLAN_F_…``, linux/if_link.h)."""

_LINK = struct.Struct("=BxHiII")
"""``struct ifinfomsg``: family, type of the device, index, flags, which of them change."""
_ADDRESS = struct.Struct("=BBBBI")
"""``struct ifaddrmsg``: family, length of the prefix, flags, scope, index of the link."""
_ROUTE = struct.Struct("=BBBBBBBBI")
"""``struct rtmsg``: family, lengths of destination and source, TOS, table, protocol, scope, type, flags."""


@dataclass(frozen=True, slots=True)
class Link:
    """What is wanted of a link."""

    index: int
    name: str
    kind: str
    up: bool
    running: bool
    """Whether it is up and its other end is, too: what is sent arrives there."""
    mtu: int
    mac: str
    master: int
    """Index of the bridge that it is a port of, or 0."""
    peer: int
    """Index of a veth's other end in that end's namespace, of a macvlan's, ipvlan's or VLAN's parent in the namespace that it came from;
    or 0."""
    mode: str
    """A macvlan's: one of ``MACVLAN_MODES``; an ipvlan's: one of ``IPVLAN_MODES``; empty for every other kind."""
    alias: str
    hairpin: bool
    learns: bool
    """Whether its bridge learns from what it brings who is behind it."""
    route_localnet: bool
    ipv6: bool
    """Whether IPv6 is on for this link."""
    vlan: int = 0
    """The id of a VLAN sub-interface; 0 for every other kind."""
    flag: str = ""
    """An ipvlan's: one of ``IPVLAN_FLAGS``; empty for every other kind."""


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
    """A unicast route of the main table by one link."""

    destination: AnyNetwork
    gateway: AnyAddress | None
    """None: the destination is on the link."""
    index: int
    protocol: int
    metric: int


def create_bridge(name: str, mac: str) -> bytes:
    """A bridge, down. The MAC is fixed, or it would change with each port."""
    info = link_info("bridge", number(IFLA_BR_STP_STATE, 0))
    return link_message(RTM_NEWLINK, string(IFLA_IFNAME, name), _mac(mac), info, flags=NLM_F_CREATE | NLM_F_EXCL)


def create_veth(name: str, *, master: int, mtu: int, peer: str, peer_mac: str, namespace: int) -> bytes:
    """A veth whose host end *name* is a port of *master*, down; the other end is born in *namespace* (a descriptor).

    The other end is never moved: a move costs a grace period of 20 ms.
    """
    born = bytes(_LINK.size) + string(IFLA_IFNAME, peer) + number(IFLA_NET_NS_FD, namespace) + number(IFLA_MTU, mtu)
    born += _mac(peer_mac) if peer_mac else b""
    info = link_info("veth", attribute(VETH_INFO_PEER, born))
    end = number(IFLA_MASTER, master) if master else b""
    attrs = (string(IFLA_IFNAME, name), number(IFLA_MTU, mtu), info, end)
    return link_message(RTM_NEWLINK, *attrs, flags=NLM_F_CREATE | NLM_F_EXCL)


def create_vlan(name: str, *, parent: int, vlan: int, mtu: int) -> bytes:
    """A sub-interface of the link *parent* for the VLAN *vlan*, down."""
    info = link_info("vlan", attribute(IFLA_VLAN_ID, struct.pack("=H", vlan)))
    attrs = (string(IFLA_IFNAME, name), number(IFLA_LINK, parent), number(IFLA_MTU, mtu), info)
    return link_message(RTM_NEWLINK, *attrs, flags=NLM_F_CREATE | NLM_F_EXCL)


def create_macvlan(name: str, *, parent: int, mode: str, mac: str, mtu: int, namespace: int) -> bytes:
    """A macvlan on the link *parent* of this namespace, down, born in *namespace* (a descriptor)."""
    place = (string(IFLA_IFNAME, name), number(IFLA_LINK, parent), number(IFLA_NET_NS_FD, namespace))
    attrs = (*place, _mac(mac), number(IFLA_MTU, mtu), _macvlan(mode))
    return link_message(RTM_NEWLINK, *attrs, flags=NLM_F_CREATE | NLM_F_EXCL)


def set_macvlan(link: int, *, mode: str) -> bytes:
    return link_message(RTM_NEWLINK, _macvlan(mode), index=link)


def create_ipvlan(name: str, *, parent: int, mode: str, flag: str, mtu: int, namespace: int) -> bytes:
    """An ipvlan on the link *parent* of this namespace, down, born in *namespace* (a descriptor). All on *parent* get mode and flag."""
    place = (string(IFLA_IFNAME, name), number(IFLA_LINK, parent), number(IFLA_NET_NS_FD, namespace))
    attrs = (*place, number(IFLA_MTU, mtu), _ipvlan(mode, flag))
    return link_message(RTM_NEWLINK, *attrs, flags=NLM_F_CREATE | NLM_F_EXCL)


def set_ipvlan(link: int, *, mode: str, flag: str) -> bytes:
    return link_message(RTM_NEWLINK, _ipvlan(mode, flag), index=link)


def _macvlan(mode: str) -> bytes:
    value = next(value for value, name in MACVLAN_MODES.items() if name == mode)
    return link_info("macvlan", number(IFLA_MACVLAN_MODE, value))


def _ipvlan(mode: str, flag: str) -> bytes:
    mode_data = attribute(IFLA_IPVLAN_MODE, struct.pack("=H", IPVLAN_MODES.index(mode)))
    flag_data = attribute(IFLA_IPVLAN_FLAGS, struct.pack("=H", IPVLAN_FLAGS.index(flag)))
    return link_info("ipvlan", mode_data + flag_data)


def give_id(namespace: int) -> bytes:
    """Have this namespace know *namespace* (a descriptor) by some number: then who listens to all of those hears what changes there.

    A veth between the two does that by itself. The kernel answers EEXIST where it has one.
    """
    return compose(RTM_NEWNSID, 0, bytes(4) + number(NETNSA_FD, namespace) + number(NETNSA_NSID, ANY_ID))


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
    attrs = [] if isinstance(link, int) else [string(IFLA_IFNAME, link)]
    if mac is not None:
        attrs.append(_mac(mac))
    if alias is not None:
        attrs.append(string(IFLA_IFALIAS, alias))
    numbers = {IFLA_MTU: mtu, IFLA_MASTER: master, IFLA_GROUP: group}
    attrs += [number(kind, value) for kind, value in numbers.items() if value is not None]
    return link_message(RTM_NEWLINK, *attrs, index=link if isinstance(link, int) else 0, up=up)


def move_link(index: int, *, namespace: int, name: str) -> bytes:
    """Move a link to *namespace* (a descriptor), where it is called *name*; it is down then. Costs a grace period of 20 ms."""
    return link_message(RTM_NEWLINK, number(IFLA_NET_NS_FD, namespace), string(IFLA_IFNAME, name), index=index)


def set_port(name: str, *, hairpin: bool | None = None, learning: bool | None = None) -> bytes:
    """Change how a link is a port of its bridge; it must be one already. None: leave that as it is."""
    given = ((IFLA_BRPORT_MODE, hairpin), (IFLA_BRPORT_LEARNING, learning))
    port = b"".join(attribute(kind, bytes([value])) for kind, value in given if value is not None)
    info = string(IFLA_INFO_SLAVE_KIND, "bridge") + attribute(IFLA_INFO_SLAVE_DATA, port)
    return link_message(RTM_NEWLINK, string(IFLA_IFNAME, name), attribute(IFLA_LINKINFO, info))


def delete_link(name: str) -> bytes:
    return link_message(RTM_DELLINK, string(IFLA_IFNAME, name))


def delete_group(group: int) -> bytes:
    """Delete all links of a group in one go: the kernel waits for its grace periods once for all of them."""
    return link_message(RTM_DELLINK, number(IFLA_GROUP, group))


@lru_cache(maxsize=4096)
def get_link(link: int | str) -> bytes:
    named = string(IFLA_IFNAME, link) if isinstance(link, str) else b""
    return link_message(RTM_GETLINK, _WITHOUT_STATISTICS, named, index=link if isinstance(link, int) else 0)


@lru_cache
def list_links(kind: str = "") -> bytes:
    """All links, or those of one kind, for a dump."""
    return link_message(RTM_GETLINK, _WITHOUT_STATISTICS, link_info(kind) if kind else b"")


def add_address(index: int, address: AnyInterface) -> bytes:
    """A permanent address as Docker gives it: IPv4 with its broadcast address, IPv6 without duplicate detection."""
    attrs = attribute(IFA_LOCAL, address.ip.packed) + attribute(IFA_ADDRESS, address.ip.packed)
    broadcast = broadcast_of(address)
    if broadcast is not None:
        attrs += attribute(IFA_BROADCAST, broadcast.packed)
    flags = IFA_F_NODAD | IFA_F_PERMANENT if address.version == 6 else IFA_F_PERMANENT
    return _address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address, attrs, flags)


def delete_address(index: int, address: AnyInterface) -> bytes:
    return _address(RTM_DELADDR, 0, index, address, attribute(IFA_LOCAL, address.ip.packed))


@lru_cache
def list_addresses(index: int = 0) -> bytes:
    """All addresses, or those of one link, for a dump."""
    return compose(RTM_GETADDR, 0, _ADDRESS.pack(AF_UNSPEC, 0, 0, 0, index))


def broadcast_of(address: AnyInterface) -> IPv4Address | None:
    """The broadcast address of an IPv4 subnet; /31 and /32 have none (RFC 3021)."""
    if isinstance(address, IPv4Interface) and address.network.prefixlen < 31:
        return address.network.broadcast_address
    return None


def add_route(destination: AnyNetwork, gateway: AnyAddress | None, index: int, *, replace: bool) -> bytes:
    """A route of the main table, without a *gateway* to what is on the link; with *replace* in the place of one to the same destination.

    A default route by a gateway looks as Docker's (protocol ``boot``); any other is marked ``static``, so that it is known again.
    """
    flags = NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
    return _route(RTM_NEWROUTE, flags, destination, gateway, index)


def delete_route(destination: AnyNetwork, gateway: AnyAddress | None, index: int) -> bytes:
    return _route(RTM_DELROUTE, 0, destination, gateway, index)


@lru_cache
def list_routes(version: int) -> bytes:
    """The main table of one IP version, for a dump."""
    return compose(RTM_GETROUTE, 0, _ROUTE.pack(_family(version), 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0))


def read_link(message: memoryview) -> Link:
    index, flags = struct.unpack_from("=iI", message, 20)
    found = attributes(message, 32)
    info = attributes(found[18], 0) if 18 in found else {}
    slave = attributes(info[5], 0) if 5 in info else {}
    kind = _text(info.get(1))
    data = attributes(info[2], 0) if kind in {"macvlan", "ipvlan", "vlan"} and 2 in info else {}
    by_family = attributes(found[26], 0) if 26 in found else {}
    ipv4 = attributes(by_family[AF_INET], 0).get(1) if AF_INET in by_family else None
    ipv6 = attributes(by_family[AF_INET6], 0).get(2) if AF_INET6 in by_family else None
    return Link(
        index=index,
        name=_text(found.get(3)),
        kind=kind,
        up=bool(flags & IFF_UP),
        running=bool(flags & IFF_RUNNING),
        mtu=_number(found.get(4)),
        mac=bytes(found[1]).hex(":") if 1 in found else "",
        master=_number(found.get(10)),
        peer=_number(found.get(5)),
        mode=_mode(kind, data),
        alias=_text(found.get(20)),
        hairpin=4 in slave and bool(slave[4][0]),
        learns=IFLA_BRPORT_LEARNING in slave and bool(slave[IFLA_BRPORT_LEARNING][0]),
        route_localnet=bool(ipv4 is not None and _item(ipv4, IPV4_ROUTE_LOCALNET - 1)),
        ipv6=ipv6 is not None and not _item(ipv6, IPV6_DISABLE),
        vlan=_number(data.get(IFLA_VLAN_ID)) if kind == "vlan" else 0,
        flag=_named(IPVLAN_FLAGS, data.get(IFLA_IPVLAN_FLAGS)) if kind == "ipvlan" else "",
    )


def _mode(kind: str, data: dict[int, memoryview]) -> str:
    if kind == "ipvlan":
        return _named(IPVLAN_MODES, data.get(IFLA_IPVLAN_MODE))
    return MACVLAN_MODES.get(_number(data.get(IFLA_MACVLAN_MODE)), "") if kind == "macvlan" else ""


def _named(names: tuple[str, ...], value: memoryview | None) -> str:
    """The name of a number; its own digits where it is one that we do not know."""
    found = _number(value)
    return names[found] if found < len(names) else str(found)


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
    """None: a route of another shape than ours (several next hops, another type or table)."""
    family, length, _, _, table, protocol, _, kind = struct.unpack_from("=BBBBBBBB", message, 16)
    found = attributes(message, 28)
    if table != RT_TABLE_MAIN or kind != RTN_UNICAST or 4 not in found:
        return None
    raw = bytes(found[1]) if 1 in found else bytes(4 if family == AF_INET else 16)
    gateway = ip_address(bytes(found[5])) if 5 in found else None
    return LinkRoute(ip_network((raw, length)), gateway, _number(found[4]), protocol, _number(found.get(6)))


def link_info(kind: str, data: bytes = b"") -> bytes:
    """What makes a link one of *kind*, with that kind's own attributes."""
    return attribute(IFLA_LINKINFO, string(IFLA_INFO_KIND, kind) + (attribute(IFLA_INFO_DATA, data) if data else b""))


def link_message(kind: int, *attrs: bytes, flags: int = 0, index: int = 0, up: bool | None = None) -> bytes:
    """*up*: None leaves it as it is."""
    state = _LINK.pack(AF_UNSPEC, 0, index, IFF_UP if up else 0, 0 if up is None else IFF_UP)
    return compose(kind, flags, state + b"".join(attrs))


def _mac(mac: str) -> bytes:
    return attribute(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))


def _address(kind: int, flags_: int, index: int, address: AnyInterface, attrs: bytes, flags: int = 0) -> bytes:
    head = _ADDRESS.pack(_family(address.version), address.network.prefixlen, flags, 0, index)
    return compose(kind, flags_, head + attrs)


def _route(kind: int, flags: int, destination: AnyNetwork, gateway: AnyAddress | None, index: int) -> bytes:
    attrs = attribute(RTA_GATEWAY, gateway.packed) if gateway is not None else b""
    attrs += number(RTA_OIF, index)
    if destination.prefixlen:
        attrs += attribute(RTA_DST, destination.network_address.packed)
    protocol = RTPROT_BOOT if gateway is not None and not destination.prefixlen else RTPROT_STATIC
    scope = RT_SCOPE_LINK if gateway is None and destination.version == 4 else RT_SCOPE_UNIVERSE
    family, length = _family(destination.version), destination.prefixlen
    head = _ROUTE.pack(family, length, 0, 0, RT_TABLE_MAIN, protocol, scope, RTN_UNICAST, 0)
    return compose(kind, flags, head + attrs)


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
