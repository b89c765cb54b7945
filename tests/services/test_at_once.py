"""Requests that come at once, and rows that changed between the look and the decision."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone

from networks import settle
from networks.cnm.errors import CnmError, Conflict, NotFound
from networks.models import Container, Endpoint, Event, Host, Lease, Network, Operation
from networks.services import containers, drift, images, ipam, links, networks, ports
from networks.services.preview import preview
from networks.services.spec_container import AttachRequest, read_container
from networks.services.spec_network import read_network
from networks.services.spec_ports import PortRequest
from tests.testlib.world import OPERATOR, World


def at_once(*calls: Callable[[], object]) -> list[Exception]:
    """Run *calls* in threads that start together; what they raised."""
    errors: list[Exception] = []
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        try:
            barrier.wait(30)
            call()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


@pytest.fixture
def host(transactional_db: None) -> Host:
    late = timezone.now() + timedelta(hours=1)  # a machine under load takes its time
    row = Host.objects.create(name="local", settings={"names": "cnm"}, heartbeat_at=late)
    networks.ensure_defaults(row)
    images.ensure_host_image(row)
    return row


def runs(name: str, **spec: object) -> Callable[[], object]:
    body = read_container({"name": name, "kind": "sandbox", **spec})
    return lambda: containers.run_container(OPERATOR, Host.objects.get(), body)


def test_addresses_ports_operations_and_events_are_numbered_once(host: Host) -> None:
    before = Event.objects.count()
    assert at_once(*(runs(f"c{number}", ports=["80"]) for number in range(10))) == []
    addresses = list(Lease.objects.exclude(endpoint=None).values_list("address", flat=True))
    assert len(set(addresses)) == len(addresses) == 10
    assert len(set(Endpoint.objects.values_list("ipv4", flat=True))) == 10
    assert len(set(Container.objects.values_list("ports__host_port", flat=True))) == 10
    assert sorted(Operation.objects.values_list("number", flat=True)) == list(range(1, 11))
    numbers = list(Event.objects.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > before


def test_what_takes_no_place_in_an_order_is_numbered_once_too(host: Host) -> None:
    for number in range(6):
        runs(f"c{number}")()
    networks.create_network(OPERATOR, host, read_network({"name": "app"}))
    before = Operation.objects.count()

    def connects(name: str) -> Callable[[], object]:
        attach = AttachRequest(network="app")
        return lambda: networks.connect(
            OPERATOR, Network.objects.get(name="app"), Container.objects.get(name=name), attach
        )

    looks = (lambda: drift.look(OPERATOR, Host.objects.get()) for _ in range(6))
    assert at_once(*(connects(f"c{number}") for number in range(6)), *looks) == []
    numbers = sorted(Operation.objects.values_list("number", flat=True))
    assert numbers == list(range(1, before + 13))
    addresses = list(Endpoint.objects.filter(network__name="app").values_list("ipv4", flat=True))
    assert len(set(addresses)) == len(addresses) == 6


def test_of_many_that_want_the_last_address_one_gets_it(host: Host) -> None:
    networks.create_network(OPERATOR, host, read_network({"name": "small", "subnets": [{"subnet": "10.5.0.0/30"}]}))
    refused = at_once(*(runs(f"c{number}", network="small") for number in range(6)))
    assert len(refused) == 5
    assert all(isinstance(error, Conflict) and "no free address" in str(error) for error in refused), refused
    assert Lease.objects.exclude(endpoint=None).count() == 1


def test_of_many_that_want_one_host_port_or_name_one_gets_it(host: Host) -> None:
    refused = at_once(*(runs(f"c{number}", ports=["8080:80"]) for number in range(5)))
    assert len(refused) == 4
    assert all(isinstance(error, Conflict) and "8080/tcp" in str(error) for error in refused), refused
    refused = at_once(*(runs("same") for _ in range(5)))
    assert len(refused) == 4
    assert all(isinstance(error, Conflict) and "in use" in str(error) for error in refused), refused


def test_previews_beside_writes_are_refused_nothing_that_is_free(host: Host) -> None:
    def look() -> object:
        body = read_container({"name": "seen", "kind": "sandbox"})
        return preview(host, lambda: containers.run_container(OPERATOR, host, body))

    assert at_once(*(runs(f"c{number}") for number in range(4)), *(look for _ in range(4))) == []
    assert Container.objects.count() == 4


def test_a_lease_that_is_held_is_not_taken(world: World) -> None:
    one, other = world.container("one").endpoints.get(), world.container("other").endpoints.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        ipam._take(other, one.ipv4.partition("/")[0])
    assert Lease.objects.get(endpoint=one).address == one.ipv4.partition("/")[0]


USE_CASES: dict[str, Callable[[Container], object]] = {
    "start": lambda row: containers.start_container(OPERATOR, row),
    "stop": lambda row: containers.stop_container(OPERATOR, row),
    "restart": lambda row: containers.restart_container(OPERATOR, row),
    "rename": lambda row: containers.rename_container(OPERATOR, row, "other"),
    "commit": lambda row: containers.commit_container(OPERATOR, row, "image:1"),
    "remove": lambda row: containers.remove_container(OPERATOR, row, force=True),
    "publish": lambda row: ports.publish(OPERATOR, row, [PortRequest(container_port=80)]),
    "connect": lambda row: networks.connect(
        OPERATOR, Network.objects.get(name="app"), row, AttachRequest(network="app")
    ),
    "link": lambda row: links.link(OPERATOR, row, Container.objects.get(name="db")),
    "be linked": lambda row: links.link(OPERATOR, Container.objects.get(name="db"), row),
}


@pytest.mark.parametrize("name", USE_CASES)
@pytest.mark.parametrize("gone", [False, True], ids=["being removed", "gone"])
def test_what_is_removed_meanwhile_stays_removed(world: World, name: str, gone: bool) -> None:
    world.network()
    world.container("db")
    stale = world.container()
    containers.remove_container(OPERATOR, Container.objects.get(pk=stale.pk), force=True)
    if gone:
        world.work()
    with pytest.raises(CnmError):
        USE_CASES[name](stale)
    assert [row.wanted for row in Container.objects.filter(pk=stale.pk)] == ([] if gone else ["removed"])
    world.work()
    assert not Container.objects.filter(pk=stale.pk).exists()


def test_nothing_is_connected_to_a_network_that_goes(world: World) -> None:
    stale, container = world.network(), world.container()
    networks.delete_network(OPERATOR, Network.objects.get(pk=stale.pk))
    with pytest.raises(NotFound, match="being removed"):
        networks.connect(OPERATOR, stale, container, AttachRequest(network="app"))
    with pytest.raises(NotFound, match="being removed"):
        world.container("late", network="app")
    world.work()
    with pytest.raises(NotFound, match="removed meanwhile"):
        networks.connect(OPERATOR, stale, container, AttachRequest(network="app"))
    assert container.endpoints.count() == 1


def test_what_was_asked_for_while_an_operation_ran_is_not_taken_for_done(world: World) -> None:
    """The kernel was compared before the removal was asked for: the rows must stay until the removal itself is through."""
    body = read_container({"name": "web", "command": ["sleep", "9"], "ports": ["8080:80"]})
    running = containers.run_container(OPERATOR, world.host, body).operation
    assert running is not None
    containers.remove_container(OPERATOR, Container.objects.get(name="web"), force=True)
    settle.settle(running)
    row = Container.objects.get(name="web")
    assert (row.wanted, row.status, row.ports.count()) == ("removed", "removing", 1)
    settle.settle_everything(world.host)
    assert Container.objects.filter(name="web").exists(), "a full pass that began before knows nothing of it either"
    world.work()
    assert not Container.objects.filter(name="web").exists()


def test_an_endpoint_is_kept_until_the_kernel_has_let_go_of_it(world: World) -> None:
    network, container = world.network(), world.container(network="app", ports=["8080:80"])
    containers.stop_container(OPERATOR, container)
    networks.disconnect(OPERATOR, network, container)
    ports.unpublish(OPERATOR, container, container.ports.get().pk)
    assert (container.endpoints.count(), container.ports.count()) == (1, 1)
    world.work()
    assert (container.endpoints.count(), container.ports.count()) == (0, 0)


def test_the_database_is_the_one_that_was_asked_for() -> None:
    import os

    wanted = "postgresql" if os.environ.get("CNM_DATABASE_URL", "").startswith("postgres") else "sqlite"
    assert connection.vendor == wanted
