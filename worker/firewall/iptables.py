"""The iptables backend: reads through iptables-save and writes through iptables-restore, of either flavour.

One process reads all tables of an address family, one writes them: everything that a change does to a table is one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from networks.cnm.errors import KernelRefused
from networks.cnm.iptables_text import Saved, parse_save
from networks.cnm.text import gettext_noop
from worker.kernel.nft_message import IPV4, IPV6

from .backend import TABLES, Backend, Script
from .generation import Generation, legacy_tables
from .programs import is_installed, run_program

FLAVOURS = ("iptables-legacy", "iptables-nft")
LOCK_WAIT_S = 10
"""How long a writer waits for ``/run/xtables.lock``."""

_LINE = re.compile(r"line:? (\d+)")


class Iptables(Backend):
    """One flavour of iptables on this host, for both address families."""

    def __init__(self, flavour: str) -> None:
        if flavour not in FLAVOURS:
            raise ValueError(f"No such flavour: {flavour}")
        self.flavour = flavour
        self._generation = Generation([(family, table) for family in (IPV4, IPV6) for table in TABLES])

    @property
    def is_nft(self) -> bool:
        return self.flavour == "iptables-nft"

    def generation(self) -> int | None:
        """A number that stays the same while no rule changes; None where there is no such sign (legacy)."""
        return self._generation.read() if self.is_nft else None

    def untouched(self, since: int) -> int | None:
        return self._generation.untouched(since) if self.is_nft else None

    def writer(self) -> str:
        return self._generation.writer()

    def strangers(self) -> str:
        return self._generation.strangers() if self.is_nft else ""

    def available(self, family: int = 4) -> bool:
        """Whether this flavour's programs are installed."""
        return is_installed(self._program(family, "restore"))

    def read(self, family: int, *, counters: bool = False) -> Saved:
        """All chains and rules of *family*. Reading makes no table that is not there.

        Raises :class:`Unsupported` where the programs are missing, :class:`KernelRefused` where they fail.
        """
        program = self._program(family, "save")
        options = ["-c"] if counters else []
        if self.is_nft:
            return parse_save(self._run([program, *options]), family)
        # Without a table's name legacy saves what is registered; with none registered it would have nothing to open.
        if not legacy_tables(family):
            return Saved(family)
        return parse_save(self._run([program, *options]), family)

    def carry_out(self, scripts: Mapping[int, Script]) -> int:
        """Carry out scripts by address family; how many transactions that took, one for each table."""
        with self._generation.ours():
            for family, script in sorted(scripts.items()):
                self.write(family, script)
        return sum(script.transactions() for script in scripts.values())

    def write(self, family: int, script: Script) -> None:
        """Carry out *script*; each table changes whole or not at all. Raises :class:`KernelRefused` naming the line."""
        text = script.text()
        command = [self._program(family, "restore"), "--noflush", "-w", str(LOCK_WAIT_S)]
        self._run(command, text)

    def _program(self, family: int, verb: str) -> str:
        return f"{'ip6' if family == 6 else 'ip'}tables{self.flavour.removeprefix('iptables')}-{verb}"

    def _run(self, command: list[str], text: str = "") -> str:
        late = gettext_noop("See whether another program holds /run/xtables.lock, then repair.")
        done = run_program(command, text, package="iptables", when_late=late)
        if done.returncode != 0:
            raise _refused(command[0], done.returncode, done.stderr, text)
        return done.stdout


def _refused(program: str, status: int, complaint: str, text: str) -> KernelRefused:
    numbers = [int(number) for number in _LINE.findall(complaint)]
    lines = text.splitlines()
    line = next((lines[number - 1] for number in numbers if 0 < number <= len(lines)), "")
    cause = complaint.strip().splitlines()[0] if complaint.strip() else f"exit status {status}"
    return KernelRefused(
        gettext_noop("{program} refused the line {line}: {cause}")
        if line and line != "COMMIT"
        else gettext_noop("{program} refused a change of the rules: {cause}"),
        remedy=gettext_noop("Look at the host's page for what this kernel lacks, then repair."),
        program=program,
        line=repr(line),
        cause=cause,
        facts={"status": status, "stderr": complaint[:2000], "line": line},
    )


def restore_lines(commands: Iterable[str]) -> tuple[str, ...]:
    """Commands in an order that one transaction allows: chains first, then what goes, then what comes, then chains that go."""
    order = {"-N": 0, "-D": 1, "-I": 2, "-A": 2, "-X": 3}
    return tuple(sorted(commands, key=lambda command: order[command[:2]]))
