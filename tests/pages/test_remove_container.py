"""The page on which a container is removed: who is linked to it stands there before anything goes."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from networks.models import Container, Link, User
from networks.services import containers
from tests.testlib.world import OPERATOR, World


@pytest.fixture
def page(world: World) -> Client:
    source = world.container("db")
    world.container("web", links=["db:store"])
    world.container("alone")
    containers.stop_container(OPERATOR, source)
    world.work()
    client = Client()
    client.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    return client


def test_who_is_linked_to_a_source_is_said_and_its_links_go_with_it(page: Client, world: World) -> None:
    shown = page.get("/containers/db/remove/").content.decode()
    assert re.search(r'href="/containers/web/">web</a>\s+as <code>store</code>', shown)
    digest = re.search(r'name="plan" value="([^"]+)"', shown)
    assert digest is not None
    assert page.post("/containers/db/remove/", {"plan": digest[1]}).status_code == 302
    world.work()
    assert not Container.objects.filter(name="db").exists()
    assert not Link.objects.exists()


def test_of_a_container_that_nobody_is_linked_to_nothing_is_said(page: Client) -> None:
    assert "linked to it" not in page.get("/containers/alone/remove/").content.decode()
