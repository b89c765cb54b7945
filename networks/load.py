"""Database rows -> the plain values that compile takes. A constant number of queries, however many rows there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from operator import is_
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from django.db.models import Q

from networks.cnm import desired
from networks.cnm.facts import HostFacts
from worker.drivers import is_plugin, read_network_options

from .composed import composed
from .models import Container, Endpoint, Host, Link, Network, PublishedPort, SecurityAssociation, Subnet
from .models.choices import Wanted
from .models.network import GLOBAL
from .remotes import least_room, nodes, remotes_of
from .steady import steady

T = TypeVar("T")
_interface = lru_cache(maxsize=1 << 14)(ip_interface)
"""The same addresses are read for each change: to read them again would take a quarter of the time."""


_read_facts: dict[str, tuple[dict[str, Any], HostFacts]] = {}
"""By host: what its row held when its facts were last read, and they. A change asks for them three times; they are news once in a while."""


def load_facts(host: Host) -> HostFacts:
    """The facts that the host's worker last stored."""
    known = _read_facts.get(host.pk)
    if known is None or known[0] != host.facts:
        known = _read_facts[host.pk] = (deepcopy(host.facts), HostFacts.from_json(host.facts))
    return known[1]


def load_settings(host: Host) -> desired.HostSettings:
    """What the environment of the host's last start said."""
    known = {name: host.settings[name] for name in desired.HostSettings.__slots__ if name in host.settings}
    if "dns" in known:
        known["dns"] = tuple(known["dns"])
    return desired.HostSettings(**known)


def is_live(container: Container) -> bool:
    """Whether its sandbox, and its process if it has one, should exist now: it is wanted, and its current run neither is over
    nor could not be brought up.

    A run that a restart policy goes on with gets a new number at once, so that only a final end leaves the run over.
    """
    return container.wanted == Wanted.RUNNING and container.run not in {container.exited_run, container.failed_run}


def load_host(host: Host, *, as_if_kept: bool = False) -> desired.Host:
    """The desired state of *host*.

    *as_if_kept*: as if nothing that is there were being taken away: everything keeps its place, so its kernel names are known.
    """
    rows = _Rows(host)
    return _kept(rows) if as_if_kept else _wanted(rows)


def load_both(host: Host) -> tuple[desired.Host, desired.Host]:
    """The desired state, and the same as if nothing were being taken away, of one look at the rows."""
    rows = _Rows(host)
    wanted = _wanted(rows)
    return wanted, _kept(rows, wanted)


_PORT_COLUMNS = (
    "id",
    "container_id",
    "protocol",
    "host_address",
    "host_port",
    "container_port",
    "allowed_sources",
    "activation",
    "removing",
    "withheld",
)


_kept_rows = partial(composed, kept=True)
_networks = _kept_rows(lambda host: Network.objects.on(host).order_by("activation", "id"))
_subnets = _kept_rows(
    lambda host: Subnet.objects.filter(Q(network__host=host) | Q(network__scope=GLOBAL)).order_by("id")
)
_containers = _kept_rows(lambda host: Container.objects.filter(host=host).order_by("activation", "created_at", "id"))
_endpoints = _kept_rows(lambda host: Endpoint.objects.filter(container__host=host).order_by("position"))
_ports = _kept_rows(  # a host may publish thousands
    lambda host: (
        PublishedPort.objects.filter(container__host=host)
        .order_by("activation")
        .values_list(*_PORT_COLUMNS, named=True)
    )
)
_links = _kept_rows(lambda host: Link.objects.filter(recipient__host=host).order_by("activation"))


class _Values:
    """Values by what they were made of, from one look at a host to the next: of a thousand rows, a change touches one or two.

    A row that says what it said is the very same object again, so a value is good for as long as its rows are the same.
    """

    _of_hosts: ClassVar[dict[str, _Values]] = {}

    def __init__(self, host: Host) -> None:
        before = self._of_hosts.get(host.pk)
        self._before = before._made if before is not None else {}
        self._made: dict[tuple[str, str], tuple[tuple[Any, ...], Any]] = {}
        self._of_hosts[host.pk] = self

    def of(self, what: str, parts: tuple[Any, ...], make: Callable[[], T]) -> T:
        """The value *what* of the first of *parts*, which follows from them all."""
        at = (what, parts[0].id)
        known = self._made.get(at) or self._before.get(at)
        if known is None or len(known[0]) != len(parts) or not all(map(is_, known[0], parts)):
            known = (parts, make())
        self._made[at] = known
        value: T = known[1]
        return value


class _Rows:
    """All rows of a host that its desired state is made of."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.values = _Values(host)
        with steady():
            self._read(host)

    def _read(self, host: Host) -> None:
        self.networks = _networks(host.pk)
        self.subnets = _group(_subnets(host.pk), "network_id")
        self.predefined = {network.id for network in self.networks if network.predefined}
        self.containers = _containers(host.pk)
        self.endpoints = _group(_endpoints(host.pk))
        self.ports = _group(_ports(host.pk))
        self.links = _group(_links(host.pk), "recipient_id")
        spanning = {network.id for network in self.networks if network.scope == GLOBAL}
        joined = spanning and {row.network_id for row in _each(self.endpoints) if row.network_id in spanning}
        self.remotes = remotes_of(host, joined) if joined else ()
        self.underlay_room = least_room() if joined else 0
        encrypted = joined and any(
            read_network_options(row.driver, row.options).encrypted for row in self.networks if row.id in joined
        )
        self.associations = _associations_of(host) if encrypted else ()
        self.nodes = nodes() if any(is_plugin(row.driver) for row in self.networks) else ()


def _wanted(rows: _Rows) -> desired.Host:
    return _host(rows, [row for row in rows.networks if not row.removing and not row.withheld], as_if_kept=False)


def _kept(rows: _Rows, wanted: desired.Host | None = None) -> desired.Host:
    """As if nothing were taken away; containers of which nothing is are those of *wanted*, which need not be made twice."""
    same = {}
    if wanted is not None and len(wanted.networks) == len(rows.networks):
        going = {
            row.container_id for rows_of in (rows.endpoints, rows.ports) for row in _each(rows_of) if not _counts(row)
        }
        going |= {link.recipient_id for link in _each(rows.links) if link.withheld}
        same = {item.id: item for item in wanted.containers if item.live and item.id not in going}
    return _host(rows, rows.networks, as_if_kept=True, same=same)


def _associations_of(host: Host) -> tuple[desired.Association, ...]:
    """Those by which *host* sends or receives, oldest first."""
    columns = ("id", "sender__name", "receiver__name", "fingerprint", "sealed", "held_at", "begun_at", "used_at")
    rows = SecurityAssociation.objects.filter(Q(sender=host) | Q(receiver=host)).order_by("id")
    return tuple(
        desired.Association(
            id=number,
            sender=sender,
            receiver=receiver,
            fingerprint=fingerprint,
            sealed=sealed,
            held=held is not None,
            begun=begun is not None,
            used=used is not None,
        )
        for number, sender, receiver, fingerprint, sealed, held, begun, used in rows.values_list(*columns)
    )


def _each(groups: Mapping[str, list[T]]) -> Iterator[T]:
    for group in groups.values():
        yield from group


def _host(
    rows: _Rows,
    networks: list[Network],
    *,
    as_if_kept: bool,
    same: Mapping[str, desired.Container] = MappingProxyType({}),
) -> desired.Host:
    known = {network.id for network in networks}
    return desired.Host(
        id=rows.host.name,
        settings=load_settings(rows.host),
        networks=tuple(_network(row, rows) for row in networks),
        containers=tuple(
            same.get(row.id) or _container(row, rows, known, as_if_kept)
            for row in rows.containers
            if as_if_kept or row.wanted != Wanted.REMOVED
        ),
        remotes=rows.remotes,
        underlay_room=rows.underlay_room,
        removing=rows.host.removing and not as_if_kept,
        associations=rows.associations,
        nodes=rows.nodes,
    )


def _group(rows: Iterable[T], by: str = "container_id") -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, by)].append(row)
    return groups


def _network(row: Network, rows: _Rows) -> desired.Network:
    subnets, here = rows.subnets[row.id], row.host_id == rows.host.pk
    return rows.values.of("network", (row, *subnets), lambda: network_value(row, subnets, here=here))


def network_value(row: Network, subnets: Iterable[Subnet] | None = None, *, here: bool = True) -> desired.Network:
    """The plain value of *row* with its *subnets* (default: those of its row). *here*: its host is the one that it is looked at from."""
    return desired.Network(
        id=row.id,
        name=row.name,
        driver=row.driver,
        activation=row.activation,
        scope=row.scope,
        internal=row.internal,
        predefined=row.predefined,
        subnets=tuple(_subnet(subnet) for subnet in (row.subnets.all() if subnets is None else subnets)),
        options=read_network_options(row.driver, row.options),
        vni=row.vni or 0,
        wants_ipv6=row.enable_ipv6,
        ipam=desired.Ipam(driver=row.ipam_driver, options=tuple(sorted(row.ipam_options.items()))),
        driver_options=tuple(sorted((row.driver_state or row.options).items())) if is_plugin(row.driver) else (),
        kept_here=here,
    )


def _subnet(row: Subnet) -> desired.Subnet:
    return desired.Subnet(
        subnet=ip_network(row.cidr),
        gateway=ip_address(row.gateway) if row.gateway else None,
        ip_range=ip_network(row.ip_range) if row.ip_range else None,
        reserved=tuple((name, ip_address(address)) for name, address in sorted(row.reserved.items())),
        vni=row.vni or 0,
        chosen=row.from_pool,
    )


def _container(row: Container, rows: _Rows, networks: set[str], as_if_kept: bool) -> desired.Container:
    endpoints = [
        item for item in rows.endpoints[row.id] if item.network_id in networks and (as_if_kept or _counts(item))
    ]
    ports = [item for item in rows.ports[row.id] if item.host_port and (as_if_kept or _counts(item))]
    links = [item for item in rows.links[row.id] if as_if_kept or not item.withheld]

    def make() -> desired.Container:
        live = as_if_kept or is_live(row)
        return _container_value(
            row, live, [_port(item, rows) for item in ports], endpoints, [_link(link, rows) for link in links]
        )

    if links:
        return make()  # what a link says follows from its source, too
    return rows.values.of("kept" if as_if_kept else "wanted", (row, *endpoints, *ports), make)


def _container_value(
    row: Container,
    live: bool,
    ports: Iterable[desired.PublishedPort],
    endpoints: Iterable[Endpoint],
    links: Iterable[desired.Link],
) -> desired.Container:
    spec = row.spec
    mode = f"container:{row.shares_id}" if row.shares_id else row.network_mode
    return desired.Container(
        id=row.id,
        name=row.name,
        kind=row.kind,
        network_mode=mode,
        live=live,
        run=row.run,
        activation=row.activation,
        adopted_path=row.adopted_path,
        hostname=spec.get("hostname", ""),
        domainname=spec.get("domainname", ""),
        dns=tuple(spec.get("dns", ())),
        dns_search=tuple(spec.get("dns_search", ())),
        dns_options=tuple(spec.get("dns_options", ())),
        extra_hosts=_pairs(spec.get("extra_hosts", ())),
        exposed_ports=tuple(sorted((int(port), protocol) for port, protocol in spec.get("exposed_ports", ()))),
        process=process_value(row) if row.kind == "process" else None,
        endpoints=tuple(map(endpoint_value, endpoints)),
        ports=tuple(ports),
        links=tuple(links),
    )


def _counts(row: Any) -> bool:
    return not row.removing and not row.withheld


def _link(row: Link, rows: _Rows) -> desired.Link:
    """The source's address is its endpoint's until the worker is through with its end, and from then on the link's own column."""
    held = (item.ipv4 for item in rows.endpoints[row.source_id] if item.network_id in rows.predefined)
    last = next(filter(None, held), row.last_ipv4).partition("/")[0]
    return desired.Link(
        id=row.id,
        source_id=row.source_id,
        alias=row.alias,
        activation=row.activation,
        last_ipv4=IPv4Address(last) if last else None,
    )


def process_value(row: Container) -> desired.ProcessSpec:
    spec = row.spec
    entrypoint = spec.get("entrypoint")
    return desired.ProcessSpec(
        image=row.image,
        args=tuple(spec.get("command", ())),
        entrypoint=None if entrypoint is None else tuple(entrypoint),
        env=tuple(spec.get("env", {}).items()),
        user=spec.get("user", ""),
        working_dir=spec.get("working_dir", ""),
        tty=spec.get("tty", False),
        open_stdin=spec.get("open_stdin", False),
        stdin_once=spec.get("stdin_once", False),
        init=spec.get("init", False),
        binds=tuple(spec.get("binds", ())),
        tmpfs=tuple(spec.get("tmpfs", ())),
        binds_anywhere=spec.get("binds_anywhere", False),
        memory_bytes=spec.get("memory", 0),
        cpus=spec.get("cpus", 0.0),
        pids=spec.get("pids_limit", 0),
        stop_signal=row.stop_signal,
        stop_timeout_s=spec.get("stop_timeout", 10),
    )


def endpoint_value(row: Endpoint) -> desired.Endpoint:
    ipv4 = _interface(row.ipv4) if row.ipv4 else None
    ipv6 = _interface(row.ipv6) if row.ipv6 else None
    assert ipv4 is None or isinstance(ipv4, IPv4Interface)  # noqa: S101  # the column's meaning
    assert ipv6 is None or isinstance(ipv6, IPv6Interface)  # noqa: S101
    return desired.Endpoint(
        id=row.id,
        network_id=row.network_id,
        ifname=row.ifname,
        mac=row.mac,
        ipv4=ipv4,
        ipv6=ipv6,
        aliases=tuple(row.aliases),
        gw_priority=row.gw_priority,
        sysctls=tuple(sorted(row.sysctls.items())),
        wanted=(row.wanted_ipv4, row.wanted_ipv6, row.wanted_mac),
        driver_options=tuple(sorted(row.driver_options.items())),
        joined=desired.Joined.from_json(row.joined) if row.joined else None,
    )


def _port(row: Any, rows: _Rows) -> desired.PublishedPort:
    return rows.values.of("port", (row,), lambda: _port_value(row))


def _port_value(row: Any) -> desired.PublishedPort:
    return desired.PublishedPort(
        id=row.id,
        protocol=row.protocol,
        host_address=ip_address(row.host_address) if row.host_address else None,
        host_port=row.host_port,
        container_port=row.container_port,
        allowed_sources=tuple(ip_network(source) for source in row.allowed_sources),
        activation=row.activation,
    )


def _pairs(values: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in values)
