"""What a backend of rules is to those who keep them: it reads and writes them in the vocabulary of iptables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from networks.cnm.iptables_text import Saved
from networks.cnm.rules import Rule

TABLES = ("raw", "mangle", "nat", "filter", "security")
"""In the order in which a packet meets them; written in this order."""


@dataclass(frozen=True, slots=True)
class Script:
    """What to do to each table of one address family: lines for iptables-restore, by table."""

    tables: Mapping[str, tuple[str, ...]]

    def __bool__(self) -> bool:
        return any(self.tables.values())

    def text(self) -> str:
        """The input of ``iptables-restore --noflush``."""
        parts: list[str] = []
        for table in sorted(self.tables, key=TABLES.index):
            if self.tables[table]:
                parts += [f"*{table}", *self.tables[table], "COMMIT"]
        return "\n".join(parts) + "\n"

    def transactions(self) -> int:
        """How many tables it writes."""
        return sum(1 for lines in self.tables.values() if lines)


class Slot(Protocol):
    """Where a backend keeps a rule that does not stand in its chain: behind the rule *via*, by *key*."""

    @property
    def via(self) -> Rule: ...

    @property
    def key(self) -> tuple[str | int, ...]: ...


class Backend(ABC):
    """One way to keep rules in the kernel, for both address families."""

    flavour: str

    @abstractmethod
    def generation(self) -> int | None:
        """A number that stays the same while no rule changes; None where there is no such sign."""

    def untouched(self, since: int) -> int | None:
        """The generation now, where nothing of what :meth:`read` reads has changed since *since*; None where it may have."""
        now = self.generation()
        return now if now == since else None

    def writer(self) -> str:
        """Who else changed what :meth:`read` reads since this was asked last, as ``name (pid)``; empty where the kernel does not tell."""
        return ""

    def strangers(self) -> str:
        """Who else changed any rule of the host since this was asked last, as :meth:`writer` has it."""
        return ""

    @abstractmethod
    def available(self, family: int = 4) -> bool:
        """Whether its programs are installed."""

    @abstractmethod
    def read(self, family: int, *, counters: bool = False) -> Saved:
        """All chains and rules of *family*. Reading makes no table that is not there.

        Raises :class:`Unsupported` where the programs are missing, :class:`KernelRefused` where they fail.
        """

    @abstractmethod
    def carry_out(self, scripts: Mapping[int, Script]) -> int:
        """Carry out scripts by address family, each table whole or not at all; how many transactions that took.

        Raises :class:`KernelRefused` naming the line.
        """

    def slot(self, rule: Rule) -> Slot | None:
        """Where *rule* may stand instead of in its chain, without an order among others; None: nowhere."""
        return None

    def is_via(self, text: str) -> bool:
        """Whether the rule *text* is there for rules in slots alone."""
        return False
