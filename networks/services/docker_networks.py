"""Use cases of a Docker Engine that has networks of ours, by Docker's protocol for network plugins: its networks, and their addresses.

A network of the engine stands on one here: one that is made for it, under the very id that the engine gave it, or one that was there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import asdict
from ipaddress import ip_network

from django.db.models import Q

from networks import feed
from networks.cnm.addresses import AnyAddress, AnyNetwork, usable_bounds
from networks.cnm.errors import Conflict, NotFound, Unsupported
from networks.cnm.text import Text, gettext_noop
from networks.composed import update
from networks.load import load_settings
from networks.models import DockerNetwork, Host, Lease, Network, Subnet
from networks.models.network import GLOBAL
from worker.drivers import driver as find_driver

from . import ipam
from .actor import Actor, require
from .endpoints import check_usable
from .find import find_network
from .fresh import refresh
from .networks import check_deletable, prepare_deletion
from .new_network import add_network
from .operations import check_alive, enqueue, record
from .outcome import Outcome
from .second_look import with_second_look
from .spec_network import NetworkRequest


def network_of(host: Host, docker_id: str) -> Network:
    """The network here that the engine's network *docker_id* stands on. Raises :class:`NotFound`."""
    row = DockerNetwork.objects.filter(pk=docker_id, host=host).select_related("network__host").first()
    if row is None:
        raise NotFound(
            gettext_noop("There is no {kind} {reference}."),
            remedy=gettext_noop("It was removed here: remove it in Docker, too, and make it anew."),
            kind=Text(gettext_noop("network")),
            reference=docker_id[:12],
        )
    return row.network


@with_second_look
def make_network(actor: Actor, host: Host, docker_id: str, request: NetworkRequest) -> Outcome:
    """Make a network for the engine's *docker_id*. Who asks again is told of the one that is there."""
    require(actor, "operator")
    check_alive(actor, host)
    check_hands_over(request.driver)
    with feed.transaction(actor.name):
        known = _known(docker_id)
        if known is not None:
            return Outcome(known)
        network = add_network(actor, host, request, docker_id)
        DockerNetwork.objects.create(pk=docker_id, host=host, network=network, made=True)
        operation = enqueue(actor, host, "network.create", network, networks=[network])
        record(actor, "network.create", network, asdict(request), operation)
    return Outcome(network, operation)


def use_network(
    actor: Actor, host: Host, docker_id: str, reference: str, ranges: Sequence[tuple[AnyNetwork, AnyAddress | None]]
) -> Network:
    """Let the engine's *docker_id* stand on the network *reference*, whose subnets *ranges* (each with its gateway) have to be."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        known = _known(docker_id)
        if known is not None:
            return known
        network = find_network(host, reference, "cnm.network")
        refresh(network)
        check_usable(network)
        check_hands_over(network.driver)
        _check_gives_addresses(network)
        for cidr, gateway in ranges:
            _check_range(network, cidr, gateway)
        DockerNetwork.objects.create(pk=docker_id, host=host, network=network)
        record(actor, "network.offer", network, {"docker_network": docker_id})
        feed.put("network", network)
    return network


def drop_network(actor: Actor, host: Host, docker_id: str) -> Outcome:
    """The engine's *docker_id* is gone: so is the network that was made for it. One that was there before stays; and one that has
    containers of ours, or on which another of the engine's stands, is ours from now on, for an engine (libnetwork,
    ``network.deleteNetwork``) takes no refusal.
    """
    require(actor, "operator")
    with feed.transaction(actor.name):
        row = DockerNetwork.objects.filter(pk=docker_id, host=host).select_related("network__host").first()
        if row is None or row.network.removing:
            return Outcome(None)
        network = row.network
        others = network.docker_networks.exclude(pk=row.pk)
        if not row.made or network.endpoints.filter(removing=False).exists() or others.exists():
            row.delete()
            if not others.exists():
                network.subnets.update(promised=[])  # what an engine that crashed never gave back
            record(actor, "network.withdraw", network, {"docker_network": docker_id})
            feed.put("network", network)
            return Outcome(network)
        check_deletable(network)
        prepare_deletion(network)
        operation = enqueue(actor, host, "network.delete", network, networks=[network])
        record(actor, "network.delete", network, {}, operation)
    return Outcome(network, operation)


def check_hands_over(driver: str) -> None:
    """Raises :class:`Unsupported` where a network of *driver* has no link that an engine could take."""
    if not find_driver(driver).hands_over:
        raise Unsupported(
            gettext_noop("A network of the driver {driver} cannot be handed to a Docker Engine."),
            remedy=gettext_noop("Choose one of the driver bridge or overlay."),
            field="driver",
            driver=driver,
        )


def subnet_of(host: Host, reference: str, version: int) -> Subnet:
    """The IPv4 or IPv6 subnet of the network *reference*. Raises :class:`NotFound`."""
    network = find_network(host, reference, "cnm.network")
    found = next((row for row in network.subnets.all() if ip_network(row.cidr).version == version), None)
    if found is None:
        raise NotFound(
            gettext_noop("Network {network} has no IPv{version} subnet."),
            remedy=gettext_noop("Leave that family out, or choose another network."),
            field="cnm.network",
            network=network.name,
            version=version,
        )
    return found


def known_subnet(host: Host, cidr: str) -> Subnet | None:
    """The subnet *cidr* of a network that containers of *host* can be on: no two of them overlap."""
    rows = Subnet.objects.filter(Q(network__host=host) | Q(network__scope=GLOBAL), cidr=cidr, network__removing=False)
    return rows.select_related("network__host").first()


def free_range(host: Host, version: int, driver: str, besides: Collection[AnyNetwork]) -> AnyNetwork:
    """The subnet that a new network of *driver* would get now, none of those *besides*."""
    return ipam.free_subnet(host, version, scope=find_driver(driver).scope, besides=besides)


def promise_address(
    actor: Actor, host: Host, cidr: str, wanted: AnyAddress | None, ip_range: AnyNetwork | None
) -> AnyAddress:
    """An address of the subnet *cidr* for the engine: *wanted*, or a free one (of *ip_range*). It is kept for it until it gives it back."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        subnet = known_subnet(host, cidr)
        if subnet is None:
            raise NotFound(
                gettext_noop("No network here has the subnet {subnet}."),
                remedy=gettext_noop("It was removed here: remove it in Docker, too, and make it anew."),
                subnet=cidr,
            )
        if wanted is None:
            among = copy(subnet)
            among.ip_range = str(ip_range or subnet.ip_range)
            wanted = ipam.next_free(subnet.network, among, load_settings(host).ipam_order)
        else:
            check_free(subnet, wanted)
            ipam.check_not_promised(subnet, wanted, "Address")
        subnet.promised = [*subnet.promised, str(wanted)]
        update(subnet, "promised")
    return wanted


def give_back_address(actor: Actor, host: Host, cidr: str, address: AnyAddress) -> None:
    """The engine needs *address* no longer."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        subnet = known_subnet(host, cidr)
        if subnet is not None:
            keep_promise(subnet, address)


def keep_promise(subnet: Subnet, address: AnyAddress) -> None:
    """What was promised is used from now on, or not wanted any more."""
    if str(address) in subnet.promised:
        subnet.promised = [text for text in subnet.promised if text != str(address)]
        update(subnet, "promised")


def check_free(subnet: Subnet, address: AnyAddress) -> None:
    """Raises :class:`Conflict` where *address* of *subnet* is somebody's already, or nobody's to have."""
    cidr = ip_network(subnet.cidr)
    low, high = usable_bounds(cidr)
    if address.version != cidr.version or not low <= int(address) <= high:
        raise Conflict(
            gettext_noop("The address {address} is not inside {subnets}."),
            remedy=gettext_noop("Give an address of network {network}."),
            address=address,
            subnets=subnet.cidr,
            network=subnet.network.name,
        )
    held = Lease.objects.filter(network=subnet.network_id, address=str(address)).exclude(endpoint=None)
    holder = held.select_related("endpoint__container").first()
    if holder is not None or str(address) in {subnet.gateway, *subnet.reserved.values()}:
        raise Conflict(
            gettext_noop("The address {address} is in use by container {holder}."),
            remedy=gettext_noop("Give another address, or disconnect {holder}."),
            address=address,
            holder=holder.endpoint.container.name if holder is not None and holder.endpoint is not None else "-",
        )


def _check_gives_addresses(network: Network) -> None:
    if network.ipam_driver != "default":
        raise Unsupported(
            gettext_noop(
                "Network {network} has its addresses of the plugin {plugin}: none can be given to a Docker Engine."
            ),
            remedy=gettext_noop("Choose another network."),
            field="cnm.network",
            network=network.name,
            plugin=network.ipam_driver,
        )


def _known(docker_id: str) -> Network | None:
    row = DockerNetwork.objects.filter(pk=docker_id).select_related("network__host").first()
    return row.network if row is not None else None


def _check_range(network: Network, cidr: AnyNetwork, gateway: AnyAddress | None) -> None:
    subnet = next((row for row in network.subnets.all() if row.cidr == str(cidr)), None)
    if subnet is not None and (gateway is None or subnet.gateway in {"", str(gateway)}):
        return
    raise Conflict(
        gettext_noop("Network {network} has not the subnet {subnet} with the gateway {gateway}."),
        remedy=gettext_noop("Take its own: --ipam-driver cnm --subnet {own}."),
        network=network.name,
        subnet=cidr,
        gateway=gateway or "-",
        own=" --subnet ".join(row.cidr for row in network.subnets.all()),
    )
