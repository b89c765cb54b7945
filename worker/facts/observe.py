"""The facts that are read anew every few seconds."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from networks.cnm.addresses import AnyNetwork
from networks.cnm.facts import Feature, HostFacts, Interface
from networks.cnm.plugins import Plugin
from networks.cnm.text import NOTHING
from worker.firewall.flavour import Choice
from worker.kernel.sockets import listeners

STUB = "127.0.0.53"
RESOLVED = Path("/run/systemd/resolve/resolv.conf")
"""Where systemd-resolved keeps the real servers behind its stub; Docker reads it too (libnetwork ``resolvconf``)."""
OUR_ALIAS = "cnm:"
OUR_DEVICE = "cnm0"
"""Ours also where it was there before us and so has no alias of ours."""
DOCKER_MTU = 1500
ARPHRD_ETHER = 1
"""linux/if_arp.h"""
STANDING_IN = frozenset({"macvlan", "macvtap"})
"""What is made on one of these stands on its lower device instead (Linux, ``macvlan_common_newlink`` in drivers/net/macvlan.c)."""


def observe_facts(
    features: Callable[[], Iterable[Feature]],
    ours: Iterable[int] = (),
    firewall: Choice | None = None,
    plugins: tuple[Plugin, ...] = (),
) -> HostFacts:
    """What the host is like now; *ours* are the pids of our own processes that hold ports, *firewall* is how rules are written,
    *plugins* are those that were just looked at."""
    with IPRoute() as route:
        links = list(route.get_links())
        devices = _foreign_devices(links)
        addresses = _addresses(route, devices)
        onlink, leading, gateways = _routes(route, devices)
    resolv_conf = _resolv_conf()
    low, high = _sysctl("net/ipv4/ip_local_port_range", "32768 60999").split()
    facts = HostFacts(
        hostname=socket.gethostname(),
        kernel=os.uname().release,
        addresses=addresses,
        onlink=onlink,
        gateways=gateways,
        nameservers=_nameservers(resolv_conf),
        resolv_conf=resolv_conf,
        etc_hosts=_read(Path("/etc/hosts")),
        default_mtu=min([DOCKER_MTU, *(mtu for _, mtu in leading)]),
        default_device=leading[0][0] if leading else "",
        mtus=_mtus(addresses, devices),
        devices=_parents(links, devices),
        local_ports=(int(low), int(high)),
        reserved_ports=_ports(_sysctl("net/ipv4/ip_local_reserved_ports", "")),
        listeners=listeners(frozenset(ours)),
        features=tuple(features()),
        plugins=plugins,
        firewall_flavour=firewall.flavour if firewall else "",
        firewall_reason=firewall.reason if firewall else NOTHING,
        firewall_warning=firewall.warning if firewall else NOTHING,
    )
    content = json.dumps(facts.to_json(), sort_keys=True).encode()
    return replace(facts, version=hashlib.sha256(content).hexdigest()[:16])


def _foreign_devices(links: Iterable[Any]) -> dict[int, tuple[str, int]]:
    """Index -> (name, MTU) of every device that is not ours."""
    found = {}
    for link in links:
        name, alias = link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_IFALIAS") or ""
        if not alias.startswith(OUR_ALIAS) and name != OUR_DEVICE:
            found[link["index"]] = (name, link.get_attr("IFLA_MTU") or DOCKER_MTU)
    return found


def _parents(links: Iterable[Any], devices: dict[int, tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """(name, MTU) of those that a network can stand on."""
    able = {link["index"] for link in links if _carries(link)}
    return tuple(sorted(device for index, device in devices.items() if index in able))


def _carries(link: Any) -> bool:
    """Whether containers' Ethernet frames go out by *link*: a port of a bridge gives its own to the bridge alone."""
    is_ethernet = link["ifi_type"] == ARPHRD_ETHER
    return is_ethernet and not link.get_attr("IFLA_MASTER") and _kind(link) not in STANDING_IN


def _kind(link: Any) -> str:
    info = link.get_attr("IFLA_LINKINFO")
    return (info.get_attr("IFLA_INFO_KIND") or "") if info is not None else ""


def _addresses(route: IPRoute, devices: dict[int, tuple[str, int]]) -> tuple[tuple[str, Interface], ...]:
    found = []
    for item in route.get_addr():
        address = ip_interface(f"{item.get_attr('IFA_LOCAL') or item.get_attr('IFA_ADDRESS')}/{item['prefixlen']}")
        if item["index"] in devices and not address.is_link_local:
            found.append((devices[item["index"]][0], address))
    return tuple(sorted(found, key=str))


def _mtus(
    addresses: Iterable[tuple[str, Interface]], devices: dict[int, tuple[str, int]]
) -> tuple[tuple[str, int], ...]:
    """The MTU of each device that has an address."""
    by_name = dict(devices.values())
    return tuple(sorted({(device, by_name[device]) for device, _ in addresses}))


def _routes(
    route: IPRoute, devices: dict[int, tuple[str, int]]
) -> tuple[tuple[AnyNetwork, ...], list[tuple[str, int]], tuple[str, ...]]:
    """Of the main table: on-link destinations, the devices that lead outside with their MTUs (IPv4's first), and the routers."""
    onlink, leading, gateways = [], [], set()
    for family in (socket.AF_INET, socket.AF_INET6):
        for item in route.get_routes(family=family, table=254):
            device, destination, gateway = (item.get_attr(f"RTA_{name}") for name in ("OIF", "DST", "GATEWAY"))
            if device not in devices:
                continue
            if gateway is not None:
                gateways.add(gateway)
            if destination is None:
                leading.append(devices[device])
            elif gateway is None:
                network = ip_network(f"{destination}/{item['dst_len']}")
                if not network.is_link_local and not network.is_multicast:
                    onlink.append(network)
    return tuple(sorted(set(onlink), key=str)), leading, tuple(sorted(gateways))


def _resolv_conf() -> str:
    text = _read(Path("/etc/resolv.conf"))
    return _read(RESOLVED) if _nameservers(text) == (STUB,) and RESOLVED.exists() else text


def _nameservers(text: str) -> tuple[str, ...]:
    words = [line.split() for line in text.splitlines()]
    found = []
    for line in words:
        if len(line) > 1 and line[0] == "nameserver":
            try:
                ip_network(line[1])
            except ValueError:
                continue
            found.append(line[1])
    return tuple(found)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _sysctl(name: str, default: str) -> str:
    return _read(Path("/proc/sys") / name).strip() or default


def _ports(text: str) -> tuple[int, ...]:
    """``8080,9000-9002`` as numbers."""
    ports: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        ports += range(int(first), int(last or first) + 1)
    return tuple(ports)
