"""The page of one container, and that of one that is not there."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from networks.models import User
from tests.testlib.world import World


@pytest.fixture
def page(world: World) -> Client:
    world.container("web", ports=["8080:80", "127.0.0.1:8443:443", "[::1]:8444:444"])
    client = Client()
    client.force_login(User.objects.create_user(username="vera", password="x", role="viewer"))
    return client


def test_a_port_on_the_loopback_is_open_to_the_host_alone(page: Client) -> None:
    shown = page.get("/containers/web/?tab=endpoints").content.decode()
    cells = re.findall(r'<th scope="row" class="mono">([^<]+)</th>.*?data-label="Open to">([^<]+)<', shown)
    assert dict(cells) == {"*:8080": "everybody", "127.0.0.1:8443": "this host alone", "[::1]:8444": "this host alone"}


@pytest.mark.parametrize("kind", ["containers", "networks", "operations"])
def test_of_what_is_not_there_the_way_leads_to_the_list_of_what_is(page: Client, kind: str) -> None:
    missing = page.get(f"/{kind}/no-such-thing/")
    assert missing.status_code == 404
    assert f'<a class="btn btn-primary" href="/{kind}/">' in missing.content.decode()
