"""Several hosts in one picture, and a network that spans them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.testlib.cluster import Cluster
from tests.testlib.product import Product

from .test_topology import chosen, exported, item

pytestmark = [pytest.mark.kernel, pytest.mark.browser]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(2) as made:
        made.call("POST", "networks", {"name": "app", "driver": "overlay"})
        made.run("h1", "here", network="app")
        made.run("h2", "there", network="app", stop_timeout=0)
        for host in ("h1", "h2"):
            made.call("POST", "networks", {"name": f"own-{host}"}, host=host)
            made.run(host, f"alone-{host}", network=f"own-{host}", ports=["8080:80"])
        yield made


@pytest.fixture(scope="module")
def product(cluster: Cluster) -> Product:
    """The console, which the browser's fixtures speak to."""
    cluster.members["h1"].serve_tcp(8000)
    return cluster.members["h1"]


def below(page: Page, host: str) -> Locator:
    return page.get_by_role("treeitem", name=re.compile(rf"^host, {host}\b"))


def test_a_network_that_spans_hosts_is_a_room_on_each_with_a_tunnel_between(
    cluster: Cluster, page: Page, shoot: Callable[[Page, str], None]
) -> None:
    page.goto("/topology/")
    expect(page.locator("#map-summary")).to_contain_text(
        "Networks: 5, containers: 4"
    )  # own ones, gateways, one for both
    for host, name in (("h1", "here"), ("h2", "there")):
        room = below(page, host).get_by_role("treeitem", name=re.compile("network, app"))
        room.locator("[data-toggle]").first.click()
        expect(room.get_by_role("treeitem", name=re.compile(f"container, {name}"))).to_be_visible()
    told = json.loads(exported(page, "JSON", "json"))
    [tunnel] = [edge for edge in told["edges"] if edge["kind"] == "tunnel"]
    assert re.fullmatch(r"VXLAN \d+", tunnel["label"])
    assert "tunnel between hosts" in page.locator(".legend").inner_text()
    shoot(page, "topology-hosts-1440")
    page.emulate_media(color_scheme="dark")
    shoot(page, "topology-hosts-1440-dark")


def test_what_is_on_another_host_is_stopped_started_opened_and_traced_to_from_the_picture(
    cluster: Cluster, page: Page
) -> None:
    page.goto("/topology/")
    for host in ("h1", "h2"):
        below(page, host).get_by_role("treeitem", name=re.compile("network, app")).locator(
            "[data-toggle]"
        ).first.click()
    panel = chosen(page, "container, there")
    panel.get_by_role("button", name="Stop").click()
    expect(item(page, "container, there, exited")).to_be_visible()
    panel.get_by_role("button", name="Start").click()
    expect(item(page, "container, there, running")).to_be_visible()
    address = next(
        one["ipv4"].partition("/")[0]
        for one in cluster.call("GET", "containers/there", host="h2")["endpoints"]
        if one["network"]["name"] == "app"
    )
    chosen(page, "container, here").get_by_role("button", name="Trace to").click()
    item(page, "container, there").locator(".tree-name").first.click()
    page.wait_for_url(re.compile(rf"/@h1/firewall/trace/\?from=here&to={re.escape(address)}&protocol=icmp"))
    expect(page.get_by_role("heading", name=re.compile("here → "))).to_be_visible()
    page.goto("/topology/")
    below(page, "h2").get_by_role("treeitem", name=re.compile("network, own-h2")).locator("[data-toggle]").first.click()
    chosen(page, "container, alone-h2").get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", name="alone-h2")).to_be_visible()
    expect(page.locator("#top-host")).to_contain_text("h2")


def test_a_host_is_collapsed_hidden_and_looked_at_alone(cluster: Cluster, page: Page) -> None:
    page.goto("/topology/")
    chosen(page, "^host, h2").get_by_role("button", name="Collapse").click()
    expect(below(page, "h2")).to_have_accessible_name(re.compile("2 containers collapsed"))
    expect(item(page, "network, own-h2")).to_have_count(0)
    assert any(edge["kind"] == "tunnel" for edge in json.loads(exported(page, "JSON", "json"))["edges"])
    page.locator("#panel").get_by_role("button", name="Expand").click()
    expect(item(page, "network, own-h2")).to_be_visible()
    page.locator("#panel").get_by_role("button", name="Only its surroundings").click()
    expect(item(page, "network, own-h1")).to_have_count(0)
    page.get_by_role("button", name="Show everything again").click()
    chosen(page, "^host, h2").get_by_role("button", name="Hide").click()
    expect(below(page, "h2")).to_have_count(0)
    page.reload()  # the address keeps it
    expect(item(page, "network, own-h1")).to_be_visible()
    expect(below(page, "h2")).to_have_count(0)
    page.get_by_role("button", name="Show what is hidden").click()
    expect(below(page, "h2")).to_be_visible()


def test_a_host_that_falls_silent_is_marked_and_so_is_its_return(cluster: Cluster, page: Page) -> None:
    page.goto("/topology/")
    host = below(page, "h2")
    expect(host).to_have_accessible_name(re.compile("^host, h2, answers"))
    member = cluster.members["h2"]
    member.kill("kernel")
    expect(host).to_have_accessible_name(re.compile("^host, h2, does not answer"), timeout=60_000)
    expect(chosen(page, "^host, h2")).to_contain_text("does not answer")
    member.start("kernel")
    expect(host).to_have_accessible_name(re.compile("^host, h2, answers"), timeout=60_000)
