"""Frames between a face and an exec session, and what is kept of its output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks.cnm import frames
from worker.sessions.scrollback import Scrollback

FRAMES = st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=300)), max_size=8)


@given(sent=FRAMES, cuts=st.lists(st.integers(1, 40), min_size=1))
def test_frames_arrive_whole_however_the_bytes_are_cut(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frames.frame(kind, data) for kind, data in sent)
    reader, found, at, turn = frames.Frames(), [], 0, 0
    while at < len(stream):
        length = cuts[turn % len(cuts)]
        found += reader.feed(stream[at : at + length])
        at, turn = at + length, turn + 1
    assert [(item.kind, item.data) for item in found] == sent


def test_what_keeps_not_to_the_form_is_refused() -> None:
    for bad in (b"\x09\0\0\0\0", b"\x01\xff\xff\xff\xff"):
        with pytest.raises(frames.BadFrame):
            frames.Frames().feed(bad)
    for kind, data in ((frames.STATE, b"[]"), (frames.STATE, b"{"), (frames.STATE, b"\xff")):
        with pytest.raises(frames.BadFrame):
            frames.Frame(kind, data).json()
    with pytest.raises(frames.BadFrame):
        frames.Frame(frames.TAKEN, b"1").count()
    with pytest.raises(ValueError, match="too many"):
        frames.frame(frames.STDIN, bytes(frames.MOST + 1))


def test_objects_counts_and_pieces_go_to_and_fro() -> None:
    [state, count] = frames.Frames().feed(frames.told(frames.STATE, {"state": "ended"}) + frames.taken(70_000))
    assert (state.json(), count.count()) == ({"state": "ended"}, 70_000)
    long = bytes(range(256)) * 1000
    assert b"".join(frames.pieces(long)) == long
    assert max(map(len, frames.pieces(long))) == frames.MOST


def test_who_comes_back_gets_what_was_missed_and_nothing_twice() -> None:
    kept = Scrollback(kept=100)
    kept.add(b"one\ntwo\n")
    assert kept.since(0) == (0, b"one\ntwo\n")
    assert kept.since(4) == (4, b"two\n")
    assert kept.since(8) == (8, b"")


def test_what_is_kept_is_bounded_and_a_cut_line_is_left_out() -> None:
    kept = Scrollback(kept=100)
    for number in range(1000):
        kept.add(b"line %d\n" % number)
    begins, data = kept.since(0)
    assert data.startswith(b"line ")
    assert data.endswith(b"line 999\n")
    assert 80 < len(data) <= 100
    assert begins == kept.total - len(data)
    assert kept.since(kept.total + 5) == (begins, data), "a place that was never reached"
