"""What differs from a real Docker Engine is written down with its reason, and nothing else differs."""

from __future__ import annotations

import re

import pytest

from tests.testlib.bottle import REPOSITORY

from .scenario import Played, differences
from .sides import both

DOCUMENT = REPOSITORY / "docs/docker-compatibility.md"


def listed() -> dict[str, re.Pattern[str]]:
    """What the document says may differ: places, in which ``*`` stands for anything."""
    text = DOCUMENT.read_text().partition("## Found by playing one scenario")[2]
    places = re.findall(r"^\| `([^`]+)` \| .+ \|$", text, re.MULTILINE)
    return {place: re.compile(".*".join(map(re.escape, place.split("*")))) for place in places}


def test_two_sides_are_compared_place_by_place() -> None:
    one, other = Played({"a": 1, "b": 2}), Played({"a": 1, "b": 3, "c": 4})
    assert differences(one, other) == {"b": (2, 3), "c": (None, 4)}
    assert listed()["inspect *: *Path"].fullmatch("inspect web: LogPath")


@pytest.mark.kernel
@pytest.mark.long
@pytest.mark.timeout(600)
def test_what_differs_from_a_docker_engine_is_listed_and_nothing_else_is() -> None:
    theirs, mine = both()
    found = differences(theirs, mine)
    known = listed()
    more = {place: pair for place, pair in found.items() if not any(p.fullmatch(place) for p in known.values())}
    assert more == {}, "these differ, and the document does not say so"
    assert [place for place, p in known.items() if not any(map(p.fullmatch, found))] == [], (
        "these do not differ any more"
    )
