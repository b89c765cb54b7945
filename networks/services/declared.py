"""What the rows of a host declare: its desired state in the words of requests, so that it can be written, compared and applied again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from django.db.models import Prefetch, QuerySet

from networks.cnm.addresses import default_gateway
from networks.cnm.options import ENDPOINT_IFNAME, ENDPOINT_SYSCTLS
from networks.load import load_settings
from networks.models import Container, DockerNetwork, Endpoint, Host, Image, Link, Network, PublishedPort, Subnet
from networks.models.choices import ContainerKind, Wanted
from networks.steady import steady
from worker.drivers import is_plugin, read_network_options

from .spec_container import STORED_PLAIN, AttachRequest, ContainerRequest
from .spec_network import NetworkRequest, SubnetRequest
from .spec_ports import PortRequest
from .spec_topology import Declaration

Exposed = frozenset[tuple[int, str]]


@steady()
def declared(host: Host, networks: Iterable[str] | None = None, containers: Iterable[str] | None = None) -> Declaration:
    """The desired state of *host*, or of those *networks* and *containers* (ids) alone; a constant number of queries.

    Predefined networks are always there, and so are no part of it. What is being removed is not wanted any more.
    """
    net_rows, box_rows = rows_of(host)
    if networks is not None:
        net_rows = net_rows.filter(pk__in=list(networks))
    if containers is not None:
        box_rows = box_rows.filter(pk__in=list(containers))
    return declaration_of(net_rows, box_rows, exposed_by_images(host))


def declaration_of(
    networks: Iterable[Network], containers: Iterable[Container], images: Mapping[str, Exposed]
) -> Declaration:
    """The same of rows that were read by :func:`rows_of`."""
    return Declaration(
        tuple(network_request(row) for row in networks if not row.predefined),
        tuple(container_request(row, images.get(row.image, frozenset())) for row in containers),
    )


def rows_of(host: Host) -> tuple[QuerySet[Network], QuerySet[Container]]:
    """The networks and containers of *host* that nobody takes away, with what they consist of: networks in the order of making, which is
    that of their rules; containers by name."""
    networks = _declared(host).prefetch_related("subnets").order_by("activation")
    gateway = load_settings(host).naming.gateway_network
    ways = Endpoint.objects.filter(removing=False).exclude(network__name=gateway)
    ways = ways.select_related("network").order_by("position")
    containers = (
        Container.objects.filter(host=host)
        .exclude(wanted=Wanted.REMOVED)
        .exclude(kind=ContainerKind.DOCKER)
        .select_related("shares")
        .prefetch_related(
            Prefetch("endpoints", ways),
            Prefetch("ports", PublishedPort.objects.filter(removing=False).order_by("activation")),
            Prefetch("links", Link.objects.select_related("source").order_by("activation")),
        )
        .order_by("name")
    )
    return networks, containers


def _declared(host: Host) -> QuerySet[Network]:
    """The gateway network aside, which comes and goes with whoever needs it, and those that a Docker Engine had made for itself."""
    gateway = load_settings(host).naming.gateway_network
    dockers = DockerNetwork.objects.filter(host=host, made=True).values("network")
    return Network.objects.filter(host=host, removing=False).exclude(name=gateway).exclude(pk__in=dockers)


def exposed_by_images(host: Host) -> dict[str, Exposed]:
    """Name of an image -> the ports that it says its programs listen on."""
    rows = Image.objects.filter(host=host).values_list("name", "config")
    return {
        name: frozenset(_image_port(text) for text in (config or {}).get("ExposedPorts") or {}) for name, config in rows
    }


def _image_port(text: str) -> tuple[int, str]:
    number, _, protocol = text.partition("/")
    return int(number), protocol or "tcp"


def network_request(row: Network) -> NetworkRequest:
    """The request for what *row* is. A subnet out of the pools was not asked for, so it is left to the pools again."""
    return NetworkRequest(
        name=row.name,
        driver=row.driver,
        internal=row.internal,
        attachable=row.attachable,
        enable_ipv6=row.enable_ipv6,
        subnets=tuple(subnet_request(subnet) for subnet in row.subnets.all() if not subnet.from_pool),
        options=dict(row.options),
        ipam_driver=row.ipam_driver,
        ipam_options=dict(row.ipam_options),
        labels=dict(row.labels),
    )


def subnet_request(row: Subnet) -> SubnetRequest:
    """The request for the subnet *row*; a gateway that would be chosen anyway is left out."""
    subnet = ip_network(row.cidr)
    ip_range = ip_network(row.ip_range) if row.ip_range else None
    reserved = {name: ip_address(address) for name, address in row.reserved.items()}
    gateway = ip_address(row.gateway) if row.gateway else None
    chosen = default_gateway(subnet, ip_range, set(reserved.values()))
    return SubnetRequest(
        subnet=subnet,
        gateway=gateway if gateway != chosen else None,
        ip_range=ip_range,
        aux_addresses=reserved,
    )


def container_request(row: Container, of_image: Exposed = frozenset()) -> ContainerRequest:
    """The request for what *row* is, with its links, ports and endpoints as they are now. *of_image*: what its image exposes."""
    spec: Mapping[str, Any] = row.spec
    ports = tuple(_port(port) for port in row.ports.all())
    exposed = {(int(number), str(protocol)) for number, protocol in spec.get("exposed_ports", ())}
    kept = dict(
        command=tuple(spec.get("command") or ()),
        entrypoint=None if spec.get("entrypoint") is None else tuple(spec["entrypoint"]),
        env=dict(spec.get("env") or {}),
        healthcheck=dict(spec.get("healthcheck") or {}),
        extra_hosts=tuple((str(name), str(address)) for name, address in spec.get("extra_hosts", ())),
        **{name: tuple(spec.get(name, ())) for name in ("dns", "dns_search", "dns_options", "binds", "tmpfs")},
        **{name: spec[name] for name in STORED_PLAIN if name in spec},
    )
    if spec.get("publish_all"):
        ports = tuple(port for port in ports if not _follows(port, exposed))
    return ContainerRequest(
        name=row.name,
        kind=row.kind,
        image=row.image or "host",
        **_attached(row),
        ports=ports,
        exposed_ports=tuple(sorted(exposed - {(p.container_port, p.protocol) for p in ports} - of_image)),
        links=tuple(
            (link.source.name, "" if link.alias == link.source.name else link.alias) for link in row.links.all()
        ),
        labels=dict(row.labels),
        restart_policy=row.restart_policy,
        restart_max=row.restart_max,
        auto_remove=row.auto_remove,
        adopt_path=row.adopted_path,
        start=row.wanted == Wanted.RUNNING,
        **kept,
    )


def _follows(port: PortRequest, exposed: Iterable[tuple[int, str]]) -> bool:
    """Whether a port is there only because every exposed one is published."""
    return port == PortRequest(container_port=port.container_port, protocol=port.protocol) and (
        port.container_port,
        port.protocol,
    ) in set(exposed)


def _port(row: PublishedPort) -> PortRequest:
    return PortRequest(
        container_port=row.container_port,
        host_port=row.wanted_host_port,
        host_port_end=row.wanted_host_port_end,
        host_address=ip_address(row.host_address) if row.host_address else None,
        protocol=row.protocol,
        allowed_sources=tuple(ip_network(source) for source in row.allowed_sources),
    )


def _attached(row: Container) -> dict[str, Any]:
    """Its network mode, or the networks that it is on now, whatever it was made with."""
    if row.shares is not None:
        return {"network": f"container:{row.shares.name}"}
    if row.network_mode in {"host", "none"}:
        return {"network": row.network_mode}
    ways = [attach_request(endpoint) for endpoint in row.endpoints.all()]
    if not ways:
        return {"network": "none"}
    first = ways[0]
    if len(ways) > 1:
        return {"networks": tuple(ways)}
    if first == AttachRequest(network=first.network):
        return {"network": first.network}
    return {"networks": (first,)}


def attach_request(row: Endpoint) -> AttachRequest:
    """The request for an attachment."""
    prefix = read_network_options(row.network.driver, row.network.options).iface_prefix
    options = dict(row.driver_options)
    if is_plugin(row.network.driver):
        options |= {ENDPOINT_IFNAME: row.wanted_ifname} if row.wanted_ifname else {}
    elif row.ifname and not re.fullmatch(rf"{re.escape(prefix)}\d+", row.ifname):
        options[ENDPOINT_IFNAME] = row.ifname
    if row.sysctls:
        options[ENDPOINT_SYSCTLS] = ",".join(f"{name}={value}" for name, value in sorted(row.sysctls.items()))
    return AttachRequest(
        network=row.network.name,
        ipv4=ip_address(row.wanted_ipv4) if row.wanted_ipv4 else None,
        ipv6=ip_address(row.wanted_ipv6) if row.wanted_ipv6 else None,
        mac=row.wanted_mac,
        aliases=tuple(row.aliases),
        driver_opts=options,
        gw_priority=row.gw_priority,
    )
