"""The desired state by REST: YAML out and in, the plan first, roles, and refusals that name path and line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from networks.models import Container, Network, Operation
from tests.testlib.world import World

from .conftest import Rest
from .test_api import problem

People = Callable[[str], Rest]
FILE = """
networks:
  app: {subnets: [{subnet: 10.44.0.0/24}]}
containers:
  web:
    command: [sleep, "9"]
    network: app
    ports: ["8080:80"]
"""


def put(person: Rest, text: str, content_type: str = "application/yaml", **params: Any) -> Any:
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return person.client.generic("PUT", f"/api/v1/topology?{query}", text, content_type=content_type)


def test_the_plan_comes_first_and_nothing_is_written(world: World, rest: People) -> None:
    shown = put(rest("operator"), FILE, dry_run=1)
    assert shown.status_code == 200, shown.content
    body = shown.json()
    assert body["operation"]["verb"] == "topology.apply"
    assert [(c["name"], c["action"]) for c in body["result"]["changes"]] == [("app", "create"), ("web", "create")]
    kinds = {step["kind"] for step in body["plan"]["steps"]}
    assert {"bridge", "sandbox", "veth", "rule", "port", "process"} <= kinds
    assert not Container.objects.exists()
    assert not Operation.objects.exists()


def test_a_file_is_applied_once_and_exported_in_yaml_and_json_says_the_same(world: World, rest: People) -> None:
    answer = put(rest("operator"), FILE, wait=0)
    assert answer.status_code == 202
    world.work()
    again = put(rest("operator"), FILE)
    assert (again.status_code, again.json()["changes"], again.json()["operation"]) == (200, [], None)
    out = rest("viewer")("GET", "topology", format="yaml")
    assert (out.status_code, out["Content-Type"]) == (200, "application/yaml; charset=utf-8")
    value = yaml.safe_load(out.content)
    assert value["containers"]["web"] == {"command": ["sleep", "9"], "network": "app", "ports": ["8080:80"]}
    accepted = rest("viewer").client.get("/api/v1/topology", headers={"Accept": "application/yaml"})
    assert accepted.content == out.content
    assert rest("operator")("PUT", "topology", value).json()["changes"] == []
    graph = rest("viewer")("GET", "topology").json()
    assert {row["name"] for row in graph["networks"]} == {"bridge", "host", "none", "app"}


def test_pruning_is_asked_for_and_shown(world: World, rest: People) -> None:
    world.network("other")
    kept = put(rest("operator"), FILE, dry_run=1).json()
    assert kept["result"]["left_alone"] == {"networks": ["other"], "containers": []}
    assert not [step for step in kept["plan"]["steps"] if step["action"] == "delete"]
    shown = put(rest("operator"), FILE, dry_run=1, prune=1).json()
    assert {"kind": "network", "name": "other", "action": "remove", "fields": []} in shown["result"]["changes"]
    assert {step["kind"] for step in shown["plan"]["steps"] if step["action"] == "delete"} >= {"bridge", "rule"}
    put(rest("operator"), FILE, prune=1, wait=0)
    world.work()
    assert not Network.objects.filter(name="other").exists()


def test_an_empty_file_takes_nothing_away(world: World, rest: People) -> None:
    world.network("other")
    for text in ("", "{}", "# lost\n"):
        assert "empty" in problem(put(rest("operator"), text, prune=1), 400, "invalid")["detail"], text
    put(rest("operator"), "version: 1\n", prune=1, wait=0)
    world.work()
    assert not Network.objects.filter(name="other").exists()


def test_refusals_name_path_line_cause_and_remedy(world: World, rest: People) -> None:
    refused = problem(put(rest("operator"), FILE.replace("8080:80", "8080:0")), 400, "invalid")
    assert (refused["field"], refused["facts"]["line"]) == ("containers.web.ports.0", 8)
    assert refused["remedy"].startswith("Write a port as")
    refused = problem(put(rest("operator"), FILE.replace("10.44.0.0/24", "172.17.0.0/16")), 409, "conflict")
    assert (refused["field"], refused["facts"]["line"]) == ("networks.app.subnets.0.subnet", 3)
    for text, line in (
        ("a: [", 2),
        ("networks:\n  a: 1\n  a: 2\n", 3),
        ("x: &x [*x]", 1),
        ("[" * 5000, 1),
        ("a: !!python/name:os.system", 1),
    ):
        assert problem(put(rest("operator"), text), 400, "invalid")["facts"]["line"] == line, text
    problem(put(rest("operator"), "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")), 400, "invalid")
    problem(put(rest("operator"), "{}", dryrun=1), 400, "invalid")
    problem(put(rest("operator"), FILE, "text/plain"), 415, "unsupported_media_type")
    problem(put(rest("viewer"), FILE), 403, "forbidden")
    problem(put(rest("viewer"), FILE, dry_run=1), 403, "forbidden")
    assert not Container.objects.exists()
    assert not Network.objects.filter(name="app").exists()


def test_a_compose_file_becomes_such_a_file_and_says_what_is_left_out(world: World, rest: People) -> None:
    compose = "services:\n  web:\n    image: host\n    command: sleep ${TIME:-9}\n    ports: ['8080:80']\n    healthcheck: {}\n"
    answer = rest("viewer")("POST", "topology/compose", {"compose": compose, "variables": "TIME=7\n"})
    assert answer.status_code == 200, answer.content
    assert answer.json()["notes"] == [{"path": "services.web.healthcheck", "text": "healthcheck is not taken over."}]
    assert put(rest("operator"), answer.json()["file"], wait=0).status_code == 202
    world.work()
    made = Container.objects.get()
    assert (made.name, made.spec["command"], made.endpoints.get().network.name) == ("web", ["sleep", "7"], "default")
    named = rest("viewer")("POST", "topology/compose", {"compose": compose, "variables": {"TIME": "8"}})
    assert "'8'" in named.json()["file"]
    refused = problem(rest("viewer")("POST", "topology/compose", {"compose": "services: {a: {}}\n"}), 400, "invalid")
    assert (refused["field"], refused["facts"]["line"]) == ("services.a.image", 1)
