"""The page on which a network is changed: its plan first, then the change, and the service's own sentence beside a field."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from networks.models import Host, Network, Operation, User
from tests.testlib.world import World

MTU = "options.com.docker.network.driver.mtu"
BRIDGE = "options.com.docker.network.bridge."


@pytest.fixture
def page(world: World) -> Client:
    world.network("app", labels={"team": "red"})
    world.container("web", network="app")
    client = Client()
    client.force_login(User.objects.create_user(username="olga", password="x", role="operator"))
    return client


FORM = {"icc": "on", "masquerade": "on", "labels.0.key": "team", "labels.0.value": "red", MTU: ""}


def test_the_form_holds_what_is_and_its_plan_is_empty(page: Client) -> None:
    shown = page.get("/networks/app/edit/").content.decode()
    assert re.search(r'name="icc"[^>]* checked', shown)
    assert 'value="team"' in shown
    assert "change veth" not in shown


def test_the_plan_comes_before_the_change(page: Client) -> None:
    before = Operation.objects.count()
    body = FORM | {MTU: "1400"}
    shown = page.post("/networks/app/edit/", body | {"step": "preview"}).content.decode()
    assert "mtu 1400" in shown
    assert Operation.objects.count() == before
    digest = re.search(r'name="plan" value="([^"]+)"', shown)
    assert digest is not None
    done = page.post("/networks/app/edit/", body | {"step": "create", "plan": digest[1]})
    assert done.status_code == 302
    assert Network.objects.get(name="app").options == {"com.docker.network.driver.mtu": "1400"}
    assert Operation.objects.order_by("-number")[0].verb == "network.update"


def test_a_refusal_stands_beside_its_field(page: Client) -> None:
    answer = page.post("/networks/app/edit/", FORM | {BRIDGE + "gateway_mode_ipv4": "isolated", "step": "preview"})
    assert answer.status_code == 400
    assert "for internal networks only" in answer.content.decode()


def test_the_default_bridge_offers_its_labels_alone(page: Client) -> None:
    shown = page.get("/networks/bridge/edit/").content.decode()
    assert 'name="icc"' not in shown
    assert 'name="labels.0.key"' in shown


def offer_device(page: Client) -> None:
    Host.objects.update(facts={"version": "1", "devices": [["lan0", 1400]]})


MAKE = {"name": "lan", "driver": "macvlan", "options.parent": "lan0", "icc": "on", "masquerade": "on"}


def make(page: Client, form: dict[str, str]) -> Network:
    """The network that the form makes, once its plan was seen."""
    shown = page.post("/networks/new/", form | {"step": "preview"}).content.decode()
    digest = re.search(r'name="plan" value="([^"]+)"', shown)
    assert digest is not None
    assert page.post("/networks/new/", form | {"step": "create", "plan": digest[1]}).status_code == 302
    return Network.objects.get(name=form["name"])


def test_a_network_in_the_hosts_lan_is_made_on_one_of_its_devices(page: Client) -> None:
    offer_device(page)
    shown = page.post("/networks/new/", {"name": "lan", "driver": "macvlan", "step": "live"}).content.decode()
    assert "lan0 (MTU 1400)" in shown
    assert "Gateway mode" not in shown
    made = make(page, MAKE)
    assert (made.driver, made.options) == ("macvlan", {"parent": "lan0"})
    shown = page.get("/networks/lan/edit/").content.decode()
    assert 'name="options.macvlan_mode"' in shown
    assert 'name="icc"' not in shown


def test_an_ipvlan_is_offered_where_the_host_can_with_its_modes(page: Client) -> None:
    offer_device(page)
    form = MAKE | {"driver": "ipvlan", "options.ipvlan_mode": "l3", "options.ipvlan_flag": "private"}
    shown = page.post("/networks/new/", form | {"step": "live"}).content.decode()
    assert '<option value="ipvlan" selected>' in shown
    assert 'name="options.macvlan_mode"' not in shown
    assert make(page, form).options == {"parent": "lan0", "ipvlan_mode": "l3", "ipvlan_flag": "private"}
    assert "ipvlan_mode" not in page.get("/networks/lan/edit/").content.decode()
    lacking = {"key": "link.ipvlan", "present": False, "detail": "No ipvlan.", "remedy": "Get it."}
    Host.objects.update(facts={"version": "2", "devices": [["lan0", 1400]], "features": [lacking]})
    assert 'value="ipvlan"' not in page.get("/networks/new/").content.decode()
    shown = page.post("/networks/new/", form | {"name": "other", "step": "preview"}).content.decode()
    assert "No ipvlan." in shown


def test_a_driver_that_was_only_looked_at_leaves_the_switches_of_the_other_as_they_were(page: Client) -> None:
    offer_device(page)
    shown = page.post("/networks/new/", MAKE | {"step": "live"}).content.decode()
    assert '<input type="hidden" name="icc" value="on">' in shown
