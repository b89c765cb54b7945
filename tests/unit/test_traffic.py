"""Rates from two looks at counters that only grow, or begin anew."""

from __future__ import annotations

import pytest

from networks import traffic
from worker.kernel.counters import Counted
from worker.monitor.traffic import Sampler, rates


def test_a_rate_is_what_moved_in_a_second() -> None:
    assert rates({("a",): Counted(0, 0, 100, 1)}, {("a",): Counted(3000, 4, 100, 3)}, 2.0) == {("a",): [1500, 2, 0, 1]}


def test_what_stands_still_is_new_or_began_anew_has_no_rate() -> None:
    still, new, anew = Counted(5, 5, 5, 5), Counted(9, 9, 9, 9), Counted(1, 1, 1, 1)
    before = {("still",): still, ("anew",): new}
    assert rates(before, {("still",): still, ("new",): new, ("anew",): anew}, 1.0) == {}


def test_a_table_that_could_not_be_taken_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.monitor.traffic.traffic.is_asked", lambda: False)
    left = [True, False]
    monkeypatch.setattr("worker.monitor.traffic.meter_off", lambda: not left.pop(0))
    sampler = Sampler("local")
    sampler._metered = True
    assert sampler.turn() == sampler.turn() == sampler.turn() == traffic.EVERY_S
    assert left == [], "once it is gone, nobody tries any more"
    sampler._links.close()
