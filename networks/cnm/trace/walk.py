"""The way of one packet through a host: sandbox, bridge, hooks, routing, and out again.

Sources: net/ipv4/ip_input.c, ip_forward.c, ip_output.c, route.c, net/bridge/br_netfilter_hooks.c, and what real packets do
(tests/kernel/test_trace.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv6Address

from networks.cnm.addresses import AnyAddress
from networks.cnm.ruleset.members import Span

from .hooks import Hooks
from .packet import Packet, rejection_of
from .routing import LOOPBACK_NETWORK, Way, accepts_source, best_route, find_way, way_of
from .steps import Stopped
from .world import LOOPBACK, MAIN, Device, Plug, Sandbox, World

HOST, CONTAINER, OUTSIDE = "host", "container", "outside"
IPV6_LOOPBACK = IPv6Address("::1")
"""The kernel takes no packet from or to it that comes in by another device than ``lo`` (``ip6_rcv_core``)."""


@dataclass(frozen=True, slots=True)
class Party:
    """An end of a conversation."""

    kind: str
    """``host``, ``container`` (any sandbox) or ``outside``."""
    name: str = ""
    """The sandbox's name; for the outside the device that leads there."""


@dataclass(slots=True)
class Walk:
    """Walks packets over one host; what happens to them is noted in the hooks' steps."""

    world: World
    hooks: Hooks

    def send(self, packet: Packet, party: Party) -> Party:
        """Where *packet*, sent by *party*, arrives. Raises :class:`Stopped` when it does not."""
        if party.kind == HOST:
            return self._from_host(packet)
        if party.kind == OUTSIDE:
            device = self.world.by_name.get(party.name)
            if device is None:
                raise self._stop("dropped", "no_device", party.name)
            target = self.world.on_wire(packet.now.destination, device.name)
            return self._to_sandbox(packet, target) if target is not None else self._arrive(packet, device)
        sandbox = self.world.by_sandbox.get(party.name)
        if sandbox is None:
            raise self._stop("dropped", "no_sandbox", party.name)
        return self._from_sandbox(packet, sandbox)

    def _stop(self, verdict: str, reason: str, where: str, packet: Packet | None = None) -> Stopped:
        step = self.hooks.note("end", where, reason, verdict, packet=packet)
        return Stopped(verdict, reason, step)

    def send_rejection(self, packet: Packet, *, reset: bool) -> None:
        """The answer of a reject goes out by the host's own hooks. Raises :class:`Stopped` when it ends there."""
        sender = packet.now.source
        way = self._way(packet, sender, source=None)
        source = way.source or packet.now.destination
        if reset and packet.physin:
            return  # a bridge sends a reset straight back, past all hooks (nf_send_reset)
        if reset and way.kind == "local":
            source = packet.now.destination
        self._from_host(rejection_of(packet, source, reset=reset))

    # -- the three places where a packet begins

    def _from_sandbox(self, packet: Packet, sandbox: Sandbox) -> Party:
        destination = packet.now.destination
        own = {address.ip for device in sandbox.devices for address in device.addresses}
        if destination in own or destination.is_loopback:
            self.hooks.note("sandbox", sandbox.container or sandbox.name, "stays inside", "accept", packet=packet)
            return Party(CONTAINER, sandbox.name)
        route = best_route(sandbox.routes, destination, MAIN)
        if route is None or route.kind != "unicast":
            raise self._stop("dropped", "sandbox_route", sandbox.container or sandbox.name, packet)
        way = way_of(route, destination, sandbox.devices)
        plug = next((one for one in self.world.plugs_of.get(sandbox.name, ()) if one.inner.name == way.device), None)
        self.hooks.note("routing", sandbox.container or sandbox.name, way.text, "", packet=packet)
        if plug is None or way.next_hop is None:
            raise self._stop("undecidable", "plug", f"{sandbox.container or sandbox.name} {way.device}", packet)
        if not plug.inner.up or not plug.outer.up:
            raise self._stop("dropped", "link_down", plug.outer.name, packet)
        if plug.inner.is_on_wire:
            return self._onto_wire(packet, plug, way.next_hop)
        return self._enter(packet, plug.outer, way.next_hop)

    def _from_host(self, packet: Packet) -> Party:
        now = packet.now
        way = self._way(packet, now.destination, source=now.source)
        device = LOOPBACK if way.kind == "local" else way.device
        if way.kind not in {"local", "unicast"}:
            raise self._unroutable(way, packet)
        self.hooks.note("routing", "host", way.text, "", packet=packet)
        packet.iif, packet.oif = "", device
        mark = packet.mark
        self.hooks.run("output", packet)
        if packet.now.destination != now.destination or packet.mark != mark:
            way = self._way(packet, packet.now.destination, source=packet.now.source)
            if way.kind not in {"local", "unicast"}:
                raise self._unroutable(way, packet)
            device = LOOPBACK if way.kind == "local" else way.device
            self.hooks.note("routing", "host", way.text, "", packet=packet)
        out = self.world.by_name.get(device)
        if _is_loopback(packet.now.source) and device != LOOPBACK and not (out and out.route_localnet):
            raise self._stop("dropped", "localnet", device, packet)
        packet.oif = device
        self.hooks.run("postrouting", packet)
        if device == LOOPBACK:
            return self._loop(packet)
        return self._leave(packet, way)

    def _loop(self, packet: Packet) -> Party:
        """A packet of the host to itself comes in again by ``lo``."""
        packet.iif, packet.oif = LOOPBACK, ""
        self.hooks.run("prerouting", packet)
        return self._to_host(packet)

    def _onto_wire(self, packet: Packet, plug: Plug, next_hop: AnyAddress) -> Party:
        """Past this host's own network stack: to a neighbour on the same parent, or out by it (``drivers/net``: macvlan.c,
        ipvlan/ipvlan_core.c)."""
        parent = plug.outer
        target = self.world.on_wire(next_hop, parent.name)
        if target is not None:
            if "vepa" in {plug.inner.mode, target.inner.mode}:
                raise self._stop("undecidable", "neighbour", f"{parent.name} {next_hop}", packet)
            if plug.inner.mode != "bridge" or target.inner.mode != "bridge":
                raise self._stop("dropped", "wire_private", f"{parent.name} {next_hop}", packet)
            return self._to_sandbox(packet, target)
        if next_hop in {address.ip for address in parent.addresses}:
            raise self._stop("dropped", "wire_host", parent.name, packet)
        if next_hop in self.world.local or parent.kind == "bridge":
            raise self._stop("undecidable", "neighbour", f"{parent.name} {next_hop}", packet)
        self.hooks.note("end", parent.name, "outside", "accept", packet=packet)
        return Party(OUTSIDE, parent.name)

    # -- in

    def _enter(self, packet: Packet, port: Device, next_hop: AnyAddress) -> Party:
        """A frame comes out of a veth on the host's side, for the machine that has *next_hop*."""
        self.hooks.run_device("ingress", port.name, packet)
        bridge = self.world.by_name.get(port.master)
        if bridge is None:
            return self._arrive(packet, port)
        if not bridge.up:
            raise self._stop("dropped", "link_down", bridge.name, packet)
        for_host = next_hop in self.world.local
        target = None if for_host else self.world.at(next_hop, bridge.name)
        if not for_host and target is None:
            raise self._nobody(bridge, next_hop, packet)
        if not self._filtered(packet):
            self.hooks.run("prerouting", packet, "bridge")
            return self._pass(packet, bridge, port, target) if target else self._arrive(packet, bridge)
        self.hooks.run("prerouting", packet, "bridge")
        packet.iif, packet.physin = bridge.name, port.name
        before = packet.now.destination
        self.hooks.run("prerouting", packet)
        if packet.now.destination != before:
            way = self._way(packet, packet.now.destination, source=packet.now.source, iif=bridge.name)
            turned = way.kind == "unicast" and way.device == bridge.name and way.next_hop is not None
            target = self.world.at(way.next_hop, bridge.name) if turned and way.next_hop is not None else None
            if turned and target is None and way.next_hop is not None:
                raise self._nobody(bridge, way.next_hop, packet)
        return self._pass(packet, bridge, port, target) if target else self._route(packet, bridge)

    def _pass(self, packet: Packet, bridge: Device, port: Device, target: Plug) -> Party:
        """From one port of a bridge to another, without a routing decision."""
        if target.outer.index == port.index and not port.hairpin:
            raise self._stop("dropped", "hairpin", port.name, packet)
        if port.isolated and target.outer.isolated:
            raise self._stop("dropped", "isolated", port.name, packet)
        filtered = self._filtered(packet)
        self.hooks.note(
            "bridge",
            bridge.name,
            f"{port.name} -> {target.outer.name}",
            "" if filtered else "unfiltered",
            packet=packet,
        )
        self.hooks.run("forward", packet, "bridge")
        if filtered:
            packet.iif, packet.oif = bridge.name, bridge.name
            packet.physin, packet.physout = port.name, target.outer.name
            self.hooks.run("forward", packet)
        self.hooks.run("postrouting", packet, "bridge")
        if filtered:
            self.hooks.run("postrouting", packet)
        return self._to_sandbox(packet, target)

    def _arrive(self, packet: Packet, device: Device) -> Party:
        """A packet for the host itself, as far as its frame goes, comes in by *device*."""
        if not device.up:
            raise self._stop("dropped", "link_down", device.name, packet)
        if not device.master and device.kind != "bridge":
            self.hooks.run_device("ingress", device.name, packet)
        packet.iif = device.name
        if IPV6_LOOPBACK in {packet.now.source, packet.now.destination}:
            raise self._stop("dropped", "loopback", device.name, packet)
        self.hooks.run("prerouting", packet)
        return self._route(packet, device)

    def _route(self, packet: Packet, device: Device) -> Party:
        """The routing decision for what came in by *device*."""
        packet.iif = device.name
        now = packet.now
        refused = accepts_source(self.world, now.source, now.destination, device, packet.mark)
        if refused:
            raise self._stop("dropped", refused, device.name, packet)
        way = self._way(packet, now.destination, source=now.source, iif=device.name)
        if way.kind == "local":
            self.hooks.note("routing", "host", way.text, "", packet=packet)
            return self._to_host(packet)
        if way.kind != "unicast":
            raise self._unroutable(way, packet)
        if not (device.forwarding if packet.family == 4 else device.forwarding6):
            raise self._stop("dropped", "forwarding", device.name, packet)
        self.hooks.note("routing", "host", way.text, "", packet=packet)
        packet.oif = way.device
        self.hooks.run("forward", packet)
        self.hooks.run("postrouting", packet)
        return self._leave(packet, way)

    # -- out

    def _leave(self, packet: Packet, way: Way) -> Party:
        device = self.world.by_name.get(way.device)
        next_hop = way.next_hop or packet.now.destination
        if device is None or not device.up:
            raise self._stop("dropped", "link_down", way.device, packet)
        self.hooks.run_device("egress", device.name, packet)
        plug = self.world.at(next_hop, device.name)
        if plug is not None:
            return self._to_sandbox(packet, plug)
        if self.world.on_wire(next_hop, device.name) is not None:
            raise self._stop("dropped", "wire_host", device.name, packet)
        if device.kind == "bridge" and not self._leads_elsewhere(device):
            raise self._nobody(device, next_hop, packet)
        self.hooks.note("end", device.name, "outside", "accept", packet=packet)
        return Party(OUTSIDE, device.name)

    def _to_host(self, packet: Packet) -> Party:
        packet.oif = packet.physout = ""
        self.hooks.run("input", packet)
        self.hooks.note("end", "host", "host", "accept", packet=packet)
        return Party(HOST)

    def _to_sandbox(self, packet: Packet, plug: Plug) -> Party:
        name = plug.sandbox.container or plug.sandbox.name
        own = {address.ip for device in plug.sandbox.devices for address in device.addresses}
        if packet.now.destination not in own:
            raise self._stop("dropped", "not_its_address", name, packet)
        loops = _is_loopback(packet.now.source) and not plug.inner.route_localnet
        if packet.family == 4 and (packet.now.source in own or loops):
            raise self._stop("dropped", "own_source", name, packet)
        if packet.family == 4 and plug.inner.rp_filter:
            back = best_route(plug.sandbox.routes, packet.now.source, MAIN)
            if back is None or (plug.inner.rp_filter == 1 and back.device != plug.inner.name):
                raise self._stop("dropped", "rp_filter", name, packet)
        self.hooks.note("sandbox", name, plug.inner.name, "accept", packet=packet)
        return Party(CONTAINER, plug.sandbox.name)

    # -- what both ways share

    def _way(self, packet: Packet, destination: AnyAddress, *, source: AnyAddress | None, iif: str = "") -> Way:
        way = find_way(self.world, destination, source=source, iif=iif, mark=packet.mark)
        if way.policy and self.hooks.choices.ask("ip rule", way.policy, modelled=False):
            raise self._stop("undecidable", "policy_rule", way.policy, packet)
        return way

    def _filtered(self, packet: Packet) -> bool:
        return self.world.bridge_nf if packet.family == 4 else self.world.bridge_nf6

    def _unroutable(self, way: Way, packet: Packet) -> Stopped:
        verdict = "rejected" if way.kind in {"unreachable", "prohibit"} else "dropped"
        return self._stop(verdict, "no_route", way.kind, packet)

    def _nobody(self, bridge: Device, address: AnyAddress, packet: Packet) -> Stopped:
        if self._leads_elsewhere(bridge):
            return self._stop("undecidable", "neighbour", f"{bridge.name} {address}", packet)
        return self._stop("dropped", "nobody", f"{bridge.name} {address}", packet)

    def _leads_elsewhere(self, bridge: Device) -> bool:
        """Whether a bridge has ports behind which there may be machines that are not seen here."""
        seen = {plug.outer.index for plug in self.world.plugs}
        return any(device.master == bridge.name and device.index not in seen for device in self.world.devices)


def sport_of(world: World) -> Span:
    """The ports that a program is given when it asks for none."""
    return Span(*world.local_ports)


def expected_answer(packet: Packet, sent: Packet) -> bool:
    """Whether *packet* is an answer as the sender of *sent* waits for it: from the address that it called."""
    wanted = sent.now.reversed()
    return (
        packet.now.source == wanted.source
        and packet.now.destination == wanted.destination
        and packet.now.sport == wanted.sport
    )


def copy_of(packet: Packet) -> Packet:
    return replace(packet)


def _is_loopback(address: AnyAddress) -> bool:
    return address.version == 4 and address in LOOPBACK_NETWORK
