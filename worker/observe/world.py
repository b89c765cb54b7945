"""The network of the host as a trace needs it: every device, address, route and policy rule, and what is plugged in.

Everybody's, not only ours; it only reads. Messages are read by hand, as in :mod:`worker.kernel.rtnl`.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from socket import AF_INET, AF_INET6

from networks.cnm.addresses import AnyNetwork
from networks.cnm.trace.world import Device, PolicyRule, Route, Sandbox, World
from worker.kernel import rtnl, sysctl
from worker.kernel.netlink import Netlink, attributes
from worker.kernel.netns import Namespaces
from worker.patience import pause_point

NETNS = Path("/run/netns")
DOCKER_NETNS = Path("/run/docker/netns")
"""Where a Docker Engine binds its sandboxes."""
RTM_GETRULE, RTM_GETNETCONF = 34, 82
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_MULTIPATH, RTA_TABLE = 1, 4, 5, 6, 7, 9, 15
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME = 1, 2, 3, 6, 10, 15, 16, 17
FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN = 13, 14
FRA_OTHERS = {19: "l3mdev", 20: "uidrange", 22: "ipproto", 23: "sport", 24: "dport"}
NETCONFA_IFINDEX, NETCONFA_FORWARDING, NETCONFA_RP_FILTER = 1, 2, 3
EVERY_DEVICE = -1
"""``NETCONFA_IFINDEX_ALL``"""
NO_SUPPRESSION = 0xFFFFFFFF
BRPORT_ISOLATED = 33
ROUTE_KINDS = {
    1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable", 8: "prohibit",
}  # fmt: skip
RULE_ACTIONS = {1: "lookup", 2: "goto", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
FIB_RULE_INVERT = 2
_HEADER = struct.Struct("=IHHII")


@dataclass(frozen=True, slots=True)
class _Conf:
    forwarding: bool = False
    rp_filter: int = 0


class WorldObserver:
    """Looks at the host's own network namespace, again and again."""

    def __init__(self, folder: Path = NETNS) -> None:
        self._folder = folder
        self._netlink: Netlink | None = None
        self._namespaces: Namespaces | None = None

    def __call__(self) -> World:
        if self._netlink is None or self._namespaces is None:
            self._netlink, self._namespaces = Netlink(), Namespaces(self._folder)
        return observe_world(self._netlink, self._namespaces)


class DockerObserver:
    """Looks into the sandboxes of a Docker Engine, again and again. They are only read."""

    def __init__(self, folder: Path = DOCKER_NETNS) -> None:
        self._folder = folder
        self._namespaces: Namespaces | None = None

    def __call__(self) -> tuple[Sandbox, ...]:
        if not self._folder.is_dir():
            return ()
        if self._namespaces is None:
            self._namespaces = Namespaces(self._folder)
        home = self._namespaces.home_identity
        found = _sandboxes(self._namespaces)
        return tuple(one for one in found if self._namespaces.identity(self._namespaces.path(one.name)) != home)


def observe_world(netlink: Netlink, namespaces: Namespaces) -> World:
    """One look: five dumps for the host and four for each named namespace."""
    devices, routes = _look(netlink)
    everywhere = sysctl.read("net.ipv4.conf.all.route_localnet") == "1"
    devices = tuple(replace(device, route_localnet=device.route_localnet or everywhere) for device in devices)
    low, high = (sysctl.read("net.ipv4.ip_local_port_range") or "32768 60999").split()
    return World(
        devices=devices,
        routes=routes,
        policies=tuple(_policies(netlink)),
        sandboxes=tuple(_sandboxes(namespaces)),
        bridge_nf=sysctl.read("net.bridge.bridge-nf-call-iptables") == "1",
        bridge_nf6=sysctl.read("net.bridge.bridge-nf-call-ip6tables") == "1",
        local_ports=(int(low), int(high)),
    )


def _sandboxes(namespaces: Namespaces) -> Iterator[Sandbox]:
    """Every namespace that has a name, whoever gave it."""
    try:
        names = sorted(os.listdir(namespaces.folder))
    except FileNotFoundError:
        return
    for name in names:
        pause_point()
        with contextlib.suppress(OSError):  # it went away while we looked
            sandbox = namespaces.open(name)
            if sandbox is None:
                continue
            with sandbox:
                devices, routes = _look(sandbox.netlink)
            yield Sandbox(name=name, devices=devices, routes=routes)


def _look(netlink: Netlink) -> tuple[tuple[Device, ...], tuple[Route, ...]]:
    messages = netlink.dump(rtnl.list_links())
    links = [(rtnl.read_link(message), _isolated(message)) for message in messages]
    names = {link.index: link.name for link, _ in links}
    ipv4, ipv6 = _configuration(netlink, AF_INET), _configuration(netlink, AF_INET6)
    addresses: dict[int, list[rtnl.AnyInterface]] = {}
    for message in netlink.dump(rtnl.list_addresses()):
        found = rtnl.read_address(message)
        addresses.setdefault(found.index, []).append(found.address)
    nothing = _Conf()
    all4, all6 = ipv4.get(EVERY_DEVICE, nothing), ipv6.get(EVERY_DEVICE, nothing)
    devices = tuple(
        Device(
            name=link.name,
            index=link.index,
            kind=link.kind,
            up=link.up,
            mtu=link.mtu,
            master=names.get(link.master, ""),
            peer=link.peer,
            mode=link.flag if link.mode == "l2" else link.mode,
            addresses=tuple(addresses.get(link.index, ())),
            hairpin=link.hairpin,
            isolated=isolated,
            forwarding=ipv4.get(link.index, nothing).forwarding,
            forwarding6=all6.forwarding,
            rp_filter=max(all4.rp_filter, ipv4.get(link.index, nothing).rp_filter),
            route_localnet=link.route_localnet,
        )
        for link, isolated in links
    )
    return devices, tuple(_routes(netlink, names))


def _isolated(message: memoryview) -> bool:
    info = attributes(message, 32).get(18)
    slave = attributes(info, 0).get(5) if info is not None else None
    flag = attributes(slave, 0).get(BRPORT_ISOLATED) if slave is not None else None
    return flag is not None and bool(flag[0])


def _configuration(netlink: Netlink, family: int) -> dict[int, _Conf]:
    """Device index -> forwarding and rp_filter."""
    message = _HEADER.pack(20, RTM_GETNETCONF, 0, 0, 0) + struct.pack("=Bxxx", family)
    try:
        answers = netlink.dump(message)
    except OSError:  # no IPv6 in this kernel
        return {}
    found = {}
    for answer in answers:
        values = attributes(answer, 20)
        if NETCONFA_IFINDEX in values:
            (index,) = struct.unpack("=i", values[NETCONFA_IFINDEX])
            found[index] = _Conf(bool(_int(values, NETCONFA_FORWARDING)), _int(values, NETCONFA_RP_FILTER))
    return found


def _routes(netlink: Netlink, names: dict[int, str]) -> Iterator[Route]:
    """Every table's, IPv4's before IPv6's. Of several next hops the first stands for all."""
    for family in (AF_INET, AF_INET6):
        message = _HEADER.pack(28, rtnl.RTM_GETROUTE, 0, 0, 0) + struct.pack("=BBBBBBBBI", family, *(0,) * 8)
        try:
            answers = netlink.dump(message)
        except OSError:
            continue
        for answer in answers:
            yield from _route(answer, names)


def _route(answer: memoryview, names: dict[int, str]) -> Iterator[Route]:
    family, length, _, _, table, _, _, kind = struct.unpack_from("=BBBBBBBB", answer, 16)
    found = attributes(answer, 28)
    if RTA_MULTIPATH in found and len(found[RTA_MULTIPATH]) >= 8:
        hop = found[RTA_MULTIPATH]
        (size,) = struct.unpack_from("=H", hop, 0)
        found = {**found, RTA_OIF: hop[4:8], **attributes(hop[:size], 8)}
    if kind not in ROUTE_KINDS:
        return
    yield Route(
        destination=_network(family, found.get(RTA_DST), length),
        device=names.get(_int(found, RTA_OIF), ""),
        gateway=ip_address(bytes(found[RTA_GATEWAY])) if RTA_GATEWAY in found else None,
        source=ip_address(bytes(found[RTA_PREFSRC])) if RTA_PREFSRC in found else None,
        table=_int(found, RTA_TABLE) or table,
        kind=ROUTE_KINDS[kind],
        metric=_int(found, RTA_PRIORITY),
    )


def _policies(netlink: Netlink) -> Iterator[PolicyRule]:
    for family, version in ((AF_INET, 4), (AF_INET6, 6)):
        message = _HEADER.pack(28, RTM_GETRULE, 0, 0, 0) + struct.pack("=BBBBBBBBI", family, *(0,) * 8)
        try:
            answers = netlink.dump(message)
        except OSError:
            continue
        for answer in answers:
            yield _policy(answer, family, version)


def _policy(answer: memoryview, family: int, version: int) -> PolicyRule:
    _, to_length, from_length, tos, table, _, _, action, flags = struct.unpack_from("=BBBBBBBBI", answer, 16)
    found = attributes(answer, 28)
    opaque = [name for kind, name in FRA_OTHERS.items() if kind in found and any(found[kind])]
    suppressed = (FRA_SUPPRESS_PREFIXLEN, FRA_SUPPRESS_IFGROUP)
    opaque += ["suppress" for kind in suppressed if kind in found and _int(found, kind) != NO_SUPPRESSION]
    opaque += ["tos"] if tos else []
    opaque += [] if RULE_ACTIONS.get(action, "goto") != "goto" else ["goto"]
    mark = _int(found, FRA_FWMARK)
    mask = _int(found, FRA_FWMASK)
    return PolicyRule(
        priority=_int(found, FRA_PRIORITY),
        family=version,
        table=_int(found, FRA_TABLE) or table,
        source=_network(family, found[FRA_SRC], from_length) if FRA_SRC in found else None,
        destination=_network(family, found[FRA_DST], to_length) if FRA_DST in found else None,
        iif=_text(found.get(FRA_IIFNAME)),
        oif=_text(found.get(FRA_OIFNAME)),
        mark=mark,
        mask=mask if mark or FRA_FWMARK in found else 0,
        action=RULE_ACTIONS.get(action, "goto"),
        inverted=bool(flags & FIB_RULE_INVERT),
        opaque=", ".join(opaque),
    )


def _network(family: int, raw: memoryview | None, length: int) -> AnyNetwork:
    size = 4 if family == AF_INET else 16
    packed = bytes(raw).ljust(size, b"\0") if raw is not None else bytes(size)
    return ip_network((packed, length))


def _int(found: dict[int, memoryview], kind: int) -> int:
    value = found.get(kind)
    return int(struct.unpack_from("=I", bytes(value).ljust(4, b"\0"))[0]) if value is not None else 0


def _text(value: memoryview | None) -> str:
    return bytes(value).rstrip(b"\0").decode(errors="replace") if value is not None else ""
