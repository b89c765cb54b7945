"""Attachments of containers to networks: their rows, and the addresses that they are given."""

from __future__ import annotations

from ipaddress import ip_interface

from networks.cnm.errors import Conflict, InvalidSpec, NotFound, Unsupported
from networks.cnm.names import mac_from_ipv4, random_mac
from networks.cnm.options import ENDPOINT_IFNAME, ENDPOINT_KEYS, read_endpoint_options
from networks.cnm.text import gettext_noop
from networks.composed import insert, update
from networks.load import load_settings, network_value
from networks.models import Container, Endpoint, Network
from networks.models.network import GLOBAL
from worker.drivers import driver, is_plugin, read_network_options

from . import ipam
from .new_network import check_driver
from .spec_container import AttachRequest


def add_endpoint(container: Container, network: Network, attach: AttachRequest, *, starts: bool) -> Endpoint:
    """The row of a new attachment, without addresses yet; they are leased when the container *starts*, now or later."""
    present, of_plugin = list(container.endpoints.all()), is_plugin(network.driver)
    if any(endpoint.network_id == network.pk and not endpoint.removing for endpoint in present):
        raise Conflict(
            gettext_noop("Container {container} is on network {network} already."),
            remedy=gettext_noop("Disconnect it first to change its address or aliases."),
            container=container.name,
            network=network.name,
        )
    if attach.mac and not driver(network.driver).own_mac:
        raise InvalidSpec(
            gettext_noop("On network {network} every container has the MAC of the host's device."),
            remedy=gettext_noop("Leave the MAC address out."),
            field="mac",
            network=network.name,
        )
    if network.scope == GLOBAL:
        check_driver(network, network_value(network), container.host)
    ipam.check_static(network, "ipv4", attach.ipv4, starts=starts)
    ipam.check_static(network, "ipv6", attach.ipv6, starts=starts)
    if attach.aliases and network.predefined:
        raise Unsupported(
            gettext_noop("Network-scoped aliases are supported on user-defined networks only."),
            remedy=gettext_noop("Leave the aliases out, or use a network of your own."),
            field="aliases",
        )
    own = {key: value for key, value in attach.driver_opts.items() if key in ENDPOINT_KEYS or not of_plugin}
    options = read_endpoint_options(own)
    taken = {endpoint.position for endpoint in present}
    return insert(
        Endpoint(
            container=container,
            network=network,
            position=next(n for n in range(len(taken) + 1) if n not in taken),
            ifname=_ifname(network, options.ifname, {endpoint.ifname for endpoint in present}),
            wanted_ifname=options.ifname,
            sysctls=dict(options.sysctls),
            driver_options={key: value for key, value in attach.driver_opts.items() if key not in own},
            wanted_ipv4=str(attach.ipv4 or ""),
            wanted_ipv6=str(attach.ipv6 or ""),
            wanted_mac=attach.mac,
            aliases=list(attach.aliases),
            gw_priority=attach.gw_priority,
        )
    )


def give_addresses(endpoint: Endpoint) -> None:
    """Lease addresses and settle the MAC of an endpoint whose container starts."""
    ipam.lease_addresses(endpoint, load_settings(endpoint.network.host).ipam_order)
    ipv4 = ip_interface(endpoint.ipv4).ip if endpoint.ipv4 else None
    endpoint.mac = endpoint.wanted_mac
    own = not is_plugin(endpoint.network.driver) and driver(endpoint.network.driver).own_mac
    if not endpoint.mac and own:  # a plugin gives its interface one
        endpoint.mac = mac_from_ipv4(ipv4) if ipv4 is not None else random_mac()  # type: ignore[arg-type]
    update(endpoint, "ipv4", "ipv6", "mac")


def check_usable(network: Network) -> None:
    """Whether containers can be on *network*: it is neither going nor failed to come."""
    if network.removing:
        raise NotFound(
            gettext_noop("Network {name} is being removed."),
            remedy=gettext_noop("Choose another network."),
            field="network",
            name=network.name,
        )
    if network.withheld:
        raise Conflict(
            gettext_noop("Network {name} could not be made."),
            remedy=gettext_noop("Repair it, or remove it and make it anew."),
            field="network",
            name=network.name,
        )


def _ifname(network: Network, asked: str, taken: set[str]) -> str:
    """The interface's name in the sandbox: the one *asked* for, else the network's prefix and the first free number."""
    if asked in taken:
        raise Conflict(
            gettext_noop("The container has an interface {name} already."),
            remedy=gettext_noop("Choose another name."),
            field=f"driver_opts.{ENDPOINT_IFNAME}",
            name=asked,
        )
    prefix = read_network_options(network.driver, network.options).iface_prefix
    return asked or next(name for n in range(len(taken) + 1) if (name := f"{prefix}{n}") not in taken)
