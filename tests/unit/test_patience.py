"""Looks that nobody waits for give way to operations."""

from __future__ import annotations

import pytest

from worker import patience
from worker.patience import MOST_TIMES, Interrupted, in_passing, pause_point, undisturbed


@pytest.fixture(autouse=True)
def always_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ASK_EVERY_S", 0.0)


class Work:
    """What waits, and what happened in which order."""

    def __init__(self, *arrivals: int) -> None:
        self.arrivals = list(arrivals)
        self.waiting = False
        self.said: list[str] = []

    def look(self) -> None:
        """Three sandboxes. Work arrives when as many as ``arrivals`` says were seen."""
        self.said.append("look")
        for seen in range(3):
            if self.arrivals and self.arrivals[0] == seen:
                self.arrivals.pop(0)
                self.waiting = True
            pause_point()
        self.said.append("seen")

    def serve(self) -> None:
        self.waiting = False
        self.said.append("served")

    def pass_by(self) -> list[str]:
        in_passing(self.look, lambda: self.waiting, self.serve)
        return self.said


def test_a_look_in_the_middle_gives_way_and_begins_anew() -> None:
    assert Work(1).pass_by() == ["look", "served", "look", "seen"]


def test_what_waits_before_the_look_comes_first() -> None:
    work = Work()
    work.waiting = True
    assert work.pass_by() == ["served", "look", "seen"]


def test_a_host_that_is_always_busy_is_looked_at_too() -> None:
    work = Work(*[0] * 100)
    assert work.pass_by() == [*["look", "served"] * MOST_TIMES, "look", "seen"]


def test_what_is_carried_out_during_a_look_is_not_given_up() -> None:
    def look() -> None:
        with undisturbed():
            pause_point()
        with pytest.raises(Interrupted):
            pause_point()
        said.append("seen")

    said: list[str] = []
    waiting = iter([False, True])
    in_passing(look, lambda: next(waiting), lambda: None)
    assert said == ["seen"]


def test_who_waits_for_a_look_gets_it_whole() -> None:
    pause_point()
