"""The commands of nft that carry out a script on our table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from networks.cnm.errors import KernelRefused
from networks.cnm.iptables_text import parse_rule
from networks.cnm.text import gettext_noop
from worker.firewall.backend import Script

from . import expressions
from .expressions import FAMILIES, chain_name
from .lookups import LOOKUPS, Element, ElementKey, Lookup, lookup_for, lookup_of
from .table import BASE_CHAINS, NAME, ChainKey, Command, Gathered, Line, Table, exceptions_of


@dataclass(slots=True)
class Change:
    """What a script makes of a table."""

    before: Table
    after: Table
    commands: list[tuple[Command, str]] = field(default_factory=list)
    """Each with the line of the script that it carries out; empty where it serves several."""
    added: list[tuple[Command, Line]] = field(default_factory=list)
    """Rules that get their handle from the kernel."""


def change_table(before: Table, script: Script) -> Change:
    """The commands that carry out *script*, in the order of one transaction.

    Raises :class:`KernelRefused` when a line speaks of what is not there, :class:`Unsupported` for words that nft has not.
    """
    return _Writer(before).change(script)


class _Writer:
    """Carries the lines of a script out on a copy, then tells how the copy differs."""

    def __init__(self, before: Table) -> None:
        self.before = before
        self.family = before.family
        self.after = Table(before.family, exists=before.exists, foreign=before.foreign)
        self.after.chains = {place: list(lines) for place, lines in before.chains.items()}
        self.after.policies = dict(before.policies)
        for place, found in before.gathered.items():
            self.after.gathered[place] = dict(found)
        self.taken = {(item.lookup.name, item.key) for found in before.gathered.values() for item in found.values()}
        self.exceptions = {lookup.name: exceptions_of(before, lookup) for lookup in LOOKUPS}
        for lookup in LOOKUPS:
            standing = self._stands(before, lookup)
            for name in lookup.set_names:
                if name in before.elements:
                    # What stayed behind without its lookup must not come to life with it.
                    self.after.elements[name] = dict(before.elements[name]) if standing else {}
        self.origins: dict[tuple[object, object], str] = {}
        self.gone: list[tuple[ChainKey, str]] = []
        self.deleted: list[tuple[ChainKey, Line, str]] = []

    def change(self, script: Script) -> Change:
        for table, lines in script.tables.items():
            for line in lines:
                self._carry_out(table, line)
        change = Change(self.before, self.after)
        change.commands = list(self._commands(change))
        return change

    def _carry_out(self, table: str, line: str) -> None:
        verb, _, rest = line.partition(" ")
        chain, _, body = rest.partition(" ")
        place = (table, chain)
        if verb == "-N":
            self.after.chains[place] = []
            self.origins[place, "chain"] = line
        elif verb == "-X":
            self.after.chains.pop(place, None)
            self.gone.append((place, line))
        elif verb == "-D":
            self._delete(place, f"-A {rest}", line)
        elif verb == "-I":
            number, _, body = body.partition(" ")
            self._stand(place, int(number) - 1, f"-A {chain} {body}", line)
        elif not self._gather(place, line):
            self._stand(place, len(self.after.chains.get(place, ())), line, line)

    def _delete(self, place: ChainKey, text: str, origin: str) -> None:
        lines = self.after.chains.get(place, [])
        for at, line in enumerate(lines):
            if line.text == text:
                del lines[at]
                self.deleted.append((place, line, origin))
                return
        found = self.after.gathered[place].pop(text, None)
        if found is None:
            raise KernelRefused(
                gettext_noop("Another program has changed the table {table} of nftables: {line} is not there."),
                remedy=gettext_noop("Try again."),
                table=NAME,
                line=origin,
                facts={"line": origin},
            )
        self.taken.discard((found.lookup.name, found.key))
        self._take_out(found.lookup, found.key)

    def _stand(self, place: ChainKey, at: int, text: str, origin: str) -> None:
        self.after.chains.setdefault(place, []).insert(at, Line(text))
        self.origins[place, text] = origin

    def _gather(self, place: ChainKey, text: str) -> bool:
        """Put a rule into its map or set; false: it has none, or another rule stands there by the same key."""
        rule = parse_rule(text, self.family, place[0])
        found = lookup_for(rule)
        if found is None or (found[0].name, found[1]) in self.taken:
            return False
        lookup, key = found
        self._take_out(lookup, key)  # parts that do nothing by themselves
        for element in lookup.elements(rule, key):
            self.after.elements.setdefault(element.set, {})[element.key] = element
            self.origins[element.set, element.key] = text
            if element.set == lookup.exceptions:
                self.exceptions[lookup.name][key].append(element)
        self.after.gathered[place][text] = Gathered(lookup, key)
        self.taken.add((lookup.name, key))
        return True

    def _take_out(self, lookup: Lookup, key: ElementKey) -> None:
        keys = [(lookup.name, key), (f"{lookup.name}.port", key)]
        keys += [(element.set, element.key) for element in self.exceptions[lookup.name].pop(key, ())]
        for name, found in keys:
            self.after.elements.get(name, {}).pop(found, None)

    def _stands(self, table: Table, lookup: Lookup) -> bool:
        text = lookup.rule(self.family).text
        return any(line.text == text for line in table.chains.get((lookup.table, lookup.chain), ()))

    def _commands(self, change: Change) -> Iterator[tuple[Command, str]]:
        for place in BASE_CHAINS:
            if place in self.after.chains and not self.after.chains[place]:
                del self.after.chains[place]
        if not self.after.chains and not self.after.foreign:
            if self.before.exists:
                yield self._command("delete", "table", name=NAME), ""
            change.after = Table(self.family)
            return
        if not self.before.exists:
            yield self._command("add", "table", name=NAME), ""
        self.after.exists = True
        yield from self._new_chains()
        wanted = [lookup for lookup in LOOKUPS if self._stands(self.after, lookup)]
        yield from self._new_sets(wanted)
        for place, line, origin in self.deleted:
            if line.handle is not None:
                yield self._command("delete", "rule", chain=chain_name(*place), handle=line.handle), origin
        for lookup in wanted:
            for name in lookup.set_names:
                yield from self._changed_elements(name)
        for place, lines in self.after.chains.items():
            yield from self._new_rules(place, lines, change)
        yield from self._old_sets(wanted)
        yield from self._old_chains()

    def _new_chains(self) -> Iterator[tuple[Command, str]]:
        for place in self.after.chains:
            if place in self.before.chains:
                continue
            hook = {}
            if place in BASE_CHAINS:
                kind, name, priority = BASE_CHAINS[place]
                hook = {"type": kind, "hook": name, "prio": priority, "policy": "accept"}
                self.after.policies[place] = "ACCEPT"
            yield self._command("add", "chain", name=chain_name(*place), **hook), self.origins.get((place, "chain"), "")

    def _new_sets(self, wanted: Iterable[Lookup]) -> Iterator[tuple[Command, str]]:
        for lookup in wanted:
            for kind, definition in lookup.sets(self.family):
                if definition["name"] not in self.before.elements:
                    self.after.elements.setdefault(definition["name"], {})
                    yield self._command("add", kind, **definition), ""

    def _changed_elements(self, name: str) -> Iterator[tuple[Command, str]]:
        before, after = self.before.elements.get(name, {}), self.after.elements.get(name, {})
        gone = [element for key, element in before.items() if after.get(key) != element]
        new = [element for key, element in after.items() if before.get(key) != element]
        if gone:
            yield self._command("delete", "element", name=name, elem=[_key(element) for element in gone]), ""
        if new:
            origin = self.origins.get((name, new[0].key), "") if len(new) == 1 else ""
            yield self._command("add", "element", name=name, elem=[_element(element) for element in new]), origin

    def _new_rules(self, place: ChainKey, lines: list[Line], change: Change) -> Iterator[tuple[Command, str]]:
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
            change.added.append((command, line))
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
                if definition["name"] in self.before.elements:
                    self.after.elements.pop(definition["name"], None)
                    yield self._command("delete", kind, name=definition["name"]), ""

    def _old_chains(self) -> Iterator[tuple[Command, str]]:
        origins = dict(self.gone)
        for place in self.before.chains:
            if place not in self.after.chains:
                self.after.policies.pop(place, None)
                yield self._command("delete", "chain", name=chain_name(*place)), origins.get(place, "")

    def _command(self, verb: str, kind: str, **fields: Any) -> Command:
        if kind == "table":
            return {verb: {kind: {"family": FAMILIES[self.family], **fields}}}
        return {verb: {kind: {"family": FAMILIES[self.family], "table": NAME, **fields}}}


def _key(element: Element) -> object:
    return {"concat": list(element.key)} if len(element.key) > 1 else element.key[0]


def _element(element: Element) -> object:
    made = {"elem": {"val": _key(element)} | ({"comment": element.comment} if element.comment else {})}
    return made if element.value is None else [made, element.value]
