"""Reading containers' logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks import logs
from networks.logs import FileFollower, LogFollower, LogLine, LogParser


def entry(number: int, text: str, kind: str = "F", stream: str = "stdout") -> str:
    return f"2026-11-24T12:00:00.{number:09d}+00:00 {stream} {kind} {text}\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


def test_a_line_has_its_time_its_stream_and_its_text_with_blanks(log: Path) -> None:
    log.write_text(entry(1, "a  b ", stream="stderr") + entry(2, ""))
    assert logs.tail(log) == [
        LogLine("2026-11-24T12:00:00.000000001+00:00", "stderr", "a  b "),
        LogLine("2026-11-24T12:00:00.000000002+00:00", "stdout", ""),
    ]


def test_parts_are_put_together_by_stream(log: Path) -> None:
    log.write_text(entry(1, "ab", "P") + entry(2, "other", stream="stderr") + entry(3, "cd", "P") + entry(4, "ef"))
    assert logs.tail(log) == [
        LogLine("2026-11-24T12:00:00.000000002+00:00", "stderr", "other"),
        LogLine("2026-11-24T12:00:00.000000001+00:00", "stdout", "abcdef"),
    ]


def test_what_has_no_line_end_yet_is_shown(log: Path) -> None:
    log.write_text(entry(1, "done") + entry(2, "login: ", "P"))
    assert texts(logs.tail(log)) == ["done", "login: "]


def test_what_is_no_entry_is_passed_over(log: Path) -> None:
    log.write_bytes(b"rubbish\n\xff\xfe\n\n" + entry(1, "good").encode() + b"2026 stdout F cut o")
    assert texts(logs.tail(log)) == ["good"]


def test_a_file_that_is_not_there_has_no_lines(log: Path) -> None:
    assert logs.tail(log, 10) == []


@pytest.mark.parametrize("count", [0, 1, 7, 2999, 3000, 5000])
def test_a_tail_is_the_end_of_the_whole(log: Path, count: int) -> None:
    whole = [f"line {number} " + "x" * (number % 97) for number in range(3000)]
    log.write_text("".join(entry(number, text) for number, text in enumerate(whole)))
    assert texts(logs.tail(log, count)) == whole[len(whole) - min(count, len(whole)) :]


def test_the_first_line_of_a_tail_is_whole(log: Path) -> None:
    part = "y" * 8000
    log.write_text("".join(entry(n, part, "P") for n in range(20)) + entry(20, "end") + entry(21, "last"))
    assert texts(logs.tail(log, 2)) == [part * 20 + "end", "last"]


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(max_size=50), st.integers(0, 3))))
def test_however_a_line_is_cut_it_comes_back(written: list[tuple[str, str, int]]) -> None:
    entries, expected = [], []
    for stream, text, cuts in written:
        line = text.replace("\n", " ").replace("\r", " ")
        line = line.encode(errors="replace").decode()
        for _ in range(cuts):
            entries.append(entry(1, line[:5], "P", stream).encode()[:-1])
        entries.append(entry(1, line, "F", stream).encode()[:-1])
        expected.append((stream, line[:5] * cuts + line))
    assert [(line.stream, line.text) for line in LogParser().lines(entries)] == expected


def test_a_follower_goes_on_where_its_tail_ended(log: Path) -> None:
    log.write_text(entry(1, "one") + entry(2, "two"))
    follower = LogFollower(log, tail=1)
    assert texts(follower.first) == ["two"]
    assert follower.read() == []
    with log.open("a") as file:
        file.write(entry(3, "three") + "2026 stdout F ha")
    assert texts(follower.read()) == ["three"]
    with log.open("a") as file:
        file.write("lf\n")
    assert texts(follower.read()) == ["half"]
    follower.close()


def test_a_follower_survives_a_rotation_and_a_file_that_comes_late(log: Path) -> None:
    follower = LogFollower(log)
    assert follower.read() == []
    log.write_text(entry(1, "one"))
    assert texts(follower.read()) == ["one"]
    with log.open("a") as file:
        file.write(entry(2, "two"))
    new = log.with_name("log.tmp")
    new.write_text(entry(3, "three"))
    new.rename(log)
    assert texts(follower.read()) == ["two"]
    assert follower.missed, "there may have been another file between"
    follower.missed = False
    assert texts(follower.read()) == ["three"]
    follower.close()


def rotated(log: Path, content: str) -> None:
    """As conmon does it."""
    new = log.with_name("log.tmp")
    new.write_text(content)
    new.rename(log)


def turn(follower: FileFollower) -> list[str]:
    return [line.text for line in LogParser().lines(follower.entries())]


def test_a_follower_reads_no_more_at_once_than_a_turn(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TURN", logs.BLOCK)
    words = [f"{number:06d}" for number in range(5000)]
    log.write_text("".join(entry(1, word) for word in words))
    follower = FileFollower(log)
    found: list[list[str]] = []
    while follower.grown:
        found.append(turn(follower))
    assert [word for some in found for word in some] == words
    assert max(map(len, found)) < 2500
    with log.open("a") as file:
        file.write(entry(1, "more"))
    assert follower.grown
    assert turn(follower) == ["more"]
    assert not follower.grown
    follower.close()


def test_a_follower_that_was_slow_reads_the_file_between_or_says_that_entries_are_lost(log: Path) -> None:
    log.write_text(entry(1, "one"))
    log.with_name("log.tmp").touch()  # as the worker makes it, in time
    follower = FileFollower(log)
    for number, word in enumerate(("two", "three"), 2):
        rotated(log, entry(number, word))
    assert turn(follower) == ["one", "two"]
    assert follower.missed, "nobody knows whether there was another between the second and the third"
    assert follower.behind
    follower.missed = False
    assert (turn(follower), follower.missed, follower.behind) == (["three"], False, False)
    follower.close()
    log.with_name("log.tmp").touch()
    for words, missed in ((["four"], False), (["five", "six", "seven"], True)):
        follower = FileFollower(log, at_end=True)
        for word in words:
            rotated(log, entry(4, word))
        found, lost = turn(follower), follower.missed
        follower.missed = False
        found += turn(follower)
        assert (found, lost) == ([word for word in words if word != "six"], missed)
        follower.close()
        log.with_name("log.tmp").touch()


def test_a_follower_knows_whether_what_a_removed_container_printed_is_whole(log: Path) -> None:
    for size, missed in ((0, False), (logs.LARGEST, True)):
        log.write_text(entry(1, "one"))
        log.with_name("log.tmp").touch()
        follower = FileFollower(log)
        rotated(log, entry(2, "x" * size))
        log.unlink()
        found = follower.entries()
        while follower.behind:
            found += follower.entries()
        assert len(found) == 2
        assert follower.missed is missed
        follower.close()


def test_a_follower_starts_over_when_the_file_was_emptied(log: Path) -> None:
    log.write_text(entry(1, "one") * 10)
    follower = LogFollower(log)
    log.write_text(entry(2, "two"))
    assert texts(follower.read()) == ["two"]
    follower.close()


def test_who_comes_back_reads_on_and_nothing_is_lost_or_comes_twice(log: Path) -> None:
    log.write_text(entry(1, "one") + entry(2, "two ", "P", "stderr") + entry(3, "three"))
    first = LogFollower(log, tail=10)
    assert texts(first.first) == ["one", "three"]
    with log.open("a") as file:
        file.write(entry(4, "halves", "F", "stderr") + entry(5, "four") + "2026 stdout F fi")
    place = first.position
    assert texts(first.read()) == ["two halves", "four"]
    first.close()
    second = LogFollower(log, tail=0, since=place)
    assert (texts(second.first), second.gap) == (["two halves", "four"], False)
    place = second.position
    second.close()
    with log.open("a") as file:
        file.write("ve\n")
    third = LogFollower(log, tail=0, since=place)
    assert texts(third.first) == ["five"]
    place = third.position
    third.close()
    new = log.with_name("log.tmp")
    new.write_text(entry(6, "six"))
    new.rename(log)
    fourth = LogFollower(log, tail=5, since=place)
    assert (texts(fourth.first), fourth.gap) == (["six"], True)
    fourth.close()


@pytest.mark.parametrize("place", ["x", "1-", "-5", "1-99999999999999999999", "0-0", "\0"])
def test_a_place_that_makes_no_sense_is_a_gap(log: Path, place: str) -> None:
    log.write_text(entry(1, "one"))
    follower = LogFollower(log, tail=5, since=place)
    assert (texts(follower.first), follower.gap) == (["one"], True)
    follower.close()


def test_a_file_that_goes_on_from_another_lacks_lines_unless_fewer_are_asked_for(log: Path) -> None:
    log.write_text("".join(entry(number, f"line {number}") for number in range(10)))
    log.chmod(logs.MODE)
    assert [logs.kept(log, count)[1] for count in (None, 5, 20)] == [False, False, False]
    for mode in (0o600, logs.MODE | logs.CONTINUES):  # as conmon makes one, and as it is once it is shared
        log.chmod(mode)
        assert [logs.kept(log, count)[1] for count in (None, 5, 20)] == [True, False, True]
    found = []
    for count in (None, 5, 20):
        follower = LogFollower(log, tail=count)
        found.append(follower.late)
        follower.close()
    assert found == [True, False, True]


def test_a_file_that_may_not_be_read_yet_is_waited_for(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = FileFollower(log)
    assert not follower.hidden
    monkeypatch.setattr(logs, "_readable", lambda path: None)  # root may read everything
    log.write_text(entry(1, "late"))
    assert (follower.entries(), follower.hidden) == ([], True)
    monkeypatch.undo()
    assert (len(follower.entries()), follower.hidden) == (1, False)
    follower.close()
