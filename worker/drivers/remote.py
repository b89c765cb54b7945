"""Networks of somebody else's: a plugin makes them, and is spoken to by Docker's remote driver protocol (libnetwork, ``docs/remote.md``).

The plugin is told of each network, of each endpoint, and of each sandbox that joins; what it answers to the latter (an interface on the
host, and the way outside) is part of the desired state from then on, so the rest is compiled as of any other network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from networks.cnm.addresses import AnyAddress, AnyInterface, default_gateway
from networks.cnm.desired import Endpoint, Network, Subnet
from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.options import NetworkOptions, sysctl_of
from networks.cnm.plugin_resources import PluginAllocation, PluginEndpoint, PluginJoin, PluginNetwork, PluginPorts
from networks.cnm.plugins import NETWORK_DRIVER
from networks.cnm.resources import Address, Interface, Owner, Resource, Route
from networks.cnm.text import Text, gettext_noop

from .base import Attachment, Driver, Surroundings, names_of

ADDRESS_SPACES = {"local": "LocalDefault", "global": "GlobalDefault"}
"""What libnetwork calls the address spaces of its own IPAM (``ipamapi``)."""

_NETWORK = gettext_noop("Plugin {plugin} makes network {network}.")
_ALLOCATION = gettext_noop("Plugin {plugin} settles what network {network} is on all hosts.")
_ENDPOINT = gettext_noop("Plugin {plugin} makes an interface for container {container} in network {network}.")
_JOIN = gettext_noop(
    "Plugin {plugin} says which interface it made for container {container}, and how that reaches the outside."
)
_INTERFACE = gettext_noop(
    "Puts the interface that plugin {plugin} made into container {container}, for network {network}."
)
_ADDRESS = gettext_noop("The address of container {container} in network {network}.")
_ROUTE = gettext_noop("Plugin {plugin} says so: what container {container} sends there goes through network {network}.")
_PORTS = gettext_noop(
    "Plugin {plugin} sees to it that the outside is reached from container {container}, and its published ports from there."
)


class RemoteDriver(Driver):
    """Docker's ``remote`` driver. One for each plugin: the plugin's name is its networks' driver."""

    name = "remote"
    description = gettext_noop("A network plugin, reached by Docker's remote driver protocol.")
    publishes = True
    any_options = True

    def __init__(self, plugin: str = "") -> None:
        self.plugin = plugin

    def availability(self, facts: HostFacts) -> Unsupported | None:
        if self.plugin:
            return None
        known = _network_drivers(facts)
        if known:
            return Unsupported(
                gettext_noop("A plugin's network has the plugin itself as its driver."),
                remedy=gettext_noop("Give one of {known} as the driver."),
                field="driver",
                known=known,
            )
        return Unsupported(
            gettext_noop("This host has no plugin that makes networks."),
            remedy=gettext_noop("Start one, and give its name as the driver; the host's page says which are there."),
            field="driver",
        )

    def check(self, network: Network, facts: HostFacts) -> None:
        super().check(network, facts)
        _check_plugin(self.plugin, facts)

    def read_options(self, options: Mapping[str, str]) -> NetworkOptions:
        return NetworkOptions()

    def leads(self, endpoint: Endpoint) -> bool:
        """One that has not joined may; one that has leads where the plugin said."""
        return endpoint.joined is None or endpoint.joined.leads

    def gateway(self, network: Network, endpoint: Endpoint, interface: AnyInterface) -> AnyAddress | None:
        return endpoint.joined.gateway(interface.version) if endpoint.joined is not None else None

    def compile_network(self, network: Network, around: Surroundings) -> Iterator[Resource]:
        """One that spans hosts is told to the plugin of the host that keeps its books, and of each host that has containers on it."""
        if not self.plugin or not (network.kept_here or network.id in around.occupied):
            return
        owner = Owner(kind="network", id=network.id, name=network.name)
        said = {"plugin": self.plugin, "network": network.name}
        told: dict[str, Any] = {
            "plugin": self.plugin,
            "network_id": network.id,
            "space": "" if network.ipam.plugin else ADDRESS_SPACES[network.scope],
            "subnets": tuple(map(_subnet_told, network.subnets)),
            "options": network.driver_options,
            "owner": owner,
        }
        if network.spans and network.kept_here:
            yield PluginAllocation(why=Text.of(_ALLOCATION, **said), **told)
        yield PluginNetwork(
            chosen_gateways=tuple(str(item.subnet) for item in network.subnets if _is_chosen(item)),
            internal=network.internal,
            ipv6=network.wants_ipv6,
            why=Text.of(_NETWORK, **said),
            **told,
        )
        for remote in around.remotes.get(network.id, ()):
            yield from names_of(remote, network, owner, around)

    def compile_endpoint(self, attachment: Attachment, around: Surroundings) -> Iterator[Resource]:
        endpoint, network, container = attachment.endpoint, attachment.network, attachment.container
        on: dict[str, Any] = {
            "owner": Owner(kind="endpoint", id=endpoint.id, name=f"{container.name} on {network.name}")
        }
        told: dict[str, Any] = {"plugin": self.plugin, "network_id": network.id, "endpoint_id": endpoint.id}
        said = {"plugin": self.plugin, "container": container.name, "network": network.name}
        given = (endpoint.ipv4, endpoint.ipv6) if network.ipam.driver != "null" else (None, None)
        ipv4, ipv6 = (str(address) if address is not None else "" for address in given)
        yield PluginEndpoint(
            ipv4=ipv4,
            ipv6=ipv6,
            mac=endpoint.wanted[2],
            options=endpoint.driver_options,
            why=Text.of(_ENDPOINT, **said),
            **told,
            **on,
        )
        yield PluginJoin(sandbox=attachment.sandbox, why=Text.of(_JOIN, **said), **told, **on)
        yield Interface(
            sandbox=attachment.sandbox,
            ifname=endpoint.ifname,
            source=endpoint.joined.source if endpoint.joined is not None else "",
            mac=endpoint.mac,
            sysctls=_settings(endpoint),
            why=Text.of(_INTERFACE, **said),
            **on,
        )
        inside: dict[str, Any] = {"sandbox": attachment.sandbox, "device": endpoint.ifname, **on}
        for address in (endpoint.ipv4, endpoint.ipv6):
            if address is not None:
                yield Address(address=address, why=Text.of(_ADDRESS, **said), **inside)
        for destination, gateway in endpoint.joined.routes if endpoint.joined is not None else ():
            yield Route(destination=destination, gateway=gateway, why=Text.of(_ROUTE, **said), **inside)
        if attachment.leads_out:
            yield PluginPorts(
                ports=tuple(
                    (port.protocol, str(port.host_address or ""), str(port.host_port), str(port.container_port))
                    for port in container.ports
                ),
                exposed=tuple((str(number), protocol) for number, protocol in container.exposed_ports),
                why=Text.of(_PORTS, **said),
                **told,
                **on,
            )


def _subnet_told(item: Subnet) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    length = item.subnet.prefixlen
    gateway = f"{item.gateway}/{length}" if item.gateway is not None else ""
    return str(item.subnet), gateway, tuple((name, f"{address}/{length}") for name, address in item.reserved)


def _is_chosen(item: Subnet) -> bool:
    """Whether the gateway is the one that is chosen where nobody asks for one."""
    reserved = {address for _, address in item.reserved}
    return item.gateway is not None and item.gateway == default_gateway(item.subnet, item.ip_range, reserved)


def _settings(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    """Those that were asked for; and that its neighbours are told its MAC (``worker.apply.interfaces``)."""
    asked = dict(endpoint.sysctls)
    if endpoint.ipv4 is not None:
        asked.setdefault("net.ipv4.conf.IFNAME.arp_notify", "1")
    if endpoint.ipv6 is not None:
        asked.setdefault("net.ipv6.conf.IFNAME.ndisc_notify", "1")
    return tuple(sorted((sysctl_of(name, endpoint.ifname), value) for name, value in asked.items()))


def _check_plugin(name: str, facts: HostFacts) -> None:
    plugin = facts.plugin(name)
    if plugin is None:
        raise Unsupported(
            gettext_noop("There is no network driver called {name}."),
            remedy=gettext_noop("Choose one of {known}, or start the plugin of that name."),
            field="driver",
            name=name,
            known=", ".join(filter(None, ("bridge, overlay, macvlan", _network_drivers(facts)))),
        )
    if not plugin.may_be(NETWORK_DRIVER):
        raise Unsupported(
            gettext_noop("The plugin {name} makes no networks: it implements {what}."),
            remedy=gettext_noop("Choose another driver."),
            field="driver",
            name=name,
            what=", ".join(plugin.implements),
        )


def _network_drivers(facts: HostFacts) -> str:
    return ", ".join(plugin.name for plugin in facts.plugins if plugin.may_be(NETWORK_DRIVER))
