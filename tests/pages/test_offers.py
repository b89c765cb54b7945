"""What is free is offered beside the field that waits for it, and nothing is taken by asking."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from networks.models import Host, Lease, User
from networks.services.offers import next_address, next_port, next_subnet
from tests.testlib.world import World


@pytest.fixture
def page(world: World) -> Client:
    client = Client()
    client.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    return client


def offered(page: Client, url: str, **fields: str) -> dict[str, str]:
    """Field -> what is offered for it."""
    answer = page.post(url, {"step": "live", **fields}).content.decode()
    return {
        field: html.unescape(value)
        for field, value in re.findall(r'data-offer="f-([^"]+)" data-value="([^"]+)"', answer)
    }


def test_the_subnet_that_is_offered_is_the_one_that_would_be_given(world: World, page: Client) -> None:
    offer = offered(page, "/networks/new/", name="app", driver="bridge")["subnets.0.subnet"]
    assert offer == str(next_subnet(world.host))
    facts = world.host.facts | {"onlink": [offer], "version": "x"}
    Host.objects.filter(pk=world.host.pk).update(facts=facts)
    world.host.refresh_from_db()
    assert offered(page, "/networks/new/", name="app")["subnets.0.subnet"] != offer, "a route of the host takes it"
    second = str(next_subnet(world.host))
    assert world.network("app").subnets.get().cidr == second
    fields = {"name": "b", "enable_ipv6": "on", "subnets.0.subnet": "10.9.0.0/24"}
    assert offered(page, "/networks/new/", **fields)["subnets.1.subnet"] == str(next_subnet(world.host, 6))


def test_an_address_is_offered_where_one_may_be_chosen(world: World, page: Client) -> None:
    network = world.network("app", subnets=[{"subnet": "10.44.0.0/29", "aux_addresses": {"nas": "10.44.0.2"}}])
    world.network("pooled")
    world.container("one", network="app", ipv4="10.44.0.3")
    before = Lease.objects.count()
    assert offered(page, "/containers/new/", network="app")["ipv4"] == "10.44.0.4"
    assert Lease.objects.count() == before
    assert str(next_address(network)) == "10.44.0.4"
    assert "ipv4" not in offered(page, "/containers/new/", network="pooled"), "its subnet is the pools' choice"
    assert "ipv4" not in offered(page, "/containers/new/", network="bridge")
    taken = offered(page, "/containers/new/", network="app", ipv4="10.44.0.3", image="host", start="on")
    assert taken["ipv4"] == "10.44.0.4", "in the place of one that is refused"
    assert "ipv4" not in offered(page, "/containers/new/", network="app", ipv4="10.44.0.5", image="host")
    row = {"network": "bridge", "networks.0.network": "app"}
    assert offered(page, "/containers/new/", **row)["networks.0.ipv4"] == "10.44.0.4"


def test_the_form_that_connects_offers_an_address_of_the_network_that_is_chosen(world: World, page: Client) -> None:
    world.network("app", subnets=[{"subnet": "10.44.0.0/24"}])
    world.network("wide", subnets=[{"subnet": "10.45.0.0/24"}], enable_ipv6=True)
    world.container("one")
    answer = page.get("/containers/one/connect/").content.decode()
    assert 'data-offer="f-ipv4" data-value="10.44.0.2"' in answer, "of the one that the form begins with"
    assert offered(page, "/containers/one/connect/", network="wide")["ipv4"] == "10.45.0.2"
    assert offered(page, "/containers/one/connect/", network="app", ipv4="10.44.0.1")["ipv4"] == "10.44.0.2"


def test_what_is_typed_into_a_form_that_connects_or_links_is_planned_and_nothing_is_done(
    world: World, page: Client
) -> None:
    world.network("app", subnets=[{"subnet": "10.44.0.0/24"}])
    one = world.container("one")
    url = "/containers/one/connect/"
    plan = page.post(url, {"step": "live", "network": "app"}).content.decode()
    assert "10.44.0.2/24" in plan
    digest = re.search(r'name="plan" value="(\w+)"', plan)
    assert digest
    page.post(url, {"step": "live", "network": "app", "plan": digest[1]})
    assert one.endpoints.count() == 1, "a preview does nothing, whatever plan it has seen"
    assert page.post(url, {"step": "create", "network": "app", "plan": digest[1]}).status_code == 302
    assert one.endpoints.count() == 2
    answer = page.post("/containers/one/link/", {"step": "preview", "source": "one"}).content.decode()
    assert 'id="f-source-error"' in answer, "a refused link stands beside the field of its source"


def test_a_host_port_is_offered_that_nobody_holds(world: World, page: Client) -> None:
    assert next_port(world.host, 80) == 8080
    assert next_port(world.host, 5432) == 5432
    world.container("web", ports=["8080:80"])
    assert next_port(world.host, 80) == 8081
    assert next_port(world.host, 80, "udp") == 8080
    fields = {"image": "host", "network": "bridge", "ports.0.protocol": "tcp", "ports.0.container_port": "80"}
    assert offered(page, "/containers/new/", **fields)["ports.0.host_port"] == "8081"
    assert "ports.0.host_port" not in offered(page, "/containers/new/", **fields, **{"ports.0.host_port": "9999"})
    refused = offered(page, "/containers/new/", **fields, **{"ports.0.host_port": "8080"}, start="on")
    assert refused["ports.0.host_port"] == "8081"
    assert offered(page, "/containers/web/publish/", **{"ports.0.container_port": "81"})["ports.0.host_port"] == "8081"


def test_where_nothing_is_left_nothing_is_offered(world: World, page: Client) -> None:
    world.network("tiny", subnets=[{"subnet": "10.44.0.0/30"}])
    world.container("one", network="tiny")
    assert "ipv4" not in offered(page, "/containers/new/", network="tiny")
