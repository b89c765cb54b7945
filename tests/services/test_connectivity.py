"""Names asked from within a container: by whom, of whom, and what was expected."""

from __future__ import annotations

import pytest

from networks import settle
from networks.cnm.errors import Conflict, Forbidden, InvalidSpec
from networks.models import Operation
from networks.services import connectivity
from tests.testlib.world import OPERATOR, VIEWER, World


def test_the_servers_of_the_container_are_asked_from_its_sandbox(world: World) -> None:
    world.network("shop")
    web = world.container("web", network="shop")
    operation = connectivity.look_up_inside(OPERATOR, web, "db.shop.").operation
    assert operation is not None
    assert operation.args == {"sandbox": f"cnm-{web.pk[:12]}", "name": "db.shop", "servers": ["127.0.0.11"]}
    assert operation.queue == "slow"


def test_who_may_not_and_what_is_no_name_sends_nothing(world: World) -> None:
    web = world.container("web")
    idle = world.container("idle", start=False)
    with pytest.raises(Forbidden):
        connectivity.look_up_inside(VIEWER, web, "db")
    with pytest.raises(InvalidSpec):
        connectivity.look_up_inside(OPERATOR, web, "no name")
    with pytest.raises(Conflict):
        connectivity.look_up_inside(OPERATOR, idle, "db")
    assert not Operation.objects.filter(verb="name.look_up").exists()


def test_what_came_back_stands_beside_what_was_expected(world: World) -> None:
    world.network("shop")
    web = world.container("web", network="shop")
    db = world.container("db", network="shop")
    address = db.endpoints.get().ipv4.partition("/")[0]
    for told, agrees in ((address, True), ("192.0.2.9", False)):
        operation = connectivity.look_up_inside(OPERATOR, web, "db").operation
        assert operation is not None
        settle.end_only(operation, result={"answer": "answered", "addresses": [told], "server": "127.0.0.11"})
        found = connectivity.compared(world.host, web, Operation.objects.get(pk=operation.pk))
        assert (found.predicted, found.agrees) == ((address,), agrees)
