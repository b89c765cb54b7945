"""The box of notices: news waits together until it is taken, and one message is enough for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from worker.notices import Notice, NoticeBox


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notices"


def test_news_is_told_of_once_until_it_is_taken(path: Path) -> None:
    monitor, worker = NoticeBox(path), NoticeBox(path)
    assert monitor.put({"rules"}, "iptables (7)")
    assert not monitor.put({"links", "rules"}), "the worker knows that there is something"
    assert worker.take() == Notice({"rules", "links"}, "iptables (7)")
    assert worker.take() == Notice(), "a second message finds nothing"
    assert monitor.put({"clock"}), "and what comes after is told of again"


def test_the_last_writer_that_was_seen_is_named(path: Path) -> None:
    box = NoticeBox(path)
    box.put({"rules"}, "iptables (7)")
    box.put({"rules"}, "ufw (8)")
    box.put({"links"})
    assert box.take().writer == "ufw (8)"


def test_it_is_empty_before_and_after(path: Path) -> None:
    box = NoticeBox(path)
    assert box.is_empty()
    box.put({"full"})
    assert not box.is_empty()
    box.take()
    assert box.is_empty()


def test_a_shorter_notice_leaves_nothing_of_a_longer_one(path: Path) -> None:
    box = NoticeBox(path)
    box.put({"rules"}, "a program with a very long name (12345)")
    box.take()
    box.put({"links"})
    assert box.take() == Notice({"links"})


@pytest.mark.parametrize("text", ['{"what": ["ru', '{"what": 3}', "[]"])
def test_one_that_was_cut_off_asks_for_a_look_at_everything(path: Path, text: str) -> None:
    path.write_text(text)
    assert NoticeBox(path).take() == Notice({"full"})


def test_nothing_is_lost_between_two_that_put_and_take_at_once(path: Path) -> None:
    taken: set[str] = set()
    done = threading.Event()

    def take() -> None:
        box = NoticeBox(path)
        while not done.is_set():
            taken.update(box.take().what)
        taken.update(box.take().what)

    taker = threading.Thread(target=take)
    taker.start()
    box = NoticeBox(path)
    for number in range(500):
        box.put({str(number)})
    done.set()
    taker.join()
    assert taken == {str(number) for number in range(500)}
