"""The rows of a new network: what may be asked for, and what follows from it."""

from __future__ import annotations

from django.db import IntegrityError

from networks import feed
from networks.cnm import desired
from networks.cnm.errors import Conflict, Forbidden, NotFound, Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.names import PREDEFINED_NETWORKS, new_id
from networks.cnm.plugins import IPAM_DRIVER
from networks.cnm.text import gettext_noop
from networks.composed import insert
from networks.load import load_facts, load_settings, network_value
from networks.models import Host, Network
from networks.models.network import GLOBAL
from networks.represent import BRIDGE_NAME, bridge_of
from worker.drivers import DRIVERS, is_plugin
from worker.drivers import driver as find_driver

from . import ipam
from .actor import Actor
from .features import require_feature
from .find import network_named
from .operations import next_activation
from .second_look import SeenConflict, SeenUnsupported
from .spec_network import NetworkRequest, SubnetRequest


def add_network(actor: Actor, host: Host, request: NetworkRequest, network_id: str = "") -> Network:
    """The row of a new network, checked against everything else, without an operation (for bulk use).

    *network_id*: the id that somebody else knows it by already; empty: a new one."""
    chosen = find_driver(request.driver)
    if not chosen.attaches:
        raise Forbidden(
            gettext_noop("Only one network of the driver {driver} is allowed, and it is there already."),
            remedy=gettext_noop("Run containers on that one, or choose another driver."),
            field="driver",
            driver=request.driver,
        )
    scope = scope_of(host, request.driver)
    _check_name(host, request.name, scope)
    network = Network(
        id=network_id or new_id(),
        host=host,
        name=request.name,
        driver=request.driver,
        scope=scope,
        internal=request.internal,
        attachable=request.attachable,
        enable_ipv6=request.enable_ipv6,
        options=dict(request.options),
        ipam_driver=request.ipam_driver,
        ipam_options=dict(request.ipam_options),
        labels=dict(request.labels),
        activation=next_activation(host),
        created_by=actor.name,
    )
    _check_bridge_name(host, network)
    check_features(host, request)
    wanted = subnets_for(host, request)
    vnis = ipam.segments_of(network, wanted, request.typed_options.vnis)
    try:
        insert(network)
    except IntegrityError:
        raise _name_taken(request.name) from None
    subnets = []
    for number, (subnet, vni) in enumerate(zip(wanted, vnis, strict=True)):
        if subnet in request.subnets and request.ipam_driver == "default":
            ipam.check_overlap_with_others(host, network, subnet.subnet, f"subnets.{number}.subnet")
        subnets.append(ipam.add_subnet(network, subnet, from_pool=subnet not in request.subnets, vni=vni))
    check_driver(network, network_value(network, subnets))
    _check_neighbours(network)
    feed.put("network", network)
    return network


def _check_neighbours(network: Network) -> None:
    """Raises where *network* stands in the host's LAN and cannot beside another that does."""
    chosen = find_driver(network.driver)
    if not chosen.joins_lan:
        return
    value, beside = network_value(network), [name for name, known in DRIVERS.items() if known.joins_lan]
    others = Network.objects.filter(host=network.host, driver__in=beside).exclude(pk=network.pk)
    for other in others.exclude(status="removing"):
        chosen.check_beside(value, network_value(other))


def scope_of(host: Host, driver: str) -> str:
    """Whether networks of *driver* are on *host* alone, or span hosts. Of a plugin's it is what that says; one that was never heard says
    nothing, and its network is not made."""
    plugin = load_facts(host).plugin(driver) if is_plugin(driver) else None
    return plugin.scope if plugin is not None else find_driver(driver).scope


def check_driver(network: Network, value: desired.Network, there: Host | None = None) -> None:
    """Raises when the driver of *network* cannot make it as *value* says on the host *there* (default: its own); what the host was seen to
    lack is looked for again."""
    host = there or network.host
    try:
        facts = load_facts(host)
        find_driver(value.driver).check(value, facts)
        check_ipam(value.ipam, facts)
    except NotFound as error:
        raise SeenConflict.of(error, host) from error
    except Unsupported as error:
        if not value.ipam.plugin and not is_plugin(value.driver):
            raise
        raise SeenUnsupported.of(error, host) from error


def check_ipam(chosen: desired.Ipam, facts: HostFacts) -> None:
    """Raises where a host of these facts has no plugin that could give the addresses as *chosen*."""
    if not chosen.plugin:
        return
    plugin = facts.plugin(chosen.plugin)
    known = ", ".join(item.name for item in facts.plugins if IPAM_DRIVER in item.implements)
    if plugin is None:
        raise Unsupported(
            gettext_noop("There is no IPAM driver called {name}."),
            remedy=gettext_noop("Choose one of {known}, or start the plugin of that name."),
            field="ipam_driver",
            name=chosen.plugin,
            known=f"default, {known}" if known else "default",
        )
    if not plugin.may_be(IPAM_DRIVER):
        raise Unsupported(
            gettext_noop("The plugin {name} gives no addresses: it implements {what}."),
            remedy=gettext_noop("Choose one of {known}."),
            field="ipam_driver",
            name=plugin.name,
            what=", ".join(plugin.implements),
            known=f"default, {known}" if known else "default",
        )


def subnets_for(host: Host, request: NetworkRequest) -> list[SubnetRequest]:
    """The subnets asked for, and one of the pools for each family that has none."""
    if request.ipam_driver != "default":
        return list(request.subnets)
    scope = scope_of(host, request.driver)
    subnets = list(request.subnets)
    families = {subnet.subnet.version for subnet in subnets}
    if 4 not in families:
        subnets.insert(0, SubnetRequest(subnet=ipam.free_subnet(host, 4, scope=scope)))
    if request.enable_ipv6 and 6 not in families:
        subnets.append(SubnetRequest(subnet=ipam.free_subnet(host, 6, scope=scope)))
    return subnets


def check_features(host: Host, request: NetworkRequest) -> None:
    """Refuse what the host's kernel was seen to lack."""
    facts = load_facts(host)
    if request.enable_ipv6:
        require_feature(host, facts, "ipv6", "enable_ipv6")
    if request.driver == "bridge" and not request.typed_options.icc:
        require_feature(host, facts, "bridge-nf", "options")


def _check_name(host: Host, name: str, scope: str) -> None:
    """A network's name means one network on every host that can use it."""
    if name in PREDEFINED_NETWORKS:
        raise Forbidden(
            gettext_noop("{name} is a predefined network and cannot be created."),
            remedy=gettext_noop("Choose another name."),
            field="name",
            name=name,
        )
    taken = Network.objects.filter(name=name).exists() if scope == GLOBAL else network_named(host.pk, name)
    if taken:
        raise _name_taken(name)


def _name_taken(name: str) -> Conflict:
    return Conflict(
        gettext_noop("A network with the name {name} exists already."),
        remedy=gettext_noop("Choose another name."),
        field="name",
        name=name,
    )


def _check_bridge_name(host: Host, network: Network) -> None:
    """Refuse a bridge device that is another network's. A name that follows from the network's random id is nobody's."""
    device = bridge_of(network, "") if BRIDGE_NAME in network.options else ""
    default = load_settings(host).naming.bridge
    for other in Network.objects.filter(host=host, driver="bridge") if device else ():
        if bridge_of(other, default) == device:
            raise Conflict(
                gettext_noop("The bridge {device} belongs to network {other}."),
                remedy=gettext_noop("Choose another bridge name."),
                field=f"options.{BRIDGE_NAME}",
                device=device,
                other=other.name,
            )
