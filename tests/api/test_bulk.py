"""Many objects by REST: roles, refusals, answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from networks.models import Container, Operation
from tests.testlib.world import World

from .conftest import Rest
from .test_api import problem

People = Callable[[str], Rest]


def test_removal_names_what_goes(world: World, rest: People) -> None:
    world.network("app")
    world.container("web", network="app")
    body = {"containers": ["web"], "networks": ["app"], "force": True}
    shown = rest("operator")("POST", "bulk/remove", body, dry_run=1).json()
    assert shown["result"] == {"networks": ["app"], "containers": ["web"]}
    assert shown["operation"]["verb"] == "bulk.remove"
    kinds = {step["kind"] for step in shown["plan"]["steps"] if step["action"] == "delete"}
    assert {"bridge", "sandbox", "veth", "rule", "process"} <= kinds
    assert Container.objects.get().status == "running"
    answer = rest("operator")("POST", "bulk/remove", body, wait=0)
    assert answer.status_code == 202
    assert answer.json()["operation"]["verb"] == "bulk.remove"
    world.work()
    assert not Container.objects.exists()


def test_each_refusal_is_told_by_its_field(world: World, rest: People) -> None:
    for name in ("one", "two"):
        world.container(name)
    refused = problem(rest("operator")("POST", "bulk/remove", {"containers": ["one", "two"]}), 409, "conflict")
    assert [item["field"] for item in refused["facts"]["refused"]] == ["containers.0", "containers.1"]
    assert refused["remedy"] == "Stop it first, or remove it with force."
    problem(rest("operator")("POST", "bulk/stop", {"containers": ["ghost"]}), 404, "not_found")


def test_nothing_to_do_is_an_answer_without_an_operation(world: World, rest: People) -> None:
    world.container("web")
    before = Operation.objects.count()
    answer = rest("operator")("POST", "bulk/start", {"containers": ["web"]})
    assert (answer.status_code, answer.json()) == (200, {"networks": [], "containers": ["web"]})
    assert Operation.objects.count() == before


@pytest.mark.parametrize("verb", ["start", "stop", "remove"])
def test_a_viewer_may_not(world: World, rest: People, verb: str) -> None:
    world.container("web")
    problem(rest("viewer")("POST", f"bulk/{verb}", {"containers": ["web"]}), 403, "forbidden")


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("stop", {"containers": "web"}, "containers"),
        ("stop", {"containers": [1]}, "containers.0"),
        ("stop", {"containers": ["web"], "timeout": 3601}, "timeout"),
        ("start", {"containers": ["web"], "timeout": 1}, "timeout"),
        ("remove", {"containers": ["web"], "force": "yes"}, "force"),
        ("remove", {"containers": ["x"] * 5001}, "containers"),
    ],
)
def test_bad_input_changes_nothing(world: World, rest: People, verb: str, body: object, field: str) -> None:
    world.container("web")
    before = Operation.objects.count()
    assert problem(rest("operator")("POST", f"bulk/{verb}", body), 400, "invalid")["field"] == field
    assert Operation.objects.count() == before
