"""REST: shapes, roles, refusals, lists. No worker runs here: writes are sent with ``?wait=0``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from networks.api import schemas
from networks.models import Container, Event, Network, Operation
from networks.services.spec_container import AttachRequest, ContainerRequest
from networks.services.spec_network import NetworkRequest, SubnetRequest
from networks.services.spec_ports import PortRequest
from tests.testlib.world import World

from .conftest import Rest

People = Callable[[str], Rest]


def problem(answer: Any, status: int, code: str = "") -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer.headers["content-type"] == "application/problem+json"
    value: dict[str, Any] = answer.json()
    assert value["status"] == status
    assert value["title"]
    assert not code or value["code"] == code
    return value


def test_nobody_gets_in_without_a_token(world: World) -> None:
    answer = Client().get("/api/v1/networks")
    problem(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    problem(Client(headers={"Authorization": "Bearer cnm_wrong"}).get("/api/v1/networks"), 401)


def test_a_viewer_reads_and_does_not_write(world: World, rest: People) -> None:
    assert rest("viewer")("GET", "networks").json()["count"] == 3
    refused = problem(rest("viewer")("POST", "networks", {"name": "x"}, wait=0), 403, "forbidden")
    assert "operator" in refused["detail"]


def test_a_created_network_is_accepted_and_shown(world: World, rest: People) -> None:
    answer = rest("operator")("POST", "networks", {"name": "app"}, wait=0)
    assert answer.status_code == 202
    operation = answer.json()["operation"]
    assert rest("viewer")("GET", f"operations/{operation['id']}").json()["state"] == "pending"
    world.work()
    shown = rest("viewer")("GET", "networks/app").json()
    assert shown["status"] == "ready"
    for reference in (shown["id"], shown["short_id"], shown["id"][:5]):
        assert rest("viewer")("GET", f"networks/{reference}").json()["name"] == "app"


def test_a_dry_run_shows_the_plan_and_leaves_no_trace(world: World, rest: People) -> None:
    call = rest("operator")
    rest("viewer")
    before = (Network.objects.count(), Operation.objects.count(), Event.objects.count())
    shown = call("POST", "networks", {"name": "app"}, dry_run=1).json()
    assert shown["plan"]["summary"]["create"] > 5
    assert all(step["why"]["text"] and step["owner"]["kind"] for step in shown["plan"]["steps"])
    assert shown["result"]["name"] == "app"
    assert before == (Network.objects.count(), Operation.objects.count(), Event.objects.count())
    problem(rest("viewer")("POST", "networks", {"name": "app"}, dry_run=1), 403)


def test_refusals_name_field_cause_and_remedy(world: World, rest: People) -> None:
    refused = problem(
        rest("operator")("POST", "networks", {"name": "app", "subnets": [{"subnet": "x"}]}), 400, "invalid"
    )
    assert refused["field"] == "subnets.0.subnet"
    assert "not a range" in refused["detail"]
    assert refused["remedy"]
    problem(rest("operator")("DELETE", "networks/bridge"), 403, "forbidden")
    missing = problem(rest("operator")("GET", "networks/brige"), 404, "not_found")
    assert "bridge" in missing["remedy"]
    problem(rest("operator")("POST", "networks", {"name": "o", "driver": "remote"}), 501, "unsupported")


def test_errors_speak_the_readers_language_or_english(world: World, rest: People) -> None:
    refused = problem(rest("operator")("DELETE", "networks/none"), 403)
    assert "predefined" in refused["detail"]


HOSTILE: list[Any] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"1",
    b'"x"',
    b"\xff\xfe",
    b'{"name": "\\u0000"}',
    b'{"name": "a\\u0000b"}',
    b'{"name": "\\ud800"}',
    b'{"name": 5}',
    b'{"name": null}',
    b'{"name": {"a": 1}}',
    b'{"name": "' + b"x" * 5000 + b'"}',
    b'{"name": "n", "labels": {"a": {"b": 1}}}',
    b'{"name": "n", "subnets": "10.0.0.0/8"}',
    b'{"name": "n", "subnets": [1]}',
    b'{"name": "n", "options": []}',
    b'{"name": "n", "internal": 1}',
    b'{"name": "n", "subnets": [{"subnet": 1e308}]}',
    b'{"name": "n", "enable_ipv6": "\xf0\x9f\x98\x80"}',
    b"[" * 3000 + b"]" * 3000,
    b'{"name": "n", "name ": "m"}',
    b'{"name": "' + "ｎａｍｅ".encode() + b'"}',
    b'{"name": "n", "ports": ["1:1:1:1:1"]}',
    b'{"name":"n","cpus":1e999}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize(
    "path",
    [
        "networks",
        "containers",
        "bulk",
        "bulk/stop",
        "bulk/remove",
        "networks/bridge/connect",
        "links",
        "images",
        "tokens",
    ],
)
def test_hostile_bodies_are_refused_and_write_nothing(world: World, rest: People, path: str, body: bytes) -> None:
    before = (Network.objects.count(), Container.objects.count(), Operation.objects.count())
    answer = rest("operator")("POST", path, body, wait=0)
    if answer.status_code in (201, 202) and path in ("bulk", "containers", "tokens"):
        return  # an empty body asks for a container of our naming, or for nothing; a token may have any name
    if answer.status_code == 200 and path in ("bulk/stop", "bulk/remove"):
        assert answer.json() == {"networks": [], "containers": []}
        return  # nothing was named
    problem(answer, answer.status_code)
    assert 400 <= answer.status_code < 500
    assert before == (Network.objects.count(), Container.objects.count(), Operation.objects.count())


def test_what_is_not_there_and_what_is_not_allowed_are_problems_too(world: World, rest: People) -> None:
    problem(rest("viewer")("GET", "nothing/here"), 404)
    problem(rest("operator")("PUT", "networks", {}), 405)
    answer = rest("operator").client.post("/api/v1/networks", "name=x", content_type="text/plain")
    problem(answer, 415)


def test_a_huge_body_is_refused(world: World, rest: People) -> None:
    problem(rest("operator")("POST", "networks", b'{"name": "' + b"x" * (5 * 2**20) + b'"}'), 413)


def test_lists_page_filter_and_sort_by_known_names_only(world: World, rest: People) -> None:
    for name in ("alpha", "beta", "gamma"):
        world.network(name)
    page = rest("viewer")("GET", "networks", sort="-name", page_size=2, page=1).json()
    assert (page["count"], [row["name"] for row in page["results"]]) == (6, ["none", "host"])
    assert [r["name"] for r in rest("viewer")("GET", "networks", q="amm").json()["results"]] == ["gamma"]
    assert rest("viewer")("GET", "networks", driver="null").json()["count"] == 1
    for parameters in ({"sort": "password"}, {"colour": "red"}, {"page": "0"}, {"page_size": "501"}, {"page": "x"}):
        problem(rest("viewer")("GET", "networks", **parameters), 400, "invalid")


@pytest.mark.parametrize("path", ["networks", "containers", "operations", "activity", "endpoints", "links", "topology"])
def test_lists_cost_the_same_for_many_rows_as_for_few(
    world: World, rest: People, path: str, django_assert_max_num_queries: Any
) -> None:
    caller = rest("viewer")
    world.container("db")
    for number in range(6):
        world.container(f"c{number}", ports=["80"], links=["db"])
    with django_assert_max_num_queries(20):
        assert caller("GET", path).status_code == 200


def test_containers_ports_and_links_over_rest(world: World, rest: People) -> None:
    call = rest("operator")
    call("POST", "containers", {"name": "db", "command": ["sleep", "9"]}, wait=0)
    world.work()
    made = call(
        "POST", "containers", {"name": "web", "command": ["x"], "ports": ["8080:80"], "links": ["db:d"]}, wait=0
    )
    assert made.status_code == 202, made.content
    world.work()
    web = call("GET", "containers/web").json()
    assert web["ports"][0]["host_port"] == 8080
    assert web["links"][0]["source"]["name"] == "db"
    assert call("POST", "containers/web/ports", {"ports": ["9090:90"]}, wait=0).status_code == 202
    assert call("DELETE", f"containers/web/ports/{web['ports'][0]['id']}", wait=0).status_code == 202
    problem(call("POST", "containers/web/rename", {"name": "db"}), 409)
    problem(call("DELETE", "containers/web"), 409)
    link = call("GET", "links").json()["results"][0]
    assert call("DELETE", f"links/{link['id']}", wait=0).status_code == 202
    assert call("GET", "containers/web/logs").status_code == 200


def test_tokens_are_made_shown_once_and_never_above_ones_own_role(world: World, rest: People) -> None:
    call = rest("operator")
    made = call("POST", "tokens", {"name": "ci", "role": "viewer"}).json()
    assert made["token"].startswith("cnm_")
    assert "token" not in call("GET", "tokens").json()["results"][0]
    problem(call("POST", "tokens", {"name": "boss", "role": "admin"}), 403)
    other = Client(headers={"Authorization": f"Bearer {made['token']}"})
    problem(other.post("/api/v1/networks", "{}", content_type="application/json"), 400)
    assert call("DELETE", f"tokens/{made['id']}").status_code == 204
    problem(other.get("/api/v1/networks"), 401)


def test_events_follow_a_snapshot(world: World, rest: People) -> None:
    start = rest("viewer")("GET", "events").json()
    assert start["type"] == "snapshot"
    world.network("app")
    news = rest("viewer")("GET", "events", since=start["n"], epoch=start["epoch"]).json()
    assert news["type"] == "events"
    assert any(event["kind"] == "network" and event["data"]["name"] == "app" for event in news["events"])


def test_the_schema_is_valid_and_without_warnings(world: World, tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


@pytest.mark.parametrize(
    ("schema", "request_class", "renamed"),
    [
        (schemas.NetworkRequest, NetworkRequest, {}),
        (schemas.SubnetRequest, SubnetRequest, {}),
        (schemas.PortSpec, PortRequest, {}),
        (schemas.Attach, AttachRequest, {}),
        (schemas.ContainerRequest, ContainerRequest, {"restart_max": None, "adopt_path": "adopt", "adopt_pid": None}),
    ],
)
def test_documented_requests_are_those_that_are_read(
    schema: Any, request_class: Any, renamed: dict[str, str | None]
) -> None:
    read = {renamed.get(item.name, item.name) for item in fields(request_class)} - {None}
    assert set(schema().fields) == read


def test_an_unknown_address_is_told_as_a_problem(client: Client) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = Client(enforce_csrf_checks=True).generic(method, "/api/v1/nothing-here")
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
