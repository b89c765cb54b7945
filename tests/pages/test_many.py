"""The list of containers: what is picked is started, stopped or removed together, after a look at the plan."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from networks.models import Container, Operation, User
from tests.testlib.world import World


@pytest.fixture
def page(world: World) -> Client:
    for name in ("web", "db", "other"):
        world.container(name)
    client = Client()
    client.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    return client


def picked(verb: str, *names: str) -> dict[str, object]:
    return {"verb": verb, "pick": [Container.objects.get(name=name).pk for name in names]}


@pytest.mark.parametrize(("verb", "wanted"), [("stop", "stopped"), ("remove", "removed")])
def test_the_plan_comes_first_and_then_one_operation(page: Client, verb: str, wanted: str) -> None:
    before = Operation.objects.count()
    shown = page.post("/containers/bulk/", picked(verb, "web", "db")).content.decode()
    assert "db, web" in shown
    assert "2 containers" in shown
    assert Operation.objects.count() == before
    digest = re.search(r'name="plan" value="([^"]+)"', shown)
    assert digest is not None
    answer = page.post("/containers/bulk/", picked(verb, "web", "db") | {"plan": digest[1]})
    assert answer.status_code == 302
    assert Operation.objects.count() == before + 1
    assert Operation.objects.order_by("-number")[0].verb == f"bulk.{verb}"
    assert dict(Container.objects.values_list("name", "wanted")) == {"web": wanted, "db": wanted, "other": "running"}


def test_each_refusal_is_shown(world: World, page: Client) -> None:
    for name in ("side", "twin"):
        world.container(name, network="container:web")
        world.container(f"of-{name}", network="container:db")
    shown = page.post("/containers/bulk/", picked("remove", "web", "db")).content.decode()
    assert "The sandbox of container web is shared by side, twin." in shown
    assert "The sandbox of container db is shared by of-side, of-twin." in shown
    assert Container.objects.filter(wanted="running").count() == 7


def test_nothing_picked_is_said(page: Client) -> None:
    answer = page.post("/containers/bulk/", {"verb": "stop"}, follow=True)
    assert "Pick containers first" in answer.content.decode()
