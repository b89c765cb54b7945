"""News is told soon and together; what our own writes cause is looked at only after them."""

import pytest

from worker.monitor.news import ECHO_S, GATHER_S, News
from worker.notices import Notice


def test_news_of_one_moment_is_told_together() -> None:
    news = News()
    news.saw("links", 1.0)
    news.saw("rules", 1.01, "iptables (7)")
    assert news.due(1.02) is None
    assert news.due(1.0 + GATHER_S) == Notice({"links", "rules"}, "iptables (7)")
    assert news.due(9.0) is None


def test_our_own_writes_are_looked_at_after_them_and_once() -> None:
    news = News()
    news.ours(1.0)
    news.saw("rules", 1.0)
    assert news.due(1.1) is None
    assert news.due(1.0 + ECHO_S) == Notice({"rules"})


def test_an_exit_is_told_at_once_and_what_else_is_new_as_ever() -> None:
    news = News()
    news.saw("links", 1.0, "ip (7)")
    news.saw("exits", 1.01)
    assert news.wait_s(1.01) == 0.0
    assert news.due(1.01) == Notice({"exits"})
    assert news.due(1.02) is None
    assert news.due(1.0 + GATHER_S) == Notice({"links"}, "ip (7)")


def test_exits_and_the_clock_are_told_while_we_write() -> None:
    news = News()
    news.ours(1.0)
    news.saw("rules", 1.0)
    news.saw("exits", 1.0)
    assert news.due(1.0) == Notice({"exits"})
    news.saw("clock", 1.0)
    assert news.due(1.1) == Notice({"clock"})
    assert news.due(1.0 + ECHO_S) == Notice({"rules"})


def test_how_long_nothing_can_be_due() -> None:
    news = News()
    assert news.wait_s(1.0) == float("inf")
    news.saw("links", 1.0)
    assert news.wait_s(1.0) == pytest.approx(GATHER_S)
    news.ours(1.0)
    assert news.wait_s(1.0) > GATHER_S
    news.saw("clock", 1.0)
    assert news.wait_s(1.0) == pytest.approx(GATHER_S)
