"""What is free now, to be offered: the same choices as are made for those who choose nothing. Nothing is taken by asking."""

from __future__ import annotations

from ipaddress import ip_network

from networks.cnm.addresses import AnyAddress, AnyNetwork
from networks.cnm.errors import Exhausted
from networks.host_ports import free_ports, ports_taken
from networks.load import load_facts, load_settings
from networks.models import Host, Network, PublishedPort

from . import ipam

ABOVE = 8000
"""A port that only root may open on a host is offered this much higher: 8080 for 80."""
WIDTH = 2000
"""Among how many host ports a free one is looked for."""


def next_subnet(host: Host, version: int = 4) -> AnyNetwork | None:
    """The subnet that a network would get from the pools, beside all routes, devices and name servers of *host*; None: none is left."""
    try:
        return ipam.free_subnet(host, version)
    except Exhausted:
        return None


def next_address(network: Network, version: int = 4) -> AnyAddress | None:
    """The address that a container would get on *network*; None where no address may be chosen, or none is left."""
    subnets = [row for row in network.subnets.all() if ip_network(row.cidr).version == version and not row.from_pool]
    if network.predefined or not subnets or network.ipam_driver != "default":
        return None
    try:
        return ipam.next_free(network, subnets[0], load_settings(network.host).ipam_order)
    except Exhausted:
        return None


def next_port(host: Host, container_port: int, protocol: str = "tcp", address: str = "") -> int:
    """A free host port for *container_port*: its own number, or the one that people use in its place; 0: none is near."""
    first = container_port if container_port >= 1024 else ABOVE + container_port
    row = PublishedPort(
        protocol=protocol,
        wanted_host_port=first,
        wanted_host_port_end=min(first + WIDTH, 65535),
        container_port=container_port,
    )
    return next(free_ports(row, address, ports_taken(host), load_facts(host)), 0)
