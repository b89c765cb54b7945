"""Files, names and variables over REST."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_api import People
from tests.testlib.world import World

pytestmark = pytest.mark.django_db


def test_each_line_of_each_file_comes_with_its_owner_and_reason(world: World, rest: People) -> None:
    world.container("db")
    world.container("web", links=["db"])
    everything = rest("viewer")("GET", "files").json()
    assert [item["container"]["name"] for item in everything["results"]] == ["db", "web"]
    one = rest("viewer")("GET", "containers/web/files/lines").json()
    assert one["results"] == everything["results"][1]["files"]
    (line,) = [line for line in one["results"][0]["lines"] if line["origin"] == "link"]
    assert line["owner"]["kind"] == "link"
    assert "container db" in line["why"]["text"]


def test_who_resolves_a_name_over_rest(world: World, rest: People) -> None:
    world.container("db")
    world.container("web", links=["db:database"])
    answer = rest("viewer")("GET", "names", name="database").json()
    found: dict[str, Any] = {item["container"]["name"]: item for item in answer["results"]}
    assert found["db"]["answers"] == []
    (told,) = found["web"]["answers"]
    assert told["source"] == "hosts"
    assert told["text"].split("\t") == [told["address"], f"database {told['text'].split()[2]} db"]
    refused = rest("viewer")("GET", "names", name="not a name")
    assert (refused.status_code, refused.json()["field"]) == (400, "name")


def test_variables_of_links_over_rest(world: World, rest: People) -> None:
    world.container("db")
    web = world.container("web", links=["db"], env={"MODE": "x"})
    answer = rest("viewer")("GET", f"containers/{web.short_id}/environment").json()
    assert answer == {
        "env": {"MODE": "x"},
        "links": [{"name": "DB_NAME", "at_start": None, "now": "/web/db", "stale": True}],
    }
