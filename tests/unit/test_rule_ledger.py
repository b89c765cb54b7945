"""The ledger of rules survives its writer, and stays small."""

from __future__ import annotations

from pathlib import Path

from networks.cnm.rules import Rule, Target
from worker.firewall.ledger import RuleLedger


def rule(number: int, rank: int = 1) -> Rule:
    return Rule(family=4, table="nat", chain=f"C{number}", target=Target("RETURN"), rank=(rank, number))


def test_what_was_recorded_is_known_to_the_next_worker(tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "rules.json"
    ledger = RuleLedger(path)
    ledger.record([rule(1), rule(2)])
    ledger.forget([(4, "nat", rule(2).text)])
    again = RuleLedger(path)
    assert again.rank(4, "nat", rule(1).text) == (1, 1)
    assert again.rank(4, "nat", rule(2).text) is None
    assert again.rank(6, "nat", rule(1).text) is None
    assert len(again) == 1


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    RuleLedger(path).record([rule(1)])
    path.write_text(path.read_text() + '[[4,"nat","-A C2')
    ledger = RuleLedger(path)
    assert len(ledger) == 1
    ledger.record([rule(3)])
    assert RuleLedger(path).rank(4, "nat", rule(3).text) == (1, 3)


def test_the_journal_does_not_grow_without_end(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    ledger = RuleLedger(path)
    for turn in range(2000):
        ledger.record([rule(1, turn), rule(2, turn)])
    assert len(path.read_text().splitlines()) < 400
    assert RuleLedger(path).rank(4, "nat", rule(2).text) == (1999, 2)


def test_an_empty_ledger_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    ledger = RuleLedger(path)
    ledger.record([rule(1)])
    ledger.forget([(4, "nat", rule(1).text)])
    assert not path.exists()
    ledger.record([rule(2)])
    assert len(RuleLedger(path)) == 1
