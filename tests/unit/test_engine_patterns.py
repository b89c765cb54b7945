"""A client's pattern of names finds what Python's would, and takes no longer for being malicious."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks.engine.errors import EngineError
from networks.engine.filters import matches_name
from networks.engine.patterns import LONGEST, pattern

ATOM = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "\\.", "-", "[a-c_]"])
BRANCH = st.tuples(
    st.sampled_from(["", "^"]),
    st.lists(st.tuples(ATOM, st.sampled_from(["", "", "*", "+", "?"])).map("".join), max_size=5).map("".join),
    st.sampled_from(["", "$"]),
).map("".join)


@given(st.lists(BRANCH, min_size=1, max_size=3).map("|".join), st.text("abc.-_", max_size=8))
def test_it_finds_what_a_backtracking_matcher_finds(text: str, name: str) -> None:
    assert pattern(text).found(name) == (re.search(text, name) is not None)


def test_a_name_is_found_by_part_and_by_pattern() -> None:
    assert matches_name((r"^/web\.[0-9]+$",), "web.12", "/web.12")
    assert matches_name(("eb",), "web")
    assert not matches_name(("^w$|^b",), "web")


@pytest.mark.parametrize(
    "text", ["^(a+)+$", "a{9}", r"\d", "(", "*a", "a**", "a$b", "[", "a^", "[z-a]", "a" * LONGEST + "b"]
)
def test_what_is_not_supported_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match="invalid filter 'name=") as refused:
        matches_name((text,), "a" * 40 + "!")
    assert refused.value.status == 400


def test_no_pattern_takes_long() -> None:
    begun = time.process_time()
    assert not matches_name(("^" + "a*" * 200 + "b$",), "a" * 128)
    assert time.process_time() - begun < 2
