"""A live container: its sandbox, its endpoints, its way outside, its files and its process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from networks.cnm.desired import Container, Endpoint, Network, ProcessSpec
from networks.cnm.names import sandbox_name, short
from networks.cnm.resources import Owner, Process, Resource, Route, Sandbox
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Attachment, Surroundings, driver
from worker.drivers.base import EVERYWHERE

from .addresses import compile_leases
from .files import Files
from .links import link_environment
from .names import compile_names

_SANDBOX = gettext_noop("The network stack of container {container}.")
_ADOPTED = gettext_noop("The network stack that container {container} adopted.")
_ROUTE = gettext_noop("Container {container} reaches everything outside its own networks through network {network}.")
_PROCESS = gettext_noop("Container {container} is to run.")


@dataclass(frozen=True, slots=True)
class _Way:
    """The endpoint through which a container reaches the outside in one address family."""

    endpoint: Endpoint
    network: Network
    family: int


def sources_of(container: Container, around: Surroundings) -> tuple[Container | None, ...]:
    """The containers that *container* is linked to. What it needs follows from itself, from them, from its networks, the settings
    and the facts, and from no other container, unless it shares a sandbox.

    Its hosts file is always left out of this: it may name its neighbours.
    """
    return tuple([around.containers.get(link.source_id) for link in container.links])


def compile_hosts_file(container: Container, around: Surroundings, files: Files) -> Iterator[Resource]:
    """The hosts file of a live container, unless it sees another's, or a Docker Engine's."""
    if not shares(container) and not container.of_docker:
        yield files.hosts.of(container, _home(container, around) is container)


def compile_container(container: Container, around: Surroundings, files: Files) -> Iterator[Resource]:
    """Everything of one live container but its hosts file."""
    owner = Owner(kind="container", id=container.id, name=container.name)
    if container.of_docker:
        yield from _attachments(container, "", around)
        yield from compile_names(container, "", around)
        return
    home = _home(container, around)
    sandbox = sandbox_name(home.id) if home is not None else ""
    if home is container:
        yield _sandbox(container, sandbox, owner)
        yield from _attachments(container, sandbox, around)
    elif home is not None and not home.live:
        # The one whose sandbox it shares has stopped: the namespace lives on, without its endpoints, as Docker keeps it.
        yield _sandbox(home, sandbox, Owner(kind="container", id=home.id, name=home.name))
    if not shares(container):
        yield files.hostname(container, home is container)
        yield files.resolv_conf(container, home is container)
        if home is container:
            yield from compile_names(container, sandbox, around)
    if container.kind == "process":
        yield _process(container, home, sandbox, owner, around)


def shares(container: Container) -> str:
    """The id of the container whose sandbox *container* joins; empty when it has its own or none."""
    mode = container.network_mode
    return mode.removeprefix("container:") if mode.startswith("container:") else ""


def ways_out(container: Container, around: Surroundings) -> dict[int, tuple[Endpoint, Network]]:
    """For each address family the endpoint that leads outside. A network that spans hosts leads to its own members alone.

    Docker's order: the higher gateway priority, a network that is not internal, one with both families, then the network's name.
    """
    attached = [(endpoint, around.networks[endpoint.network_id]) for endpoint in container.endpoints]
    attached = [(endpoint, network) for endpoint, network in attached if driver(network.driver).leads(endpoint)]
    if len(attached) > 1:
        attached.sort(key=lambda pair: _preference(*pair))
    ways: dict[int, tuple[Endpoint, Network]] = {}
    for endpoint, network in attached:
        if endpoint.ipv4 is not None:
            ways.setdefault(4, (endpoint, network))
        if endpoint.ipv6 is not None:
            ways.setdefault(6, (endpoint, network))
    return ways


def _preference(endpoint: Endpoint, network: Network) -> tuple[int, bool, bool, str]:
    both = endpoint.ipv4 is not None and endpoint.ipv6 is not None
    return (-endpoint.gw_priority, network.internal, not both, network.name)


def _home(container: Container, around: Surroundings) -> Container | None:
    """The container whose sandbox this one is in; None when it is in the host's own network stack."""
    seen = {container.id}
    while (shared := shares(container)) and shared not in seen and shared in around.containers:
        seen.add(shared)
        container = around.containers[shared]
    return None if container.network_mode == "host" else container


def _sandbox(container: Container, name: str, owner: Owner) -> Sandbox:
    return Sandbox(
        name=name,
        ipv6=any(endpoint.ipv6 is not None for endpoint in container.endpoints),
        adopted_path=container.adopted_path,
        owner=owner,
        why=Text.of(_ADOPTED if container.adopted_path else _SANDBOX, container=container.name),
    )


def _attachments(container: Container, sandbox: str, around: Surroundings) -> Iterator[Resource]:
    ways = ways_out(container, around)
    for endpoint in container.endpoints:
        network = around.networks[endpoint.network_id]
        leads_out = frozenset(family for family, (way, _) in ways.items() if way is endpoint)
        attachment = Attachment(endpoint, network, container, sandbox, leads_out)
        yield from compile_leases(attachment)
        yield from driver(network.driver).compile_endpoint(attachment, around)
    for family, (endpoint, network) in ways.items() if not container.of_docker else ():
        yield from _default_route(_Way(endpoint, network, family), container, sandbox)


def _default_route(way: _Way, container: Container, sandbox: str) -> Iterator[Resource]:
    interface: IPv4Interface | IPv6Interface | None = way.endpoint.ipv4 if way.family == 4 else way.endpoint.ipv6
    if interface is None:
        return
    gateway = driver(way.network.driver).gateway(way.network, way.endpoint, interface)
    if gateway is not None:
        yield Route(
            sandbox=sandbox,
            destination=EVERYWHERE[way.family],
            gateway=gateway,
            device=way.endpoint.ifname,
            owner=Owner(kind="endpoint", id=way.endpoint.id, name=f"{container.name} on {way.network.name}"),
            why=Text.of(_ROUTE, container=container.name, network=way.network.name),
        )


def _process(container: Container, home: Container | None, sandbox: str, owner: Owner, around: Surroundings) -> Process:
    named = home if home is not None and shares(container) else container
    hostname = named.hostname or (around.facts.hostname if home is None else short(named.id))
    return Process(
        container_id=container.id,
        run=container.run,
        name=container.name,
        hostname=hostname,
        domainname=named.domainname,
        sandbox=sandbox,
        files_of=_files_of(container, around),
        link_env=link_environment(container, around),
        process=container.process or ProcessSpec(),
        owner=owner,
        why=Text.of(_PROCESS, container=container.name),
    )


def _files_of(container: Container, around: Surroundings) -> str:
    seen = {container.id}
    while (shared := shares(container)) and shared not in seen and shared in around.containers:
        seen.add(shared)
        container = around.containers[shared]
    return container.id
