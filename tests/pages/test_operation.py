"""The page of an operation: a failed one offers its repair only while there is something to repair."""

from __future__ import annotations

from django.test import Client

from networks import settle
from networks.cnm.errors import CnmError
from networks.models import Container, User
from networks.services import containers
from tests.testlib.world import OPERATOR, World


def test_a_repair_is_offered_until_what_failed_is_gone(world: World) -> None:
    container = world.container()
    stop = containers.stop_container(OPERATOR, container).operation
    assert stop is not None
    settle.settle(stop, failed=CnmError("The kernel refused it."))
    client = Client()
    client.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    page = f"/operations/{stop.number}/"
    assert "Repair: do it again" in client.get(page).content.decode()

    containers.remove_container(OPERATOR, Container.objects.get(), force=True)
    world.work()
    shown = client.get(page).content.decode()
    assert "Repair: do it again" not in shown
    assert "is gone: web. There is nothing left to repair." in shown
