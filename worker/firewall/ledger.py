"""The ledger of rules: which rules of the kernel are ours, and how they are ordered among themselves.

A kernel keeps neither. The comment of a rule tells whose it is, but Docker naming has none; and no rule tells its rank. The ledger is
a journal under ``/run``: it is as old as the kernel's own memory of the rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from networks.cnm.rules import Rank, Rule

Place = tuple[int, str, str]
"""(family, table, text)."""
_SLACK = 256
"""How many lines more than entries the journal may have before it is written anew."""


class RuleLedger:
    """What we wrote into the kernel's tables, kept in *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ranks: dict[Place, Rank] = {}
        self._lines = 0
        self._load()

    def rank(self, family: int, table: str, text: str) -> Rank | None:
        """The rank under which a rule was written; None when we did not write it."""
        return self._ranks.get((family, table, text))

    def __len__(self) -> int:
        return len(self._ranks)

    def record(self, rules: Iterable[Rule]) -> None:
        """Note rules that are about to be written."""
        entries: list[Sequence[object]] = []
        ranks = self._ranks
        for rule in rules:
            place, rank = (rule.family, rule.table, rule.text), rule.rank
            if ranks.get(place) != rank:
                ranks[place] = rank
                entries.append((*place, rank))
        self._append(entries)

    def forget(self, places: Iterable[Place]) -> None:
        """Strike rules out that are gone."""
        entries: list[Sequence[object]] = [
            [*place, None] for place in places if self._ranks.pop(place, None) is not None
        ]
        if entries and not self._ranks:
            self.path.unlink(missing_ok=True)
            self._lines = 0
        else:
            self._append(entries)

    def _load(self) -> None:
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                entries = json.loads(line)
            except ValueError:
                continue  # a writer was killed in the middle of its last line; that write never reached the kernel
            self._lines += 1
            for family, table, rule, rank in entries:
                if rank is None:
                    self._ranks.pop((family, table, rule), None)
                else:
                    self._ranks[family, table, rule] = tuple(rank)
        if text and not text.endswith("\n"):
            self._rewrite()

    def _append(self, entries: list[Sequence[object]]) -> None:
        if not entries:
            return
        if self._lines > len(self._ranks) + _SLACK:
            self._rewrite()
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as journal:
            journal.write(json.dumps(entries, separators=(",", ":")) + "\n")
        self._lines += 1

    def _rewrite(self) -> None:
        entries: list[list[object]] = [[*place, list(rank)] for place, rank in self._ranks.items()]
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(entries, separators=(",", ":")) + "\n")
        new.replace(self.path)
        self._lines = 1
