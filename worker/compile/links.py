"""Legacy links: what a recipient is told about its sources, in its environment and in its hosts file."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from networks.cnm.desired import Container, Endpoint, Link
from worker.drivers import Surroundings
from worker.drivers.bridge import is_default
from worker.firewall.linked import linkable_ports

_LEFT_OUT = frozenset({"HOME", "PATH"})
"""Variables of a source that say nothing about it (Docker leaves them out too)."""
_SHORTEST_RANGE = 3


def link_environment(recipient: Container, around: Surroundings) -> tuple[tuple[str, str], ...]:
    """The variables that Docker puts into a recipient's environment at its start, for its links on the default bridge."""
    found: dict[str, str] = {}
    for link, source, endpoint in linked_sources(recipient, around):
        if endpoint.ipv4 is not None:
            found.update(_variables(link, recipient, source, endpoint.ipv4.ip))
    return tuple(sorted(found.items()))


def linked_sources(recipient: Container, around: Surroundings) -> Iterator[tuple[Link, Container, Endpoint]]:
    """The links of *recipient* whose sources are live on the default bridge as it is itself, with the source's endpoint there."""
    if not any(is_default(around.networks[endpoint.network_id]) for endpoint in recipient.endpoints):
        return
    for link in sorted(recipient.links, key=lambda item: (item.activation, item.alias)):
        source = around.containers.get(link.source_id)
        if source is None or not source.live:
            continue
        for endpoint in source.endpoints:
            if is_default(around.networks[endpoint.network_id]):
                yield link, source, endpoint


def addresses_of(endpoint: Endpoint) -> Iterator[str]:
    """Its addresses without their prefixes, IPv4 first."""
    if endpoint.ipv4 is not None:
        yield str(endpoint.ipv4.ip)
    if endpoint.ipv6 is not None:
        yield str(endpoint.ipv6.ip)


def _variables(link: Link, recipient: Container, source: Container, address: IPv4Address) -> Iterator[tuple[str, str]]:
    alias = link.alias.upper().replace("-", "_")
    ports = sorted(linkable_ports(source), key=lambda port: (port[0], port[1] != "tcp", port[1]))
    if ports:
        first, protocol = ports[0]
        yield f"{alias}_PORT", f"{protocol}://{address}:{first}"
    for port, protocol in ports:
        name = f"{alias}_PORT_{port}_{protocol.upper()}"
        yield name, f"{protocol}://{address}:{port}"
        yield f"{name}_ADDR", str(address)
        yield f"{name}_PORT", str(port)
        yield f"{name}_PROTO", protocol
    for start, end, protocol in _ranges(ports):
        name = f"{alias}_PORT_{start}_{protocol.upper()}"
        yield f"{name}_START", f"{protocol}://{address}:{start}"
        yield f"{name}_PORT_START", str(start)
        yield f"{name}_END", f"{protocol}://{address}:{end}"
        yield f"{name}_PORT_END", str(end)
    yield f"{alias}_NAME", f"/{recipient.name}/{link.alias}"
    if source.process is not None:
        for variable, value in source.process.env:
            if variable not in _LEFT_OUT:
                yield f"{alias}_ENV_{variable}", value


def _ranges(ports: list[tuple[int, str]]) -> Iterator[tuple[int, int, str]]:
    """Runs of consecutive ports of one protocol, long enough that Docker names their ends."""
    for protocol in sorted({protocol for _, protocol in ports}):
        numbers = [port for port, its in ports if its == protocol]
        start = 0
        for at in range(1, len(numbers) + 1):
            if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
                if at - start >= _SHORTEST_RANGE:
                    yield numbers[start], numbers[at - 1], protocol
                start = at
