"""One hook: all base chains of all flavours in the order of their priority, as the kernel asks them.

Sources: net/netfilter/core.c (hooks of one priority: the one registered last comes first), nf_nat_core.c (all nat chains of a hook
are asked at one fixed priority, until one has decided), nf_tables_core.c and ip_tables.c.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from networks.cnm.addresses import AnyAddress, AnyInterface
from networks.cnm.ruleset.members import Members, Span
from networks.cnm.ruleset.model import (
    ANY,
    IPTABLES_NFT,
    LEGACY,
    NATIVE,
    Chain,
    Condition,
    Depends,
    Field,
    Note,
    Rule,
    Ruleset,
    SetMark,
    Statement,
    Translation,
    Unknown,
    Untrack,
    Verdict,
    VerdictMap,
)

from .choices import Choices
from .fields import condition_holds, read_values
from .index import FEW, ChainIndex
from .packet import NEW, Packet, address_of, translated
from .steps import ASKED, Step, Stopped, describe
from .world import World

CONNTRACK_PRIORITY = -200
NAT_PRIORITY = {"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}
ORDER = "order of registration"
MOST_JUMPS = 16
"""Nested calls at most (``NFT_JUMP_STACK_SIZE``)."""
GOES_ON = Verdict("continue")
FAMILIES = {4: frozenset({"ip", "inet"}), 6: frozenset({"ip6", "inet"})}


@dataclass(slots=True)
class Hooks:
    """Asks the rules of *ruleset* about one packet at a time."""

    ruleset: Ruleset
    world: World
    choices: Choices
    steps: list[Step] = field(default_factory=list)
    phase: str = ASKED
    _element: str = ""

    def run(self, hook: str, packet: Packet, family: str = "") -> None:
        """Everything that stands at *hook* for the packet; raises :class:`Stopped` when it ends there."""
        chains = [
            chain for chain in self._at(hook) if chain.family in (FAMILIES[packet.family] if not family else {family})
        ]
        filters = [chain for chain in chains if chain.type != "nat"]
        at_nat = NAT_PRIORITY.get(hook)
        tracks = hook in {"prerouting", "output"} and not family
        early = [chain for chain in filters if tracks and chain.priority < CONNTRACK_PRIORITY]
        late = [chain for chain in filters if chain not in early]
        self._filter(early, packet, hook)
        if tracks:
            packet.track()
        if at_nat is None or family:
            self._filter(late, packet, hook)
            return
        self._filter([chain for chain in late if chain.priority <= at_nat], packet, hook)
        self._translate(hook, [chain for chain in chains if chain.type == "nat"], packet)
        self._filter([chain for chain in late if chain.priority > at_nat], packet, hook)

    def run_device(self, hook: str, device: str, packet: Packet) -> None:
        """What stands at *device* itself (``ingress``, ``egress``): before, or after, all that is the host's."""
        self._filter([chain for chain in self._at(hook) if device in chain.devices], packet, hook)

    def _at(self, hook: str) -> list[Chain]:
        return self.ruleset.at_hook.get(hook, [])

    def note(
        self,
        kind: str,
        where: str,
        text: str,
        outcome: str = "",
        rule: Rule | None = None,
        hook: str = "",
        packet: Packet | None = None,
    ) -> Step:
        shown = describe(packet) if packet is not None else ""
        element = self._element if rule is not None else ""
        step = Step(kind, where, text, outcome, rule, hook, self.phase, shown, element)
        self.steps.append(step)
        return step

    def _filter(self, chains: Iterable[Chain], packet: Packet, hook: str) -> None:
        """Ask *chains* in the order of their priorities."""
        ordered = _ordered(chains)
        for place, chain in enumerate(ordered):
            try:
                self._base(chain, packet, hook)
            except Stopped as stopped:
                rivals = [one for one in ordered[place + 1 :] if one.priority == chain.priority]
                raise self._first_of(stopped, rivals, packet, hook) from None

    def _first_of(self, stopped: Stopped, rivals: Iterable[Chain], packet: Packet, hook: str) -> Stopped:
        """Of chains with one priority that which was registered last is asked first, and nobody can read back which that is.

        It matters where one drops and another rejects.
        """
        for chain in rivals:
            other = Hooks(self.ruleset, self.world, self.choices, phase=self.phase)
            try:
                other._base(chain, replace(packet), hook)
            except Stopped as instead:
                if instead.verdict != stopped.verdict and self.choices.ask(
                    ORDER, f"{hook}: {chain.table}", modelled=True
                ):
                    self.steps += other.steps
                    return instead
        return stopped

    def _base(self, chain: Chain, packet: Packet, hook: str) -> bool:
        """Ask a base chain; whether it translated."""
        verdict, rule = self._chain(chain, packet, hook, 0)
        if verdict.name in {"continue", "return"}:
            if not chain.rules and chain.policy != "drop":
                return False
            step = self.note(
                "policy", f"{chain.table} {chain.name}", f"policy {chain.policy}", chain.policy, None, hook, packet
            )
            if chain.policy == "drop":
                raise Stopped("dropped", "policy", step)
            return False
        if verdict.name in {"drop", "reject", "stolen"}:
            names = {"drop": "dropped", "reject": "rejected", "stolen": "dropped"}
            raise Stopped(names[verdict.name], "rule", self.steps[-1] if rule is not None else None)
        return verdict.name == "translated"

    def _chain(self, chain: Chain, packet: Packet, hook: str, depth: int) -> tuple[Verdict, Rule | None]:
        if depth > MOST_JUMPS:
            raise Stopped("undecidable", "depth")
        for rule in self.ruleset.index(chain, ChainIndex).candidates(packet) if len(chain.rules) > FEW else chain.rules:
            verdict = self._rule(rule, packet, hook)
            if verdict is None or verdict.name == "continue":
                continue
            where = f"{chain.table} {chain.name}"
            if verdict.name in {"jump", "goto"}:
                self.note("rule", where, rule.text, f"{verdict.name} {verdict.chain}", rule, hook, packet)
                target = self.ruleset.by_name.get((*chain.place, verdict.chain))
                if target is None:  # an extension of iptables that nobody here knows, or a dump that is not whole
                    raise Stopped("undecidable", "target", self.steps[-1])
                inner, by = self._chain(target, packet, hook, depth + 1)
                if inner.name in {"continue", "return"}:
                    if verdict.name == "goto":
                        return Verdict("return"), rule
                    continue
                return inner, by
            if verdict.name != "translated":
                outcome = f"{verdict.name} {verdict.detail}".strip()
                self.note("rule", where, rule.text, outcome, rule, hook, packet)
            return verdict, rule
        return GOES_ON, None

    def _rule(self, rule: Rule, packet: Packet, hook: str) -> Verdict | None:
        """What *rule* decides; None where it does not match."""
        self._element = ""
        for statement in rule.statements:
            if isinstance(statement, Condition):
                holds = condition_holds(statement, packet, self.world)
                if holds is None:
                    holds = self._ask("source port", rule, modelled=True)
                if not holds:
                    return None
                if not statement.negated:
                    self._see_element(statement.fields, statement.members, packet)
            elif isinstance(statement, Depends):
                if not self._ask(statement.name, rule, modelled=True):
                    return None
            elif isinstance(statement, Unknown):
                if not self._ask(statement.name, rule, modelled=False):
                    return None
                if statement.ends:
                    self.note("rule", f"{rule.table} {rule.chain}", rule.text, statement.name, rule, hook, packet)
                    raise Stopped("undecidable", "target", self.steps[-1])
            else:
                verdict = self._act(statement, rule, packet, hook)
                if verdict is not None:
                    return verdict if verdict.name != "none" else None
        return None

    def _act(self, statement: Statement, rule: Rule, packet: Packet, hook: str) -> Verdict | None:
        if isinstance(statement, Verdict):
            return statement
        if isinstance(statement, VerdictMap):
            values = read_values(statement.fields, packet, self.world)
            if values is None:
                return Verdict("none")
            self._see_element(statement.fields, statement.members, packet)
            found, verdict = statement.members.find(values)
            if found is None and self._ask("source port", rule, modelled=True):
                verdict = next((value for _, value in statement.members), None)
            return verdict or Verdict("none")
        if isinstance(statement, Translation):
            return self._translation(statement, rule, packet, hook)
        if isinstance(statement, SetMark):
            self._set_mark(statement, packet)
        elif isinstance(statement, Untrack):
            packet.untrack()
        elif isinstance(statement, Note):
            pass
        return None

    def _see_element(self, fields: tuple[Field, ...], members: Members[Any], packet: Packet) -> None:
        if members.comments:
            values = read_values(fields, packet, self.world)
            place = members.place(values)[1] if values is not None else None
            self._element = members.comments.get(place, self._element) if place is not None else self._element

    def _ask(self, name: str, rule: Rule, *, modelled: bool) -> bool:
        return self.choices.ask(name, f"{rule.table} {rule.chain}: {rule.text}", modelled=modelled)

    def _set_mark(self, change: SetMark, packet: Packet) -> None:
        connection = packet.connection
        old = {"mark": packet.mark, "ct.mark": connection.mark if connection else 0}
        value = old[change.copy] & change.mask if change.copy else change.value
        new = (old[change.which] & ~change.mask) ^ value
        if change.which == "mark":
            packet.mark = new
        elif connection is not None:
            connection.mark = new

    def _translate(self, hook: str, chains: list[Chain], packet: Packet) -> None:
        """Connection tracking's translation at its fixed place: the chains for the first packet, what they decided for all others."""
        connection = packet.connection
        if connection is None or not packet.tracked:
            return
        of_source = hook in {"postrouting", "input"}
        if packet.reply or packet.state != NEW:
            self._as_before(hook, packet)
            return
        if connection.source_set if of_source else connection.destination_set:
            return
        for chain in self._nat_order(hook, chains):
            if self._base(chain, packet, hook):
                break
        if of_source:
            connection.source_set = True
        else:
            connection.destination_set = True

    def _nat_order(self, hook: str, chains: list[Chain]) -> list[Chain]:
        """In the order of their priorities; of equal ones either may come first."""
        ordered = _ordered(chains)
        for place, chain in enumerate(ordered[:-1]):
            rival = ordered[place + 1]
            equal = rival.priority == chain.priority and bool(chain.rules) and bool(rival.rules)
            if equal and self.choices.ask(ORDER, f"{hook}: {chain.table}, {rival.table}", modelled=True):
                ordered[place], ordered[place + 1] = rival, chain
        return ordered

    def _as_before(self, hook: str, packet: Packet) -> None:
        """The translation that the connection's first packet got, or for an answer its inverse (nf_nat_packet)."""
        connection = packet.connection
        if connection is None:
            return
        goes_as = connection.original.reversed() if packet.reply else connection.reply.reversed()
        before = packet.now
        if hook in {"postrouting", "input"}:
            port = goes_as.sport if packet.protocol == connection.protocol else None
            packet.now = translated(before, source=True, address=goes_as.source, port=port)
        else:
            port = goes_as.dport if packet.protocol == connection.protocol else None
            packet.now = translated(before, source=False, address=goes_as.destination, port=port)
        if packet.now != before:
            self.note("translation", f"nat {hook}", "connection tracking", "as before", None, hook, packet)

    def _translation(self, change: Translation, rule: Rule, packet: Packet, hook: str) -> Verdict | None:
        connection = packet.connection
        if connection is None or (change.family != ANY and change.family != packet.family):
            return None
        of_source = change.kind in {"snat", "masquerade"} or (
            change.kind == "netmap" and hook in {"postrouting", "input"}
        )
        address, port, known = self._new_address(change, rule, packet)
        if not known:
            return Verdict("none")
        if packet.protocol in (1, 58):
            port = None
        if not of_source and port is not None and port.low != port.high:
            now = packet.now.dport
            port = now if now is not None and port.covers(now) else port
        packet.now = translated(packet.now, source=of_source, address=address, port=port)
        connection.reply = packet.now.reversed()
        if of_source:
            connection.translated_source = packet.now.source != connection.original.source
        else:
            connection.translated_destination = True
        new = packet.now.source if of_source else packet.now.destination
        span = packet.now.sport if of_source else packet.now.dport
        shown = f"{change.kind} {new}{f':{span.low}' if span is not None and span.low == span.high else ''}"
        self.note("rule", f"{rule.table} {rule.chain}", rule.text, shown, rule, hook, packet)
        return Verdict("translated")

    def _new_address(
        self, change: Translation, rule: Rule, packet: Packet
    ) -> tuple[AnyAddress | None, Span | None, bool]:
        """(address, port, whether there is one)."""
        if change.lookup is not None:
            values = read_values(change.fields, packet, self.world)
            found, value = change.lookup.find(values) if values is not None else (False, None)
            if not found or value is None:
                return None, None, False
            self._see_element(change.fields, change.lookup, packet)
            first = value[0]
            port = value[1] if len(value) > 1 and isinstance(value[1], Span) else None
            if change.port_lookup is not None:
                values = read_values(change.port_fields, packet, self.world)
                found, ports = change.port_lookup.find(values) if values is not None else (False, None)
                if not found or ports is None:
                    return None, None, False
                port = ports[0] if isinstance(ports[0], Span) else None
            return (address_of(packet.family, first.low) if isinstance(first, Span) else None), port, True
        if change.kind == "masquerade":
            return self._address_of(packet.oif, packet, packet.now.destination), change.ports, True
        if change.kind == "redirect":
            device = packet.iif or "lo"
            address = self._address_of(device, packet, packet.now.source)
            return (
                (address_of(packet.family, 0x7F000001 if packet.family == 4 else 1) if device == "lo" else address),
                change.ports,
                True,
            )
        if change.kind == "netmap":
            return self._netmap(change, packet), None, True
        if change.addresses is None:
            return None, change.ports, True
        if change.addresses.low != change.addresses.high and not self._ask(
            "one of several addresses", rule, modelled=True
        ):
            return address_of(packet.family, change.addresses.low), change.ports, True
        return address_of(packet.family, change.addresses.low), change.ports, True

    def _netmap(self, change: Translation, packet: Packet) -> AnyAddress | None:
        if change.addresses is None:
            return None
        hosts = change.addresses.high - change.addresses.low
        old = int(packet.now.destination)
        return address_of(packet.family, change.addresses.low | (old & hosts))

    def _address_of(self, name: str, packet: Packet, towards: AnyAddress) -> AnyAddress | None:
        """The address of a device that suits packets towards *towards*; one without any (``lo`` has none of global scope) borrows the
        first that another device has (``inet_select_addr``)."""
        device = self.world.by_name.get(name)
        others = sorted(self.world.devices, key=lambda one: one.index)
        own = [one for one in (device.addresses if device is not None else ()) if _is_global(one, packet.family)]
        far = [one for other in others for one in other.addresses if _is_global(one, packet.family)]
        near = [one for one in own if towards in one.network]
        return next((one.ip for one in (*near, *own, *far)), None)


def _is_global(address: AnyInterface, family: int) -> bool:
    return address.version == family and not address.ip.is_loopback and not address.ip.is_link_local


def _ordered(chains: Iterable[Chain]) -> list[Chain]:
    return sorted(chains, key=lambda chain: (chain.priority, _flavour_order(chain)))


def _flavour_order(chain: Chain) -> int:
    return {LEGACY: 0, IPTABLES_NFT: 1, NATIVE: 2}[chain.flavour]
