"""The pages of a container that a Docker Engine looks after: they show it, and offer nothing that only the engine may do."""

from __future__ import annotations

import pytest
from django.test import Client

from networks.models import Container, User
from networks.pages.views.containers import TABS
from networks.services import docker_endpoints, docker_networks
from networks.services.actor import Actor
from networks.services.docker_endpoints import EndpointRequest
from networks.services.spec_network import read_network
from networks.services.spec_ports import PortRequest
from tests.testlib.world import World

DOCKER = Actor(name="docker", role="operator", via="plugin")
NETWORK, ENDPOINT = "d0" * 32, "e0" * 32


@pytest.fixture
def page(world: World) -> Client:
    docker_networks.make_network(DOCKER, world.host, NETWORK, read_network({"name": "lan"}))
    world.work()
    docker_endpoints.create_endpoint(DOCKER, world.host, EndpointRequest(id=ENDPOINT, docker_network=NETWORK))
    docker_endpoints.join(DOCKER, world.host, NETWORK, ENDPOINT, "/run/docker/netns/0123456789ab")
    docker_endpoints.open_ports(DOCKER, world.host, NETWORK, ENDPOINT, [PortRequest(container_port=80, host_port=8080)])
    world.work()
    client = Client()
    client.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    return client


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_shows_a_container_of_docker(page: Client, tab: str) -> None:
    shown = page.get(f"/containers/docker-{ENDPOINT[:12]}/?tab={tab}")
    assert shown.status_code == 200
    text = shown.content.decode()
    assert "A Docker Engine of this host starts, stops and connects it" in text
    for action in ("act/stop", "act/restart", "/rename", "/connect/", "/publish/", "/unpublish", "/disconnect"):
        assert action not in text, action
    assert "/remove" in text


def test_lists_the_network_and_the_topology_show_it(page: Client) -> None:
    for path in ("/", "/containers/", "/networks/lan/", "/activity/", "/topology/"):
        shown = page.get(path)
        assert shown.status_code == 200, path
    assert f"docker-{ENDPOINT[:12]}" in page.get("/containers/").content.decode()
    assert "plugin of a Docker Engine" in page.get("/activity/").content.decode()
    assert Container.objects.get(kind="docker").status == "running"
