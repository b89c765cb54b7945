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

from pyroute2 import IPRoute

from networks.cnm.addresses import AnyNetwork
from networks.cnm.facts import Feature, HostFacts, Interface
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


def observe_facts(
    features: Callable[[], Iterable[Feature]], ours: Iterable[int] = (), firewall: Choice | None = None
) -> HostFacts:
    """What the host is like now; *ours* are the pids of our own processes that hold ports, *firewall* is how rules are written."""
    with IPRoute() as route:
        devices = _foreign_devices(route)
        addresses = _addresses(route, devices)
        onlink, mtu = _routes(route, devices)
    resolv_conf = _resolv_conf()
    low, high = _sysctl("net/ipv4/ip_local_port_range", "32768 60999").split()
    facts = HostFacts(
        hostname=socket.gethostname(),
        kernel=os.uname().release,
        addresses=addresses,
        onlink=onlink,
        nameservers=_nameservers(resolv_conf),
        resolv_conf=resolv_conf,
        etc_hosts=_read(Path("/etc/hosts")),
        default_mtu=min(DOCKER_MTU, mtu),
        local_ports=(int(low), int(high)),
        reserved_ports=_ports(_sysctl("net/ipv4/ip_local_reserved_ports", "")),
        listeners=listeners(frozenset(ours)),
        features=tuple(features()),
        firewall_flavour=firewall.flavour if firewall else "",
        firewall_reason=firewall.reason if firewall else NOTHING,
        firewall_warning=firewall.warning if firewall else NOTHING,
    )
    content = json.dumps(facts.to_json(), sort_keys=True).encode()
    return replace(facts, version=hashlib.sha256(content).hexdigest()[:16])


def _foreign_devices(route: IPRoute) -> dict[int, tuple[str, int]]:
    """Index -> (name, MTU) of every device that is not ours."""
    found = {}
    for link in route.get_links():
        name, alias = link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_IFALIAS") or ""
        if not alias.startswith(OUR_ALIAS) and name != OUR_DEVICE:
            found[link["index"]] = (name, link.get_attr("IFLA_MTU") or DOCKER_MTU)
    return found


def _addresses(route: IPRoute, devices: dict[int, tuple[str, int]]) -> tuple[tuple[str, Interface], ...]:
    found = []
    for item in route.get_addr():
        address = ip_interface(f"{item.get_attr('IFA_LOCAL') or item.get_attr('IFA_ADDRESS')}/{item['prefixlen']}")
        if item["index"] in devices and not address.is_link_local:
            found.append((devices[item["index"]][0], address))
    return tuple(sorted(found, key=str))


def _routes(route: IPRoute, devices: dict[int, tuple[str, int]]) -> tuple[tuple[AnyNetwork, ...], int]:
    """On-link destinations of the main table, and the MTU of the device that leads outside."""
    onlink, mtu = [], DOCKER_MTU
    for family in (socket.AF_INET, socket.AF_INET6):
        for item in route.get_routes(family=family, table=254):
            device, destination = item.get_attr("RTA_OIF"), item.get_attr("RTA_DST")
            if device not in devices:
                continue
            if destination is None:
                mtu = min(mtu, devices[device][1])
            elif item.get_attr("RTA_GATEWAY") is None:
                network = ip_network(f"{destination}/{item['dst_len']}")
                if not network.is_link_local and not network.is_multicast:
                    onlink.append(network)
    return tuple(sorted(set(onlink), key=str)), mtu


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
