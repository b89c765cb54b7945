"""Database rows -> the plain values that compile takes. A constant number of queries, however many rows there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from types import MappingProxyType
from typing import Any, TypeVar

from networks.cnm import desired
from networks.cnm.facts import HostFacts
from networks.cnm.options import read_options

from .models import Container, Endpoint, Host, Link, Network, PublishedPort, Subnet
from .models.choices import Wanted

T = TypeVar("T")
_interface = lru_cache(maxsize=1 << 14)(ip_interface)
"""The same addresses are read for each change: to read them again would take a quarter of the time."""


def load_facts(host: Host) -> HostFacts:
    """The facts that the host's worker last stored."""
    return HostFacts.from_json(host.facts)


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


class _Rows:
    """All rows of a host that its desired state is made of."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.networks = list(Network.objects.filter(host=host).order_by("activation"))
        self.subnets = _group(Subnet.objects.filter(network__host=host).order_by("id"), "network_id")
        self.predefined = {network.id for network in self.networks if network.predefined}
        self.containers = list(Container.objects.filter(host=host).order_by("activation", "created_at", "id"))
        self.endpoints = _group(Endpoint.objects.filter(container__host=host).order_by("position"))
        ports = PublishedPort.objects.filter(container__host=host).order_by("activation")
        self.ports = _group(ports.values_list(*_PORT_COLUMNS, named=True))  # a host may publish thousands
        self.links = _group(Link.objects.filter(recipient__host=host).order_by("activation"), "recipient_id")


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
        networks=tuple(network_value(row, rows.subnets[row.id]) for row in networks),
        containers=tuple(
            same.get(row.id) or _container(row, rows, known, as_if_kept)
            for row in rows.containers
            if as_if_kept or row.wanted != Wanted.REMOVED
        ),
    )


def _group(rows: Iterable[T], by: str = "container_id") -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, by)].append(row)
    return groups


def network_value(row: Network, subnets: Iterable[Subnet] | None = None) -> desired.Network:
    """The plain value of *row* with its *subnets* (default: those of its row)."""
    return desired.Network(
        id=row.id,
        name=row.name,
        driver=row.driver,
        activation=row.activation,
        scope=row.scope,
        internal=row.internal,
        predefined=row.predefined,
        subnets=tuple(_subnet(subnet) for subnet in (row.subnets.all() if subnets is None else subnets)),
        options=read_options(row.options),
    )


def _subnet(row: Subnet) -> desired.Subnet:
    return desired.Subnet(
        subnet=ip_network(row.cidr),
        gateway=ip_address(row.gateway) if row.gateway else None,
        ip_range=ip_network(row.ip_range) if row.ip_range else None,
        reserved=tuple((name, ip_address(address)) for name, address in sorted(row.reserved.items())),
    )


def _container(row: Container, children: _Rows, networks: set[str], as_if_kept: bool) -> desired.Container:
    spec = row.spec
    mode = f"container:{row.shares_id}" if row.shares_id else row.network_mode
    return desired.Container(
        id=row.id,
        name=row.name,
        kind=row.kind,
        network_mode=mode,
        live=as_if_kept or is_live(row),
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
        endpoints=tuple(
            _endpoint(item)
            for item in children.endpoints[row.id]
            if item.network_id in networks and (as_if_kept or _counts(item))
        ),
        ports=tuple(_port(item) for item in children.ports[row.id] if item.host_port and (as_if_kept or _counts(item))),
        links=tuple(_link(item, children) for item in children.links[row.id] if as_if_kept or not item.withheld),
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
        binds=tuple(spec.get("binds", ())),
        binds_anywhere=spec.get("binds_anywhere", False),
        memory_bytes=spec.get("memory", 0),
        cpus=spec.get("cpus", 0.0),
        pids=spec.get("pids_limit", 0),
        stop_signal=spec.get("stop_signal", "SIGTERM"),
        stop_timeout_s=spec.get("stop_timeout", 10),
    )


def _endpoint(row: Endpoint) -> desired.Endpoint:
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
    )


def _port(row: Any) -> desired.PublishedPort:
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
