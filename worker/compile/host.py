"""A whole host: what it needs by itself, then its networks, then its live containers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from networks.cnm.desired import Container, Host, HostSettings, Network
from networks.cnm.facts import HostFacts
from networks.cnm.resources import Key, Resource, Sysctl
from networks.cnm.rules import Chain, Rule
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Surroundings, driver

from .base_rules import compile_base_rules
from .containers import compile_container, compile_hosts_file, stands_alone
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
        if container not in remembered:
            remembered[container] = tuple(compile_container(container, around, files))
        found.extend(remembered[container])
        found.extend(compile_hosts_file(container, around, files))
    _remember(around, remembered)
    return _in_order(found)


Frame = tuple[str, HostSettings, HostFacts, tuple[Network, ...]]
"""What a container that stands alone depends on besides itself."""
_memory: tuple[Frame, dict[Container, tuple[Resource, ...]]] | None = None


def _frame(around: Surroundings) -> Frame:
    return (around.host.id, around.settings, around.facts, tuple(around.networks.values()))


def _remembered(around: Surroundings) -> dict[Container, tuple[Resource, ...]]:
    """What the containers that are as they were compiled to the last time: of a thousand, a change touches one or two."""
    if _memory is None or _memory[0] != _frame(around):
        return {}
    known = _memory[1]
    return {container: known[container] for container in around.live if container in known}


def _remember(around: Surroundings, compiled: dict[Container, tuple[Resource, ...]]) -> None:
    global _memory  # a cache of frozen values: it changes how long a compile takes, never what it gives
    _memory = (_frame(around), {container: found for container, found in compiled.items() if stands_alone(container)})


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
