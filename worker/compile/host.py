"""A whole host: what it needs by itself, then its networks, then its live containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from networks.cnm.desired import Container, Host, HostSettings, Network
from networks.cnm.facts import HostFacts
from networks.cnm.resources import Key, Resource, Sysctl
from networks.cnm.rules import Chain, Rule
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Surroundings, driver

from .base_rules import compile_base_rules
from .containers import compile_container, compile_hosts_file, shares, sources_of
from .files import Files

_FORWARD = gettext_noop(
    "Lets this host pass packets on between its interfaces, which every network of containers needs."
)


def compile_host(desired: Host, facts: HostFacts) -> tuple[Resource, ...]:
    """Everything that the kernel of one host should hold, each piece with its owner and its reason.

    Rules come last, by family, table, chain and rank; everything else in the order host, networks, containers, each by activation.
    """
    around = Surroundings(desired, facts)
    files = Files(around)
    found: list[Resource] = [*_sysctls(around), *compile_base_rules(around)]
    for network in around.networks.values():
        found.extend(driver(network.driver).compile_network(network, around))
    remembered = _remembered(around)
    for container in around.live:
        known = remembered.get(container.id)
        if known is None or known.container != container or known.sources != sources_of(container, around):
            known = _compiled(container, around, files)
            remembered[container.id] = known
        found.extend(known.resources)
        found.extend(compile_hosts_file(container, around, files))
    _remember(around, remembered)
    return _in_order(found)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What a container was compiled to, and what of it and of others that followed from."""

    container: Container
    sources: tuple[Container | None, ...]
    resources: tuple[Resource, ...]


Frame = tuple[str, HostSettings, HostFacts, tuple[Network, ...]]
"""What every container depends on besides itself and its links' sources."""
_memory: tuple[Frame, dict[str, _Compiled]] | None = None


def _compiled(container: Container, around: Surroundings, files: Files) -> _Compiled:
    resources = tuple(compile_container(container, around, files))
    return _Compiled(container, sources_of(container, around), resources)


def _frame(around: Surroundings) -> Frame:
    return (around.host.id, around.settings, around.facts, tuple(around.networks.values()))


def _remembered(around: Surroundings) -> dict[str, _Compiled]:
    """By id what containers were compiled to the last time: of a thousand, a change touches one or two."""
    return dict(_memory[1]) if _memory is not None and _memory[0] == _frame(around) else {}


def _remember(around: Surroundings, compiled: dict[str, _Compiled]) -> None:
    global _memory  # a cache of frozen values: it changes how long a compile takes, never what it gives
    live = {container.id: compiled[container.id] for container in around.live if not shares(container)}
    _memory = (_frame(around), live)


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
        if isinstance(resource, Rule):
            rules.append(resource)
        elif isinstance(resource, Chain):
            chains.append(resource)
        else:
            others.setdefault(resource.key, resource)
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
