"""Draining a host, taking it up again, and letting it go: each shown first, and refused where it makes no sense."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from networks import settle
from networks.cnm.errors import Conflict, Forbidden, NotFound, Unavailable
from networks.load import load_host
from networks.models import Activity, Container, Host, Image, Network, Operation, User
from networks.models.choices import ContainerStatus
from networks.services import boot, bulk, containers, hosts, networks
from networks.services.images import ensure_host_image
from networks.services.spec_container import read_container
from networks.services.tokens import create_token
from tests.testlib.world import ADMIN, OPERATOR, World

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(world: World) -> World:
    """The second of two hosts, with a container on a network of both, one on its own bridge, and one that rests."""
    Host.objects.filter(pk=world.host.pk).update(underlay="192.0.2.1", underlay_room=1450)
    row = Host.objects.create(
        name="two", settings={"names": "cnm"}, heartbeat_at=world.host.heartbeat_at, underlay="192.0.2.2"
    )
    networks.ensure_defaults(row)
    ensure_host_image(row)
    made = World(row)
    made.network("app", driver="overlay")
    world.container("web", network="app")
    made.container("db", network="app", restart_policy={"name": "always"})
    made.container("lone", ports=["8080:80"])
    made.container("idle", start=False)
    made.work()
    row.refresh_from_db()
    return made


@pytest.fixture
def rest(db: None) -> Any:
    anna = User.objects.create_user("anna", password="a-long-password", role="admin")
    client = Client(headers={"Authorization": f"Bearer {create_token(ADMIN, anna, 't', 'admin')[1]}"})

    def call(method: str, path: str, body: Any = None, **params: Any) -> Any:
        query = "&".join(f"{name}={value}" for name, value in params.items())
        return client.generic(method, f"/api/v1/{path}?{query}", body or "", content_type="application/json")

    return call


def texts(plan: Any) -> str:
    return "\n".join(f"{step['action']} {step['text']}" for step in plan["steps"])


def drained(two: World) -> World:
    hosts.drain_host(ADMIN, two.host)
    two.work()
    two.host.refresh_from_db()
    return two


def test_the_plan_of_a_drain_says_what_stops_there_and_what_vanishes_elsewhere(two: World, rest: Any) -> None:
    shown = rest("POST", "hosts/two/drain", dry_run=1).json()
    said = texts(shown["plan"])
    assert {step["action"] for step in shown["plan"]["steps"]} <= {"delete", "change"}
    for name in ("db", "lone"):
        assert f"delete netns cnm-{Container.objects.get(name=name).pk[:12]}" in said
    assert "--dport 8080" in said
    assert "vxlan" in said, "the last of a network takes its device along"
    assert set(shown["elsewhere"]) == {"local"}
    there = texts(shown["elsewhere"]["local"])
    assert "delete neigh" in there
    assert shown["operation"]["verb"] == "host.drain"
    assert shown["result"]["drained"]
    assert not Host.objects.get(name="two").drained, "nothing of it was done"
    assert not Operation.objects.filter(verb="host.drain").exists()


def test_a_drained_host_has_nothing_that_runs_and_starts_nothing(two: World) -> None:
    outcome = hosts.drain_host(ADMIN, two.host)
    operation = outcome.operation
    assert operation is not None
    assert (operation.verb, operation.queue, operation.subject_name) == ("host.drain", "slow", "two")
    assert set(operation.args["ends"]) == set(operation.scope["containers"])
    two.work()
    states = dict(Container.objects.filter(host=two.host).values_list("name", "status"))
    assert states == {"db": ContainerStatus.EXITED, "lone": ContainerStatus.EXITED, "idle": ContainerStatus.CREATED}
    idle = Container.objects.get(name="idle")
    refused = {
        "run": lambda: containers.run_container(OPERATOR, two.host, read_container({"command": ["x"]})),
        "made": lambda: two.container("new", start=False),
        "start": lambda: containers.start_container(OPERATOR, idle),
        "restart": lambda: containers.restart_container(OPERATOR, idle),
        "many": lambda: bulk.start_many(OPERATOR, two.host, ["idle"]),
    }
    for name, order in refused.items():
        with pytest.raises(Conflict, match="Host two is drained") as told:
            order()
        assert "hosts/two/activate" in str(told.value.remedy), name
    assert boot.start_stopped(two.host) == ([], []), "nor does a boot start anything"
    assert Container.objects.filter(host=two.host).count() == 3
    with pytest.raises(Conflict, match="is drained"):
        hosts.drain_host(ADMIN, two.host)
    assert Network.objects.filter(host=two.host, name="bridge", removing=False).exists()


def test_a_host_is_taken_up_again_with_what_the_drain_stopped(two: World) -> None:
    containers.stop_container(OPERATOR, Container.objects.get(name="lone"))
    two.work()
    drained(two)
    with pytest.raises(Conflict, match="not drained"):
        hosts.activate_host(ADMIN, Host.objects.get(name="local"))
    outcome = hosts.activate_host(ADMIN, two.host, start=True)
    assert outcome.operation is not None
    assert outcome.operation.scope["containers"] == [Container.objects.get(name="db").pk]
    two.work()
    assert dict(Container.objects.filter(host=two.host).values_list("name", "wanted")) == {
        "db": "running",
        "lone": "stopped",
        "idle": "stopped",
    }
    two.container("new")


def test_it_is_taken_up_without_them_where_nobody_asks_for_them(two: World, rest: Any) -> None:
    drained(two)
    answer = rest("POST", "hosts/two/activate", {})
    assert answer.status_code == 200, answer.content
    assert not answer.json()["drained"]
    assert not Container.objects.filter(host=two.host, wanted="running").exists()


def test_one_that_cannot_start_again_does_not_keep_the_others(two: World) -> None:
    drained(two)
    Network.objects.filter(name="app").update(status="failed", withheld=True)
    outcome = hosts.activate_host(ADMIN, two.host, start=True)
    assert [str(warning).partition(":")[0] for warning in outcome.warnings] == ["Container db was not started"]
    assert outcome.operation is not None
    assert outcome.operation.scope["containers"] == [Container.objects.get(name="lone").pk]
    assert Container.objects.get(name="db").wanted == "stopped", "nothing half-decided stays"


def test_a_drained_host_that_answers_takes_everything_away_and_then_is_gone(two: World, rest: Any) -> None:
    drained(two)
    shown = rest("DELETE", "hosts/two", dry_run=1).json()
    assert shown["operation"]["verb"] == "host.remove"
    assert "stays_behind" not in shown
    assert {step["action"] for step in shown["plan"]["steps"]} == {"delete"}
    assert "bridge cnm0" in texts(shown["plan"])
    assert Host.objects.get(name="two").removing is False
    answer = rest("DELETE", "hosts/two", wait=0)
    assert answer.status_code == 202
    operation = Operation.objects.get(verb="host.remove")
    assert (operation.host.name, operation.scope["all"]) == ("two", True)
    assert load_host(Host.objects.get(name="two")).removing
    with pytest.raises(Conflict, match="is being removed"):
        hosts.remove_host(ADMIN, two.host)
    with pytest.raises(Conflict, match="is being removed"):
        hosts.activate_host(ADMIN, two.host)
    settle.settle(operation)
    assert not Host.objects.filter(name="two").exists()
    assert not Container.objects.filter(name__in=("db", "lone", "idle")).exists()
    assert Network.objects.get(name="app").host.name == "local", "what spans hosts outlives them"
    assert Image.objects.filter(name="host").count() == 1
    told = rest("GET", f"operations/{operation.pk}").json()
    assert (told["state"], told["subject"]["name"]) == ("done", "two"), "whoever follows it sees its end"


def test_a_removal_that_fails_leaves_the_host_to_be_removed_again(two: World) -> None:
    from networks.cnm.errors import KernelRefused
    from networks.services.repair import retry

    drained(two)
    operation = hosts.remove_host(ADMIN, two.host).operation
    assert operation is not None
    settle.settle(operation, failed=KernelRefused("It did not go."), broken=())
    assert Host.objects.get(name="two").removing
    again = retry(ADMIN, Operation.objects.get(pk=operation.pk))
    assert (again.verb, again.scope.get("all")) == ("host.remove", True)
    settle.settle(again)
    assert not Operation.objects.filter(host=two.host.pk).exists()
    assert not Host.objects.filter(name="two").exists()


def test_a_host_that_another_admin_has_removed_meanwhile_is_said_to_be_gone(two: World) -> None:
    asked_twice = Host.objects.get(name="two")
    Host.objects.filter(name="two").update(heartbeat_at=None)
    hosts.remove_host(ADMIN, Host.objects.get(name="two"), force=True)
    with pytest.raises(NotFound, match="two was removed meanwhile"):
        hosts.remove_host(ADMIN, asked_twice, force=True)


def test_what_stays_behind_on_a_lost_host_is_named(two: World, rest: Any) -> None:
    Host.objects.filter(name="two").update(heartbeat_at=None)
    refused = rest("DELETE", "hosts/two", dry_run=1)
    assert refused.status_code == 409
    assert "db, idle, lone" in refused.json()["detail"]
    shown = rest("DELETE", "hosts/two", dry_run=1, force=1).json()
    assert shown["plan"]["steps"] == [], "nobody is there to do anything"
    behind = texts(shown["stays_behind"])
    assert f"netns cnm-{Container.objects.get(name='db').pk[:12]}" in behind
    assert "bridge cnm0" in behind
    assert "delete neigh" in texts(shown["elsewhere"]["local"])
    assert Host.objects.filter(name="two").exists()
    assert rest("DELETE", "hosts/two", force=1).status_code == 204
    assert not Host.objects.filter(name="two").exists()
    assert Operation.objects.filter(host__name="local", verb="network.peers", state="pending").exists()


def test_bad_orders_are_refused_with_what_helps(two: World, world: World, rest: Any) -> None:
    for path, method, says in (
        ("hosts/two", "DELETE", "is in use"),
        ("hosts/local", "DELETE", "console runs on"),
        ("hosts/two/activate", "POST", "is not drained"),
        ("hosts/nowhere/drain", "POST", "no host nowhere"),
    ):
        answer = rest(method, path)
        assert answer.status_code in {404, 409}, answer.content
        assert says in answer.json()["detail"]
        assert answer.json()["remedy"]
    for order in (hosts.drain_host, hosts.activate_host, hosts.remove_host):
        with pytest.raises(Forbidden):
            order(OPERATOR, two.host)
    Host.objects.filter(name="two").update(heartbeat_at=None)
    two.host.refresh_from_db()
    with pytest.raises(Unavailable):
        hosts.drain_host(ADMIN, two.host)
    assert rest("POST", "hosts/two/drain", wait=0).status_code == 202, "unless it may wait"
    assert not Activity.objects.filter(verb="host.remove").exists()
