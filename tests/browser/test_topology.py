"""The topology under a person's hands: by mouse and by keys alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.product.conftest import Console

from .conftest import ADDRESS, NewPage, sign_in
from .test_pages import check

pytestmark = [pytest.mark.kernel, pytest.mark.browser]
PLACES = "**/topology/places/"


@pytest.fixture(scope="module")
def graph(console: Console) -> Iterator[Console]:
    console.network("left", subnets=[{"subnet": "10.40.0.0/24"}])
    console.network("right", subnets=[{"subnet": "10.41.0.0/24"}])
    console.run("alpha", network="left", ports=["8090:80"], stop_timeout=0)  # what it runs does not heed SIGTERM
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
    for _ in range(2):  # one at a time: keys that come slowly are told of one by one, and the last counts
        with page.expect_response(re.compile("places")) as saved:
            page.keyboard.press("Shift+ArrowDown")
        assert saved.value.status == 204
    places = json.loads(saved.value.request.post_data or "{}")["places"]
    assert list(places) == [graph.get("networks/left")["id"]]
    again = new_page()
    again.goto("/topology/")
    assert json.loads(again.locator("#places").text_content() or "") == places
    with again.expect_response(re.compile("places")):
        again.get_by_role("button", name="Put moved things back").click()
    page.goto("/topology/")
    expect(page.get_by_role("button", name="Put moved things back")).to_be_hidden()


def test_what_is_in_sight_is_marked_in_a_small_picture_and_a_press_there_goes_there(
    graph: Console, new_page: NewPage
) -> None:
    page = new_page()
    page.goto("/topology/")
    small, sight = page.locator(".minimap"), page.locator(".minimap .sight")
    expect(page.locator("canvas.map")).to_have_attribute("data-nodes", re.compile(r"\d"))
    expect(small).to_be_hidden()
    for _ in range(5):
        page.get_by_role("button", name="Closer").click()
    expect(small).to_be_visible()

    def part() -> dict[str, float]:
        box = sight.bounding_box()
        assert box
        return dict(box)

    whole, before = small.bounding_box(), part()
    assert whole
    assert before["width"] < 0.9 * whole["width"]
    page.mouse.move(whole["x"] + 3, whole["y"] + 3)
    page.mouse.down()
    corner = part()
    assert corner["x"] < before["x"]
    assert corner["y"] < before["y"]
    page.mouse.move(whole["x"] + whole["width"] - 3, whole["y"] + whole["height"] - 3, steps=3)
    page.mouse.up()
    assert part()["x"] > corner["x"]
    page.emulate_media(color_scheme="dark")
    check(page, "topology with its small picture")
    page.get_by_role("button", name="Show everything", exact=True).click()
    expect(small).to_be_hidden()


def left_behind(page: Page) -> dict[str, list[int]]:
    """The places that the server knows, as a page of the topology has them from it."""
    page.goto("/topology/")
    return json.loads(page.locator("#places").text_content() or "")


@pytest.mark.unserved
def test_a_move_is_kept_however_many_were_moved_and_though_the_server_was_away(
    graph: Console, new_page: NewPage
) -> None:
    page = new_page()
    page.goto("/topology/")
    many = {f"group:{'x' * 60}{number}": [number, number] for number in range(1500)}
    kept = page.evaluate(
        """places => fetch("/topology/places/", {method: "POST", body: JSON.stringify({places}), headers: {"Content-Type":
        "application/json", "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value}}).then(a => a.status)""",
        many,
    )
    assert kept == 204
    page.reload()
    chosen(page, "network, left")
    page.locator("canvas.map").focus()
    with page.expect_response(re.compile("places")) as saved:
        page.keyboard.press("Shift+ArrowDown")
    assert saved.value.status == 204
    page.route(PLACES, lambda route: route.abort("connectionrefused"))
    chosen(page, "network, right")
    page.locator("canvas.map").focus()
    with page.expect_event("requestfailed", lambda request: "places" in request.url):
        page.keyboard.press("Shift+ArrowDown")
    with page.expect_response(re.compile("places")) as saved:  # it is told again
        page.unroute(PLACES)
    assert saved.value.status == 204
    again = new_page()
    places = left_behind(again)
    assert {graph.get(f"networks/{name}")["id"] for name in ("left", "right")} < places.keys()
    assert len(places) == 1502
    with again.expect_response(re.compile("places")):
        again.get_by_role("button", name="Put moved things back").click()
    assert left_behind(page) == {}


def test_what_is_moved_and_put_back_is_told_as_the_page_is_left_however_much_it_is(
    graph: Console, new_page: NewPage
) -> None:
    page = new_page()
    assert left_behind(page) == {}
    page.evaluate("window.setTimeout = () => 0")  # nothing is told a moment later: only as the page is left
    put = "([from, to]) => { for (let i = from; i < to; i++) window.cnmTopology.places.put(`group:${i}`, [i, i]) }"
    page.evaluate(put, [0, 1000])
    page.goto("/settings/")
    again = new_page()
    # What is under way when a page goes is heard a moment later.
    assert graph.until(lambda: len(left_behind(again)) == 1000)
    again.evaluate("window.setTimeout = () => 0")
    again.get_by_role("button", name="Put moved things back").click()
    again.evaluate(put, [5, 8])
    again.goto("/settings/")
    assert graph.until(lambda: left_behind(page) == {f"group:{number}": [number, number] for number in (5, 6, 7)})
    with page.expect_response(re.compile("places")):
        page.get_by_role("button", name="Put moved things back").click()
    assert left_behind(again) == {}


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
    expect(page.locator(".plan")).to_contain_text("endpoint omega on left")
    page.get_by_role("button", name="Connect", exact=True).click()
    page.wait_for_url(re.compile("tab=endpoints"))
    assert len(graph.get("containers/omega")["endpoints"]) == 2


def test_what_is_chosen_is_stopped_started_collapsed_and_focused_from_its_panel(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    side = [page.locator(name).bounding_box() for name in ("canvas.map", "#panel", "#tree")]
    assert all(box is not None and box["height"] > 50 for box in side), "the tree has the room that the panel leaves"
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


def test_the_picture_fits_the_window_that_it_is_in_now(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    expect(item(page, "network, left")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("""() => {
        const { clientWidth, clientHeight } = document.querySelector("canvas.map");
        const places = Object.values(window.cnmTopology.standing()).map((one) => one.middle);
        return places.length && places.every(([x, y]) => x > 0 && y > 0 && x < clientWidth && y < clientHeight);
    }""")


def test_rows_of_the_tree_stay_where_they_are_while_others_come_and_go(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    row = item(page, "network, right").element_handle()
    row.focus()
    graph.network("passing-by")
    expect(item(page, "network, passing-by")).to_be_visible()
    expect(page.get_by_role("tree")).not_to_have_attribute("aria-busy", "true")
    graph.call("DELETE", "networks/passing-by")
    expect(item(page, "network, passing-by")).to_have_count(0)
    assert row.evaluate("row => row.isConnected && row === document.activeElement"), (
        "its focus is not given anew, it stays"
    )


def test_the_panel_leads_to_log_terminal_and_trace_and_out_of_a_network(graph: Console, page: Page) -> None:
    graph.run("leaver", network="right")
    graph.call("POST", "networks/left/connect", {"container": "leaver"})
    page.goto("/topology/")
    for network in ("left", "right"):
        item(page, f"network, {network}").locator("[data-toggle]").first.click()
    panel = chosen(page, "container, leaver")
    check(page, "a chosen container with its actions")
    for name, tab in (("Logs", "logs"), ("Terminal", "terminal")):
        expect(panel.get_by_role("link", name=name)).to_have_attribute(
            "href", re.compile(f"/containers/[0-9a-f]+/.tab={tab}")
        )
    panel.get_by_role("button", name="Trace to").click()
    expect(panel).to_contain_text("Choose where a packet from leaver goes")
    page.keyboard.press("Escape")
    chosen(page, "container, leaver").get_by_role("button", name="Trace to").click()
    item(page, "container, omega").locator(".tree-name").first.click()
    page.wait_for_url(re.compile(r"/firewall/trace/\?from=leaver&to=omega"))
    expect(page.get_by_role("heading", name=re.compile("leaver → omega"))).to_contain_text("allowed")
    page.go_back()
    item(page, "network, right").locator("[data-toggle]").first.click()
    chosen(page, "container, leaver").get_by_role("link", name="Disconnect from left").click()
    expect(page.locator(".plan")).to_contain_text("endpoint leaver on left")
    page.get_by_role("button", name="Disconnect").click()
    page.wait_for_url(re.compile("/containers/"))
    assert [one["network"]["name"] for one in graph.get("containers/leaver")["endpoints"]] == ["right"]
    graph.remove("leaver")


def test_what_is_not_ours_appears_by_itself_and_can_be_hidden(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    graph.bottle.run(["ip", "link", "add", "podman7", "type", "bridge"])
    graph.bottle.run(["ip", "netns", "add", "lab"])
    graph.bottle.run(["ip", "link", "add", "lab0", "type", "veth", "peer", "name", "eth0", "netns", "lab"])
    graph.bottle.run(["ip", "link", "set", "lab0", "master", "podman7", "up"])
    expect(item(page, "another program, podman7")).to_be_visible()
    item(page, "podman7").locator("[data-toggle]").first.click()
    panel = chosen(page, "not ours, lab")
    expect(panel).to_contain_text("eth0 (lab0 @ podman7)")
    expect(panel).to_contain_text("Podman")
    expect(panel.get_by_role("button", name=re.compile("Start|Stop"))).to_have_count(0)
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("row", name=re.compile("lab.*Podman"))).to_be_visible()
    page.get_by_role("checkbox", name="Not ours").uncheck()
    expect(item(page, "podman7")).to_have_count(0)
    page.reload()
    expect(item(page, "network, left")).to_be_visible()
    expect(item(page, "podman7")).to_have_count(0)
    graph.bottle.run(["ip", "netns", "del", "lab"])
    graph.bottle.run(["ip", "link", "del", "podman7"])


PODMANS = "netns-0b6c3a2e-1111-2222-3333-444455556666"
SUPERVISOR = f"#!/bin/sh\nip netns exec {PODMANS} sleep 1000\n"
"""What Podman starts for each container: its command line has the name, and its child is in the namespace."""


def test_a_container_of_podman_stands_in_its_bridge_by_its_name(graph: Console, page: Page) -> None:
    graph.bottle.write("/tmp/conmon", SUPERVISOR)
    graph.bottle.run(["chmod", "+x", "/tmp/conmon"])
    for words in (
        ("link", "add", "podman0", "type", "bridge"),
        ("netns", "add", PODMANS),
        ("link", "add", "vethpod", "type", "veth", "peer", "name", "eth0", "netns", PODMANS),
        ("link", "set", "vethpod", "master", "podman0", "up"),
    ):
        graph.bottle.run(["ip", *words])
    supervisor = graph.bottle.popen(["/tmp/conmon", "--api-version", "1", "-c", "f00d", "-n", "blog", "-s"])
    page.goto("/topology/")
    item(page, "another program, podman0").locator("[data-toggle]").first.click()
    panel = chosen(page, "not ours, blog")
    expect(panel).to_contain_text("Podman")
    expect(panel).to_contain_text("vethpod @ podman0")
    supervisor.kill()
    graph.bottle.run(["sh", "-c", f"ip netns pids {PODMANS} | xargs -r kill"])
    graph.bottle.run(["ip", "netns", "del", PODMANS])
    graph.bottle.run(["ip", "link", "del", "podman0"])


def test_traffic_shows_as_it_happens_and_is_told_in_figures(graph: Console, page: Page) -> None:
    graph.serve("talks", 80, "x" * 4000, network="left", ports=["8099:80"])
    page.goto("/topology/")
    item(page, "network, left").locator("[data-toggle]").first.click()
    panel = chosen(page, "container, talks")
    expect(panel.locator("[data-flow]").first).to_contain_text("↓ 0 B/s")

    def moves(figure: Locator) -> bool:
        assert graph.connects_soon("192.0.2.2", 8099)
        return "kB/s" in (figure.text_content() or "") or bool(re.search(r"[1-9]\d* B/s", figure.text_content() or ""))

    port = panel.locator("[data-flow^='port:']")
    assert graph.until(lambda: moves(port)), port.text_content()
    assert graph.until(lambda: moves(panel.locator("[data-flow]").first))
    graph.remove("talks")


def test_containers_stand_together_by_label_or_state_with_their_endpoints_as_lines(graph: Console, page: Page) -> None:
    graph.run("labelled", network="left", labels={"tier": "front"})
    page.goto("/topology/?group=label:tier")
    expect(item(page, "group, front")).to_be_visible()
    told = json.loads(exported(page, "JSON", "json"))
    lines = [edge["label"] for edge in told["edges"] if edge["kind"] == "endpoint"]
    assert any(re.match(r"eth0 10\.40\.0\.\d+ ([0-9a-f]{2}:){5}", label) for label in lines)
    page.get_by_label("Together by").select_option("state")
    expect(item(page, "group, running")).to_be_visible()
    graph.remove("labelled")
    page.get_by_label("Together by").select_option("network")
    expect(item(page, "network, left")).to_be_visible()


def test_the_past_is_shown_as_it_was_marked_as_such_and_compared_with_now(graph: Console, page: Page) -> None:
    graph.run("passing", network="right")
    address = graph.address("passing")

    def stands(text: str) -> bool:
        return text in json.dumps(graph.get("firewall/rules", page_size=500)["results"])

    assert graph.until(lambda: stands(address))
    then = datetime.now(UTC).isoformat()
    graph.call("POST", "containers/passing/stop", {"timeout": 1})
    assert graph.until(lambda: not stands(address)), "our own work was looked at, so what comes now is another's"
    graph.bottle.run(["iptables", "-A", "FORWARD", "-s", "198.51.100.7", "-j", "DROP"])
    assert graph.until(lambda: stands("198.51.100.7"))
    page.goto(f"/topology/?{urlencode({'at': then})}")
    expect(page.locator("[data-note]")).to_contain_text("Nothing here is of now")
    item(page, "network, right").locator("[data-toggle]").first.click()
    panel = chosen(page, "container, passing, running")
    expect(panel).to_contain_text("10.41.0.")
    expect(panel.get_by_role("button", name=re.compile("Start|Stop"))).to_have_count(0)
    expect(panel.get_by_role("link", name=re.compile("Connect|Logs"))).to_have_count(0)
    panel.get_by_text("Its rules then").click()
    expect(panel.locator(".rule-change").first).to_contain_text("10.41.0.")

    page.get_by_role("button", name="Back to now").click()
    expect(item(page, "container, passing, exited")).to_be_visible()
    expect(page.locator("[data-note]")).to_be_hidden()
    assert "at=" not in page.url

    page.goto(f"/topology/?{urlencode({'since': then})}")
    changed = page.locator("#changes")
    row = changed.locator("li", has_text="passing")
    expect(row).to_contain_text("running → exited")
    expect(row).to_contain_text("admin")
    changed.get_by_text("Rules:").click()
    check(page, "a comparison of two moments")
    expect(changed.locator("ins", has_text="198.51.100.7")).to_be_visible()
    expect(changed).to_contain_text("seen to write: iptables")
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(page.locator("[data-note]")).to_contain_text("The past")
    expect(item(page, "network, right")).to_have_count(0)
    graph.bottle.run(["iptables", "-D", "FORWARD", "-s", "198.51.100.7", "-j", "DROP"])
    graph.remove("passing")


def exported(page: Page, name: str, ending: str) -> str:
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as started:
        page.get_by_role("button", name=name).click()
    page.keyboard.press("Escape")
    assert started.value.suggested_filename == f"topology.{ending}"
    return Path(started.value.path()).read_text(errors="replace")


OFFERED = """() => {
    const real = URL.createObjectURL;
    URL.createObjectURL = (blob) => {
        window.offered = blob;
        return real(blob);
    };
}"""
COLOURS = """async () => {
    const image = await createImageBitmap(window.offered);
    const pen = new OffscreenCanvas(image.width, image.height).getContext("2d");
    pen.drawImage(image, 0, 0);
    return new Set(new Uint32Array(pen.getImageData(0, 0, image.width, image.height).data.buffer)).size;
}"""
"""Of how many colours the picture is that was offered for download."""


def test_the_graph_can_be_taken_along_in_four_formats(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    assert "alpha" in exported(page, "SVG", "svg")
    page.evaluate(OFFERED)
    assert exported(page, "PNG", "png")[1:4] == "PNG"
    assert page.evaluate(COLOURS) > 20, "hosts, networks, containers and their names are in it"
    assert "8090/tcp" in exported(page, "Mermaid", "mmd")
    told = json.loads(exported(page, "JSON", "json"))
    assert {"alpha", "omega", "left", "right"} <= {node["name"] for node in told["nodes"]}


def test_without_a_mouse_the_tree_the_picture_and_the_panel_do_all(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    keys, tree = page.keyboard, page.get_by_role("tree")
    expect(tree).not_to_have_attribute("aria-busy", "true")
    reach(page, page.get_by_role("treeitem").first)
    keys.press("ArrowDown")
    while "network, left" not in (focused(page) or ""):
        before = focused(page)
        keys.press("ArrowDown")
        assert focused(page) != before, "the end was reached without it"
    keys.press("ArrowRight")  # opens
    keys.press("ArrowRight")  # goes in
    assert "container, alpha" in (focused(page) or "")
    keys.press("Space")
    panel = page.locator("#panel")
    expect(panel.get_by_role("heading")).to_contain_text("alpha")
    reach(page, panel.get_by_role("button", name="Stop"), "Shift+Tab")
    keys.press("Enter")
    expect(item(page, "container, alpha, exited")).to_be_visible()
    start = panel.get_by_role("button", name="Start")
    reach(page, start)
    keys.press("Enter")
    expect(item(page, "container, alpha, running")).to_be_visible()

    def middle() -> list[float]:
        place: list[float] = page.evaluate("(id) => window.cnmTopology.standing()[id].middle", network)
        return place

    network = graph.get("networks/left")["id"]
    reach(page, page.locator("canvas.map"), "Shift+Tab")
    x, y = middle()
    keys.press("ArrowRight")
    assert middle() == pytest.approx([x - 60, y]), "the picture is moved along"
    keys.press("0")
    assert middle() == pytest.approx([x, y])
    keys.press("+")
    assert middle() != pytest.approx([x, y])
    keys.press("Escape")
    expect(panel).to_contain_text("Choose something")
    reach(page, page.locator("#as-table summary"))
    keys.press("Enter")
    expect(
        page.get_by_role("row", name=re.compile("alpha running left eth0 10.40.0.2.24 ([0-9a-f]{2}:){5}"))
    ).to_be_visible()


def reach(page: Page, wanted: Locator, key: str = "Tab") -> None:
    for _ in range(80):
        if wanted.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{wanted} is not reached by {key}")


def focused(page: Page) -> str | None:
    name: str | None = page.evaluate("document.activeElement.getAttribute('aria-label')")
    return name


def test_changes_are_said_to_a_screen_reader_by_name(graph: Console, page: Page) -> None:
    page.goto("/topology/")
    page.wait_for_selector("#live[data-state=live]")
    said = page.locator("#said")
    graph.run("spoken", network="right", stop_timeout=0)
    expect(said).to_contain_text("spoken: running")
    graph.call("POST", "containers/spoken/stop", {"timeout": 0})
    expect(said).to_contain_text("spoken: exited")
    graph.remove("spoken")
    expect(said).to_contain_text("spoken is gone")


def test_a_search_finds_by_field_and_narrows_the_picture_which_the_address_keeps(graph: Console, page: Page) -> None:
    graph.run("quiet", network="right", labels={"tier": "back"}, stop_timeout=0)
    graph.call("POST", "containers/quiet/stop", {"timeout": 0})
    page.goto("/topology/")
    shown = page.locator("#map-summary")
    expect(item(page, "container, alpha")).to_have_count(0)  # its network is closed
    page.get_by_label("Search the topology").fill("label:tier=back state:exited")
    expect(item(page, "container, quiet")).to_be_visible()
    expect(item(page, "network, left")).to_have_count(0)
    expect(shown).to_contain_text(re.compile("Networks: [2-9]"))  # the picture is dimmed, not narrowed
    page.get_by_role("checkbox", name="Only matches").check()
    expect(shown).to_have_text("Networks: 1, containers: 1, published ports: 0")
    graph.call("POST", "containers/quiet/start", {})
    expect(shown).to_have_text("Networks: 0, containers: 0, published ports: 0")
    graph.call("POST", "containers/quiet/stop", {"timeout": 0})
    expect(shown).to_have_text("Networks: 1, containers: 1, published ports: 0")
    page.reload()
    expect(shown).to_have_text("Networks: 1, containers: 1, published ports: 0")
    page.get_by_label("Search the topology").fill("-host:local")
    expect(shown).to_have_text("Networks: 0, containers: 0, published ports: 0")
    graph.remove("quiet")


def test_what_a_person_moved_is_theirs_alone(graph: Console, page: Page, new_page: NewPage) -> None:
    page.goto("/topology/")
    chosen(page, "network, right")
    page.locator("canvas.map").focus()
    with page.expect_response(re.compile("places")):
        page.keyboard.press("Shift+ArrowDown")
    page.goto("/users/")
    page.get_by_label("Name", exact=True).fill("petra")
    page.get_by_label("Password", exact=True).fill("only-looking-around")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("row", name="petra")).to_be_visible()
    other = new_page(signed_in=False)
    sign_in(other, "petra", "only-looking-around")
    other.goto("/topology/")
    expect(item(other, "network, right")).to_be_visible()
    assert json.loads(other.locator("#places").text_content() or "") == {}
    page.goto("/topology/")
    with page.expect_response(re.compile("places")):
        page.get_by_role("button", name="Put moved things back").click()


def test_the_width_of_a_line_is_what_it_carries(graph: Console, page: Page) -> None:
    graph.serve("busy", 80, "x" * 4000, network="left", ports=["8098:80"])
    graph.call("POST", "networks/right/connect", {"container": "busy"})
    page.goto("/topology/")

    def widths() -> dict[str, float]:
        """By what is written at each line that carries something."""
        assert graph.connects_soon("192.0.2.2", 8098)
        found = re.findall(r'stroke-width="([0-9.]+)"[^>]*><title>([^<]*B/s)</title>', exported(page, "SVG", "svg"))
        return {title: float(width) for width, title in found}

    assert graph.until(lambda: any("→ 80" in title and width > 1.5 for title, width in widths().items()))

    def rates() -> list[str]:
        graph.inside("busy", "busybox", "ping", "-c", "5", "-i", "0.1", "-s", "1200", graph.address("omega"))
        return [title for title in widths() if title.startswith("eth1")]

    assert graph.until(rates), "the endpoint in the further network"
    graph.remove("busy")


def test_a_viewer_gets_no_actions(graph: Console, page: Page, new_page: NewPage) -> None:
    page.goto("/users/")
    page.get_by_label("Name", exact=True).fill("viola")
    page.get_by_label("Password", exact=True).fill("only-looking-around")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("row", name="viola")).to_be_visible()
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
