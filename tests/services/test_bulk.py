"""Use cases on many objects: what is refused is refused with everything, and what goes together does not stand in its own way."""

from __future__ import annotations

import pytest

from networks import settle
from networks.cnm.errors import Conflict, Forbidden, KernelRefused, NotFound
from networks.models import Activity, Container, Network, Operation
from networks.services import bulk, containers, repair
from networks.services.spec_container import read_container
from networks.services.spec_network import read_network
from tests.testlib.world import OPERATOR, VIEWER, World


def last() -> Operation:
    return Operation.objects.order_by("-number")[0]


def states() -> dict[str, str]:
    return dict(Container.objects.values_list("name", "status"))


def test_making_many_is_all_or_nothing_in_one_operation(world: World) -> None:
    good = [read_container({"name": f"c{n}", "kind": "sandbox"}) for n in range(5)]
    bad = read_container({"name": "c1", "kind": "sandbox"})
    with pytest.raises(Conflict) as refused:
        bulk.create_many(OPERATOR, world.host, [], [*good, bad])
    assert refused.value.field == "containers.5.name"
    assert not Container.objects.exists()
    assert not Operation.objects.exists()
    made = bulk.create_many(OPERATOR, world.host, [read_network({"name": "app"})], good)
    assert (made.networks, made.containers) == (("app",), ("c0", "c1", "c2", "c3", "c4"))
    assert Container.objects.count() == 5
    assert Operation.objects.count() == 1


def test_the_field_of_a_network_that_is_refused_is_named_below_its_number(world: World) -> None:
    with pytest.raises(Forbidden) as refused:
        bulk.create_many(OPERATOR, world.host, [read_network({"name": "app"}), read_network({"name": "bridge"})], [])
    assert refused.value.field == "networks.1.name"


def test_many_start_in_any_order(world: World) -> None:
    """One shares another's sandbox, one is linked to another, and both are named before what they need."""
    main, source = world.container("main"), world.container("source")
    side = world.container("side", network="container:main")
    linked = world.container("linked", links=["source"])
    bulk.stop_many(OPERATOR, world.host, [row.name for row in (side, linked, main, source)])
    world.work()
    assert set(states().values()) == {"exited"}
    done = bulk.start_many(OPERATOR, world.host, ["side", "linked", "main", "source"])
    assert done.containers == ("side", "linked", "main", "source")
    assert set(last().scope["containers"]) == {row.pk for row in (main, source, side, linked)}
    world.work()
    assert set(states().values()) == {"running"}


def test_starting_what_runs_is_nothing(world: World) -> None:
    world.container("web")
    before = Operation.objects.count()
    assert bulk.start_many(OPERATOR, world.host, ["web"]).outcome.operation is None
    assert Operation.objects.count() == before


def test_one_that_cannot_start_keeps_all_from_starting(world: World) -> None:
    world.container("source", start=False)
    for name in ("one", "two"):
        world.container(name, start=False)
    alone = world.container("alone", start=False)
    Container.objects.filter(pk=alone.pk).update(shares=Container.objects.get(name="source"))
    with pytest.raises(Conflict, match="which is not running") as refused:
        bulk.start_many(OPERATOR, world.host, ["one", "alone", "two"])
    assert refused.value.field == "containers.1"
    assert set(states().values()) == {"created"}


def test_stopping_many_is_one_operation_with_each_ones_own_signal_and_time(world: World) -> None:
    first = world.container("first", stop_signal="SIGINT", stop_timeout=3)
    second = world.container("second")
    world.container("box", kind="sandbox", command=[])
    resting = world.container("resting", start=False)
    bulk.stop_many(OPERATOR, world.host, ["first", "second", "box", "resting"])
    operation = last()
    assert (operation.verb, operation.queue) == ("bulk.stop", "slow")
    assert operation.args["ends"] == {first.pk: ["SIGINT", 3], second.pk: ["SIGTERM", 10]}
    assert resting.pk not in operation.scope["containers"]
    bulk.stop_many(OPERATOR, world.host, ["first"], timeout=0)
    assert last().pk == operation.pk, "it is being stopped already"
    world.work()
    assert states() == {"first": "exited", "second": "exited", "box": "exited", "resting": "created"}
    entry = Activity.objects.get(verb="bulk.stop")
    assert entry.request["containers"] == ["first", "second", "box", "resting"]


def test_sandboxes_alone_are_stopped_by_the_kernel_process_at_once(world: World) -> None:
    world.container("box", kind="sandbox", command=[])
    bulk.stop_many(OPERATOR, world.host, ["box"])
    assert last().queue == "kernel"


def test_every_refusal_is_told_and_nothing_goes(world: World) -> None:
    world.container("one")
    world.container("two")
    world.container("resting", start=False)
    before = Operation.objects.count()
    with pytest.raises(Conflict) as refused:
        bulk.remove_many(OPERATOR, world.host, ["resting", "one", "two"], ["none"])
    told = refused.value.facts["refused"]
    assert [(item["code"], item["field"]) for item in told] == [
        ("conflict", "containers.1"),
        ("conflict", "containers.2"),
        ("forbidden", "networks.0"),
    ]
    assert "3 of the objects" in str(refused.value.sentence)
    assert "Container one is running." in str(refused.value.sentence)
    assert states() == {"one": "running", "two": "running", "resting": "created"}
    assert Operation.objects.count() == before


def test_names_of_nothing_are_refused_together(world: World) -> None:
    world.container("web")
    with pytest.raises(NotFound) as refused:
        bulk.remove_many(OPERATOR, world.host, ["web", "ghost", "wraith"], force=True)
    assert [item["field"] for item in refused.value.facts["refused"]] == ["containers.1", "containers.2"]
    assert states() == {"web": "running"}


def test_what_goes_together_goes(world: World) -> None:
    """A network with its last container, a sandbox with who shares it, and two that are linked to each other, by no force."""
    world.network("app")
    for name in ("main", "a"):
        world.container(name, network="app")
    world.container("side", network="container:main")
    world.container("b", network="app", links=["a"])
    bulk.stop_many(OPERATOR, world.host, ["main", "side", "a", "b"])
    world.work()
    done = bulk.remove_many(OPERATOR, world.host, ["main", "side", "a", "b"], ["app"])
    assert done.networks == ("app",)
    assert (last().verb, last().queue) == ("bulk.remove", "kernel")
    world.work()
    assert not Container.objects.exists()
    assert not Network.objects.filter(name="app").exists()


def test_a_network_stays_when_another_container_is_on_it(world: World) -> None:
    world.network("app")
    for name in ("web", "stays"):
        world.container(name, network="app")
    with pytest.raises(Conflict, match="active endpoints: stays") as refused:
        bulk.remove_many(OPERATOR, world.host, ["web"], ["app"], force=True)
    assert refused.value.field == "networks.0"
    assert states() == {"web": "running", "stays": "running"}


def test_running_ones_are_ended_at_once_with_force(world: World) -> None:
    web = world.container("web")
    bulk.remove_many(OPERATOR, world.host, ["web", web.pk], force=True)
    assert last().args["ends"] == {web.pk: ["SIGTERM", 0]}
    assert last().scope["containers"] == [web.pk], "named twice, it counts once"


def test_a_viewer_may_do_none_of_it(world: World) -> None:
    world.container("web")
    for deed in (bulk.start_many, bulk.stop_many, bulk.remove_many):
        with pytest.raises(Forbidden):
            deed(VIEWER, world.host, ["web"])
    with pytest.raises(Forbidden):
        bulk.create_many(VIEWER, world.host, [], [])


def test_who_did_not_break_has_arrived(world: World) -> None:
    web, db = world.container("web"), world.container("db")
    bulk.remove_many(OPERATOR, world.host, ["web", "db"], force=True)
    error = KernelRefused("It is busy.")
    settle.mark_failed(world.host, {db.pk: error})
    settle.settle(last(), failed=error, broken=[db.pk])
    assert not Container.objects.filter(pk=web.pk).exists()
    db.refresh_from_db()
    assert db.status == "failed"
    assert db.error is not None
    assert last().state == "failed"


def test_what_is_done_again_leaves_alone_what_was_decided_otherwise_since(world: World) -> None:
    first, second = world.container("first"), world.container("second")
    bulk.stop_many(OPERATOR, world.host, ["first", "second"])
    settle.settle(last(), failed=KernelRefused("It is busy."))
    failed = last()
    containers.start_container(OPERATOR, Container.objects.get(pk=second.pk))
    world.work()
    again = repair.retry(OPERATOR, failed)
    assert (again.scope["containers"], list(again.args["ends"])) == ([first.pk], [first.pk])
    containers.start_container(OPERATOR, Container.objects.get(pk=first.pk))
    with pytest.raises(Conflict, match="decided otherwise"):
        repair.retry(OPERATOR, failed)
