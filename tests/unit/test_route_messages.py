"""Route netlink messages that are made by hand are, byte for byte, those that pyroute2 makes of the same names and values."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_interface, ip_network
from socket import AF_BRIDGE, AF_INET, AF_INET6
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.nsidmsg import nsidmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from worker.kernel import rtnl, vxlan

MAC, HOST = "02:42:0a:00:00:02", ip_address("192.0.2.1")
NEW, REPLACE = 0x600, 0x500
SIX, GATEWAY = ip_interface("fd00::1/64"), ip_address("10.1.2.1")


def info(kind: str, *data: tuple[str, Any]) -> tuple[str, Any]:
    nested = [("IFLA_INFO_DATA", {"attrs": list(data)})] if data else []
    return ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind), *nested]})


def made(message: type[Any], kind: int, flags_: int, *attrs: tuple[str, Any], **fields: int) -> bytes:
    value = message()
    value["header"]["type"], value["header"]["flags"] = kind, flags_
    for name, number in fields.items():
        value[name] = number
    value["attrs"] = list(attrs)
    value.encode()
    return bytes(value.data)


def link(kind: int, flags_: int, *attrs: tuple[str, Any], **fields: int) -> bytes:
    return made(ifinfmsg, kind, flags_, *attrs, **fields)


NAME, MTU, GROUP = ("IFLA_IFNAME", "eth7"), ("IFLA_MTU", 1450), ("IFLA_GROUP", 5)
STATISTICS = ("IFLA_EXT_MASK", 8)
BORN = [("IFLA_IFNAME", "eth0"), ("IFLA_NET_NS_FD", 9), MTU, ("IFLA_ADDRESS", MAC)]
LAN = {"dst_len": 16, "family": AF_INET, "table": 254, "type": 1}
VXLAN = [("IFLA_VXLAN_ID", 4097), ("IFLA_VXLAN_PORT", 4789), ("IFLA_VXLAN_LEARNING", 0), ("IFLA_VXLAN_PROXY", 1)]

MESSAGES = {
    "a bridge": (
        rtnl.create_bridge("eth7", MAC),
        link(16, NEW, NAME, ("IFLA_ADDRESS", MAC), info("bridge", ("IFLA_BR_STP_STATE", 0))),
    ),
    "a veth": (
        rtnl.create_veth("eth7", master=3, mtu=1450, peer="eth0", peer_mac=MAC, namespace=9),
        link(16, NEW, NAME, MTU, info("veth", ("VETH_INFO_PEER", {"attrs": BORN})), ("IFLA_MASTER", 3)),
    ),
    "a veth of no bridge": (
        rtnl.create_veth("eth7", master=0, mtu=1450, peer="eth0", peer_mac="", namespace=9),
        link(16, NEW, NAME, MTU, info("veth", ("VETH_INFO_PEER", {"attrs": BORN[:3]}))),
    ),
    "a VLAN": (
        rtnl.create_vlan("eth7", parent=3, vlan=4094, mtu=1450),
        link(16, NEW, NAME, ("IFLA_LINK", 3), MTU, info("vlan", ("IFLA_VLAN_ID", 4094))),
    ),
    "a macvlan": (
        rtnl.create_macvlan("eth7", parent=3, mode="bridge", mac=MAC, mtu=1450, namespace=9),
        link(
            *(16, NEW, NAME, ("IFLA_LINK", 3), ("IFLA_NET_NS_FD", 9), ("IFLA_ADDRESS", MAC), MTU),
            info("macvlan", ("IFLA_MACVLAN_MODE", 4)),
        ),
    ),
    "a macvlan's mode": (
        rtnl.set_macvlan(4, mode="private"),
        link(16, 0, info("macvlan", ("IFLA_MACVLAN_MODE", 1)), index=4),
    ),
    "a namespace's number": (
        rtnl.give_id(9),
        made(nsidmsg, 88, 0, ("NETNSA_FD", 9), ("NETNSA_NSID", 0xFFFFFFFF)),
    ),
    "all of a link": (
        rtnl.set_link("eth7", up=True, mtu=1450, mac=MAC, master=3, alias="cnm:net:1", group=5),
        link(
            *(16, 0, NAME, ("IFLA_ADDRESS", MAC), ("IFLA_IFALIAS", "cnm:net:1"), MTU, ("IFLA_MASTER", 3), GROUP),
            flags=1,
            change=1,
        ),
    ),
    "a link down": (rtnl.set_link(4, up=False), link(16, 0, index=4, flags=0, change=1)),
    "a link of no bridge": (rtnl.set_link(4, master=0), link(16, 0, ("IFLA_MASTER", 0), index=4)),
    "a port": (
        rtnl.set_port("eth7", hairpin=True),
        link(
            *(16, 0, NAME),
            (
                "IFLA_LINKINFO",
                {
                    "attrs": [
                        ("IFLA_INFO_SLAVE_KIND", "bridge"),
                        ("IFLA_INFO_SLAVE_DATA", {"attrs": [("IFLA_BRPORT_MODE", 1)]}),
                    ]
                },
            ),
        ),
    ),
    "a link less": (rtnl.delete_link("eth7"), link(17, 0, NAME)),
    "a group less": (rtnl.delete_group(5), link(17, 0, GROUP)),
    "which link, by name": (rtnl.get_link("eth7"), link(18, 0, STATISTICS, NAME)),
    "which link, by number": (rtnl.get_link(4), link(18, 0, STATISTICS, index=4)),
    "which links": (rtnl.list_links(), link(18, 0, STATISTICS)),
    "which links of a kind": (rtnl.list_links("veth"), link(18, 0, STATISTICS, info("veth"))),
    "an address": (
        rtnl.add_address(4, ip_interface("10.1.2.3/24")),
        made(
            *(ifaddrmsg, 20, NEW, ("IFA_LOCAL", "10.1.2.3"), ("IFA_ADDRESS", "10.1.2.3")),
            ("IFA_BROADCAST", "10.1.2.255"),
            family=AF_INET,
            prefixlen=24,
            flags=0x80,
            index=4,
        ),
    ),
    "an address of IPv6": (
        rtnl.add_address(4, SIX),
        made(
            *(ifaddrmsg, 20, NEW, ("IFA_LOCAL", "fd00::1"), ("IFA_ADDRESS", "fd00::1")),
            family=AF_INET6,
            prefixlen=64,
            flags=0x82,
            index=4,
        ),
    ),
    "an address less": (
        rtnl.delete_address(4, SIX),
        made(ifaddrmsg, 21, 0, ("IFA_LOCAL", "fd00::1"), family=AF_INET6, prefixlen=64, index=4),
    ),
    "which addresses": (rtnl.list_addresses(3), made(ifaddrmsg, 22, 0, index=3, family=0)),
    "a default route": (
        rtnl.add_route(ip_network("0.0.0.0/0"), GATEWAY, 4, replace=False),
        made(*(rtmsg, 24, NEW, ("RTA_GATEWAY", "10.1.2.1"), ("RTA_OIF", 4)), **{**LAN, "dst_len": 0}, proto=3),
    ),
    "another route": (
        rtnl.add_route(ip_network("10.9.0.0/16"), GATEWAY, 4, replace=True),
        made(
            *(rtmsg, 24, REPLACE, ("RTA_GATEWAY", "10.1.2.1"), ("RTA_OIF", 4), ("RTA_DST", "10.9.0.0")), **LAN, proto=4
        ),
    ),
    "a route less": (
        rtnl.delete_route(ip_network("10.9.0.0/16"), GATEWAY, 4),
        made(rtmsg, 25, 0, ("RTA_GATEWAY", "10.1.2.1"), ("RTA_OIF", 4), ("RTA_DST", "10.9.0.0"), **LAN, proto=4),
    ),
    "a route on the link": (
        rtnl.add_route(ip_network("10.9.0.0/16"), None, 4, replace=True),
        made(*(rtmsg, 24, REPLACE, ("RTA_OIF", 4), ("RTA_DST", "10.9.0.0")), **LAN, proto=4, scope=253),
    ),
    "a link that moves": (
        rtnl.move_link(4, namespace=9, name="eth7"),
        link(16, 0, ("IFLA_NET_NS_FD", 9), NAME, index=4),
    ),
    "which routes": (rtnl.list_routes(6), made(rtmsg, 26, 0, family=AF_INET6, table=254)),
    "a VXLAN device": (
        vxlan.create_vxlan("eth7", vni=4097, port=4789, local=HOST, master=3, mtu=1450),
        link(16, NEW, NAME, MTU, ("IFLA_MASTER", 3), info("vxlan", *VXLAN, ("IFLA_VXLAN_LOCAL", "192.0.2.1"))),
    ),
    "a VXLAN device of nowhere": (
        vxlan.create_vxlan("eth7", vni=4097, port=4789, local=None, master=3, mtu=1450),
        link(16, NEW, NAME, MTU, ("IFLA_MASTER", 3), info("vxlan", *VXLAN)),
    ),
    "a VXLAN device that moves": (
        vxlan.set_vxlan("eth7", SIX.ip),
        link(16, 0, NAME, info("vxlan", ("IFLA_VXLAN_LEARNING", 0), ("IFLA_VXLAN_LOCAL6", "fd00::1"))),
    ),
    "an entry of a bridge": (
        vxlan.set_forwarding(4, MAC, HOST)[0],
        made(ndmsg, 28, REPLACE, ("NDA_LLADDR", MAC), family=AF_BRIDGE, ifindex=4, state=0x40, flags=4),
    ),
    "an entry of a device": (
        vxlan.set_forwarding(4, MAC, HOST)[1],
        made(
            *(ndmsg, 28, REPLACE, ("NDA_LLADDR", MAC), ("NDA_DST", "192.0.2.1")),
            family=AF_BRIDGE,
            ifindex=4,
            state=0x80,
            flags=2,
        ),
    ),
    "an entry less": (
        vxlan.delete_forwarding(4, MAC)[1],
        made(ndmsg, 29, 0, ("NDA_LLADDR", MAC), family=AF_BRIDGE, ifindex=4, state=0x80, flags=2),
    ),
    "a neighbour": (
        vxlan.set_neighbour(4, SIX.ip, MAC),
        made(
            *(ndmsg, 28, REPLACE, ("NDA_DST", "fd00::1"), ("NDA_LLADDR", MAC)), family=AF_INET6, ifindex=4, state=0x80
        ),
    ),
    "a neighbour less": (
        vxlan.delete_neighbour(4, GATEWAY),
        made(ndmsg, 29, 0, ("NDA_DST", "10.1.2.1"), family=AF_INET, ifindex=4),
    ),
    "which entries": (vxlan.list_forwarding(4), made(ndmsg, 30, 0, family=AF_BRIDGE, ifindex=4)),
    "which neighbours": (vxlan.list_neighbours(4), made(ndmsg, 30, 0, ("NDA_IFINDEX", 4), family=0)),
}
"""What is said -> as we say it, as pyroute2 does."""


@pytest.mark.parametrize("what", MESSAGES)
def test_a_message_is_that_of_the_library(what: str) -> None:
    ours, theirs = MESSAGES[what]
    assert ours.hex() == theirs.hex()


def test_an_ipvlan_has_its_mode_and_its_flag() -> None:
    """The library knows no flags: after the mode, which it does know, they are one more attribute of 16 bits."""
    known = link(16, 0, info("ipvlan", ("IFLA_IPVLAN_MODE", 2)), index=4)
    for flag, value in (("bridge", 0), ("private", 1), ("vepa", 2)):
        ours = rtnl.set_ipvlan(4, mode="l3s", flag=flag)
        more = struct.pack("=HHHxx", 6, 2, value)
        assert ours[16:32] == known[16:32]
        assert ours.endswith(known[-8:] + more)
        assert len(ours) == len(known) + len(more)
