"""Use cases of a Docker Engine whose containers are on networks of ours: their endpoints, from the engine's first word to its last.

An engine's container is a row like ours, of the kind ``docker``: so its addresses are leased, its ports held, its rules written and
explained, and its name told, as for all others. What is in its sandbox is the engine's. Of the container we learn little: the ids of its
endpoints, and the path of its sandbox, by which we see that two endpoints are one container's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, ip_network

from networks import feed
from networks.cnm.addresses import AnyAddress
from networks.cnm.errors import NotFound
from networks.cnm.names import mac_from_ipv4, random_mac, short
from networks.cnm.options import read_options
from networks.cnm.text import Text, gettext_noop
from networks.composed import insert, update
from networks.load import is_live, load_settings
from networks.models import Container, Endpoint, Host, Network, Operation
from networks.models.choices import ContainerKind, Wanted
from networks.settle import rests

from . import ports
from .actor import Actor, require
from .docker_networks import check_free, keep_promise, network_of
from .endpoints import check_usable, give_addresses
from .ipam import next_free
from .lifecycle import prepare_removal, prepare_start, prepare_stop
from .operations import check_alive, enqueue, record
from .outcome import Outcome
from .second_look import with_second_look
from .spec_container import ContainerRequest
from .spec_ports import PortRequest

CHOSEN, USUAL = 1, 0
"""Gateway priorities: of the endpoint by which the engine leads its container outside, and of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRequest:
    """An endpoint that an engine asks for."""

    id: str
    docker_network: str
    ipv4: AnyAddress | None = None
    ipv6: AnyAddress | None = None
    mac: str = ""
    exposed_ports: tuple[tuple[int, str], ...] = ()


def create_endpoint(actor: Actor, host: Host, request: EndpointRequest) -> Endpoint:
    """Note an endpoint, with the addresses that it will have: those that the engine names, else free ones. Nothing is in the kernel yet.

    Who asks again is told of the one that is there."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        network = network_of(host, request.docker_network)
        check_usable(network)
        known = Endpoint.objects.filter(pk=request.id, network=network).select_related("network", "container").first()
        if known is not None:
            return known
        wanted = _addresses(host, network, request)
        container = _add_container(actor, host, network, request)
        endpoint = insert(
            Endpoint(
                id=request.id,
                container=container,
                network=network,
                ifname=_ifname(network, 0),
                wanted_ipv4=wanted.get(4, ""),
                wanted_ipv6=wanted.get(6, ""),
                wanted_mac=request.mac or _mac(wanted),
            )
        )
        feed.put("container", container)
        feed.put("network", network)
    return endpoint


@with_second_look
def join(actor: Actor, host: Host, docker_network: str, endpoint_id: str, sandbox: str) -> Outcome:
    """Have the link of an endpoint stand on the host for the engine to take; *sandbox* is the path of the sandbox that it is for."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        endpoint = find_endpoint(host, docker_network, endpoint_id)
        container = endpoint.container
        if is_live(container) and not endpoint.withheld:
            return Outcome(endpoint)  # the engine asks again
        known = _in(sandbox, endpoint)
        if known is not None:
            _move(endpoint, known)
            container = known
        else:
            container.adopted_path = sandbox
            update(container, "adopted_path")
            prepare_start(container)
        operation = enqueue(actor, host, "network.connect", container, containers=[container])
        said = {"network": endpoint.network.name, "sandbox": sandbox}
        record(actor, "network.connect", container, said, operation)
        feed.put("container", container)
    return Outcome(Endpoint.objects.select_related("network__host").get(pk=endpoint_id), operation)


def leave(actor: Actor, host: Host, docker_network: str, endpoint_id: str) -> Outcome:
    """Take the link of an endpoint away. The engine may join it again, until it deletes it."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        endpoint = _found(host, docker_network, endpoint_id)
        if endpoint is None or endpoint.removing:
            return Outcome(None)
        operation = _take_off(actor, host, endpoint)
    return Outcome(endpoint.container, operation)


def delete_endpoint(actor: Actor, host: Host, docker_network: str, endpoint_id: str) -> Outcome:
    """Forget an endpoint, and its container with the last of them."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        endpoint = _found(host, docker_network, endpoint_id)
        if endpoint is None or endpoint.removing:
            return Outcome(None)
        container = endpoint.container
        if _others(endpoint):
            operation = _take_off(actor, host, endpoint)
        elif container.wanted == Wanted.REMOVED:
            return Outcome(None)
        else:
            prepare_removal(container)
            operation = enqueue(actor, host, "container.remove", container, containers=[container])
            record(actor, "container.remove", container, {}, operation)
    return Outcome(container, operation)


@with_second_look
def open_ports(
    actor: Actor, host: Host, docker_network: str, endpoint_id: str, requests: Sequence[PortRequest]
) -> Outcome:
    """Publish ports of the container by this endpoint, which is the one that leads it outside from now on."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        endpoint = find_endpoint(host, docker_network, endpoint_id)
        container = endpoint.container
        endpoint.gw_priority = CHOSEN
        update(endpoint, "gw_priority")
        if not requests or container.ports.filter(removing=False).exists():
            return Outcome(container)  # none, or the engine asks again
        ports.add_rows(container, requests)
        ports.assign_ports(container)
        operation = enqueue(actor, host, "port.publish", container, containers=[container])
        feed.put("container", container)
        record(actor, "port.publish", container, {"ports": [asdict(one) for one in requests]}, operation)
    return Outcome(container, operation)


def close_ports(actor: Actor, host: Host, docker_network: str, endpoint_id: str) -> Outcome:
    """Take back what :func:`open_ports` opened."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        endpoint = _found(host, docker_network, endpoint_id)
        if endpoint is None:
            return Outcome(None)
        container = endpoint.container
        endpoint.gw_priority = USUAL
        update(endpoint, "gw_priority")
        opened = container.ports.filter(removing=False)
        if not opened:
            return Outcome(container)
        said = {"ports": [str(row) for row in opened]}
        operation = None
        if rests(container):
            opened.delete()
        else:
            opened.update(removing=True)
            operation = enqueue(actor, host, "port.unpublish", container, containers=[container])
        feed.put("container", container)
        record(actor, "port.unpublish", container, said, operation)
    return Outcome(container, operation)


def find_endpoint(host: Host, docker_network: str, endpoint_id: str) -> Endpoint:
    """The endpoint by the engine's ids. Raises :class:`NotFound`."""
    found = _found(host, docker_network, endpoint_id)
    if found is None or found.removing or found.container.wanted == Wanted.REMOVED:
        raise NotFound(
            gettext_noop("There is no {kind} {reference}."),
            remedy=gettext_noop("It was removed here: restart the container in Docker."),
            kind=Text(gettext_noop("endpoint")),
            reference=short(endpoint_id),
        )
    return found


def _found(host: Host, docker_network: str, endpoint_id: str) -> Endpoint | None:
    rows = Endpoint.objects.filter(pk=endpoint_id, container__host=host, container__kind=ContainerKind.DOCKER)
    return (
        rows.filter(network__docker_networks=docker_network).select_related("network__host", "container__host").first()
    )


def _others(endpoint: Endpoint) -> bool:
    """Whether its container has more than this one."""
    return endpoint.container.endpoints.filter(removing=False).exclude(pk=endpoint.pk).exists()


def _take_off(actor: Actor, host: Host, endpoint: Endpoint) -> Operation | None:
    container = endpoint.container
    if _others(endpoint):
        endpoint.removing = True
        update(endpoint, "removing")
    elif not prepare_stop(container):
        return None
    operation = enqueue(actor, host, "network.disconnect", container, containers=[container])
    feed.put("container", container)
    feed.put("network", endpoint.network)
    record(actor, "network.disconnect", container, {"network": endpoint.network.name}, operation)
    return operation


def _in(sandbox: str, endpoint: Endpoint) -> Container | None:
    """The container that is in *sandbox* already, and not on the network of *endpoint*: two of the engine's networks may stand on one."""
    there = Container.objects.filter(
        host=endpoint.container.host, kind=ContainerKind.DOCKER, adopted_path=sandbox, wanted=Wanted.RUNNING
    )
    there = there.exclude(pk=endpoint.container_id).exclude(
        endpoints__in=Endpoint.objects.filter(network=endpoint.network_id, removing=False)
    )
    return next((row for row in there.select_related("host") if is_live(row)), None)


def _move(endpoint: Endpoint, container: Container) -> None:
    """Put a new endpoint to those of *container*, whose sandbox it joins: the row that it came with was a stand-in."""
    before = endpoint.container
    taken = set(container.endpoints.values_list("position", flat=True))
    position = next(number for number in range(len(taken) + 1) if number not in taken)
    endpoint.container, endpoint.position = container, position
    endpoint.ifname = _ifname(endpoint.network, position)
    update(endpoint, "container", "position", "ifname")
    give_addresses(endpoint)
    before.delete()
    feed.delete("container", before.pk)
    feed.put("network", endpoint.network)


def _addresses(host: Host, network: Network, request: EndpointRequest) -> dict[int, str]:
    """Address family -> the address that the endpoint will have; promised ones are used from now on."""
    found: dict[int, str] = {}
    for subnet in network.subnets.all():
        subnet.network = network
        version = ip_network(subnet.cidr).version
        wanted = request.ipv4 if version == 4 else request.ipv6
        if wanted is None:
            wanted = next_free(network, subnet, load_settings(host).ipam_order)
        check_free(subnet, wanted)
        keep_promise(subnet, wanted)
        found[version] = str(wanted)
    return found


def _mac(wanted: dict[int, str]) -> str:
    """The MAC that the engine is told, and that a second start has, too."""
    return mac_from_ipv4(IPv4Address(wanted[4])) if 4 in wanted else random_mac()


def _add_container(actor: Actor, host: Host, network: Network, request: EndpointRequest) -> Container:
    name = f"docker-{short(request.id)}"
    stored = ContainerRequest(name=name, kind=ContainerKind.DOCKER, exposed_ports=request.exposed_ports).stored()
    return insert(
        Container(
            host=host,
            name=name,
            kind=ContainerKind.DOCKER,
            network_mode=network.name,
            image="",
            spec={**stored, "exposed_ports": [list(pair) for pair in request.exposed_ports]},
            created_by=actor.name,
        )
    )


def _ifname(network: Network, number: int) -> str:
    """What the engine will probably call the interface in its sandbox: it numbers them itself."""
    return f"{read_options(network.options).iface_prefix}{number}"
