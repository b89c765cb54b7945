"""The commands of nft that carry out a script on our table. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from networks.cnm.errors import KernelRefused
from networks.cnm.iptables_text import parse_rule
from networks.cnm.text import gettext_noop
from worker.firewall.backend import Script

from . import expressions
from .expressions import FAMILIES, chain_name
from .lookups import LOOKUPS, Element, ElementKey, Held, Lookup, known_lookups, lookup_for_text, lookup_of
from .table import BASE_CHAINS, NAME, ChainKey, Command, Gathered, Line, Table


@dataclass(frozen=True, slots=True)
class ElementsChange:
    """What changes in one set or map."""

    name: str
    options: tuple[str, ...]
    """What the parts of a key are: the options of iptables whose values they are."""
    gone: tuple[Element, ...]
    new: tuple[Element, ...]
    origin: str = ""
    """The line of the script that it carries out, where it is one."""


@dataclass(slots=True)
class Change:
    """What a script makes of a table."""

    after: Table
    commands: list[tuple[Command, str]] = field(default_factory=list)
    """All but the elements; each with the line of the script that it carries out, empty where it serves several."""
    elements: list[ElementsChange] = field(default_factory=list)
    """Of sets that are there after the commands."""
    adds_rules: bool = False
    """Whether there are rules that get their handle from the kernel."""


def change_table(table: Table, script: Script) -> Change:
    """The commands that carry out *script*, in the order of one transaction. *table* itself becomes what it is after them.

    Raises :class:`KernelRefused` when a line speaks of what is not there, :class:`Unsupported` for words that nft has not; then
    *table* is neither what it was nor what it should be.
    """
    return _Writer(table).change(script)


class _Writer:
    """Carries the lines of a script out on a table, and notes what that changes: the cost follows from the script, not from the table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.family = table.family
        self.existed = table.exists
        self.chains_before = tuple(table.chains)
        self.sets_before = frozenset(table.elements)
        self.touched: dict[str, dict[ElementKey, Element | None]] = defaultdict(dict)
        """What stood in a set before, by the keys that were touched."""
        self.edited: set[ChainKey] = set()
        self.origins: dict[object, str] = {}
        """The line of the script that something carries out: by chain, by rule, and the last one by set."""
        self.gone: list[tuple[ChainKey, str]] = []
        self.deleted: list[tuple[ChainKey, Line, str]] = []
        for lookup in LOOKUPS:
            if not table.asks(lookup):
                # What stayed behind without its lookup must not come to life with it.
                for name in lookup.set_names:
                    for key in list(table.elements.get(name, ())):
                        self._put(name, key, None)
                table.exceptions[lookup.name] = {}

    def change(self, script: Script) -> Change:
        for table, lines in script.tables.items():
            known = known_lookups(self.family, table)
            for line in lines:
                # By far the most lines are rules that stand in a set or map.
                held = known.get(line)
                if held is None or not self._gather(held, line):
                    self._carry_out(table, line)
        change = Change(self.table)
        change.commands = list(self._commands(change))
        return change

    def _carry_out(self, table: str, line: str) -> None:
        verb, _, rest = line.partition(" ")
        chain, _, body = rest.partition(" ")
        place = (table, chain)
        if verb == "-N":
            self.table.chains[place] = []
            self.origins[place, "chain"] = line
        elif verb == "-X":
            self.table.chains.pop(place, None)
            self.gone.append((place, line))
        elif verb == "-D":
            self._delete(place, f"-A {rest}", line)
        elif verb == "-I":
            number, _, body = body.partition(" ")
            self._stand(place, int(number) - 1, f"-A {chain} {body}", line)
        else:
            held = lookup_for_text(self.family, table, line)
            if held is None or not self._gather(held, line):
                self._stand(place, len(self.table.chains.get(place, ())), line, line)

    def _delete(self, place: ChainKey, text: str, origin: str) -> None:
        lines = self.table.chains.get(place, [])
        for at, line in enumerate(lines):
            if line.text == text:
                del lines[at]
                self.deleted.append((place, line, origin))
                return
        found = self.table.gathered[place].pop(text, None)
        if found is None:
            raise KernelRefused(
                gettext_noop("Another program has changed the table {table} of nftables: {line} is not there."),
                remedy=gettext_noop("Try again."),
                table=NAME,
                line=origin,
                facts={"line": origin},
            )
        self.table.taken.discard((found.lookup.name, found.key))
        self._take_out(found.lookup, found.key)

    def _stand(self, place: ChainKey, at: int, text: str, origin: str) -> None:
        self.table.chains.setdefault(place, []).insert(at, Line(text))
        self.edited.add(place)
        self.origins[place, text] = origin

    def _gather(self, held: Held, text: str) -> bool:
        """Put a rule into its map or set; false: another rule stands there by the same key."""
        _, key, lookup, elements = held
        table, taken = self.table, (lookup.name, key)
        if taken in table.taken:
            return False
        self._take_out(lookup, key)  # parts that do nothing by themselves
        for element in elements:
            self._put(element.set, element.key, element)
            self.origins[element.set] = text
        if len(elements) > 1:
            table.exceptions[lookup.name].setdefault(key, []).append(elements[1])
        table.gathered[lookup.table, lookup.chain][text] = Gathered(lookup, key)
        table.taken.add(taken)
        return True

    def _take_out(self, lookup: Lookup, key: ElementKey) -> None:
        if key in self.table.elements.get(lookup.name, ()):
            self._put(lookup.name, key, None)
        for element in self.table.exceptions[lookup.name].pop(key, ()):
            self._put(element.set, element.key, None)

    def _put(self, name: str, key: ElementKey, element: Element | None) -> None:
        """Have *element* in the set *name* by *key*, or nothing."""
        found = self.table.elements.get(name)
        if found is None:
            found = self.table.elements[name] = {}
        before = found.get(key)
        if before == element:
            return
        self.touched[name].setdefault(key, before)
        if element is None:
            del found[key]
        else:
            found[key] = element

    def _commands(self, change: Change) -> Iterator[tuple[Command, str]]:
        for place in BASE_CHAINS:
            if place in self.table.chains and not self.table.chains[place]:
                del self.table.chains[place]
        if not self.table.chains and not self.table.foreign:
            if self.existed:
                yield self._command("delete", "table", name=NAME), ""
            change.after = Table(self.family)
            return
        if not self.existed:
            yield self._command("add", "table", name=NAME), ""
        self.table.exists = True
        yield from self._new_chains()
        wanted = [lookup for lookup in LOOKUPS if self.table.asks(lookup)]
        yield from self._new_sets(wanted)
        for place, line, origin in self.deleted:
            if line.handle is not None:
                yield self._command("delete", "rule", chain=chain_name(*place), handle=line.handle), origin
        for place, lines in self.table.chains.items():
            if place in self.edited:
                change.adds_rules = True
                yield from self._new_rules(place, lines)
        yield from self._old_sets(wanted)
        yield from self._old_chains()
        change.elements = [found for lookup in wanted for found in self._changed_elements(lookup)]

    def _new_chains(self) -> Iterator[tuple[Command, str]]:
        for place in self.table.chains:
            if place in self.chains_before:
                continue
            hook = {}
            if place in BASE_CHAINS:
                kind, name, priority = BASE_CHAINS[place]
                hook = {"type": kind, "hook": name, "prio": priority, "policy": "accept"}
                self.table.policies[place] = "ACCEPT"
            yield self._command("add", "chain", name=chain_name(*place), **hook), self.origins.get((place, "chain"), "")

    def _new_sets(self, wanted: Iterable[Lookup]) -> Iterator[tuple[Command, str]]:
        for lookup in wanted:
            for kind, definition in lookup.sets(self.family):
                self.table.elements.setdefault(definition["name"], {})
                if definition["name"] not in self.sets_before:
                    yield self._command("add", kind, **definition), ""

    def _changed_elements(self, lookup: Lookup) -> Iterator[ElementsChange]:
        for name in lookup.set_names:
            standing, touched = self.table.elements[name], self.touched.get(name, {})
            gone = [before for key, before in touched.items() if before is not None and standing.get(key) != before]
            new = [standing[key] for key, before in touched.items() if key in standing and standing[key] != before]
            if gone or new:
                origin = self.origins.get(name, "") if len(new) == 1 else ""
                options = ("-i", *lookup.fields) if name == lookup.exceptions else lookup.fields
                yield ElementsChange(name, options, tuple(gone), tuple(new), origin)

    def _new_rules(self, place: ChainKey, lines: list[Line]) -> Iterator[tuple[Command, str]]:
        standing: list[int | None] = []
        following: int | None = None
        for line in reversed(lines):
            standing.append(following)
            following = line.handle or following
        for line, before in zip(lines, reversed(standing), strict=True):
            if line.handle is not None:
                continue
            rule = self._render(place, line.text)
            if before is None:
                command = self._command("add", "rule", chain=chain_name(*place), **rule)
            else:
                command = self._command("insert", "rule", chain=chain_name(*place), handle=before, **rule)
            yield command, self.origins.get((place, line.text), line.text)

    def _render(self, place: ChainKey, text: str) -> dict[str, Any]:
        lookup = lookup_of(text)
        if lookup is not None:
            return {"expr": lookup.expressions(self.family)}
        return expressions.render_rule(parse_rule(text, self.family, place[0]))

    def _old_sets(self, wanted: list[Lookup]) -> Iterator[tuple[Command, str]]:
        for lookup in LOOKUPS:
            if lookup in wanted:
                continue
            for kind, definition in lookup.sets(self.family):
                self.table.elements.pop(definition["name"], None)
                if definition["name"] in self.sets_before:
                    yield self._command("delete", kind, name=definition["name"]), ""

    def _old_chains(self) -> Iterator[tuple[Command, str]]:
        origins = dict(self.gone)
        for place in self.chains_before:
            if place not in self.table.chains:
                self.table.policies.pop(place, None)
                yield self._command("delete", "chain", name=chain_name(*place)), origins.get(place, "")

    def _command(self, verb: str, kind: str, **fields: Any) -> Command:
        if kind == "table":
            return {verb: {kind: {"family": FAMILIES[self.family], **fields}}}
        return {verb: {kind: {"family": FAMILIES[self.family], "table": NAME, **fields}}}
