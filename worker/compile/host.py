"""A whole host: what it needs by itself, then its networks, then its live containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from networks.cnm.desired import Container, Host, HostSettings, Network
from networks.cnm.facts import HostFacts
from networks.cnm.resources import Key, Resource, Sysctl
from networks.cnm.rules import Chain, Rule
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Surroundings, driver

from .addresses import compile_pools
from .base_rules import compile_base_rules
from .containers import compile_container, compile_hosts_file, shares, sources_of
from .files import Files
from .nodes import compile_nodes

_FORWARD = gettext_noop(
    "Lets this host pass packets on between its interfaces, which every network of containers needs."
)


def compile_host(desired: Host, facts: HostFacts) -> tuple[Resource, ...]:
    """Everything that the kernel of one host should hold, each piece with its owner and its reason.

    Rules come last, by family, table, chain and rank; everything else in the order host, networks, containers, each by activation.
    """
    if desired.removing:
        return ()
    around = Surroundings(desired, facts)
    files = Files(around)
    memory = _remembered(around)
    found: list[Resource] = [*_sysctls(around), *compile_base_rules(around), *compile_nodes(around)]
    networks = {network.id: _network(network, around, memory) for network in around.networks.values()}
    for network in networks.values():
        found.extend(network.resources)
    containers = {container.id: _container(container, around, files, memory) for container in around.live}
    for container in containers.values():
        found.extend(container.resources)
        found.extend(compile_hosts_file(container.container, around, files))
    _remember(_Memory(around, networks, containers))
    return _in_order(found)


@dataclass(frozen=True, slots=True)
class _CompiledNetwork:
    """A network, and what it was compiled to."""

    network: Network
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class _CompiledContainer:
    """A container, and what it was compiled to; it follows from the sources of its links, too."""

    container: Container
    sources: tuple[Container | None, ...]
    resources: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class _Memory:
    """What a host was compiled to the last time: of a thousand networks and containers, a change touches one or two."""

    around: Surroundings
    networks: Mapping[str, _CompiledNetwork]
    containers: Mapping[str, _CompiledContainer]


_memory: _Memory | None = None


def _remembered(around: Surroundings) -> _Memory:
    """What of the memory is good for *around*: all depends on settings and facts, and a container on every network."""
    before = _memory.around if _memory is not None else None
    if _memory is None or before is None or _frame(before) != _frame(around):
        return _Memory(around, {}, {})
    same = before.networks == around.networks and before.host.underlay_room == around.host.underlay_room
    return _memory if same else _Memory(around, _memory.networks, {})


def _frame(around: Surroundings) -> tuple[str, HostSettings, HostFacts]:
    return (around.host.id, around.settings, around.facts)


def _remember(memory: _Memory) -> None:
    global _memory  # a cache of frozen values: it changes how long a compile takes, never what it gives
    _memory = memory


def _network(network: Network, around: Surroundings, memory: _Memory) -> _CompiledNetwork:
    known = memory.networks.get(network.id)
    if known is not None and known.network == network and not network.spans:  # those that do know of other hosts
        return known
    made = driver(network.driver).compile_network(network, around)
    return _CompiledNetwork(network, (*compile_pools(network, around), *made))


def _container(container: Container, around: Surroundings, files: Files, memory: _Memory) -> _CompiledContainer:
    known = memory.containers.get(container.id)
    sources = sources_of(container, around)
    if known is not None and known.container == container and known.sources == sources and not shares(container):
        return known
    return _CompiledContainer(container, sources, tuple(compile_container(container, around, files)))


def _sysctls(around: Surroundings) -> Iterator[Resource]:
    if not around.settings.ip_forward:
        return
    why = Text.of(_FORWARD)
    yield Sysctl(name="net.ipv4.ip_forward", value="1", owner=around.owner, why=why)
    if any(network.ipv6 for network in around.networks.values()):
        yield Sysctl(name="net.ipv6.conf.all.forwarding", value="1", owner=around.owner, why=why)


def _in_order(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """Chains, then rules, at the end. What several objects need alike (a sysctl) stands once, for the first of them."""
    others: dict[Key, Resource] = {}
    chains: list[Chain] = []
    rules: list[Rule] = []
    for resource in resources:
        key = resource.key
        if key[0] == Rule.kind:
            rules.append(resource)  # type: ignore[arg-type]  # its kind says so, ten times sooner than isinstance
        elif key[0] == Chain.kind:
            chains.append(resource)  # type: ignore[arg-type]
        else:
            others.setdefault(key, resource)
    chains.sort(key=lambda chain: (chain.family, chain.table, chain.name))
    rules.sort(key=lambda rule: (rule.family, rule.table, rule.chain, rule.rank, rule.text))
    return (*others.values(), *chains, *_once(rules))


def _once(rules: list[Rule]) -> Iterator[Rule]:
    """Each text once, where it stands first: a container port that two host ports lead to is admitted by one rule."""
    seen = set()
    for rule in rules:
        at = (rule.family, rule.table, rule.text)
        if at not in seen:
            seen.add(at)
            yield rule
