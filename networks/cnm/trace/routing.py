"""Routing decisions as the kernel takes them: policy rules, tables, longest prefix, metric (ip-route(8), ip-rule(8))."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network

from networks.cnm.addresses import AnyAddress

from .world import DEFAULT, LOCAL, LOOPBACK, MAIN, Device, PolicyRule, Route, World

LOOPBACK_NETWORK = IPv4Network("127.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Way:
    """Where a packet goes next."""

    kind: str
    """``local``, ``unicast``, ``broadcast``, ``multicast``, ``blackhole``, ``unreachable``, ``prohibit`` or ``none``."""
    device: str = ""
    next_hop: AnyAddress | None = None
    source: AnyAddress | None = None
    policy: str = ""
    """The policy rule that is not modelled, where one stood in the way."""

    @property
    def text(self) -> str:
        via = f" via {self.next_hop}" if self.next_hop is not None else ""
        return f"{self.kind} {self.device}{via}".strip()


def find_way(
    world: World,
    destination: AnyAddress,
    *,
    source: AnyAddress | None = None,
    iif: str = "",
    mark: int = 0,
    oif: str = "",
) -> Way:
    """The host's decision for a packet to *destination*. *iif* empty: the packet is its own (``iif lo``)."""
    key = ("way", destination, source, iif, mark, oif)
    if key not in world.known:
        world.known[key] = _find_way(world, destination, source, iif, mark, oif)
    return world.known[key]  # type: ignore[no-any-return]


def _find_way(world: World, destination: AnyAddress, source: AnyAddress | None, iif: str, mark: int, oif: str) -> Way:
    kind = address_kind(world, destination)
    if kind in {"local", "broadcast", "multicast"} and not world.policies:
        return Way(kind, world.local.get(destination, LOOPBACK), destination, destination)
    opaque = ""
    for policy in _policies(world, destination.version):
        if policy.opaque:
            opaque = opaque or policy.opaque
            continue
        if not _applies(policy, destination, source, iif or LOOPBACK, mark, oif):
            continue
        if policy.action != "lookup":
            return Way(policy.action, policy=opaque)
        if policy.table == LOCAL:
            if kind in {"local", "broadcast", "multicast"}:
                return Way(kind, world.local.get(destination, LOOPBACK), destination, destination, opaque)
            continue
        route = best_route(world.routes, destination, policy.table, oif)
        if route is not None:
            return way_of(route, destination, world.devices, opaque)
    return Way("none", policy=opaque)


def way_of(route: Route, destination: AnyAddress, devices: Iterable[Device], policy: str = "") -> Way:
    """The way along *route*, with the source address that packets of one's own get."""
    next_hop = route.gateway or destination
    source = route.source or _first_address(devices, route.device, next_hop)
    return Way(route.kind, route.device, next_hop, source, policy)


def best_route(routes: Iterable[Route], destination: AnyAddress, table: int, oif: str = "") -> Route | None:
    """The longest prefix, of equal ones the smallest metric."""
    found = [
        route
        for route in routes
        if route.table == table
        and route.destination.version == destination.version
        and destination in route.destination
        and (not oif or route.device == oif)
    ]
    return min(found, key=lambda route: (-route.destination.prefixlen, route.metric), default=None)


def address_kind(world: World, address: AnyAddress) -> str:
    """What the local table says of *address*: ``local``, ``broadcast``, ``multicast`` or ``unicast``."""
    key = ("kind", address)
    if key not in world.known:
        world.known[key] = _address_kind(world, address)
    return world.known[key]  # type: ignore[no-any-return]


def _address_kind(world: World, address: AnyAddress) -> str:
    if address.is_multicast:
        return "multicast"
    if address in world.local or (address.version == 4 and address in LOOPBACK_NETWORK):
        return "local"
    if any(address in route.destination for route in world.routes if _is_local(route, address)):
        return "local"
    if address.version == 4 and _is_broadcast(world, address):
        return "broadcast"
    return "unicast"


def _is_local(route: Route, address: AnyAddress) -> bool:
    return route.kind == "local" and route.destination.version == address.version


def _is_broadcast(world: World, address: AnyAddress) -> bool:
    if str(address) == "255.255.255.255":
        return True
    for device in world.devices:
        for interface in device.addresses:
            network = interface.network
            if network.version == 4 and network.prefixlen < 31 and address == network.broadcast_address:
                return True
    return False


def _first_address(devices: Iterable[Device], name: str, towards: AnyAddress) -> AnyAddress | None:
    """The address of *name* in the network of *towards*, else its first one of that version that is not link-local."""
    addresses = [
        address
        for device in devices
        if device.name == name
        for address in device.addresses
        if address.version == towards.version
    ]
    near = [address.ip for address in addresses if towards in address.network]
    far = [address.ip for address in addresses if not address.ip.is_link_local]
    return next(iter([*near, *far, *(address.ip for address in addresses)]), None)


def _policies(world: World, version: int) -> list[PolicyRule]:
    own = [policy for policy in world.policies if policy.family == version]
    if not own:
        own = [
            PolicyRule(priority=at, family=version, table=table)
            for at, table in ((0, LOCAL), (32766, MAIN), (32767, DEFAULT))
        ]
    return sorted(own, key=lambda policy: policy.priority)


def _applies(
    policy: PolicyRule, destination: AnyAddress, source: AnyAddress | None, iif: str, mark: int, oif: str
) -> bool:
    met = (
        (policy.source is None or (source is not None and source in policy.source))
        and (policy.destination is None or destination in policy.destination)
        and (not policy.iif or policy.iif == iif)
        and (not policy.oif or policy.oif == oif)
        and (not policy.mask or mark & policy.mask == policy.mark)
    )
    return met != policy.inverted


def accepts_source(world: World, source: AnyAddress, destination: AnyAddress, device: Device, mark: int) -> str:
    """Why the kernel refuses a packet from *source* that came in by *device*; empty: it does not (``fib_validate_source``).

    A packet for 127.0.0.0/8, or from there, comes in by ``lo`` alone, unless route_localnet is set. One from an address of the
    host itself is a martian. rp_filter asks whether the way back leads through the device (1) or anywhere (2). IPv4 only:
    the kernel asks no such thing of IPv6.
    """
    if source.version != 4 or device.name == LOOPBACK:
        return ""
    if not device.route_localnet and (source in LOOPBACK_NETWORK or destination in LOOPBACK_NETWORK):
        return "localnet"
    if source.is_multicast or str(source) == "255.255.255.255":
        return "martian"
    back = find_way(world, source, source=destination, iif="", mark=mark)
    if back.kind == "local":
        return "martian"
    if device.rp_filter == 0:
        return ""
    if back.kind != "unicast":
        return "rp_filter"
    return "rp_filter" if device.rp_filter == 1 and back.device != device.name else ""
