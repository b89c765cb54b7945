"""The links page: what is linked, and the editor with its plan; the environment follows with a start when that is asked for."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from networks.models import Link, Operation, User
from tests.testlib.world import World


def client(role: str) -> Client:
    made = Client()
    made.force_login(User.objects.create_user(username=role, password="x", role=role))
    return made


@pytest.fixture
def page(world: World) -> Client:
    for name in ("web", "db", "other"):
        world.container(name)
    return client("operator")


def digest(text: str) -> str:
    found = re.search(r'name="plan" value="([^"]+)"', text)
    assert found is not None, text
    return found[1]


def test_a_link_is_planned_made_listed_and_found(world: World, page: Client) -> None:
    chosen = {"recipient": "web", "source": "db", "alias": "store"}
    shown = page.post("/links/", chosen | {"step": "live"}).content.decode()
    assert "/etc/hosts" in shown
    assert "process web" not in shown, "it runs on"
    assert not Link.objects.exists()
    answer = page.post("/links/", chosen | {"step": "create", "plan": digest(shown)})
    assert answer.status_code == 302
    world.work()
    listed = page.get("/links/").content.decode()
    assert 'class="mono" data-label="Alias">store' in listed
    assert "store" not in page.get("/links/?q=nothing").content.decode().partition('id="list"')[2]
    viewer = client("viewer")
    assert "Take away" not in viewer.get("/links/").content.decode()
    assert viewer.post("/links/", chosen).status_code == 403


def test_a_start_that_is_asked_for_is_part_of_the_plan_and_of_the_one_operation(world: World, page: Client) -> None:
    before = Operation.objects.count()
    chosen = {"recipient": "web", "source": "db", "alias": "store", "restart": "on"}
    shown = page.post("/links/", chosen | {"step": "live"}).content.decode()
    assert "process web" in shown
    page.post("/links/", chosen | {"step": "create", "plan": digest(shown)})
    assert Operation.objects.count() == before + 1
    operation = Operation.objects.order_by("-number")[0]
    assert (operation.verb, operation.subject_name, operation.queue) == ("container.restart", "web", "slow")
    assert len(operation.scope["containers"]) == 2


def test_a_refusal_stands_beside_its_field(page: Client) -> None:
    refused = page.post("/links/", {"recipient": "web", "source": "web", "step": "preview"})
    assert refused.status_code == 400
    assert "cannot be linked to itself" in refused.content.decode()
    missing = page.post("/links/", {"recipient": "web", "source": "", "step": "preview"})
    assert (missing.status_code, "“Source” is missing." in missing.content.decode()) == (400, True)
