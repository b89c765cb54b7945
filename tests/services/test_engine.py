"""Handlers of the Docker face, asked as its clients ask."""

from __future__ import annotations

from typing import Any

import pytest

from networks.cnm.errors import Forbidden
from networks.engine import containers, execs, networks
from networks.engine.call import Call
from networks.engine.http import Exchange, Request
from networks.models import Container, Network, Operation
from networks.services import containers as services
from networks.services import terminals
from networks.services.actor import Actor
from networks.services.spec_container import read_container
from tests.testlib.steps import carried_out
from tests.testlib.world import ADMIN, OPERATOR, VIEWER, World

OTHER = Actor(name="otto", role="operator", via="docker")


@pytest.fixture(autouse=True)
def here(world: World, settings: Any) -> None:
    settings.HOST_NAME = world.host.name


def asked(actor: Actor = OPERATOR, **query: str) -> Call:
    return Call(Exchange(None, Request("GET", "/", query, {})), actor, (1, 44))  # type: ignore[arg-type]  # nothing is sent


def test_a_negative_limit_is_none(world: World) -> None:
    for name in ("one", "two"):
        world.container(name)
    for limit, count in (("-1", 2), ("0", 2), ("1", 1), ("", 2)):
        assert len(carried_out(containers.index(asked(limit=limit))).value) == count


def test_only_who_may_use_a_command_sizes_its_terminal(world: World) -> None:
    session = terminals.open_terminal(OPERATOR, world.container("web"), ["sh"]).subject
    assert session is not None
    for actor in (VIEWER, OTHER):
        with pytest.raises(Forbidden):
            execs._usable(asked(actor), session.pk)
    for actor in (OPERATOR, ADMIN):
        assert execs._usable(asked(actor), session.pk[:12]) == session, "by a short id, too"


def test_pruning_takes_nothing_that_starts_meanwhile_and_goes_on_with_the_rest(world: World) -> None:
    """What has run is idle, also where others are linked to it; what is being started is not, whatever it was when the list was read."""
    for name in ("first", "last"):
        world.container(name)
    world.container("reader", links=["first"])
    for name in ("reader", "first", "last"):
        world.ends(Container.objects.get(name=name))
    world.work()
    services.run_container(OPERATOR, world.host, read_container({"name": "starting", "command": ["sleep", "9"]}))

    def work(_: Operation) -> None:
        if Container.objects.get(name="last").status == "exited":
            services.start_container(OPERATOR, Container.objects.get(name="last"))
        world.work()

    assert len(carried_out(containers.prune(asked()), work).value["ContainersDeleted"]) == 2
    assert set(Container.objects.values_list("name", "status")) == {("starting", "running"), ("last", "running")}


def test_pruning_networks_passes_over_what_is_used_meanwhile(world: World) -> None:
    for name in ("first", "middle", "last"):
        world.network(name)
    world.work()

    def work(_: Operation) -> None:
        if not Container.objects.exists():
            left = Network.objects.filter(predefined=False, removing=False).values_list("name", flat=True)[0]
            world.container("web", network=left)
        world.work()

    gone = carried_out(networks.prune(asked()), work).value["NetworksDeleted"]
    (used,) = Network.objects.filter(predefined=False).values_list("name", flat=True)
    assert sorted([*gone, used]) == ["first", "last", "middle"]
