"""The dashboard: what is fullest, and whose the devices are that move most."""

from __future__ import annotations

import pytest
from django.test import Client

from networks.models import Host, User
from networks.represent import endpoint as represented
from tests.testlib.world import World


@pytest.fixture
def page(world: World) -> Client:
    client = Client()
    client.force_login(User.objects.create_user(username="vera", password="x", role="viewer"))
    return client


def test_the_subnets_that_most_use_are_told_with_what_is_left(world: World, page: Client) -> None:
    world.network("app", subnets=[{"subnet": "10.44.0.0/29"}])
    world.network("empty")
    for name in ("one", "two"):
        world.container(name, network="app")
    text = page.get("/").content.decode()
    assert "10.44.0.0/29" in text
    assert "2 in use, 3 free" in text
    assert 'href="/networks/app/"' in text
    assert 'href="/networks/empty/"' not in text


def test_the_busy_devices_are_called_by_their_containers_and_no_others(world: World, page: Client) -> None:
    container = world.container("one")
    (endpoint,) = container.endpoints.all()
    device = represented(endpoint)["device"]
    asked = {"device": [f"local {device}", "local eth0", f"elsewhere {device}"]}
    assert page.get("/busy/", asked).json() == {
        f"local {device}": {"container": "one", "network": "bridge", "url": "/containers/one/"}
    }


def test_how_full_the_table_of_connections_is_is_told_and_what_helps_before_it_is_full(
    world: World, page: Client
) -> None:
    assert "Connections" not in page.get("/").content.decode(), "nothing is known of it yet"
    Host.objects.filter(pk=world.host.pk).update(connections=1300, most_connections=262144)
    assert "1,300 of 262,144 (0 %)" in page.get("/").content.decode()
    assert "1,300 of 262,144 (0 %)" in page.get("/host/").content.decode()
    Host.objects.filter(pk=world.host.pk).update(connections=230000)
    text = page.get("/").content.decode()
    assert "230,000 of 262,144 (87 %)" in text
    assert "nearly full" in text
    assert "net.netfilter.nf_conntrack_max" in text
