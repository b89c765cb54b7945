"""The nftables backend: reads through ``nft -j list`` and writes through ``nft -j -f -``, both families in one transaction."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from networks.cnm.errors import KernelRefused
from networks.cnm.iptables_text import Saved
from networks.cnm.rules import Rule
from networks.cnm.text import gettext_noop
from worker.firewall.backend import Backend, Script, Slot
from worker.firewall.generation import Generation
from worker.firewall.programs import is_installed, run_program

from .change import Change, change_table
from .expressions import FAMILIES
from .lookups import lookup_for, lookup_of, slot_name
from .table import NAME, Command, Table, parse_table

NFTABLES = "nftables"


class Nft(Backend):
    """Our tables of nftables on this host."""

    flavour = NFTABLES

    def __init__(self) -> None:
        self._generation = Generation()
        self._tables: dict[int, tuple[int, Table]] = {}

    def generation(self) -> int | None:
        return self._generation.read()

    def available(self, family: int = 4) -> bool:
        return is_installed("nft") and self.generation() is not None

    def read(self, family: int, *, counters: bool = False) -> Saved:
        if counters:
            self._tables.pop(family, None)
        return self._table(family).saved(counters=counters)

    def carry_out(self, scripts: Mapping[int, Script]) -> int:
        before = self.generation()
        changes = {family: change_table(self._table(family), script) for family, script in scripts.items()}
        commands = [item for change in changes.values() for item in change.commands]
        if not commands:
            return 0
        try:
            self._write(commands, list(changes.values()))
        except Exception:
            self._tables.clear()
            raise
        after = self.generation()
        known = {family: table for family, (seen, table) in self._tables.items() if seen == before}
        known |= {family: change.after for family, change in changes.items()}
        trusted = before is not None and after == before + 1
        self._tables = {family: (after, table) for family, table in known.items()} if trusted and after else {}
        return 1

    def slot(self, rule: Rule) -> Slot | None:
        found = lookup_for(rule)
        return None if found is None else Slot(found[0].rule(rule.family), slot_name(found[1]))

    def is_via(self, text: str) -> bool:
        return lookup_of(text) is not None

    def _table(self, family: int) -> Table:
        generation = self.generation()
        known = self._tables.get(family)
        if known is not None and known[0] == generation:
            return known[1]
        table = parse_table(family, list_table(FAMILIES[family], NAME))
        if generation is not None:
            self._tables[family] = (generation, table)
        return table

    def _write(self, commands: Sequence[tuple[Command, str]], changes: Sequence[Change]) -> None:
        text = _document(command for command, _ in commands)
        added = {id(command): line for change in changes for command, line in change.added}
        # Only rules have handles that we must know.
        done = run_nft(["-j", *(["-e", "-a"] if added else []), "-f", "-"], text)
        if done.returncode != 0:
            raise _refused(done.stderr, commands)
        if not added:
            return
        answers = json.loads(done.stdout)["nftables"]
        for (command, _), answer in zip(commands, answers, strict=True):
            line = added.get(id(command))
            if line is not None:
                ((_, made),) = answer.items()
                line.handle = made["rule"]["handle"]


def list_table(family: str, name: str) -> list[dict[str, Any]]:
    """What is in one table; nothing where there is no such table. Raises :class:`KernelRefused`."""
    done = run_nft(["-j", "list", "table", family, name])
    if done.returncode != 0:
        if "No such file or directory" in done.stderr:
            return []
        raise _refused(done.stderr, ())
    found: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
    return found


def run_nft(words: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``nft``. Raises :class:`Unsupported` where it is missing, :class:`Unavailable` when it does not end."""
    late = gettext_noop("See what keeps the machine busy, then repair.")
    return run_program(["nft", *words], text, package=NFTABLES, when_late=late)


def _document(commands: Any) -> str:
    return json.dumps({"nftables": list(commands)}, separators=(",", ":"))


def _refused(complaint: str, commands: Sequence[tuple[Command, str]]) -> KernelRefused:
    line, cause = _blame(commands), _cause(complaint)
    return KernelRefused(
        gettext_noop("{program} refused the line {line}: {cause}")
        if line
        else gettext_noop("{program} refused a change of the rules: {cause}"),
        remedy=gettext_noop("Look at the host's page for what this kernel lacks, then repair."),
        program="nft",
        line=repr(line),
        cause=cause,
        facts={"status": 1, "stderr": complaint[:2000], "line": line},
    )


def _blame(commands: Sequence[tuple[Command, str]]) -> str:
    """The line whose command is the first that is refused. nft names no place in JSON, so ever shorter parts are tried dry."""
    good, bad = 0, len(commands)
    while bad - good > 1:
        middle = (good + bad) // 2
        if run_nft(["-c", "-j", "-f", "-"], _document(command for command, _ in commands[:middle])).returncode == 0:
            good = middle
        else:
            bad = middle
    return commands[good][1] if commands else ""


def _cause(complaint: str) -> str:
    first = complaint.strip().splitlines()[0] if complaint.strip() else "no reason given"
    return first.rpartition("Error: ")[2]
