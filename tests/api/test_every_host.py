"""Lists of what all hosts have, and of one; questions about a host are about one."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest

from networks.models import Activity, Capture, Drift, ExecSession, Host, Observation
from networks.services import networks
from networks.services.images import ensure_host_image
from tests.api.test_audit import see
from tests.testlib.world import World

from .conftest import Rest

pytestmark = pytest.mark.django_db
People = Callable[[str], Rest]


@pytest.fixture
def both(world: World) -> tuple[World, World]:
    """Two hosts, each with one of everything that lists tell of."""
    row = Host.objects.create(name="two", settings={"names": "cnm"}, heartbeat_at=world.host.heartbeat_at)
    networks.ensure_defaults(row)
    ensure_host_image(row)
    two = World(row)
    for place in (world, two):
        place.container("db")
        web = place.container("web", links=["db:d"], ports=["8080:80"])
        ExecSession.objects.create(container=web, command=["sh"], created_by="anna")
        taken = {"subject_kind": "container", "subject_id": web.pk, "subject_name": "web", "interface": "eth0"}
        Capture.objects.create(host=place.host, **taken, seconds=1, size_limit=1, snap_length=64)
        Drift.objects.create(host=place.host, key="rule x", kind="missing", resource_kind="rule", text="-A x")
    see(world)
    for seen in Observation.objects.filter(host=world.host):
        Observation.objects.create(host=row, kind=seen.kind, data=seen.data, generation=seen.generation)
    return world, two


LISTS = (
    "containers",
    "networks",
    "images",
    "operations",
    "drift",
    "captures",
    "terminals",
    "endpoints",
    "links",
    "files",
    "firewall/rules",
    "exposure",
)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_of_one_host_or_of_all_and_says_whose_each_row_is(
    both: tuple[World, World], rest: People, name: str
) -> None:
    call = rest("viewer")
    of_each = {}
    for host in ("local", "two"):
        rows = call("GET", name, host=host, page_size=500).json()["results"]
        assert rows
        assert {row["host"] for row in rows} == {host}
        of_each[host] = len(rows)
    every = call("GET", name, host="*", page_size=500).json()
    assert {row["host"] for row in every["results"]} == {"local", "two"}
    assert every["count"] == sum(of_each.values())
    assert {row["host"] for row in call("GET", name, page_size=500).json()["results"]} == {"local"}


def test_activity_is_of_one_host_or_of_all_and_what_is_of_none_is_everybodys(
    both: tuple[World, World], rest: People
) -> None:
    call = rest("viewer")
    Activity.objects.create(actor="anna", verb="token.create", subject_name="nightly")
    of_each = {}
    for host in ("local", "two"):
        rows = call("GET", "activity", host=host, page_size=500).json()["results"]
        assert {row["host"] for row in rows} == {"", host}
        of_each[host] = {row["id"] for row in rows}
    every = call("GET", "activity", host="*", page_size=500).json()
    assert {row["id"] for row in every["results"]} == of_each["local"] | of_each["two"]
    assert every["count"] == len(of_each["local"] | of_each["two"])
    narrowed = call("GET", "activity", host="two", verb="container.run", page_size=500).json()
    assert narrowed["count"] == 2
    assert {row["host"] for row in narrowed["results"]} == {"two"}
    assert call("GET", "activity", host="three").status_code == 404


def test_the_table_of_exposure_says_whose_each_line_is(both: tuple[World, World], rest: People) -> None:
    call = rest("viewer")

    def lines(**params: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(call("GET", "exposure.csv", **params).content.decode())))

    of_each = {host: lines(host=host) for host in ("local", "two")}
    for host, found in of_each.items():
        assert found
        assert {line["host"] for line in found} == {host}
        assert {line["container"] for line in found} >= {"web"}
    assert lines(host="*") == [*of_each["local"], *of_each["two"]]
    assert lines() == of_each["local"]
    assert call("GET", "exposure.csv", host="three").status_code == 404


def test_what_is_about_one_host_asks_for_its_name(both: tuple[World, World], rest: People) -> None:
    call = rest("operator")
    for method, path, body in (
        ("GET", "containers/web", None),
        ("GET", "reachability", None),
        ("POST", "containers", {"command": ["x"]}),
        ("POST", "firewall/trace", {"from": "web", "to": "db", "port": 80}),
    ):
        answer = call(method, path, body, host="*")
        assert answer.status_code == 400, answer.content
        assert "about one host" in answer.json()["detail"]
