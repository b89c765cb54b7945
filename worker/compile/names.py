"""What the embedded DNS server is told: which names a container has, and what its sandbox may ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from networks.cnm.desired import Container, Endpoint, Network
from networks.cnm.names import endpoint_names
from networks.cnm.resources import NameRecord, NameServer, Owner, Resource
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Surroundings, driver
from worker.drivers.bridge import is_default
from worker.firewall.linked import linkable_ports

EMBEDDED_DNS = "127.0.0.11"
PUBLIC_NAMESERVERS = ("8.8.8.8", "8.8.4.4")
"""What Docker falls back to where the host names no server that a container could reach."""

_SERVER = gettext_noop("Answers container {container} the names of those who share its networks.")
_RECORD = gettext_noop("How the others on network {network} find container {container}.")


def compile_names(container: Container, sandbox: str, around: Surroundings) -> Iterator[Resource]:
    """The name server in a live container's own sandbox, and its names for its neighbours.

    An adopted namespace gets no server: whose it is has a resolver of its own, and its rules are not ours. Its names are told. So it is
    with a Docker Engine's container.
    """
    named = named_endpoints(container, around)
    if not named:
        return
    if not container.adopted_path and not container.of_docker:
        yield _server(container, sandbox, [network for _, network in named], around)
    for endpoint, network in named:
        yield NameRecord(
            network_id=network.id,
            endpoint_id=endpoint.id,
            network_name=network.name,
            container_id=container.id,
            names=endpoint_names(container.name, endpoint.aliases, container.id, container.hostname),
            addresses=tuple(item.ip for item in (endpoint.ipv4, endpoint.ipv6) if item is not None),
            ports=tuple(sorted(linkable_ports(container))),
            owner=Owner(kind="endpoint", id=endpoint.id, name=f"{container.name} on {network.name}"),
            why=Text.of(_RECORD, network=network.name, container=container.name),
        )


def named_endpoints(container: Container, around: Surroundings) -> list[tuple[Endpoint, Network]]:
    """The endpoints on networks whose names the embedded server tells: user-defined ones, save for the gateway network, on which
    nobody has business with anybody. None where it is switched off."""
    if not around.settings.embedded_dns:
        return []
    attached = [(endpoint, around.networks[endpoint.network_id]) for endpoint in container.endpoints]
    gateway = around.naming.gateway_network
    return [
        pair
        for pair in attached
        if driver(pair[1].driver).attaches and not is_default(pair[1]) and pair[1].name != gateway
    ]


def has_ndots(options: Iterable[str]) -> bool:
    return any(option.partition(":")[0] == "ndots" for option in options)


class Resolv:
    """The parts of a resolv.conf (resolv.conf(5)): the last ``search`` or ``domain`` counts, ``options`` add up."""

    def __init__(self, text: str) -> None:
        self.nameservers: tuple[str, ...] = ()
        self.search: tuple[str, ...] = ()
        self.options: tuple[str, ...] = ()
        for line in text.splitlines():
            word, *values = line.split() or [""]
            if word == "nameserver" and values:
                self.nameservers += (values[0],)
            elif word in {"search", "domain"}:
                self.search = tuple(values)
            elif word == "options":
                self.options += tuple(values)


def _server(container: Container, sandbox: str, networks: list[Network], around: Surroundings) -> NameServer:
    chosen = container.dns or around.settings.dns
    servers = chosen or Resolv(around.facts.resolv_conf).nameservers or PUBLIC_NAMESERVERS
    return NameServer(
        sandbox=sandbox,
        networks=tuple(network.id for network in networks),
        links=tuple((link.alias, link.source_id) for link in container.links),
        servers=tuple(servers),
        inside=bool(chosen),
        forwards=any(map(_leads_out, (around.networks[endpoint.network_id] for endpoint in container.endpoints))),
        keeps_single_labels=_sets_ndots(container),
        owner=Owner(kind="container", id=container.id, name=container.name),
        why=Text.of(_SERVER, container=container.name),
    )


def _leads_out(network: Network) -> bool:
    """Whether a container on *network* reaches anybody but its neighbours."""
    chosen = driver(network.driver)
    return chosen.attaches and chosen.leads_out and not network.internal


def _sets_ndots(container: Container) -> bool:
    """Whether the container asks for an ndots above 0: then names without a dot are for its search list (libnetwork)."""
    values = [value for name, _, value in (item.partition(":") for item in container.dns_options) if name == "ndots"]
    return any(value.isdigit() and int(value) > 0 for value in values)
