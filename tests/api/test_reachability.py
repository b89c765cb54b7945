"""Who reaches whom by names, what a change would flip, and what differs since a kept moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from networks import reachability
from networks.models import Container, Moment, Network, Observation, User
from networks.services import moments
from networks.services.networks import connect
from networks.services.preview import preview
from networks.services.spec_container import AttachRequest
from tests.api.conftest import Rest
from tests.api.test_audit import _row, see, two_networks
from tests.testlib.world import OPERATOR, World

pytestmark = pytest.mark.django_db
Person = Callable[[str], Rest]


def verdict(found: dict[str, Any], source: str, target: str, port: int) -> str:
    row = next(n for n, one in enumerate(found["sources"]) if source in one["members"] or one["kind"] == source)
    column = next(n for n, one in enumerate(found["targets"]) if [target, "tcp", port] in one["members"])
    return str(found["verdicts"][row][column])


def test_the_matrix_says_who_reaches_which_port(world: World, rest: Person) -> None:
    two_networks(world)
    found = rest("viewer")("GET", "reachability").json()
    assert verdict(found, "outside", "host", 8080) == "allowed"
    assert verdict(found, "db", "web", 80) == "dropped"
    assert verdict(found, "host", "web", 80) == "allowed"
    asked = rest("viewer")("GET", "reachability", port=5432).json()
    assert verdict(asked, "web", "db", 5432) == "dropped"
    assert rest("viewer")("GET", "reachability", port="many").status_code == 400
    assert rest("viewer")("GET", "reachability", since=7).status_code == 404


def test_a_rule_about_outside_addresses_divides_them(world: World, rest: Person) -> None:
    two_networks(world)
    Observation.objects.all().delete()
    see(world, more=(_row("filter", "FORWARD", "-A FORWARD -s 198.51.100.0/24 -j DROP"),))
    found = rest("viewer")("GET", "reachability").json()
    outside = [one["members"] for one in found["sources"] if one["kind"] == "outside"]
    assert ["eth0 198.51.100.0-198.51.100.255"] in outside
    verdicts = {one["members"][0]: row for one, row in zip(found["sources"], found["verdicts"], strict=True)}
    column = next(n for n, one in enumerate(found["targets"]) if ["host", "tcp", 8080] in one["members"])
    assert verdicts["eth0 198.51.100.0-198.51.100.255"][column] == "dropped"
    assert "allowed" in {row[column] for name, row in verdicts.items() if name.startswith("eth0")}


def test_a_dry_run_says_which_verdicts_would_flip(world: World, rest: Person) -> None:
    two_networks(world)
    ask = rest("operator")
    plan = ask("POST", "networks/front/connect", {"container": "db"}, dry_run=1).json()
    flips = plan["reachability"]
    assert {
        (*one["sources"], *one["targets"], one["before"], one["after"]) for one in flips if one["sources"] == ["db"]
    } == {("db", "web:80/tcp", "dropped", "allowed")}
    closing = ask("DELETE", _port(), dry_run=1)
    gone = closing.json()["reachability"]
    assert any(one["targets"] == ["host:8080/tcp"] and one["after"] == "" for one in gone), gone
    opening = ask("POST", "containers/db/ports", {"ports": ["9090:80"]}, dry_run=1).json()["reachability"]
    assert any(
        "host:9090/tcp" in one["targets"] and (one["before"], one["after"]) == ("", "allowed") for one in opening
    ), opening
    renamed = ask("POST", "containers/db/rename", {"name": "sql"}, dry_run=1).json()["reachability"]
    assert renamed == []


def _port() -> str:
    port = Container.objects.get(name="web").ports.get()
    return f"containers/web/ports/{port.pk}"


def test_a_preview_that_is_not_asked_for_verdicts_looks_for_none(world: World) -> None:
    two_networks(world)
    network, container = Network.objects.get(name="front"), Container.objects.get(name="db")

    def joined() -> Any:
        return connect(OPERATOR, network, container, AttachRequest(network="front"))

    assert preview(world.host, joined).flips
    assert preview(world.host, joined, judge=False).flips == ()


def test_what_differs_since_a_kept_moment_is_told_and_marked(world: World, rest: Person) -> None:
    two_networks(world)
    kept = rest("operator")("POST", "reachability/moments", {"note": "before"})
    assert kept.status_code == 201, kept.content
    number = kept.json()["id"]
    assert rest("viewer")("GET", "reachability", since=number).json()["differences"] == []
    Observation.objects.all().delete()
    see(world, more=(_row("filter", "FORWARD", "-A FORWARD -p tcp -m tcp --dport 80 -j DROP"),))
    differences = rest("viewer")("GET", "reachability", since=number).json()["differences"]
    assert any("host:8080/tcp" in one["targets"] and one["after"] == "dropped" for one in differences), differences
    client = Client()
    client.force_login(User.objects.create_user(username="vera", password="x", role="viewer"))
    page = client.get("/firewall/reachability/", {"since": number}).content.decode()
    assert 'class="verdict-bad changed"' in page
    assert "/firewall/trace/?from=" in page
    assert client.post("/firewall/reachability/keep/").status_code == 403


def test_old_moments_make_room_and_viewers_keep_none(world: World, rest: Person) -> None:
    two_networks(world)
    for number in range(moments.MOST + 3):
        moments.keep_moment(OPERATOR, world.host, str(number))
    assert list(Moment.objects.values_list("note", flat=True))[-1] == "3"
    assert rest("viewer")("POST", "reachability/moments", {}).status_code == 403
    listed = rest("viewer")("GET", "reachability/moments", page_size=5).json()
    assert (listed["count"], listed["results"][0]["by"]) == (moments.MOST, OPERATOR.name)


def test_before_the_first_look_nobody_is_said_to_reach_anybody(world: World, rest: Person) -> None:
    world.container("web", ports=[{"container_port": 80, "host_port": 8080}])
    assert reachability.matrix(world.host) is None
    assert rest("viewer")("GET", "reachability").json()["sources"] == []
    assert rest("operator")("POST", "reachability/moments", {}).status_code == 503
