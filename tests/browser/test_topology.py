"""The topology under a person's hands: by mouse and by keys alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.product.conftest import Console

from .conftest import ADDRESS, NewPage

pytestmark = [pytest.mark.kernel, pytest.mark.browser]


@pytest.fixture(scope="module")
def graph(console: Console) -> Iterator[Console]:
    console.network("left", subnets=[{"subnet": "10.40.0.0/24"}])
    console.network("right", subnets=[{"subnet": "10.41.0.0/24"}])
    console.run("alpha", network="left", ports=["8090:80"])
    console.run("omega", network="right")
    return console


def item(page: Page, words: str) -> Locator:
    return page.get_by_role("treeitem", name=re.compile(words))


def chosen(page: Page, words: str) -> Locator:
    """Choose something by the tree; the panel that tells of it."""
    item(page, words).locator(".tree-name").first.click()
    return page.locator("#panel")


def test_a_moved_network_stays_where_it_was_put_until_it_is_put_back(graph: Console, new_page: NewPage) -> None:
    page = new_page()
    page.goto("/topology/")
    chosen(page, "network, left")
    page.locator("canvas.map").focus()
    with page.expect_response(re.compile("places")) as saved:
        for _ in range(4):
            page.keyboard.press("Shift+ArrowDown")
    assert saved.value.status == 204
    places = json.loads(saved.value.request.post_data or "{}")
    assert list(places) == [graph.get("networks/left")["id"]]
    again = new_page()
    again.goto("/topology/")
    assert json.loads(again.locator("#places").text_content() or "") == places
    with again.expect_response(re.compile("places")):
        again.get_by_role("button", name="Put moved networks back").click()
    page.goto("/topology/")
    expect(page.get_by_role("button", name="Put moved networks back")).to_be_hidden()


def test_a_network_is_dragged_by_its_head_and_a_container_onto_a_network(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    canvas = page.locator("canvas.map")
    graph_json = exported(page, "JSON", "json")
    names = {node["name"]: node["id"] for node in json.loads(graph_json)["nodes"]}
    spots = page.evaluate("window.cnmTopology.standing()")
    box = canvas.bounding_box()
    assert box is not None

    def drag(start: list[float], end: list[float]) -> None:
        page.mouse.move(box["x"] + start[0], box["y"] + start[1])
        page.mouse.down()
        page.mouse.move(box["x"] + end[0], box["y"] + end[1], steps=6)
        page.mouse.up()

    x, y = spots[names["left"]]["head"]
    with page.expect_response(re.compile("places")):
        drag([x, y], [x + 30, y + 40])
    moved = page.evaluate("window.cnmTopology.standing()")[names["left"]]["head"]
    assert [round(moved[0] - x), round(moved[1] - y)] == [30, 40]
    spots = page.evaluate("window.cnmTopology.standing()")
    drag(spots[names["omega"]]["middle"], spots[names["left"]]["head"])
    page.wait_for_url(re.compile(r"/connect/\?network=left"))
    expect(page.get_by_label("Network", exact=True)).to_have_value("left")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator(".plan")).to_contain_text("endpoint omega on left")
    page.get_by_role("button", name="Connect").click()
    page.wait_for_url(re.compile("tab=endpoints"))
    assert len(graph.get("containers/omega")["endpoints"]) == 2


def test_what_is_chosen_is_stopped_started_collapsed_and_focused_from_its_panel(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    item(page, "network, left").locator("[data-toggle]").first.click()
    panel = chosen(page, "container, alpha")
    expect(panel).to_contain_text("eth0 10.40.0.2/24")
    panel.get_by_role("button", name="Stop").click()
    expect(item(page, "container, alpha, exited")).to_be_visible()
    panel.get_by_role("button", name="Start").click()
    expect(item(page, "container, alpha, running")).to_be_visible()

    panel = chosen(page, "network, left")
    panel.get_by_role("button", name="Collapse").click()
    expect(item(page, "container, alpha")).to_have_count(0)
    expect(item(page, "network, left.*1 containers collapsed")).to_be_visible()
    page.reload()  # the address keeps the view
    expect(item(page, "network, left.*1 containers collapsed")).to_be_visible()
    chosen(page, "network, left").get_by_role("button", name="Expand").click()

    chosen(page, "network, right").get_by_role("button", name="Only its surroundings").click()
    expect(item(page, "network, bridge")).to_have_count(0)
    expect(item(page, "network, right")).to_be_visible()
    page.get_by_role("button", name="Show everything again").click()
    expect(item(page, "network, left")).to_be_visible()


def exported(page: Page, name: str, ending: str) -> str:
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as started:
        page.get_by_role("button", name=name).click()
    page.keyboard.press("Escape")
    assert started.value.suggested_filename == f"topology.{ending}"
    return Path(started.value.path()).read_text(errors="replace")


def test_the_graph_can_be_taken_along_in_four_formats(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    assert "alpha" in exported(page, "SVG", "svg")
    assert exported(page, "PNG", "png")[1:4] == "PNG"
    assert "8090/tcp" in exported(page, "Mermaid", "mmd")
    told = json.loads(exported(page, "JSON", "json"))
    assert {"alpha", "omega", "left", "right"} <= {node["name"] for node in told["nodes"]}


def test_a_viewer_gets_no_actions(graph: Console, page: Page, new_page: NewPage) -> None:
    page.goto("/users/")
    page.get_by_label("Name", exact=True).fill("viola")
    page.get_by_label("Password", exact=True).fill("only-looking-around")
    page.get_by_role("button", name="Add user").click()
    looking = new_page(signed_in=False)
    looking.goto(f"{ADDRESS}/topology/")
    looking.get_by_label("Name").fill("viola")
    looking.get_by_label("Password").fill("only-looking-around")
    looking.get_by_role("button", name="Sign in").click()
    item(looking, "network, right").locator("[data-toggle]").first.click()
    panel = chosen(looking, "container, omega")
    expect(panel.get_by_role("link", name="Logs")).to_be_visible()
    expect(panel.get_by_role("button", name=re.compile("Stop|Start"))).to_have_count(0)
    expect(panel.get_by_role("link", name="Connect")).to_have_count(0)
