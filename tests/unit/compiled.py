"""A small host for the tests of the compiler, and what it compiles to."""

from __future__ import annotations

from ipaddress import ip_interface

from networks.cnm.desired import Container, Endpoint, Host, HostSettings, Network
from networks.cnm.facts import HostFacts
from networks.cnm.resources import Resource
from networks.cnm.rules import Rule
from tests.testlib.desired import identity, network
from worker.compile import compile_host

FACTS = HostFacts(
    hostname="vm",
    resolv_conf="# made by hand\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch corp.example\n",
    etc_hosts="127.0.0.1 localhost vm\n",
)


BRIDGE = network(1, "bridge", "172.17.0.0/16")
WEB = network(2, "web", "172.18.0.0/16")
DUAL = network(3, "dual", "172.19.0.0/16", "fd00:19::/64")


def endpoint(number: int, on: Network, *addresses: str, ifname: str = "eth0", **fields: object) -> Endpoint:
    interfaces = {ip_interface(address).version: ip_interface(address) for address in addresses}
    return Endpoint(
        id=identity(number),
        network_id=on.id,
        ifname=ifname,
        ipv4=interfaces.get(4),  # type: ignore[arg-type]
        ipv6=interfaces.get(6),  # type: ignore[arg-type]
        **fields,  # type: ignore[arg-type]
    )


def container(number: int, *endpoints: Endpoint, **fields: object) -> Container:
    values = {"name": f"c{number}", "live": True, "run": "1.0", "activation": number} | fields
    return Container(id=identity(number), endpoints=endpoints, **values)  # type: ignore[arg-type]


ON_WEB = container(16, endpoint(16, WEB, "172.18.0.2/16"))


def host(*containers: Container, networks: tuple[Network, ...] = (BRIDGE, WEB, DUAL), **settings: object) -> Host:
    made = HostSettings(**settings)  # type: ignore[arg-type]
    return Host(id=identity(0xF0), settings=made, networks=networks, containers=containers)


def compiled(*containers: Container, **wanted: object) -> tuple[Resource, ...]:
    return compile_host(host(*containers, **wanted), FACTS)  # type: ignore[arg-type]


def rules(resources: tuple[Resource, ...], table: str, chain: str, family: int = 4) -> list[str]:
    """The texts of one chain, without their comments."""
    found = [item for item in resources if isinstance(item, Rule)]
    lines = [item.text for item in found if (item.table, item.chain, item.family) == (table, chain, family)]
    return [_bare(line) for line in lines]


def _bare(line: str) -> str:
    head, comment, tail = line.partition(" -m comment --comment ")
    return head + tail[tail.index('"', 1) + 1 :] if comment else line


def only(resources: tuple[Resource, ...], kind: type[Resource], **fields: object) -> Resource:
    (found,) = [r for r in resources if isinstance(r, kind) and all(getattr(r, k) == v for k, v in fields.items())]
    return found
