"""Giving out subnets and addresses, inside the transaction of the use case that needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from networks.cnm.addresses import (
    AnyAddress,
    AnyNetwork,
    choose_address,
    choose_subnet,
    default_gateway,
    unique_local_pool,
    usable_bounds,
)
from networks.cnm.errors import Conflict, Exhausted, InvalidSpec
from networks.cnm.facts import HostFacts
from networks.cnm.text import gettext_noop
from networks.load import load_facts
from networks.models import Container, Endpoint, Host, Lease, Network, Subnet

from .second_look import SeenConflict
from .spec_network import SubnetRequest


def _ours(host: Host, besides: Network | None) -> list[tuple[AnyNetwork, str]]:
    rows = Subnet.objects.filter(network__host=host).exclude(network=besides).order_by()
    return [(ip_network(cidr), f"network {name}") for cidr, name in rows.values_list("cidr", "network__name")]


def _in_use_by_host(facts: HostFacts) -> list[tuple[AnyNetwork, str]]:
    routes = [(network, "a route of the host") for network in facts.onlink if network.prefixlen]
    devices = [(interface.network, f"the host's device {device}") for device, interface in facts.addresses]
    servers = [(ip_network(server), "a name server of the host") for server in facts.nameservers]
    return routes + devices + servers


def check_overlap_with_others(
    host: Host, network: Network, wanted: AnyNetwork, field: str, facts: HostFacts | None = None
) -> None:
    """Raises :class:`Conflict` naming what *wanted*, a subnet of *network*, overlaps."""
    sentence = gettext_noop("The subnet {subnet} overlaps {taken}, which belongs to {whose}.")
    remedy = gettext_noop("Choose another range, or leave it out to get a free one.")
    said: dict[str, Any] = {"remedy": remedy, "field": field, "subnet": wanted}
    for taken, whose in _overlapping(wanted, _ours(host, network)):
        raise Conflict(sentence, taken=taken, whose=whose, **said)
    for taken, whose in _overlapping(wanted, _in_use_by_host(facts or load_facts(host))):
        raise SeenConflict(sentence, host=host, taken=taken, whose=whose, **said)


def _overlapping(wanted: AnyNetwork, ranges: Iterable[tuple[AnyNetwork, str]]) -> Iterator[tuple[AnyNetwork, str]]:
    for taken, whose in ranges:
        if taken.version == wanted.version and wanted.overlaps(taken):  # type: ignore[arg-type]  # one version
            yield taken, whose


def free_subnet(host: Host, version: int = 4, facts: HostFacts | None = None) -> AnyNetwork:
    """The subnet that a network without one would get now. Raises :class:`Exhausted`."""
    pools: list[tuple[AnyNetwork, int]] = [(ip_network(base), size) for base, size in settings.DEFAULT_ADDRESS_POOLS]
    if version == 6 and not any(base.version == 6 for base, _ in pools):
        pools.append((unique_local_pool(host.name), 64))
    rows = Subnet.objects.filter(network__host=host).order_by()
    used = dict(rows.values_list("cidr", "network__activation"))
    last = host.settings.get("last_pool", {})
    chosen = choose_subnet(
        pools,
        version,
        [*map(ip_network, used), *(network for network, _ in _in_use_by_host(facts or load_facts(host)))],
        lambda candidate: int(last.get(str(candidate), used.get(str(candidate), 0))),
    )
    if chosen is None:
        raise Exhausted(
            gettext_noop("All of the address pools are in use: there is no free IPv{version} subnet."),
            remedy=gettext_noop("Give a subnet, remove a network, or add a pool with CNM_DEFAULT_ADDRESS_POOLS."),
            field="subnets",
            version=version,
        )
    return chosen


def add_subnet(network: Network, request: SubnetRequest, *, from_pool: bool = False) -> Subnet:
    """The row of one subnet, with its gateway chosen where none is asked for."""
    reserved = set(request.aux_addresses.values())
    gateway = request.gateway or default_gateway(request.subnet, request.ip_range, reserved)
    return Subnet.objects.create(
        network=network,
        cidr=str(request.subnet),
        gateway=str(gateway) if gateway else "",
        ip_range=str(request.ip_range or ""),
        reserved={name: str(address) for name, address in request.aux_addresses.items()},
        from_pool=from_pool,
    )


def lease_addresses(endpoint: Endpoint, order: str, subnets: Iterable[Subnet] | None = None) -> None:
    """Give *endpoint* an address of each subnet of its network, and keep it on the row (not saved)."""
    for subnet in subnets if subnets is not None else endpoint.network.subnets.all():
        cidr = ip_network(subnet.cidr)
        name = "ipv4" if cidr.version == 4 else "ipv6"
        wanted = getattr(endpoint, f"wanted_{name}")
        address, known = (_static(endpoint, subnet, wanted), True) if wanted else _dynamic(endpoint, subnet, order)
        _take(endpoint, str(address), known)
        setattr(endpoint, name, f"{address}/{cidr.prefixlen}")


def _take(endpoint: Endpoint, address: str, known: bool = True) -> None:
    """Make the lease of *address* the endpoint's, unless it is somebody else's: the database would refuse a second row.

    *known*: there may be a row of it, from an earlier holder."""
    held = {"endpoint": endpoint, "released_at": None, "last_container_id": endpoint.container_id}
    rows = Lease.objects.filter(network_id=endpoint.network_id, address=address)
    if not known or not rows.filter(Q(endpoint=None) | Q(endpoint=endpoint)).update(**held):
        Lease.objects.create(network_id=endpoint.network_id, address=address, **held)


def release_addresses(endpoints: Iterable[Endpoint]) -> None:
    """Let go the addresses of *endpoints*; they rest, and are reused last."""
    ids = [endpoint.pk for endpoint in endpoints]
    Lease.objects.filter(endpoint__in=ids).update(endpoint=None, released_at=timezone.now())
    Endpoint.objects.filter(pk__in=ids).update(ipv4="", ipv6="", mac="")


def check_static(network: Network, field: str, address: AnyAddress | None) -> None:
    """Whether a person may choose *address* on *network*. Docker's refusals, in its words."""
    if address is None:
        return
    if network.predefined:
        raise InvalidSpec(
            gettext_noop("An address of one's own choice is supported on user-defined networks only."),
            remedy=gettext_noop("Create a network with a subnet and use that."),
            field=field,
        )
    subnets = [s for s in network.subnets.all() if ip_network(s.cidr).version == address.version]
    if not subnets or all(subnet.from_pool for subnet in subnets):
        raise InvalidSpec(
            gettext_noop(
                "An address of one's own choice is supported only on networks with a subnet of one's own choice."
            ),
            remedy=gettext_noop("Create the network {network} with a subnet."),
            field=field,
            network=network.name,
        )
    subnet = next((s for s in subnets if address in ip_network(s.cidr)), None)
    if subnet is None:
        raise InvalidSpec(
            gettext_noop("The address {address} is not inside {subnets}."),
            remedy=gettext_noop("Give an address of network {network}."),
            field=field,
            address=address,
            subnets=", ".join(s.cidr for s in subnets),
            network=network.name,
        )
    low, high = usable_bounds(ip_network(subnet.cidr))
    if str(address) == subnet.gateway or not low <= int(address) <= high:
        raise Conflict(
            gettext_noop("The address {address} is the gateway, network or broadcast address of {subnet}."),
            remedy=gettext_noop("Give another address."),
            field=field,
            address=address,
            subnet=subnet.cidr,
        )
    holder = Lease.objects.filter(network=network, address=str(address)).exclude(endpoint=None).first()
    if holder is not None:
        _refuse_taken(holder, field)


def _static(endpoint: Endpoint, subnet: Subnet, wanted: str) -> AnyAddress:
    holder = Lease.objects.filter(network=endpoint.network, address=wanted).exclude(endpoint=None).first()
    if holder is not None and holder.endpoint_id != endpoint.pk:
        _refuse_taken(holder, "ipv4" if "." in wanted else "ipv6")
    return ip_address(wanted)


def _refuse_taken(lease: Lease, field: str) -> None:
    holder = lease.endpoint.container.name if lease.endpoint else ""
    raise Conflict(
        gettext_noop("The address {address} is in use by container {holder}."),
        remedy=gettext_noop("Give another address, or disconnect {holder}."),
        field=field,
        address=lease.address,
        holder=holder,
    )


def _dynamic(endpoint: Endpoint, subnet: Subnet, order: str) -> tuple[AnyAddress, bool]:
    """The next address, and whether somebody had it before."""
    cidr = ip_network(subnet.cidr)
    rows: Any = Lease.objects.filter(network_id=endpoint.network_id).order_by(F("released_at").asc(nulls_first=True))
    in_use, released, preferred = set(), [], None
    for text, holder, last in rows.values_list("address", "endpoint_id", "last_container_id"):
        address = ip_address(text)
        if address.version != cidr.version:
            continue
        if holder is not None:
            in_use.add(address)
            continue
        released.append(address)
        if last == endpoint.container_id:
            preferred = address
    statics = Endpoint.objects.filter(network_id=endpoint.network_id).exclude(pk=endpoint.pk)
    name = "wanted_ipv4" if cidr.version == 4 else "wanted_ipv6"
    kept_back = {ip_address(text) for text in statics.exclude(Q(**{name: ""})).values_list(name, flat=True)}
    named = [subnet.gateway, *subnet.reserved.values()]
    chosen = choose_address(
        cidr,
        ip_network(subnet.ip_range) if subnet.ip_range else None,
        forbidden=frozenset(ip_address(text) for text in named if text) | kept_back,
        in_use=frozenset(in_use),
        released=released,
        preferred=preferred,
        order=order,
    )
    if chosen is None:
        raise Exhausted(
            gettext_noop("Network {network} has no free address left in {pool}."),
            remedy=gettext_noop("Stop a container there, or use a network with a larger range."),
            field="network",
            network=endpoint.network.name,
            pool=subnet.ip_range or subnet.cidr,
        )
    return chosen, chosen in released


def gateway_interface(subnet: Subnet) -> str:
    """The gateway with the subnet's prefix, as the bridge carries it."""
    return str(ip_interface(f"{subnet.gateway}/{ip_network(subnet.cidr).prefixlen}"))


def names_of(containers: Iterable[Container]) -> str:
    """Names of containers for a sentence, sorted."""
    return ", ".join(sorted(container.name for container in containers))
