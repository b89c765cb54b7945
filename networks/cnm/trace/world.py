"""The network of a host as far as it decides where a packet goes: devices, addresses, routes, sandboxes, sysctls. Values only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import (
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any

from networks.cnm.addresses import AnyAddress, AnyInterface, AnyNetwork

LOOPBACK = "lo"
MAIN, DEFAULT, LOCAL = 254, 253, 255
"""Routing tables, linux/rtnetlink.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A network interface of the host or of a sandbox."""

    name: str
    index: int
    kind: str = ""
    up: bool = True
    mtu: int = 1500
    master: str = ""
    """The bridge that it is a port of."""
    peer: int = 0
    """Index of a veth's other end, in that end's namespace; of a macvlan's or ipvlan's parent, in the host's."""
    mode: str = ""
    """A macvlan's, and an ipvlan's of layer 2: those in mode ``bridge`` on one parent hear one another, in ``private`` they do not, in
    ``vepa`` the switch decides. Of layer 3: ``l3``, ``l3s``."""
    addresses: tuple[AnyInterface, ...] = ()
    hairpin: bool = False
    isolated: bool = False
    forwarding: bool = False
    """``net.ipv4.conf.<name>.forwarding``"""
    forwarding6: bool = False
    rp_filter: int = 0
    """``net.ipv4.conf.<name>.rp_filter``, already the larger one of it and ``all``."""
    route_localnet: bool = False

    @property
    def is_on_wire(self) -> bool:
        """Whether its frames go to the wire of its parent; those of an ipvlan of layer 3 are routed as the host routes its own."""
        return self.kind == "macvlan" or (self.kind == "ipvlan" and self.mode not in {"l3", "l3s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    destination: AnyNetwork
    device: str
    gateway: AnyAddress | None = None
    source: AnyAddress | None = None
    """The address that the host prefers for packets of its own."""
    table: int = MAIN
    kind: str = "unicast"
    """``unicast``, ``local``, ``broadcast``, ``blackhole``, ``unreachable``, ``prohibit``, ``multicast``, ``anycast``."""
    metric: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """One line of ``ip rule``."""

    priority: int
    family: int
    table: int
    source: AnyNetwork | None = None
    destination: AnyNetwork | None = None
    iif: str = ""
    oif: str = ""
    mark: int = 0
    mask: int = 0
    action: str = "lookup"
    inverted: bool = False
    opaque: str = ""
    """What of it is not modelled (a port, a user, a suppressor); empty: all of it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A network namespace that is plugged into the host."""

    name: str
    container_id: str = ""
    container: str = ""
    """The container's name."""
    devices: tuple[Device, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, kw_only=True)
class World:
    """One look at a host."""

    devices: tuple[Device, ...] = ()
    routes: tuple[Route, ...] = ()
    policies: tuple[PolicyRule, ...] = ()
    """Empty: the three that every host has."""
    sandboxes: tuple[Sandbox, ...] = ()
    bridge_nf: bool = False
    """``net.bridge.bridge-nf-call-iptables``"""
    bridge_nf6: bool = False
    local_ports: tuple[int, int] = (32768, 60999)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of containers and what else resolves -> addresses."""

    @cached_property
    def by_name(self) -> Mapping[str, Device]:
        return {device.name: device for device in self.devices}

    @cached_property
    def by_index(self) -> Mapping[int, Device]:
        return {device.index: device for device in self.devices}

    @cached_property
    def local(self) -> Mapping[AnyAddress, str]:
        """Addresses of the host itself -> device."""
        return {address.ip: device.name for device in self.devices for address in device.addresses}

    @cached_property
    def plugs(self) -> tuple[Plug, ...]:
        """Every attachment of a sandbox to this host."""
        return tuple(self._plugs())

    @cached_property
    def wires(self) -> tuple[Plug, ...]:
        """Every attachment of a sandbox to the wire of a device of this host: below the host's own network stack."""
        return tuple(
            Plug(sandbox, device, self.by_index[device.peer])
            for sandbox in self.sandboxes
            for device in sandbox.devices
            if device.is_on_wire and device.peer in self.by_index
        )

    @cached_property
    def _on_wire(self) -> Mapping[tuple[str, AnyAddress], Plug]:
        found: dict[tuple[str, AnyAddress], Plug] = {}
        for plug in self.wires:
            if plug.outer.up and plug.inner.up:
                for one in plug.inner.addresses:
                    found.setdefault((plug.outer.name, one.ip), plug)
        return found

    def on_wire(self, address: AnyAddress, parent: str) -> Plug | None:
        """The sandbox that has *address* on the wire of the host's device *parent*."""
        return self._on_wire.get((parent, address))

    def _plugs(self) -> Iterator[Plug]:
        for sandbox in self.sandboxes:
            for device in sandbox.devices:
                outer = self.by_index.get(device.peer)
                if outer is not None and outer.peer == device.index and outer.kind == "veth":
                    yield Plug(sandbox, device, outer)

    @cached_property
    def _behind(self) -> Mapping[tuple[str, AnyAddress], Plug]:
        found: dict[tuple[str, AnyAddress], Plug] = {}
        for plug in self.plugs:
            if plug.outer.up and plug.inner.up:
                for one in plug.inner.addresses:
                    for name in (plug.outer.master, plug.outer.name):
                        found.setdefault((name, one.ip), plug)
        return found

    @cached_property
    def outward(self) -> tuple[Device, ...]:
        """The devices behind which there are others than this host and its sandboxes: no bridge of sandboxes alone, none that is down."""
        plugged = {plug.outer.index for plug in self.plugs}
        masters = {device.master for device in self.devices if device.index not in plugged}
        return tuple(
            device
            for device in self.devices
            if device.up
            and device.name != LOOPBACK
            and not device.master
            and device.index not in plugged
            and (device.kind != "bridge" or device.name in masters)
        )

    def at(self, address: AnyAddress, bridge: str) -> Plug | None:
        """Who has *address* behind *bridge*, or behind a veth of that name."""
        return self._behind.get((bridge, address))

    @cached_property
    def plugs_of(self) -> Mapping[str, tuple[Plug, ...]]:
        """The attachments of each sandbox, by its name: to this host, and to a wire of it."""
        found: dict[str, list[Plug]] = {}
        for plug in (*self.plugs, *self.wires):
            found.setdefault(plug.sandbox.name, []).append(plug)
        return {name: tuple(plugs) for name, plugs in found.items()}

    @cached_property
    def by_sandbox(self) -> Mapping[str, Sandbox]:
        return {sandbox.name: sandbox for sandbox in reversed(self.sandboxes)}

    @cached_property
    def known(self) -> dict[Any, Any]:
        """What was worked out of this network before: it never changes."""
        return {}

    def sandbox(self, name: str) -> Sandbox | None:
        """By its name, its container's name or id, or the beginning of that id."""
        for sandbox in self.sandboxes:
            if name in {sandbox.name, sandbox.container, sandbox.container_id}:
                return sandbox
        if len(name) >= 4:
            return next((one for one in self.sandboxes if one.container_id.startswith(name)), None)
        return None


@dataclass(frozen=True, slots=True)
class Plug:
    """One attachment: the sandbox's device and the host's end of it."""

    sandbox: Sandbox
    inner: Device
    outer: Device


def to_json(world: World) -> dict[str, Any]:
    """Plain JSON of *world*, without names: those are the database's to know."""
    return {
        "devices": [_device_json(device) for device in world.devices],
        "routes": [_route_json(route) for route in world.routes],
        "policies": [_plain(policy) for policy in world.policies],
        "sandboxes": [
            {
                "name": sandbox.name,
                "container_id": sandbox.container_id,
                "container": sandbox.container,
                "devices": [_device_json(device) for device in sandbox.devices],
                "routes": [_route_json(route) for route in sandbox.routes],
            }
            for sandbox in world.sandboxes
        ],
        "bridge_nf": world.bridge_nf,
        "bridge_nf6": world.bridge_nf6,
        "local_ports": list(world.local_ports),
    }


def from_json(value: Mapping[str, Any]) -> World:
    """The inverse of :func:`to_json`; an empty mapping gives a host of which nothing was seen."""
    low, high = value.get("local_ports", (32768, 60999))
    return World(
        devices=tuple(_device(item) for item in value.get("devices", ())),
        routes=tuple(_route(item) for item in value.get("routes", ())),
        policies=tuple(_policy(item) for item in value.get("policies", ())),
        sandboxes=tuple(
            Sandbox(
                name=item["name"],
                container_id=item.get("container_id", ""),
                container=item.get("container", ""),
                devices=tuple(_device(one) for one in item.get("devices", ())),
                routes=tuple(_route(one) for one in item.get("routes", ())),
            )
            for item in value.get("sandboxes", ())
        ),
        bridge_nf=value.get("bridge_nf", False),
        bridge_nf6=value.get("bridge_nf6", False),
        local_ports=(low, high),
    )


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a value that differ from nothing, addresses as text."""
    found = {}
    for name in value.__slots__:
        item = getattr(value, name)
        if item or name in {"priority", "family", "table"}:
            found[name] = item if isinstance(item, int | str | bool) else str(item)
    return found


def _device_json(device: Device) -> dict[str, Any]:
    value = _plain(device)
    value["addresses"] = [str(address) for address in device.addresses]
    value["up"] = device.up
    return value


def _route_json(route: Route) -> dict[str, Any]:
    return _plain(route)


def _device(value: Mapping[str, Any]) -> Device:
    known = {name: value[name] for name in Device.__slots__ if name in value}
    known["addresses"] = tuple(ip_interface(text) for text in value.get("addresses", ()))
    return Device(**known)


def _route(value: Mapping[str, Any]) -> Route:
    known = {name: value[name] for name in Route.__slots__ if name in value}
    known["destination"] = ip_network(value["destination"])
    known.setdefault("device", "")
    for name in ("gateway", "source"):
        if name in value:
            known[name] = ip_address(value[name])
    return Route(**known)


def _policy(value: Mapping[str, Any]) -> PolicyRule:
    known = {name: value[name] for name in PolicyRule.__slots__ if name in value}
    for name in ("source", "destination"):
        if name in value:
            known[name] = ip_network(value[name])
    return PolicyRule(**known)
