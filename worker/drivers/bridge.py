"""Bridge networks: a Linux bridge on the host, and a veth pair from it into each sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_interface
from types import MappingProxyType

from networks.cnm.addresses import AnyAddress
from networks.cnm.desired import Container, Network, PublishedPort
from networks.cnm.names import bridge_device, inner_device, veth_device
from networks.cnm.options import sysctl_of
from networks.cnm.resources import Address, Bridge, HandedVeth, Owner, PortReservation, Resource, Sysctl, Veth
from networks.cnm.rules import Rule
from networks.cnm.text import Text, gettext_noop
from worker.firewall import layout, words
from worker.firewall.forwarding import compile_network_rules
from worker.firewall.linked import compile_link
from worker.firewall.published import Place, compile_port, effective_addresses, every_address, guard_holder
from worker.firewall.words import Writer

from .base import Attachment, Driver, Surroundings, mac_of

DEFAULT_MTU = 1500

_BRIDGE = gettext_noop("The switch that the containers of network {network} are plugged into.")
_GATEWAY = gettext_noop("The gateway of network {network}: its containers send what is not for {subnet} here.")
_CALL_IPTABLES = gettext_noop(
    "Shows iptables what passes between the ports of one bridge: without it, network {network} could neither keep its containers"
    " apart nor translate between them."
)
_VETH = gettext_noop("Plugs {ifname} of container {container} into network {network}.")
_HANDED = gettext_noop(
    "Plugs container {container} of a Docker Engine into network {network}: the engine takes the other end."
)
_ADDRESS = gettext_noop("The address of container {container} in network {network}.")
_DIRECT = gettext_noop(
    "Container {container} is reached through its published ports alone: drops what others send straight to its address."
)
_TRUSTED = gettext_noop(
    "Network {network} trusts the host's interface {interface}: what comes in there may go to the address of container {container}."
)
_RESERVED = gettext_noop(
    "Holds port {port}/{protocol} of {address}, so that no other program takes it from container {container}."
)
_CARRIED = gettext_noop(
    "Holds port {port}/{protocol} of {address} for container {container}, and carries what no rule translates (127.0.0.1, ::1)."
)


class BridgeDriver(Driver):
    """Docker's ``bridge`` driver."""

    name = "bridge"
    description = gettext_noop("A switch inside this host; containers reach the outside by address translation.")
    publishes = True
    hands_over = True
    options = frozenset(
        {
            "bridge_name",
            "icc",
            "masquerade",
            "mtu",
            "host_binding",
            "gateway_mode_ipv4",
            "gateway_mode_ipv6",
            "inhibit_ipv4",
            "host_ipv4",
            "host_ipv6",
            "default_bridge",
            "iface_prefix",
            "trusted_interfaces",
        }
    )

    def device(self, network: Network, around: Surroundings) -> str:
        """The bridge: the name that was chosen, the default bridge's, or one made from the network's id."""
        if network.options.bridge_name:
            return network.options.bridge_name
        return around.naming.bridge if is_default(network) else bridge_device(network.id)

    def endpoint_device(self, endpoint_id: str) -> str:
        return veth_device(endpoint_id)

    def compile_network(self, network: Network, around: Surroundings) -> Iterator[Resource]:
        device = self.device(network, around)
        owner = Owner(kind="network", id=network.id, name=network.name)
        yield Bridge(
            name=device,
            mtu=_mtu(network, around),
            route_localnet=not around.settings.userland_proxy and not network.internal,
            ipv6=network.ipv6,
            owner=owner,
            why=Text.of(_BRIDGE, network=network.name),
        )
        yield from _gateways(network, device, owner)
        yield from _bridge_filtering(network, owner, around)
        masquerade = network.options.masquerade and (around.settings.ip_masq or not is_default(network))
        for family, writer in around.writers.items():
            if _has_family(network, family):
                mode = gateway_mode(network, family)
                yield from compile_network_rules(network, device, mode, masquerade, around.settings, writer)

    def compile_endpoint(self, attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
        endpoint, network, container = attachment.endpoint, attachment.network, attachment.container
        device = self.device(network, around)
        owner = _owner(attachment)
        yield from plug_in(attachment, device, _mtu(network, around), around)
        for interface in (endpoint.ipv4, endpoint.ipv6):
            writer = around.writers.get(interface.version) if interface is not None else None
            if interface is not None and writer is not None:
                yield from _traffic(attachment, interface.ip, device, owner, around, writer)
        if container.ports and attachment.leads_out and not network.internal:
            yield from _reservations(attachment, around)


def plug_in(
    attachment: Attachment,
    device: str,
    mtu: int,
    around: Surroundings,
    sysctls: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Resource]:
    """The veth pair between the bridge *device* and a sandbox, and the addresses in there: for every driver with a bridge.

    *sysctls* of the interface (full names) are the driver's; those that a person chose come before them. A Docker Engine's container gets
    the pair alone: what is in its sandbox is written by the engine.
    """
    endpoint, network, container = attachment.endpoint, attachment.network, attachment.container
    owner = _owner(attachment)
    if container.of_docker:
        yield HandedVeth(
            name=veth_device(endpoint.id),
            bridge=device,
            inner=inner_device(endpoint.id),
            mac=mac_of(endpoint),
            mtu=mtu,
            hairpin=not around.settings.userland_proxy,
            owner=owner,
            why=Text.of(_HANDED, container=container.name, network=network.name),
        )
        return
    said = {"container": container.name, "network": network.name, "ifname": endpoint.ifname}
    chosen = {sysctl_of(name, endpoint.ifname): value for name, value in endpoint.sysctls}
    yield Veth(
        name=veth_device(endpoint.id),
        bridge=device,
        sandbox=attachment.sandbox,
        ifname=endpoint.ifname,
        mac=mac_of(endpoint),
        mtu=mtu,
        hairpin=not around.settings.userland_proxy,
        sysctls=tuple(sorted({**sysctls, **chosen}.items())),
        owner=owner,
        why=Text.of(_VETH, **said),
    )
    why = Text.of(_ADDRESS, **said)
    for interface in (endpoint.ipv4, endpoint.ipv6):
        if interface is not None:
            yield Address(sandbox=attachment.sandbox, device=endpoint.ifname, address=interface, owner=owner, why=why)


def _owner(attachment: Attachment) -> Owner:
    name = f"{attachment.container.name} on {attachment.network.name}"
    return Owner(kind="endpoint", id=attachment.endpoint.id, name=name)


def is_default(network: Network) -> bool:
    """Whether *network* is the default bridge, which people call ``bridge``."""
    return network.options.default_bridge or (network.predefined and network.name == "bridge")


def gateway_mode(network: Network, family: int) -> str:
    """``nat``, ``nat-unprotected``, ``routed`` or ``isolated``."""
    return network.options.gateway_mode_ipv4 if family == 4 else network.options.gateway_mode_ipv6


def _has_family(network: Network, family: int) -> bool:
    return any(subnet.subnet.version == family for subnet in network.subnets)


def _mtu(network: Network, around: Surroundings) -> int:
    return network.options.mtu or around.facts.default_mtu or DEFAULT_MTU


def _gateways(network: Network, device: str, owner: Owner) -> Iterator[Resource]:
    for item in network.subnets:
        family = item.subnet.version
        silent = gateway_mode(network, family) == "isolated" or (family == 4 and network.options.inhibit_ipv4)
        if item.gateway is not None and not silent:
            yield Address(
                device=device,
                address=ip_interface(f"{item.gateway}/{item.subnet.prefixlen}"),
                owner=owner,
                why=Text.of(_GATEWAY, network=network.name, subnet=item.subnet),
            )


def _bridge_filtering(network: Network, owner: Owner, around: Surroundings) -> Iterator[Resource]:
    if not around.writers or (network.options.icc and around.settings.userland_proxy):
        return
    why = Text.of(_CALL_IPTABLES, network=network.name)
    for family, name in ((4, "net.bridge.bridge-nf-call-iptables"), (6, "net.bridge.bridge-nf-call-ip6tables")):
        if family in around.writers and _has_family(network, family):
            yield Sysctl(name=name, value="1", owner=around.owner, why=why)


def _traffic(
    attachment: Attachment,
    address: IPv4Address | IPv6Address,
    device: str,
    owner: Owner,
    around: Surroundings,
    writer: Writer,
) -> Iterator[Rule]:
    network, container = attachment.network, attachment.container
    family = address.version
    mode = gateway_mode(network, family)
    if around.settings.hardening and mode == "nat" and not network.internal:
        for position, interface in enumerate(network.options.trusted_interfaces):
            yield writer.rule(
                "raw",
                "PREROUTING",
                words.destination(address) + words.entering(interface),
                words.ACCEPT,
                layout.of_trusted(container.activation, position),
                owner,
                Text.of(_TRUSTED, network=network.name, interface=interface, container=container.name),
            )
        yield writer.rule(
            "raw",
            "PREROUTING",
            words.destination(address) + words.entering_elsewhere(device),
            words.DROP,
            layout.of_port(container.activation, -1),
            owner,
            Text.of(_DIRECT, container=container.name),
        )
    if family in attachment.leads_out and not network.internal:
        place = Place(device, address, container.name, container.activation, translated=mode != "routed")
        for port in container.ports:
            for host_family, host_address in effective_addresses(port, network.options.host_binding):
                if host_family == family and (port.host_port or not place.translated):
                    yield from compile_port(port, host_address, place, around.settings, writer)
    if container.links and is_default(network) and not network.options.icc:
        yield from _links(attachment, address, device, around, writer)


def _links(
    attachment: Attachment,
    address: IPv4Address | IPv6Address,
    device: str,
    around: Surroundings,
    writer: Writer,
) -> Iterator[Rule]:
    recipient = attachment.container
    for link in recipient.links:
        source = around.containers.get(link.source_id)
        if source is None:
            continue
        source_address = _address_on(source, attachment.network, address.version)
        kept = around.naming.key == "docker" and not around.settings.hardening and is_default(attachment.network)
        if source_address is None and kept:
            source_address = link.last_ipv4 if address.version == 4 else None
        if source_address is not None:
            hardening = around.settings.hardening
            yield from compile_link(link, recipient, address, source, source_address, device, hardening, writer)


def _address_on(container: Container, network: Network, family: int) -> IPv4Address | IPv6Address | None:
    """The address of a live container on *network*."""
    if not container.live:
        return None
    for endpoint in container.endpoints:
        if endpoint.network_id == network.id:
            interface = endpoint.ipv4 if family == 4 else endpoint.ipv6
            return interface.ip if interface is not None else None
    return None


def _reservations(attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
    """A port that is published on every address is held twice: once for IPv4, and once for IPv6, which the holder carries over to
    IPv4 where the container has nothing else."""
    network, endpoint = attachment.network, attachment.endpoint
    addresses = {4: endpoint.ipv4 and endpoint.ipv4.ip, 6: endpoint.ipv6 and endpoint.ipv6.ip}
    for port in attachment.container.ports:
        if not port.host_port:
            continue
        for family, host_address in effective_addresses(port, network.options.host_binding):
            if gateway_mode(network, family) == "routed" and _has_family(network, family):
                continue
            if family == 6 and not around.has_ipv6:
                continue  # booted with ipv6.disable=1: no program could take the port either
            target = addresses[family] or addresses[4] or addresses[6]
            writer = around.writers.get(family)
            carried = around.settings.userland_proxy and target is not None
            if carried and port.allowed_sources:
                # Without rules nothing would keep the others out of the holder: then it only holds the port.
                carried = writer is not None
                if writer is not None:
                    yield from guard_holder(port, host_address, attachment.container.activation, writer)
            carried_to = target if carried else None
            yield _reservation(port, host_address or every_address(family), carried_to, attachment.container.name)


@lru_cache(maxsize=1 << 16)
def _reservation(
    port: PublishedPort, address: AnyAddress, carried_to: AnyAddress | None, container: str
) -> PortReservation:
    """Remembered: of a thousand ports of a container, a change touches one or two."""
    return PortReservation(
        protocol=port.protocol,
        host_address=address,
        host_port=port.host_port,
        target=(str(carried_to), port.container_port) if carried_to is not None else None,
        owner=Owner(kind="port", id=port.id, name=f"{port.host_port}/{port.protocol}"),
        why=Text.of(
            _CARRIED if carried_to is not None else _RESERVED,
            port=port.host_port,
            protocol=port.protocol,
            address=address,
            container=container,
        ),
    )
