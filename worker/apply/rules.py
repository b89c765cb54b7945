"""Writing rules and chains: one transaction for each table, around what others have written."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from networks.cnm.errors import CnmError
from networks.cnm.names import Naming
from networks.cnm.plan import Action, Step, reversed_steps
from networks.cnm.resources import Key, Resource
from networks.cnm.rules import Chain, Rule
from networks.uncollected import uncollected
from worker.firewall import flows
from worker.firewall.backend import Backend, Script
from worker.firewall.edit import Put, edit_chain
from worker.firewall.iptables import restore_lines
from worker.firewall.ledger import RuleLedger
from worker.firewall.nft.listing import Ruleset
from worker.handler import Done
from worker.observe.rules import ChainKey, FamilyState, RuleReader, SlotPlace, snapshot

log = logging.getLogger(__name__)

_QUOTED = re.compile(r"[`']([A-Za-z0-9_.+-]+)'")


class RulesHandler:
    """Looks after our chains and rules in one backend."""

    kinds = frozenset({"rule", "chain"})

    def __init__(self, backend: Backend, naming: Naming, run_dir: Path, ledger: str = "rules.json") -> None:
        self.ledger = RuleLedger(run_dir / "ledger" / ledger)
        self.reader = RuleReader(backend, naming, self.ledger)
        self.backend = backend
        self.naming = naming
        self._ruleset = Ruleset()

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """Our chains and rules. A rule out of order has an empty rank, so that it differs from what is wanted."""
        found = list(self.reader.observe())
        return found if keys is None else [item for item in found if item.key in keys]

    def snapshot(self, *, counters: bool = True) -> dict[str, Any]:
        """Everybody's rules with their counters, for the firewall page; see :func:`worker.observe.rules.snapshot`."""
        return snapshot(self.backend.flavour, self._ruleset, counters=counters)

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Carry out *steps* together. Each table changes whole or not at all; when one is refused, those before it are put back."""
        by_family = _by_family(steps)
        try:
            with uncollected():
                self._write(by_family)
        except CnmError as error:
            self._put_back(by_family)
            error.facts = error.facts | _blame(error, steps)
            raise
        for step in steps:
            done(step)
        self._forget_flows(steps)

    def _write(self, by_family: Mapping[int, Sequence[Step]]) -> None:
        changes = {
            family: _Change(self.reader, self.reader.state(family), steps) for family, steps in by_family.items()
        }
        for change in changes.values():
            self.ledger.record((*change.rules, *change.vias))
            self.reader.remember(change.rules)
        scripts = {family: change.script for family, change in changes.items() if change.script}
        if scripts:
            before = self.backend.generation()
            try:
                transactions = self.backend.carry_out(scripts)
            except CnmError:
                self.reader.forget()
                raise
            self._account(before, transactions)
        for family, change in changes.items():
            change.settle()
            self.ledger.forget((family, table, text) for table, text in change.dropped)

    def _account(self, before: int | None, transactions: int) -> None:
        """Trust what we know when the kernel's rules have moved on by our own transactions and nobody else's."""
        after = self.backend.generation()
        ours = before is not None and after == before + transactions
        self.reader.trust(before, after if ours else None)

    def _put_back(self, by_family: Mapping[int, Sequence[Step]]) -> None:
        """Undo what was written of a change that was refused as a whole. What cannot be undone is found by the next look."""
        self.reader.forget()
        for family, steps in by_family.items():
            try:
                self._write({family: reversed_steps(steps)})
            except CnmError:
                log.exception("the rules of IPv%s could not be put back", family)

    def _forget_flows(self, steps: Sequence[Step]) -> None:
        if not flows.any_remembered():
            return
        made = [step.after for step in steps if step.action is Action.CREATE and isinstance(step.after, Rule)]
        gone = [step.before for step in steps if step.action is Action.DELETE and isinstance(step.before, Rule)]
        try:
            flows.forget(flows.called(made, gone))
        except OSError:
            log.exception("old connections to published ports could not be forgotten")


class _Change:
    """What one plan does to the tables of one family."""

    def __init__(self, reader: RuleReader, state: FamilyState, steps: Sequence[Step]) -> None:
        self._reader = reader
        self._state = state
        self.rules: list[Rule] = []
        """The rules that are to stand in the kernel."""
        self.dropped: list[tuple[str, str]] = []
        """(table, text) of those that are to go."""
        self.vias: list[Rule] = []
        """The lines that ask for rules in slots."""
        self._wanted: dict[ChainKey, list[Rule]] = defaultdict(list)
        self._drops: dict[ChainKey, set[str]] = defaultdict(set)
        self._commands: dict[str, list[str]] = defaultdict(list)
        self._lines: dict[ChainKey, tuple[str, ...]] = {}
        self._slots: dict[ChainKey, dict[str, SlotPlace]] = {}
        self._new: list[Chain] = []
        self._gone: list[ChainKey] = []
        self._sort(steps)
        self._edit()
        self._remove_chains([step.resource for step in steps if step.action is Action.DELETE])
        self.script = Script({table: restore_lines(commands) for table, commands in self._commands.items()})

    def settle(self) -> None:
        """Note what the kernel holds after the script."""
        for chain in self._new:
            self._state.policies[chain.table, chain.name] = "-"
            self._state.lines.setdefault((chain.table, chain.name), ())
        for key, lines in self._lines.items():
            self._state.set_lines(key, lines, self._slots.get(key, {}))
        for key in self._gone:
            self._state.remove_chain(key)

    def _sort(self, steps: Sequence[Step]) -> None:
        for step in steps:
            resource = step.resource
            if isinstance(resource, Rule):
                self._take_rule(resource, step)
            elif isinstance(resource, Chain) and step.action is Action.CREATE:
                self._make_chain(resource)

    def _take_rule(self, rule: Rule, step: Step) -> None:
        key = (rule.table, rule.chain)
        if step.action is Action.DELETE:
            self._drops[key].add(rule.text)
            self.dropped.append((rule.table, rule.text))
            return
        if step.action is Action.CHANGE and not rule.rank:
            return  # undoing a repair of the order: there is no sense in putting a rule out of order again
        self._wanted[key].append(rule)
        self.rules.append(rule)

    def _make_chain(self, chain: Chain) -> None:
        key = (chain.table, chain.name)
        if key in self._state.policies:
            return
        self._new.append(chain)
        self._commands[chain.table].append(f"-N {chain.name}")
        if chain.handed_over:
            first = _first_rule(chain.name)
            self._commands[chain.table].append(first)
            self._lines[key] = (first,)

    def _edit(self) -> None:
        for key in dict.fromkeys((*self._drops, *self._wanted)):
            table, chain = key
            lines = self._state.lines.get(key, ())
            drops = set(self._drops.get(key, ()))
            puts = self._fill_slots(key, lines, drops)
            ranks = self._reader.ranks(self._state.family, key, lines)
            edit = edit_chain(chain, lines, ranks, puts, drops)
            self._commands[table] += edit.commands
            self._lines[key] = edit.lines

    def _fill_slots(self, key: ChainKey, lines: Sequence[str], drops: set[str]) -> list[Put]:
        """Put what has a slot there. Returned is what has none, or finds it taken: lines, and those that ask for the slots.

        What a line must not say any more, for it stands in a slot or nothing is left that it could ask for, is added to *drops*.
        """
        backend = self._reader.backend
        slots = dict(self._state.slots.get(key, {}))
        commands = self._commands[key[0]]
        for text in sorted(drops & slots.keys()):
            del slots[text]
            commands.append(f"-D {text[3:]}")
        taken = {slot: text for text, slot in slots.items()}
        vias: dict[str, Rule] = {}
        puts = []
        standing = set(lines)
        for rule in self._wanted.get(key, ()):
            slot, text = backend.slot(rule), rule.text
            place: SlotPlace = (slot.via.text, slot.key) if slot is not None else ("", ())
            if slot is None or taken.setdefault(place, text) != text:
                puts.append(Put(text, rule.rank, rule.anchor))
                continue
            if text not in slots:
                commands.append(text)
                slots[text] = place
            vias[place[0]] = slot.via
            if text in standing:
                drops.add(text)
        asked = {via for via, _ in slots.values()}
        idle = {text for text in lines if backend.is_via(text) and text not in asked}
        drops |= idle
        self.dropped += [(key[0], text) for text in sorted(idle)]
        self._slots[key] = slots
        self.vias += vias.values()
        return [*puts, *(Put(via.text, via.rank) for via in vias.values())]

    def _remove_chains(self, resources: Iterable[Resource]) -> None:
        """Take chains away that nothing of anybody's stands in or jumps to; others stay, for what is not ours is not touched."""
        chains = [item for item in resources if isinstance(item, Chain)]
        for chain in chains:
            key = (chain.table, chain.name)
            if self._state.policies.get(key) != "-":
                continue
            left = self._lines.get(key, self._state.lines.get(key, ()))
            first = _first_rule(chain.name)
            slotted = self._slots.get(key, self._state.slots.get(key))
            if self._is_called(chain) or slotted or (left and not (chain.handed_over and left == (first,))):
                continue
            self._commands[chain.table] += [f"-D{first[2:]}"] if left else []
            self._commands[chain.table].append(f"-X {chain.name}")
            self._gone.append(key)

    def _is_called(self, chain: Chain) -> bool:
        jump = re.compile(rf" -[jg] {re.escape(chain.name)}( |$)")
        tables = {**self._state.lines, **self._lines}
        return any(jump.search(text) for (table, _), lines in tables.items() if table == chain.table for text in lines)


def _blame(error: CnmError, steps: Sequence[Step]) -> dict[str, Any]:
    """The key of the step that was refused: by the line that iptables names, or else by the name that it quotes."""
    line = str(error.facts.get("line", ""))
    verb, _, rest = line.partition(" ")
    if verb == "-I":
        chain, _, rest = rest.partition(" ")
        rest = f"{chain} {rest.partition(' ')[2]}"
    quoted = _QUOTED.findall(str(error.facts.get("stderr", "")))
    for step in steps:
        resource = step.resource
        text = resource.text if isinstance(resource, Rule) else f"-N {resource.key[-1]}"
        if (rest and text[3:] == rest) or (line == "COMMIT" and any(f" {word}" in text for word in quoted)):
            return {"key": list(step.key)}
    return {}


def _first_rule(chain: str) -> str:
    """What stands in a user chain when it is made."""
    return f"-A {chain} -j RETURN"


def _by_family(steps: Sequence[Step]) -> dict[int, list[Step]]:
    found: dict[int, list[Step]] = {4: [], 6: []}
    for step in steps:
        resource: Rule | Chain = step.resource  # type: ignore[assignment]  # the kinds that this handler looks after
        found[resource.family].append(step)
    return {family: some for family, some in found.items() if some}
