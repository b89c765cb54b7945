"""Reading containers' logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks import logs
from networks.logs import LogFollower, LogLine, LogParser


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
    assert texts(follower.read()) == ["two", "three"]
    follower.close()


def test_a_follower_starts_over_when_the_file_was_emptied(log: Path) -> None:
    log.write_text(entry(1, "one") * 10)
    follower = LogFollower(log)
    log.write_text(entry(2, "two"))
    assert texts(follower.read()) == ["two"]
    follower.close()
