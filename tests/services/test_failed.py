"""What failed is left out of the desired state, and comes back by a repair, a start or a new start of the worker."""

from __future__ import annotations

import pytest

from networks import feed, settle, withheld
from networks.cnm.errors import CnmError, Conflict
from networks.load import is_live, load_host
from networks.models import Container, Image, Network, Operation
from networks.services import containers, drift, images, links, networks
from networks.services.repair import retry
from networks.services.spec_container import AttachRequest, read_container
from networks.services.spec_network import read_network
from tests.testlib.world import ADMIN, OPERATOR, World

REFUSED = CnmError("The kernel refused it.")


def fails(operation: Operation | None, **missing: set[str]) -> None:
    """The worker's part when an operation fails: *missing* (kind of owner -> ids) is not there."""
    assert operation is not None
    with feed.transaction("worker"):
        withheld.withhold(operation.host, missing)
        settle.settle(operation, failed=REFUSED)


def runs(world: World, name: str = "web", **spec: object) -> tuple[Container, Operation]:
    outcome = containers.run_container(OPERATOR, world.host, read_container({"name": name, "command": ["x"], **spec}))
    assert outcome.operation is not None
    return Container.objects.get(name=name), outcome.operation


def live_names(world: World) -> list[str]:
    return [container.name for container in load_host(world.host).containers if container.live]


def test_a_container_that_could_not_be_made_is_not_live_until_it_is_repaired(world: World) -> None:
    container, operation = runs(world, ports=["8080:80"])
    fails(operation, container={container.pk}, port={container.ports.get().pk})
    container.refresh_from_db()
    assert (container.status, is_live(container)) == ("failed", False)
    assert live_names(world) == []
    assert load_host(world.host, as_if_kept=True).containers[0].ports, "the worker still knows its kernel names"
    with pytest.raises(Conflict, match="held by container web"):
        runs(world, "other", ports=["8080:80"])
    again = retry(OPERATOR, operation)
    container.refresh_from_db()
    assert (container.status, is_live(container), again.verb) == ("starting", True, "container.run")
    world.work()
    container.refresh_from_db()
    assert (container.status, container.error) == ("running", None)


def test_an_operation_about_another_does_not_bring_it_back(world: World) -> None:
    container, operation = runs(world)
    fails(operation, container={container.pk})
    world.network("other")
    world.container("neighbour")
    settle.settle_everything(world.host)
    container.refresh_from_db()
    assert (container.status, is_live(container)) == ("failed", False)


def test_a_start_brings_it_back_and_a_removal_takes_it_away(world: World) -> None:
    container, operation = runs(world)
    fails(operation, container={container.pk})
    containers.start_container(OPERATOR, Container.objects.get())
    assert live_names(world) == ["web"]
    fails(Operation.objects.latest("number"), container={container.pk})
    containers.remove_container(OPERATOR, Container.objects.get())
    world.work()
    assert not Container.objects.exists()


def test_a_new_start_of_the_worker_tries_it_again_and_a_full_pass_ends_its_failure(world: World) -> None:
    container, operation = runs(world)
    fails(operation, container={container.pk})
    with feed.transaction("worker"):
        withheld.take_up_all(world.host)
    assert live_names(world) == ["web"]
    settle.settle_everything(world.host, besides=[container.pk])
    assert Container.objects.get().status == "starting"
    settle.settle_everything(world.host)
    assert Container.objects.get().status == "running"


def test_a_full_pass_that_brings_a_failed_object_up_says_so(world: World) -> None:
    network, container = world.network(), world.container()
    settle.mark_failed(world.host, {network.pk: REFUSED})
    Container.objects.filter(pk=container.pk).update(status="failed", error=REFUSED.to_json())
    settle.settle_everything(world.host)
    network.refresh_from_db()
    container.refresh_from_db()
    assert (network.status, network.error, container.status, container.error) == ("ready", None, "running", None)


def test_a_network_that_could_not_be_made_takes_nobody_in(world: World) -> None:
    outcome = networks.create_network(OPERATOR, world.host, read_network({"name": "app"}))
    network = Network.objects.get(name="app")
    fails(outcome.operation, network={network.pk})
    assert "app" not in [item.name for item in load_host(world.host).networks]
    with pytest.raises(Conflict, match="could not be made"):
        runs(world, network="app")
    with pytest.raises(Conflict, match="could not be made"):
        networks.connect(OPERATOR, network, world.container("c"), AttachRequest(network="app"))
    assert outcome.operation is not None
    retry(OPERATOR, outcome.operation)
    world.work()
    assert Network.objects.get(name="app").status == "ready"
    assert "app" in [item.name for item in load_host(world.host).networks]


def test_a_failed_network_is_removed(world: World) -> None:
    outcome = networks.create_network(OPERATOR, world.host, read_network({"name": "app"}))
    fails(outcome.operation, network={Network.objects.get(name="app").pk})
    networks.delete_network(OPERATOR, Network.objects.get(name="app"))
    world.work()
    assert not Network.objects.filter(name="app").exists()


def test_a_running_container_goes_on_without_the_part_that_could_not_be_made(world: World) -> None:
    network, container = world.network(), world.container()
    operation = networks.connect(OPERATOR, network, container, AttachRequest(network="app")).operation
    fails(operation, endpoint={container.endpoints.get(network=network).pk})
    container.refresh_from_db()
    assert (container.status, is_live(container)) == ("running", True)
    assert container.error is not None
    assert len(load_host(world.host).containers[0].endpoints) == 1
    assert operation is not None
    retry(OPERATOR, operation)
    world.work()
    container.refresh_from_db()
    assert (container.status, container.error) == ("running", None)
    assert len(load_host(world.host).containers[0].endpoints) == 2


def test_a_removal_that_failed_is_still_wanted_and_is_repaired(world: World) -> None:
    network = world.network()
    operation = networks.delete_network(OPERATOR, network).operation
    fails(operation)
    assert "app" not in [item.name for item in load_host(world.host).networks]
    assert operation is not None
    retry(OPERATOR, operation)
    world.work()
    assert not Network.objects.filter(name="app").exists()
    container = world.container()
    fails(containers.remove_container(OPERATOR, container, force=True).operation)
    containers.remove_container(OPERATOR, Container.objects.get(), force=True)
    world.work()
    assert not Container.objects.exists()


def test_a_link_whose_rules_could_not_be_made_is_left_out(world: World) -> None:
    db, web = world.container("db"), world.container("web")
    operation = links.link(OPERATOR, web, db, "db").operation
    fails(operation, link={web.links.get().pk})
    assert [len(item.links) for item in load_host(world.host).containers] == [0, 0]
    assert operation is not None
    retry(OPERATOR, operation)
    assert [len(item.links) for item in load_host(world.host).containers] == [0, 1]


def test_slow_work_is_done_again_with_its_words_in_its_queue(world: World) -> None:
    container = world.container()
    asked = [
        images.import_image(ADMIN, world.host, "base:1", "oci:/srv/base").operation,
        containers.exec_in_container(OPERATOR, container, ["true"], user="me").operation,
        containers.kill_container(OPERATOR, container, "SIGHUP").operation,
        containers.commit_container(OPERATOR, container, "made:1").operation,
    ]
    for operation in asked:
        assert operation is not None
        settle.end_only(operation, failed=REFUSED)
        Image.objects.filter(pk=operation.args.get("image", 0)).update(status="failed")
        again = retry(OPERATOR, operation)
        assert (again.verb, again.queue, again.args, again.state) == (operation.verb, "slow", operation.args, "pending")
        assert again.subject_id == operation.subject_id
    assert set(Image.objects.exclude(name="host").values_list("status", flat=True)) == {"pending"}


def test_the_repair_of_some_drift_stays_the_repair_of_that(world: World) -> None:
    operation = drift.repair(OPERATOR, world.host, [7, 9]).operation
    assert operation is not None
    settle.end_only(operation, failed=REFUSED)
    assert retry(OPERATOR, operation).args == {"drift": [7, 9]}


def test_what_nobody_wants_any_more_is_not_repaired(world: World) -> None:
    container = world.container()
    stop = containers.stop_container(OPERATOR, container).operation
    fails(stop)
    containers.start_container(OPERATOR, Container.objects.get())
    assert stop is not None
    with pytest.raises(Conflict, match="running by now"):
        retry(OPERATOR, stop)
    world.work()
    containers.remove_container(OPERATOR, Container.objects.get(), force=True)
    world.work()
    with pytest.raises(Conflict, match="is gone: web"):
        retry(OPERATOR, stop)


def test_the_end_of_a_run_that_failed_is_no_reason_for_a_restart(world: World) -> None:
    container, operation = runs(world, restart_policy={"name": "always"})
    fails(operation, container={container.pk})
    assert world.ends(Container.objects.get(), 1) is None
    assert live_names(world) == []


def test_an_operation_that_fails_before_its_first_step_leaves_out_what_it_was_to_make(world: World) -> None:
    up = world.container("up")
    container, operation = runs(world)
    with feed.transaction("worker"):
        withheld.withhold_unseen(world.host, operation.scope | {"containers": [container.pk, up.pk]})
        settle.settle(operation, failed=REFUSED)
    assert live_names(world) == ["up"]
