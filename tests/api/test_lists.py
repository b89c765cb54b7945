"""Every list of the API: pages, filters, sorts, and a refusal of what it does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from networks.models import Drift, Observation
from tests.testlib.world import World

from .conftest import Rest
from .test_api import problem
from .test_dry_run import operations

People = Callable[[str], Rest]
LISTS = {
    path: sorted({parameter["name"] for parameter in described["parameters"] if parameter["in"] == "query"})
    for _, method, path, described in operations()
    if method == "get" and any(parameter["name"] == "page_size" for parameter in described["parameters"])
}
NEEDS = {"names": {"name": "db"}}
"""Parameters without which a list has nothing to say."""
OWN = {"q", "sort", "page", "page_size", "host"}


def rule(number: int, **more: Any) -> dict[str, Any]:
    return {
        "flavour": "iptables-legacy", "family": 4, "table": "nat", "chain": "CNM", "position": number,
        "text": f"-A CNM -p tcp --dport {number} -j RETURN", "packets": number % 7, "bytes": 0, "tag": "", **more,
    }  # fmt: skip


def observe(world: World, *rules: dict[str, Any]) -> None:
    Observation.objects.create(host=world.host, kind="rules", data={"rules": list(rules), "chains": []})


def asking(rest: People, path: str) -> Callable[..., Any]:
    """Calls with what *path* needs; a reference in it is to container web."""

    def call(method: str, open_path: str, **params: Any) -> Any:
        return rest("admin")(method, open_path.replace("{ref}", "web"), **{**NEEDS.get(path, {}), **params})

    return call


def test_there_are_lists() -> None:
    assert {"networks", "firewall/rules", "drift", "tokens"} <= set(LISTS)


@pytest.mark.parametrize("path", LISTS)
def test_every_list_has_pages_and_refuses_what_it_does_not_know(world: World, rest: People, path: str) -> None:
    world.container("web")
    call = asking(rest, path)
    first = call("GET", path, page_size=1)
    assert first.status_code == 200
    assert set(first.json()) >= {"count", "page", "page_size", "results"}
    assert len(first.json()["results"]) <= 1
    for field, value in (
        ("colour", "red"),
        ("sort", "password"),
        ("page", "0"),
        ("page_size", "501"),
        ("page", "9" * 5000),
    ):
        refused = problem(call("GET", path, **{field: value}), 400, "invalid")
        assert refused["field"] == field
        assert refused["remedy"]
    refused = problem(call("GET", path, sort="x"), 400)
    sorts = refused["remedy"].partition("Sort by one of ")[2].partition(";")[0]
    for name in filter(None, sorts.split(", ")):
        for direction in ("", "-"):
            assert call("GET", path, sort=direction + name).status_code == 200, name


@pytest.mark.parametrize(
    ("path", "name", "known"),
    [
        ("networks", "status", "ready"),
        ("containers", "state", "running"),
        ("containers", "kind", "sandbox"),
        ("operations", "state", "done"),
    ],
)
def test_a_value_that_no_object_can_have_is_refused(
    world: World, rest: People, path: str, name: str, known: str
) -> None:
    refused = problem(rest("viewer")("GET", path, **{name: "redy"}), 400, "invalid")
    assert refused["field"] == name
    assert known in refused["remedy"]
    assert rest("viewer")("GET", path, **{name: known}).status_code == 200


@pytest.mark.parametrize("path", LISTS)
def test_every_filter_and_the_search_are_applied(world: World, rest: People, path: str) -> None:
    world.container("web")
    call = asking(rest, path)
    for name in {*LISTS[path], "q"} - (OWN - {"q"}) - {"resolved", *NEEDS.get(path, ())}:
        answer = call("GET", path, **{name: "no-such-value"})
        if answer.status_code == 400:  # of the few that there are it is none
            assert problem(answer, 400, "invalid")["field"] == name
            continue
        assert answer.status_code == 200, answer.content
        assert answer.json()["count"] == 0, name


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("text", ["%00", "%ED%A0%80", "%1f"])
def test_no_parameter_takes_characters_that_nothing_is_called(world: World, rest: People, path: str, text: str) -> None:
    world.container("web")
    answer = asking(rest, path)("GET", path, q=text)
    assert answer.status_code in ((400,) if text != "%ED%A0%80" else (200, 400))


def test_mended_drift_is_listed_when_it_is_asked_for(world: World, rest: People) -> None:
    for text, resolved in (("open", None), ("mended", timezone.now())):
        Drift.objects.create(
            host=world.host, key=text, kind="missing", resource_kind="rule", text=text, resolved_at=resolved
        )
    call = rest("viewer")

    def texts(**params: str) -> list[str]:
        return [row["text"] for row in call("GET", "drift", **params).json()["results"]]

    assert texts() == texts(resolved="false") == texts(resolved="0") == ["open"]
    assert texts(resolved="true") == texts(resolved="1") == ["mended"]
    problem(call("GET", "drift", resolved="perhaps"), 400, "invalid")


def test_rules_are_paged_filtered_and_sorted(world: World, rest: People) -> None:
    observe(world, *(rule(number) for number in range(1, 31)), rule(1, table="raw", chain="PREROUTING", packets=None))
    call = rest("viewer")
    page = call("GET", "firewall/rules", page_size=10, page=3).json()
    assert (page["count"], page["page"], len(page["results"])) == (31, 3, 10)
    assert [row["position"] for row in page["results"]] == list(range(21, 31))
    assert call("GET", "firewall/rules", table="raw").json()["count"] == 1
    assert call("GET", "firewall/rules", q="dport 17 ").json()["results"][0]["position"] == 17
    counts = [row["packets"] for row in call("GET", "firewall/rules", sort="-packets", page_size=500).json()["results"]]
    assert counts == [*sorted(counts[:-1], reverse=True), None]


def test_a_page_of_very_many_rules_describes_that_page_alone(
    world: World, rest: People, django_assert_max_num_queries: Any
) -> None:
    observe(world, *(rule(number) for number in range(10_000)))
    call = rest("viewer")
    call("GET", "me")
    with django_assert_max_num_queries(16):
        page = call("GET", "firewall/rules", page=200).json()
    assert (page["count"], len(page["results"])) == (10_000, 50)
