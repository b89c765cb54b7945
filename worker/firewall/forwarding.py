"""The rules of a bridge network by itself: forwarding, isolation from other networks, source translation. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from networks.cnm.addresses import AnyNetwork
from networks.cnm.desired import HostSettings, Network
from networks.cnm.resources import Owner
from networks.cnm.rules import Rule, Target
from networks.cnm.text import Text, gettext_noop

from . import layout, words
from .words import Writer

_ANSWERS = gettext_noop(
    "Lets answers to connections that the containers of network {network} opened come back to them."
)
_TO_CHAIN = gettext_noop(
    "Asks chain {chain} whether traffic may enter network {network}: published ports and links stand there."
)
_OUT = gettext_noop("Lets the containers of network {network} reach everything outside it.")
_TALK = gettext_noop("Lets the containers of network {network} talk to each other (icc=true).")
_NO_TALK = gettext_noop(
    "Keeps the containers of network {network} from talking to each other (icc=false), save by links."
)
_LEAVES = gettext_noop(
    "Traffic that leaves network {network} for elsewhere must not enter another network: {chain} decides."
)
_ENTERS = gettext_noop("Traffic from another network must not enter network {network}.")
_ENTERS_ROUTED = gettext_noop(
    "Traffic from another network may enter network {network}, which is routed, where {chain} lets it."
)
_ANSWERS_ROUTED = gettext_noop(
    "Lets the containers of network {network}, which is routed, answer those of other networks."
)
_INTERNAL_OUT = gettext_noop("Network {network} is internal: its containers send nothing out of it.")
_INTERNAL_IN = gettext_noop("Network {network} is internal: nothing from elsewhere gets in.")
_MASQUERADE = gettext_noop(
    "Containers of {subnet} (network {network}) reach the outside under the address of this host."
)
_SNAT = gettext_noop("Containers of {subnet} (network {network}) reach the outside under the address {address}.")
_SPANNING_IN = gettext_noop(
    "Network {network} spans hosts, and this host is no part of it: nothing gets in but from its own containers."
)
_SPANNING_OUT = gettext_noop(
    "Network {network} spans hosts: its containers reach the outside by their host's gateway network, not through this."
)
_OWN_PORTS = gettext_noop(
    "What the containers of network {network} send to a published port of this host goes to the port holder, not back into the"
    " network by translation."
)
_OWN_LOCAL = gettext_noop(
    "Rewrites the source when this host itself, by 127.0.0.1 too, calls a container of network {network}."
)
_PINGS = gettext_noop("Network {network} is routed: lets others ping its containers.")
_UNPUBLISHED = gettext_noop("Network {network} is routed: nobody outside reaches a port that is not published.")
_UNPROTECTED = gettext_noop("Network {network} is not protected (gateway mode nat-unprotected): lets everybody in.")
_GUARD_LOOPBACK = gettext_noop(
    "Network {network} routes 127.0.0.1 (route_localnet) for published ports: keeps its containers away from what listens there."
)


def compile_network_rules(
    network: Network, device: str, mode: str, masquerade: bool, settings: HostSettings, writer: Writer
) -> Iterator[Rule]:
    """The rules of *network* in *writer*'s address family. *mode* is its gateway mode in that family."""
    block = _Block(network, device, mode, settings, writer)
    if network.internal:
        yield from block.internal()
        yield block.between_containers(2)
        return
    yield from block.forwarding()
    yield from block.isolation()
    if mode in {"nat", "nat-unprotected"}:
        yield from block.translation(masquerade)
    if mode in {"routed", "nat-unprotected"}:
        yield from block.unpublished()


def compile_spanning_rules(network: Network, device: str, settings: HostSettings, writer: Writer) -> Iterator[Rule]:
    """The rules of a *network* that spans hosts: its bridge passes frames between its ports, and nothing else."""
    block = _Block(network, device, "isolated", settings, writer)
    yield from block.spanning()
    yield block.between_containers(2)


class _Block:
    """The rules of one network in one address family."""

    def __init__(self, network: Network, device: str, mode: str, settings: HostSettings, writer: Writer) -> None:
        self.network = network
        self.device = device
        self.mode = mode
        self.settings = settings
        self.writer = writer
        self.owner = Owner(kind="network", id=network.id, name=network.name)
        self.out = words.entering(device) + words.leaving_elsewhere(device)

    def forwarding(self) -> Iterator[Rule]:
        chain = self.writer.naming.chain
        towards = words.leaving(self.device)
        yield self._forward(0, towards + words.RELATED_OR_ESTABLISHED, words.ACCEPT, self._why(_ANSWERS))
        yield self._forward(1, towards, words.jump(chain), self._why(_TO_CHAIN, chain=chain))
        yield self._forward(2, self.out, words.ACCEPT, self._why(_OUT))
        yield self.between_containers(3)

    def between_containers(self, position: int) -> Rule:
        within = words.entering(self.device) + words.leaving(self.device)
        if self.network.options.icc:
            return self._forward(position, within, words.ACCEPT, self._why(_TALK))
        if self.settings.hardening:
            # In the network's block no rule that somebody appends later can come before it.
            return self._forward(position, within, words.DROP, self._why(_NO_TALK))
        rank = layout.last_of_network(self.network.activation)
        return self.writer.rule("filter", "FORWARD", within, words.DROP, rank, self.owner, self._why(_NO_TALK))

    def isolation(self) -> Iterator[Rule]:
        naming = self.writer.naming
        first, second = naming.isolation_stage_1, naming.isolation_stage_2
        yield self._top("filter", first, 1, self.out, words.jump(second), self._why(_LEAVES, chain=second))
        towards = words.leaving(self.device)
        if self.mode == "routed":
            answers = self.out + words.RELATED_OR_ESTABLISHED
            yield self._top("filter", first, 0, answers, words.ACCEPT, self._why(_ANSWERS_ROUTED))
            why = self._why(_ENTERS_ROUTED, chain=naming.chain)
            yield self._top("filter", second, 0, towards, words.jump(naming.chain), why)
        else:
            yield self._top("filter", second, 0, towards, words.DROP, self._why(_ENTERS))

    def internal(self) -> Iterator[Rule]:
        chain = self.writer.naming.isolation_stage_1
        subnets = self._subnets()
        entering, leaving = words.entering(self.device), words.leaving(self.device)
        if len(subnets) == 1 and self.writer.family == 4:
            from_elsewhere = words.source(subnets[0], but=True) + leaving
            to_elsewhere = words.destination(subnets[0], but=True) + entering
        else:
            # By device. IPv6 neighbours ask and answer from and to link-local and multicast addresses, which are in no subnet: where
            # the bridge shows its packets to ip6tables, rules by subnet would keep them from finding each other.
            from_elsewhere = words.entering_elsewhere(self.device) + leaving
            to_elsewhere = self.out
        yield self._top("filter", chain, 0, from_elsewhere, words.DROP, self._why(_INTERNAL_IN))
        yield self._top("filter", chain, 1, to_elsewhere, words.DROP, self._why(_INTERNAL_OUT))

    def spanning(self) -> Iterator[Rule]:
        chain = self.writer.naming.isolation_stage_1
        into = words.entering_elsewhere(self.device) + words.leaving(self.device)
        yield self._top("filter", chain, 0, into, words.DROP, self._why(_SPANNING_IN))
        yield self._top("filter", chain, 1, self.out, words.DROP, self._why(_SPANNING_OUT))

    def translation(self, masquerade: bool) -> Iterator[Rule]:
        proxy = self.settings.userland_proxy
        if not proxy:
            matches = words.leaving(self.device) + words.FROM_LOCAL
            yield self._top("nat", "POSTROUTING", 0, matches, words.MASQUERADE, self._why(_OWN_LOCAL))
            if self.settings.hardening and self.writer.family == 4:
                yield self._loopback_guard()
        if not masquerade:
            return
        options = self.network.options
        fixed = options.host_ipv4 if self.writer.family == 4 else options.host_ipv6
        for position, subnet in enumerate(self._subnets(), start=1):
            matches = words.source(subnet) + words.leaving_elsewhere(self.device)
            target = words.leave_as(fixed) if fixed else words.MASQUERADE
            why = self._why(_SNAT if fixed else _MASQUERADE, subnet=subnet, address=fixed)
            yield self._top("nat", "POSTROUTING", position, matches, target, why)
        if proxy:
            matches = words.entering(self.device)
            yield self._top("nat", self.writer.naming.chain, 0, matches, words.RETURN, self._why(_OWN_PORTS))

    def unpublished(self) -> Iterator[Rule]:
        activation = self.network.activation
        chain = self.writer.naming.chain
        into = words.entering_elsewhere(self.device) + words.leaving(self.device)
        if self.mode == "nat-unprotected":
            rank = layout.rest_of_network(activation, 0)
            yield self.writer.rule("filter", chain, into, words.ACCEPT, rank, self.owner, self._why(_UNPROTECTED))
            return
        pings = into + words.icmp(self.writer.family)
        rank = layout.rest_of_network(activation, 0)
        yield self.writer.rule("filter", chain, pings, words.ACCEPT, rank, self.owner, self._why(_PINGS))
        rank = layout.rest_of_network(activation, 1)
        yield self.writer.rule("filter", chain, into, words.DROP, rank, self.owner, self._why(_UNPUBLISHED))

    def _loopback_guard(self) -> Rule:
        matches = words.destination(words.LOOPBACK[4]) + words.entering(self.device)
        rank = layout.of_network(self.network.activation, 0)
        return self.writer.rule("raw", "PREROUTING", matches, words.DROP, rank, self.owner, self._why(_GUARD_LOOPBACK))

    def _subnets(self) -> tuple[AnyNetwork, ...]:
        return tuple(item.subnet for item in self.network.subnets if item.subnet.version == self.writer.family)

    def _forward(self, position: int, matches: words.Matches, target: Target, why: Text) -> Rule:
        return self._top("filter", "FORWARD", position, matches, target, why)

    def _top(self, table: str, chain: str, position: int, matches: words.Matches, target: Target, why: Text) -> Rule:
        rank = layout.of_network(self.network.activation, position)
        return self.writer.rule(table, chain, matches, target, rank, self.owner, why, anchor="top")

    def _why(self, template: str, **params: object) -> Text:
        return Text.of(template, network=self.network.name, **params)
