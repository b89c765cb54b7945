"""YAML as people write it: the core schema alone, each value with its line, and nothing that grows beyond its file."""

from __future__ import annotations

import pytest
import yaml

from networks.cnm.errors import InvalidSpec
from networks.services.yaml_text import DEEPEST, MOST_BYTES, read_yaml, write_yaml


def test_words_are_what_they_look_like() -> None:
    text = "{a: on, b: 22:22, c: 0x10, d: '1', e: !!str 5, f: 1.5, g: , h: true, i: 010, j: 2026-01-01, k: ~, l: -3, m: =, n: 1e999}"
    assert read_yaml(text).value == {
        "a": "on",
        "b": "22:22",
        "c": 16,
        "d": "1",
        "e": "5",
        "f": 1.5,
        "g": None,
        "h": True,
        "i": 10,
        "j": "2026-01-01",
        "k": None,
        "l": -3,
        "m": "=",
        "n": "1e999",
    }


def test_aliases_and_merge_keys_are_followed_and_the_nearer_value_wins() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {x: 3}\nc:\n  y: 9\n  <<: [*b, *a]\nd: *a\n"
    assert read_yaml(text).value["c"] == {"x": 3, "y": 9}
    assert read_yaml(text).value["d"] == {"x": 1, "y": 2}
    assert read_yaml("'<<': 1").value == {"<<": 1}, "quoted it is a name"


def test_each_path_has_its_line_and_others_that_of_what_is_around_them() -> None:
    document = read_yaml("a:\n  b:\n  - x\n  - c: 1\n")
    assert [document.line_of(path) for path in ("a", "a.b.0", "a.b.1.c", "a.b.7", "a.z", "")] == [1, 3, 4, 2, 1, 1]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", 2),
        ("a: 1\nb: 1\na: 2", 3),
        ("a: !reset null", 1),
        ("a: !!python/object/apply:os.system [x]", 1),
        ("a: &a [*a]", 1),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), 1),
        ("- " * 100_000, 1),
        ("? [a]\n: 1", 1),
        ("a: &a 1\n<<: *a", 2),
        ("a: 1\n---\nb: 1", 2),
        ("a: *nobody", 1),
        ("".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10) if i else '1'}]\n" for i in range(9)), 1),
        ("".join(f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 10) if i else '{x: 1}'}]}}\n" for i in range(9)), 1),
    ],
)
def test_what_is_refused_names_its_line(text: str, line: int) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_yaml(text)
    assert refused.value.facts["line"] == line
    assert str(refused.value.remedy)


def test_a_tag_of_python_makes_nothing() -> None:
    with pytest.raises(InvalidSpec):
        read_yaml("a: !!python/name:os.system")


def test_a_file_that_is_too_large_or_no_text_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="larger"):
        read_yaml("a" * (MOST_BYTES + 1))
    for text in ("a: \x00", "a: \udcff"):
        with pytest.raises(InvalidSpec):
            read_yaml(text)


def test_what_is_written_is_read_back_by_us_and_by_others() -> None:
    value = {
        "a": ["22:22", "on", "1", "null", "", "é", " x", "#"],
        "b": {"t": "one\ntwo\n"},
        "c": 1.5,
        "d": True,
        "e": [],
    }
    text = write_yaml(value)
    assert read_yaml(text).value == value
    assert yaml.safe_load(text) == value
    assert "|\n    one\n    two\n" in text
    assert "&" not in write_yaml({"a": value["a"], "b": value["a"]})
