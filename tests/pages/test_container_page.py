"""The page of one container, and that of one that is not there."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from networks.models import Container, User
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


@pytest.mark.parametrize(
    ("status", "offered"), [("exited", {"start"}), ("running", {"stop", "restart", "kill", "pause"})]
)
def test_one_whose_process_ended_is_offered_to_be_started(world: World, status: str, offered: set[str]) -> None:
    """Also where nobody stopped it."""
    world.container("job")
    Container.objects.filter(name="job").update(wanted="running", status=status)
    client = Client()
    client.force_login(User.objects.create_user(username="oscar", password="x", role="operator"))
    shown = client.get("/containers/job/").content.decode()
    assert set(re.findall(r"/containers/job/do/(\w+)/", shown)) == offered
    listed = client.get("/palette/?q=job").json()["entries"]
    assert {entry["url"].split("/")[-2] for entry in listed if "/do/" in entry["url"]} == offered - {"kill", "pause"}
