"""Giving out subnets and addresses, inside the transaction of the use case that needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_interface, ip_network
from itertools import count, islice
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
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
from networks.cnm.options import FIRST_VNI, VXLAN_ID
from networks.cnm.text import gettext_noop
from networks.composed import composed, insert, update
from networks.load import load_facts
from networks.models import Container, Endpoint, Host, Lease, Network, Subnet
from networks.models.network import GLOBAL, LOCAL
from worker.drivers import driver, is_plugin

from .second_look import SeenConflict
from .spec_network import SubnetRequest

_SPANNING = Q(network__scope=GLOBAL)


def _subnets(host: Host, scope: str) -> QuerySet[Subnet]:
    """Those that a network of *scope* must not overlap: what spans hosts meets the networks of every host."""
    rows = Subnet.objects.all() if scope == GLOBAL else Subnet.objects.filter(_SPANNING | Q(network__host=host))
    return rows.order_by()


def _ours(host: Host, besides: Network) -> list[tuple[AnyNetwork, str]]:
    rows = _subnets(host, besides.scope).exclude(network=besides)
    return [(ip_network(cidr), f"network {name}") for cidr, name in rows.values_list("cidr", "network__name")]


def _in_use_by_host(facts: HostFacts) -> list[tuple[AnyNetwork, str]]:
    routes = [(network, "a route of the host") for network in facts.onlink if network.prefixlen]
    devices = [(interface.network, f"the host's device {device}") for device, interface in facts.addresses]
    servers = [(ip_network(server), "a name server of the host") for server in facts.nameservers]
    return routes + devices + servers


def _in_use_by(host: Host, scope: str, facts: HostFacts | None) -> list[tuple[Host, AnyNetwork, str]]:
    """What the hosts that a network of *scope* may be on use themselves."""
    hosts = [host, *Host.objects.exclude(pk=host.pk)] if scope == GLOBAL else [host]
    return [
        (one, taken, whose)
        for one in hosts
        for taken, whose in _in_use_by_host(facts if one == host and facts is not None else load_facts(one))
    ]


def segments_of(network: Network, subnets: Sequence[SubnetRequest], chosen: Sequence[int]) -> list[int | None]:
    """The segment of each of *subnets* where *network* spans hosts: None for what its first one carries, whose number it gets.

    Each IPv4 subnet has a segment of its own (each IPv6 subnet, where there is no IPv4); a container's frames are carried by the one of
    its address there, whatever other family they are of. *chosen* are their numbers, in this order; others are the lowest that are
    free. Raises :class:`Conflict`, :class:`InvalidSpec`.
    """
    if network.scope != GLOBAL or is_plugin(network.driver):  # how a plugin carries its frames is its own
        return [None] * len(subnets)
    carried = 4 if any(one.subnet.version == 4 for one in subnets) else 6
    numbers = iter(_segments(network, chosen, max(1, sum(one.subnet.version == carried for one in subnets))))
    network.vni, first, found = next(numbers), True, []
    for one in subnets:
        found.append(None if first or one.subnet.version != carried else next(numbers))
        first = first and one.subnet.version != carried
    return found


def _segments(network: Network, chosen: Sequence[int], wanted: int) -> list[int]:
    field = f"options.{VXLAN_ID}"
    if len(chosen) > wanted:
        raise InvalidSpec(
            gettext_noop("{given} segments are chosen, and the network has {wanted}: one for each subnet."),
            remedy=gettext_noop("Give as many as there are subnets, or fewer."),
            field=field,
            given=len(chosen),
            wanted=wanted,
        )
    used = set(Network.objects.exclude(vni=None).exclude(pk=network.pk).order_by().values_list("vni", flat=True))
    used |= set(Subnet.objects.exclude(vni=None).exclude(network=network).order_by().values_list("vni", flat=True))
    for number in chosen:
        if number in used:
            raise Conflict(
                gettext_noop("Segment {vni} is another network's already."),
                remedy=gettext_noop("Choose another number, or leave it out to get a free one."),
                field=field,
                vni=number,
            )
    free = (number for number in count(FIRST_VNI) if number not in used and number not in chosen)
    return [*chosen, *islice(free, wanted - len(chosen))]


def check_overlap_with_others(
    host: Host, network: Network, wanted: AnyNetwork, field: str, facts: HostFacts | None = None
) -> None:
    """Raises :class:`Conflict` naming what *wanted*, a subnet of *network*, overlaps."""
    sentence = gettext_noop("The subnet {subnet} overlaps {taken}, which belongs to {whose}.")
    remedy = gettext_noop("Choose another range, or leave it out to get a free one.")
    said: dict[str, Any] = {"remedy": remedy, "field": field, "subnet": wanted}
    for taken, whose in _overlapping(wanted, _ours(host, network)):
        raise Conflict(sentence, taken=taken, whose=whose, **said)
    if driver(network.driver).joins_lan:
        return  # its addresses are kept from containers one by one instead
    for one, taken, whose in _in_use_by(host, network.scope, facts):
        if _overlap(wanted, taken):
            raise SeenConflict(sentence, host=one, taken=taken, whose=whose, **said)


def _overlapping(wanted: AnyNetwork, ranges: Iterable[tuple[AnyNetwork, str]]) -> Iterator[tuple[AnyNetwork, str]]:
    return ((taken, whose) for taken, whose in ranges if _overlap(wanted, taken))


def _overlap(wanted: AnyNetwork, taken: AnyNetwork) -> bool:
    return taken.version == wanted.version and wanted.overlaps(taken)  # type: ignore[arg-type]  # one version


_activations = composed(lambda host: _subnets(host, LOCAL).values_list("cidr", "network__activation"))


def free_subnet(
    host: Host,
    version: int = 4,
    facts: HostFacts | None = None,
    scope: str = LOCAL,
    besides: Iterable[AnyNetwork] = (),
) -> AnyNetwork:
    """The subnet that a network of *scope* without one would get now, none of those *besides*. Raises :class:`Exhausted`."""
    given = settings.GLOBAL_ADDRESS_POOLS if scope == GLOBAL else settings.DEFAULT_ADDRESS_POOLS
    pools: list[tuple[AnyNetwork, int]] = [(ip_network(base), size) for base, size in given]
    if version == 6 and not any(base.version == 6 for base, _ in pools):
        pools.append((unique_local_pool(scope if scope == GLOBAL else host.name), 64))
    rows = _activations(host.pk) if scope == LOCAL else _subnets(host, scope).values_list("cidr", "network__activation")
    used = dict(rows)
    last = host.settings.get("last_pool", {})
    chosen = choose_subnet(
        pools,
        version,
        [*map(ip_network, used), *(network for _, network, _ in _in_use_by(host, scope, facts)), *besides],
        lambda candidate: int(last.get(str(candidate), used.get(str(candidate), 0))),
    )
    if chosen is None:
        raise Exhausted(
            gettext_noop("All of the address pools are in use: there is no free IPv{version} subnet."),
            remedy=gettext_noop("Give a subnet, remove a network, or add a pool with {setting}."),
            field="subnets",
            version=version,
            setting="CNM_GLOBAL_ADDRESS_POOLS" if scope == GLOBAL else "CNM_DEFAULT_ADDRESS_POOLS",
        )
    return chosen


def add_subnet(network: Network, request: SubnetRequest, *, from_pool: bool = False, vni: int | None = None) -> Subnet:
    """The row of one subnet, with its gateway chosen where none is asked for."""
    reserved = set(request.aux_addresses.values())
    gateway = request.gateway
    if gateway is None and network.ipam_driver == "default":  # a plugin chooses its own
        gateway = default_gateway(request.subnet, request.ip_range, reserved)
    return insert(
        Subnet(
            network=network,
            cidr=str(request.subnet),
            gateway=str(gateway) if gateway else "",
            ip_range=str(request.ip_range or ""),
            reserved={name: str(address) for name, address in request.aux_addresses.items()},
            from_pool=from_pool,
            vni=vni,
        )
    )


_lease = composed(lambda network, address: Lease.objects.filter(network=network, address=address))
_subnets_of = composed(lambda network: Subnet.objects.filter(network=network))


def lease_addresses(endpoint: Endpoint, order: str, subnets: Iterable[Subnet] | None = None) -> None:
    """Give *endpoint* an address of each subnet of its network, and keep it on the row (not saved). Where a plugin gives them, the
    worker asks it."""
    if endpoint.network.ipam_driver != "default":
        return
    of_family: dict[int, list[Subnet]] = {}
    for subnet in subnets if subnets is not None else _subnets_of(endpoint.network_id):
        of_family.setdefault(ip_network(subnet.cidr).version, []).append(subnet)
    for version, several in of_family.items():
        name = "ipv4" if version == 4 else "ipv6"
        wanted = getattr(endpoint, f"wanted_{name}")
        if wanted:
            address, known = _static(endpoint, wanted), True
            subnet = next((one for one in several if address in ip_network(one.cidr)), several[0])
        else:
            subnet, address, known = _of_first(endpoint, several, order)
        _take(endpoint, str(address), known)
        setattr(endpoint, name, f"{address}/{ip_network(subnet.cidr).prefixlen}")


def _of_first(endpoint: Endpoint, several: Sequence[Subnet], order: str) -> tuple[Subnet, AnyAddress, bool]:
    """An address of the subnet that the endpoint had one of, else of the first that has one left, and whether somebody had it before.

    Raises :class:`Exhausted` where none has."""
    *others, last = _had_first(endpoint, several)
    for subnet in others:
        with suppress(Exhausted):
            return (subnet, *_dynamic(endpoint, subnet, order))
    return (last, *_dynamic(endpoint, last, order))


def _had_first(endpoint: Endpoint, several: Sequence[Subnet]) -> Sequence[Subnet]:
    if len(several) == 1:
        return several
    rows = _leases(endpoint.network_id)
    had = [ip_address(text) for text, holder, last in rows if holder is None and last == endpoint.container_id]
    return sorted(several, key=lambda one: not any(address in ip_network(one.cidr) for address in had))


def _take(endpoint: Endpoint, address: str, known: bool = True) -> None:
    """Make the lease of *address* the endpoint's, unless it is somebody else's: the database would refuse a second row.

    *known*: there may be a row of it, from an earlier holder."""
    row = _lease.first(endpoint.network_id, address) if known else None
    if row is None or row.endpoint_id not in {None, endpoint.pk}:
        row = Lease(network_id=endpoint.network_id, address=address)
    row.endpoint, row.released_at, row.last_container_id = endpoint, None, endpoint.container_id
    if row.pk is None:
        insert(row)
    else:
        update(row, "endpoint", "released_at", "last_container_id")


def release_addresses(endpoints: Iterable[Endpoint]) -> None:
    """Let go the addresses of *endpoints*; they rest, and are reused last."""
    ids = [endpoint.pk for endpoint in endpoints]
    Lease.objects.filter(endpoint__in=ids).update(endpoint=None, released_at=timezone.now())
    Endpoint.objects.filter(pk__in=ids).update(ipv4="", ipv6="", mac="")


def give_way(endpoints: Iterable[Endpoint]) -> None:
    """Let others have the addresses of *endpoints* that go in the same operation; the rows keep them, so what the kernel has of them
    stays known."""
    ids = [endpoint.pk for endpoint in endpoints]
    Lease.objects.filter(endpoint__in=ids).update(endpoint=None, released_at=timezone.now())


def check_static(network: Network, field: str, address: AnyAddress | None, *, starts: bool) -> None:
    """Whether a person may choose *address* on *network*. Docker's refusals, in its words.

    *starts*: its container runs or is about to, so that nobody else may have it now. Otherwise its start will look: Compose makes a
    container's replacement while that still runs."""
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
    if starts and holder is not None:
        _refuse_taken(holder, field)
    check_not_promised(subnet, address, field)
    if address in addresses_of_others(network):
        raise Conflict(
            gettext_noop("The address {address} is the host's, or that of a router or name server which it uses."),
            remedy=gettext_noop("Give another address."),
            field=field,
            address=address,
        )


def check_not_promised(subnet: Subnet, address: AnyAddress, field: str) -> None:
    """Raises :class:`Conflict` where a Docker Engine has *address* already."""
    if str(address) in subnet.promised:
        raise Conflict(
            gettext_noop("The address {address} is a Docker Engine's."),
            remedy=gettext_noop("Give another address."),
            field=field,
            address=address,
        )


def addresses_of_others(network: Network) -> frozenset[AnyAddress]:
    """What containers never get of a network that stands in the host's LAN: the host's own addresses, and its routers' and
    name servers'."""
    if not driver(network.driver).joins_lan:
        return frozenset()
    facts = load_facts(network.host)
    own = (interface.ip for _, interface in facts.addresses)
    return frozenset((*own, *map(ip_address, (*facts.gateways, *facts.nameservers))))


def _static(endpoint: Endpoint, wanted: str) -> AnyAddress:
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


def next_free(network: Network, subnet: Subnet, order: str) -> AnyAddress:
    """The address that a container which never had one would get of *subnet*. Raises :class:`Exhausted`."""
    return _dynamic(Endpoint(network=network, container_id="-"), subnet, order)[0]


_leases = composed(
    lambda network: (
        Lease.objects.filter(network=network)
        .order_by(F("released_at").asc(nulls_first=True))
        .values_list("address", "endpoint_id", "last_container_id")
    )
)
_static_ipv4 = composed(
    lambda network: Endpoint.objects.filter(network=network).exclude(wanted_ipv4="").values_list("pk", "wanted_ipv4")
)
_static_ipv6 = composed(
    lambda network: Endpoint.objects.filter(network=network).exclude(wanted_ipv6="").values_list("pk", "wanted_ipv6")
)


def _dynamic(endpoint: Endpoint, subnet: Subnet, order: str) -> tuple[AnyAddress, bool]:
    """The next address, and whether somebody had it before."""
    cidr = ip_network(subnet.cidr)
    in_use, released, preferred = set(), [], None
    for text, holder, last in _leases(endpoint.network_id):
        address = ip_address(text)
        if address.version != cidr.version:
            continue
        if holder is not None:
            in_use.add(address)
            continue
        released.append(address)
        if last == endpoint.container_id:
            preferred = address
    statics = _static_ipv4(endpoint.network_id) if cidr.version == 4 else _static_ipv6(endpoint.network_id)
    kept_back = {ip_address(text) for other, text in statics if other != endpoint.pk}
    named = [subnet.gateway, *subnet.reserved.values(), *subnet.promised]
    chosen = choose_address(
        cidr,
        ip_network(subnet.ip_range) if subnet.ip_range else None,
        forbidden=frozenset(ip_address(text) for text in named if text)
        | kept_back
        | addresses_of_others(endpoint.network),
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


def gateway_of(subnet: Subnet) -> AnyAddress | None:
    """The gateway of *subnet*, if it has one."""
    return ip_address(subnet.gateway) if subnet.gateway else None


def gateway_interface(subnet: Subnet) -> str:
    """The gateway with the subnet's prefix, as the bridge carries it."""
    return str(ip_interface(f"{subnet.gateway}/{ip_network(subnet.cidr).prefixlen}"))


def names_of(containers: Iterable[Container]) -> str:
    """Names of containers for a sentence, sorted."""
    return ", ".join(sorted(container.name for container in containers))
