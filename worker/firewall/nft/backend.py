"""The nftables backend: reads through ``nft -j list`` and writes over netlink, both families and all that there is in one transaction."""

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
from worker.kernel import nft

from .change import Change, change_table
from .elements import element_messages
from .encode import Encoder
from .expressions import FAMILIES, chain_name
from .lookups import lookup_for, lookup_of
from .registers import NUMBERS
from .table import NAME, Table, parse_table

NFTABLES = "nftables"


class Nft(Backend):
    """Our tables of nftables on this host."""

    flavour = NFTABLES

    def __init__(self) -> None:
        self._generation = Generation([(number, NAME) for number in NUMBERS.values()])
        self._tables: dict[int, tuple[int, Table]] = {}

    def generation(self) -> int | None:
        return self._generation.read()

    def untouched(self, since: int) -> int | None:
        return self._generation.untouched(since)

    def writer(self) -> str:
        return self._generation.writer()

    def strangers(self) -> str:
        return self._generation.strangers()

    def available(self, family: int = 4) -> bool:
        return is_installed("nft") and self.generation() is not None

    def read(self, family: int, *, counters: bool = False) -> Saved:
        if counters:
            self._tables.pop(family, None)
        return self._table(family).saved(counters=counters)

    def carry_out(self, scripts: Mapping[int, Script]) -> int:
        """One transaction, whatever there is to write."""
        before = self.generation()
        try:
            changes = {family: change_table(self._table(family), script) for family, script in scripts.items()}
            written = self.send(list(changes.values()))
        except Exception:
            self._tables.clear()
            raise
        if not written:
            return 0
        after = self.generation()
        known = {family: table for family, (seen, table) in self._tables.items() if seen == before}
        known |= {family: change.after for family, change in changes.items()}
        trusted = before is not None and after == before + 1
        self._tables = {family: (after, table) for family, table in known.items()} if trusted and after else {}
        if any(change.adds_rules and not self._take_handles(change.after) for change in changes.values()):
            self._tables.clear()
        return 1

    def slot(self, rule: Rule) -> Slot | None:
        return lookup_for(rule)

    def is_via(self, text: str) -> bool:
        return lookup_of(text) is not None

    def _table(self, family: int) -> Table:
        known = self._tables.get(family)
        if known is not None:
            now = self.untouched(known[0])
            if now is not None:
                self._tables[family] = (now, known[1])
                return known[1]
        generation = self.generation()
        table = parse_table(family, list_table(FAMILIES[family], NAME))
        if generation is not None:
            self._tables[family] = (generation, table)
        return table

    def send(self, changes: Sequence[Change]) -> bool:
        """Send all of *changes* in one transaction; false: there is nothing to send. Raises :class:`KernelRefused` naming the line."""
        encoder = Encoder()
        messages: list[bytes] = []
        lines: list[str] = []
        for command, line in [item for change in changes for item in change.commands]:
            made = encoder.encode(command)
            messages += made
            lines += [line] * len(made)
        for message, line in [item for change in changes for item in element_messages(change)]:
            messages.append(message)
            lines.append(line)
        if not messages:
            return False
        try:
            with self._generation.ours():
                nft.transact(messages)
        except (
            OSError
        ) as refusal:  # not only of a message: no socket to be had, no room for what the kernel answers, no answer
            at = getattr(refusal, "message", None)
            raise _refused(refusal, "" if at is None else lines[at]) from refusal
        return True

    def _take_handles(self, table: Table) -> bool:
        """Learn the handles of a table's rules; false where others than ours stand there meanwhile."""
        handles = nft.handles_of(NAME, NUMBERS[table.family])
        for place, lines in table.chains.items():
            found = handles.pop(chain_name(*place), [])
            if len(found) != len(lines) or any(
                line.handle not in {None, of} for line, of in zip(lines, found, strict=True)
            ):
                return False
            for line, handle in zip(lines, found, strict=True):
                line.handle = handle
        return not handles


def list_table(family: str, name: str) -> list[dict[str, Any]]:
    """What is in one table; nothing where there is no such table. Raises :class:`KernelRefused`."""
    done = run_nft(["-j", "list", "table", family, name])
    if done.returncode != 0:
        if "No such file or directory" in done.stderr:
            return []
        raise KernelRefused(
            gettext_noop("{program} could not list the rules: {cause}"),
            remedy=gettext_noop("See what nft list ruleset prints."),
            program="nft",
            cause=done.stderr.strip() or done.returncode,
        )
    found: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
    return found


def run_nft(words: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``nft``. Raises :class:`Unsupported` where it is missing, :class:`Unavailable` when it does not end."""
    late = gettext_noop("See what keeps the machine busy, then repair.")
    return run_program(["nft", *words], text, package=NFTABLES, when_late=late)


def _refused(refusal: OSError, line: str) -> KernelRefused:
    cause = refusal.strerror or str(refusal)
    return KernelRefused(
        gettext_noop("{program} refused the line {line}: {cause}")
        if line
        else gettext_noop("{program} refused a change of the rules: {cause}"),
        remedy=gettext_noop("Look at the host's page for what this kernel lacks, then repair."),
        program="nf_tables",
        line=repr(line),
        cause=cause,
        facts={"status": refusal.errno, "stderr": cause, "line": line},
    )
