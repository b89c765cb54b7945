"""Parts of a desired state in a few words, for tests of what is made of it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from networks.cnm.desired import Network, PublishedPort, Subnet
from networks.cnm.options import NetworkOptions


def identity(number: int) -> str:
    return f"{number:012x}" + "a" * 52


def network(number: int, name: str, *subnets: str, internal: bool = False, **options: object) -> Network:
    """A bridge network; the first address of each subnet is its gateway's."""
    cidrs = [ip_network(subnet) for subnet in subnets]
    return Network(
        id=identity(number),
        name=name,
        driver="bridge",
        activation=number,
        internal=internal,
        predefined=name == "bridge",
        subnets=tuple(Subnet(subnet=cidr, gateway=cidr[1]) for cidr in cidrs),
        options=NetworkOptions(**({"default_bridge": name == "bridge"} | options)),  # type: ignore[arg-type]
    )


def published(host_port: int = 8080, address: str = "", *sources: str, **fields: object) -> PublishedPort:
    """A port that is reached from *sources* (default: all) at *address* (default: all of the host's)."""
    values = {"id": identity(host_port), "protocol": "tcp", "container_port": 80, "activation": 1} | fields
    return PublishedPort(
        host_port=host_port,
        host_address=ip_address(address) if address else None,
        allowed_sources=tuple(ip_network(source) for source in sources),
        **values,  # type: ignore[arg-type]
    )
