"""The whole story, as an admin lives it: a network, two containers, a published port, everything seen live, all taken away again."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.product.conftest import Console

from .conftest import ADDRESS, NewPage, sign_in

pytestmark = [pytest.mark.kernel, pytest.mark.browser]
SERVE = "busybox nc -ll -p 80 -e echo hello"


def test_the_whole_story(console: Console, new_page: NewPage, shoot: Callable[[Page, str], None]) -> None:
    before = console.bottle.dump()
    page, watcher, rules = new_page(signed_in=False), new_page(), new_page()
    sign_in(page)
    watcher.goto("/topology/")
    rules.goto("/firewall/")

    create_network(page)
    expect(watcher.get_by_role("treeitem", name=re.compile("shop"))).to_be_visible()
    expect(rules.get_by_text("Masquerade", exact=False).first).to_be_attached()

    run_container(page, "web", SERVE, port="8080:80")
    run_container(page, "worker", "sleep 1000")
    watcher.get_by_role("treeitem", name=re.compile("shop")).locator("[data-toggle]").first.click()
    for name in ("web", "worker"):
        expect(watcher.get_by_role("treeitem", name=re.compile(f"container, {name}"))).to_be_visible()
    expect(watcher.get_by_role("treeitem", name=re.compile("8080"))).to_be_visible()
    dnat = rules.locator("tr", has_text="--dport 8080").filter(has_text="DNAT")
    expect(dnat).to_have_count(1)
    expect(dnat).to_contain_text("published port 8080/tcp")
    expect(dnat.locator(".because")).not_to_be_empty()
    shoot(watcher, "story-topology")
    shoot(rules, "story-firewall")

    assert console.connects_soon("192.0.2.2", 8080) == "hello"

    for name in ("web", "worker"):
        page.goto(f"/containers/{name}/")
        page.get_by_role("link", name="Remove").click()
        expect(page.locator(".plan")).to_contain_text("netns")
        page.get_by_role("button", name="Stop and remove").click()
        page.wait_for_url(f"{ADDRESS}/containers/")
        expect(watcher.get_by_role("treeitem", name=re.compile(f"container, {name}"))).to_have_count(0)
    expect(dnat).to_have_count(0)
    page.goto("/networks/shop/remove/")
    expect(page.locator(".plan")).to_contain_text("bridge")
    page.get_by_role("button", name="Remove").click()
    page.wait_for_url(f"{ADDRESS}/networks/")
    expect(watcher.get_by_role("treeitem", name=re.compile("shop"))).to_have_count(0)
    watcher.close()  # traffic is counted while somebody looks at the topology
    console.until(lambda: console.bottle.dump() == before)
    assert console.bottle.dump() == before


def create_network(page: Page) -> None:
    page.goto("/networks/")
    page.get_by_role("link", name="Create network").first.click()
    page.locator("#f-name").fill("shop")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Subnet", exact=True).fill("10.30.0.0/24")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("10.30.0.1/24")
    expect(plan).to_contain_text("MASQUERADE")
    page.get_by_role("button", name="Create network").click()
    page.wait_for_url(f"{ADDRESS}/networks/shop/")
    expect(page.get_by_role("heading", name="shop")).to_be_visible()


def run_container(page: Page, name: str, command: str, port: str = "") -> None:
    page.goto("/containers/new/")
    page.locator("#f-name").fill(name)
    page.get_by_label("Command").fill(command)
    page.get_by_label("Network", exact=True).first.select_option("shop")
    if port:
        host, container = port.split(":")
        page.get_by_label("Container port").fill(container)
        page.get_by_label("Host port").fill(host)
        expect(page.locator("#plan")).to_contain_text(
            f"--dport {host}"
        )  # of what was typed last: no plan comes under the click
    expect(page.locator("#plan")).to_contain_text(f"endpoint {name} on shop")
    page.get_by_role("button", name="Run container").click()
    page.wait_for_url(f"{ADDRESS}/containers/{name}/")
    expect(page.get_by_text("running").first).to_be_visible()


def test_a_mistake_is_told_beside_its_field_in_the_words_of_rest(console: Console, page: Page) -> None:
    body = {"name": "wrong", "subnets": [{"subnet": "10.30.0.0/24", "gateway": "10.31.0.1"}]}
    problem = console.raw("POST", "networks", body).json()
    page.goto("/networks/new/")
    page.locator("#f-name").fill("wrong")
    page.get_by_role("button", name="Addressing").click()
    page.get_by_label("Subnet", exact=True).fill("10.30.0.0/24")
    page.get_by_label("Gateway", exact=True).fill("10.31.0.1")
    page.get_by_role("button", name="Show the plan").click()
    beside = page.locator(".form-row", has=page.get_by_label("Gateway", exact=True)).locator(".invalid-feedback")
    expect(beside).to_contain_text(problem["detail"])
    expect(beside).to_contain_text(problem["remedy"])
    assert console.raw("GET", "networks/wrong").status_code == 404


def test_a_port_that_is_taken_is_told_beside_that_port_alone(console: Console, page: Page) -> None:
    console.run("first", ports=["8090:80"])
    page.goto("/containers/new/")
    page.get_by_label("Command").fill("sleep 1000")
    for row, (container, host) in enumerate((("81", "8089"), ("80", "8090"))):
        page.locator(f"[name='ports.{row}.container_port']").fill(container)
        page.locator(f"[name='ports.{row}.host_port']").fill(host)
        expect(page.locator(f"[name='ports.{row + 1}.host_port']")).to_be_attached()
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator("[name='ports.1.host_port']")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".row-set .invalid-feedback")).to_have_count(1)
    expect(page.locator(".row-set .invalid-feedback")).to_contain_text("8090/tcp is held by container first")
    console.remove("first")


def test_what_failed_is_repaired_from_its_own_page(console: Console, page: Page) -> None:
    device = console.run("hindered")["endpoints"][0]["device"]
    console.call("POST", "containers/hindered/stop", {"timeout": 0})
    console.bottle.run(["ip", "link", "add", device, "type", "bridge"])
    assert console.raw("POST", "containers/hindered/start", {}).status_code == 409
    page.goto("/containers/hindered/")
    expect(page.get_by_role("alert")).to_contain_text(f"A device named {device} exists on the host and is not ours.")
    console.bottle.run(["ip", "link", "del", device])
    page.get_by_role("button", name="Repair").click()
    page.wait_for_url(f"{ADDRESS}/operations/*/")
    page.goto("/containers/hindered/")
    expect(page.get_by_text("running").first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    console.remove("hindered")


def test_what_others_break_shows_in_an_open_page_and_is_repaired_from_it(console: Console, page: Page) -> None:
    console.network("breakable")
    console.run("fragile", network="breakable", ports=["8081:80"])
    page.goto("/drift/")
    device = console.get("containers/fragile")["endpoints"][0]["device"]
    console.bottle.run(["ip", "link", "del", device])
    console.bottle.run(["iptables", "-t", "nat", "-F", "CNM"])
    expect(page.locator("#list")).to_contain_text(device)
    expect(page.locator("#list")).to_contain_text("--dport 8081")
    page.get_by_role("link", name="Repair all").click()
    expect(page.locator(".plan")).to_contain_text(device)
    page.get_by_role("button", name="Repair").click()
    page.wait_for_url(f"{ADDRESS}/drift/")  # whoever goes on at once takes the request back
    page.goto("/drift/")
    expect(page.locator("#list tr")).to_have_count(0)
    assert device in {link["ifname"] for link in console.bottle.ip("link")}
    console.remove("fragile")
    console.call("DELETE", "networks/breakable")


def test_a_viewer_sees_everything_and_changes_nothing(console: Console, new_page: NewPage) -> None:
    admin = new_page()
    admin.goto("/users/")
    admin.get_by_label("Name", exact=True).fill("vera")
    admin.get_by_label("Password", exact=True).fill("only-looking-around")
    admin.locator("#f-role").select_option("viewer")
    admin.get_by_role("button", name="Add user").click()
    expect(admin.get_by_role("row", name="vera")).to_be_visible()
    page = new_page(signed_in=False)
    sign_in(page, "vera", "only-looking-around")
    expect(page.get_by_role("link", name="Create network")).to_have_count(0)
    page.goto("/networks/")
    expect(page.get_by_role("link", name="bridge")).to_be_visible()
    refused = page.goto("/networks/new/")
    assert refused is not None
    assert refused.status == 403
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    page.goto("/containers/")
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Go to a page or an object, or do something")
    expect(palette.get_by_role("option", name="Containers")).to_be_visible()
    expect(palette.get_by_role("option").filter(has_text=re.compile("Create|Run|Add|Repair|Users"))).to_have_count(0)


def test_a_page_says_when_the_server_is_away_and_comes_back(console: Console, new_page: NewPage) -> None:
    page = new_page()
    page.goto("/networks/")
    live = page.locator("#live")
    expect(live).to_have_attribute("data-state", "live")
    page.context.set_offline(True)
    page.evaluate("document.querySelector('#live').click()")
    expect(live).to_have_attribute("data-state", "paused")
    console.network("meanwhile")
    page.context.set_offline(False)
    page.evaluate("document.querySelector('#live').click()")
    expect(live).to_have_attribute("data-state", "live")
    expect(page.get_by_role("link", name="meanwhile")).to_be_visible()
    console.call("DELETE", "networks/meanwhile")
    expect(page.get_by_role("link", name="meanwhile")).to_have_count(0)


def test_a_newcomer_is_led_from_nothing_to_a_published_port(console: Console, new_page: NewPage) -> None:
    page = new_page(signed_in=False)
    sign_in(page)
    steps = page.locator(".first-run")
    page.goto("/containers/")
    expect(page.get_by_text("No container has been made yet.")).to_be_visible()
    expect(page.get_by_role("link", name="Run the first one")).to_be_visible()
    page.get_by_role("link", name="Dashboard").click()
    expect(steps.get_by_role("link", name="Go")).to_have_count(3)

    steps.get_by_role("listitem").filter(has_text="Make a network").get_by_role("link", name="Go").click()
    page.locator("#f-name").fill("first")
    expect(page.locator("#plan")).to_contain_text("network first")  # the free subnet was chosen
    page.get_by_role("button", name="Create network").click()
    page.wait_for_url(f"{ADDRESS}/networks/first/")
    expect(page.get_by_text("No container is on this network.")).to_have_count(0)
    page.get_by_role("link", name="Endpoints").click()
    expect(page.get_by_text("No container is on this network.")).to_be_visible()

    page.get_by_role("link", name="Dashboard").click()
    expect(steps.get_by_role("link", name="Go")).to_have_count(2)
    steps.get_by_role("listitem").filter(has_text="Publish a port").get_by_role("link", name="Go").click()
    page.locator("#f-name").fill("hello")
    page.get_by_label("Command").fill(SERVE)
    page.get_by_label("Network", exact=True).first.select_option("first")
    page.get_by_label("Container port").fill("80")
    page.get_by_label("Host port").fill("8085")
    expect(page.locator("#plan")).to_contain_text(
        "--dport 8085"
    )  # of what was typed last: no plan comes under the click
    page.get_by_role("button", name="Run container").click()
    page.wait_for_url(f"{ADDRESS}/containers/hello/")
    page.get_by_role("link", name="Rules").click()
    expect(page.locator(".because").first).not_to_be_empty()
    assert console.connects_soon("192.0.2.2", 8085) == "hello"

    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    expect(steps).to_have_count(0)  # all of it is done
    console.remove("hello")
    console.call("DELETE", "networks/first")


def test_everything_is_done_by_keyboard_alone(console: Console, page: Page) -> None:
    keys = page.keyboard
    page.goto("/")
    page.wait_for_selector("#live[data-state=live]")
    for key in ("g", "n"):
        keys.press(key)
    page.wait_for_url(f"{ADDRESS}/networks/")
    keys.press("?")
    helping = page.get_by_role("dialog", name="Keys")
    expect(helping).to_contain_text("Containers")
    keys.press("g")
    keys.press("c")  # nothing happens behind an open dialog
    keys.press("Escape")
    expect(helping).to_be_hidden()
    assert page.url == f"{ADDRESS}/networks/"
    keys.press("/")
    expect(page.get_by_label("Search networks")).to_be_focused()

    keys.press("Control+k")
    palette = page.get_by_role("dialog", name="Go to a page or an object, or do something")
    expect(palette.get_by_role("combobox")).to_be_focused()
    expect(palette.get_by_role("option").first).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_label("Search networks")).to_be_focused()  # back where it was
    keys.press("Control+k")
    keys.type("create net")
    expect(palette.get_by_role("option")).to_have_count(1)
    expect(palette.get_by_role("option", selected=True)).to_contain_text("Create network")
    keys.press("Enter")
    page.wait_for_url(f"{ADDRESS}/networks/new/")

    reach(page, page.locator("#f-name"))
    keys.type("typed")
    expect(page.locator("#plan")).to_contain_text("network typed")
    reach(page, page.get_by_role("button", name="Create network"))
    keys.press("Enter")
    page.wait_for_url(f"{ADDRESS}/networks/typed/")

    console.run("keyed", network="typed", stop_timeout=0)
    keys.press("Control+k")
    keys.type("keyed")
    stop = palette.get_by_role("option", name="Stop keyed")
    expect(stop).to_be_visible()
    for _ in range(palette.get_by_role("option").count()):
        if stop.get_attribute("aria-selected") == "true":
            break
        keys.press("ArrowDown")
    expect(stop).to_have_attribute("aria-selected", "true")
    active = palette.get_by_role("combobox").get_attribute("aria-activedescendant")
    assert active == stop.get_attribute("id")
    keys.press("Enter")
    page.wait_for_url(f"{ADDRESS}/containers/keyed/")
    expect(page.get_by_text("exited").first).to_be_visible()

    keys.press("Control+k")
    keys.type("remove keyed")
    expect(palette.get_by_role("option")).to_have_count(1)
    expect(palette.get_by_role("option", selected=True)).to_contain_text("Remove keyed")
    keys.press("Enter")
    page.wait_for_url(f"{ADDRESS}/containers/keyed/remove/")
    reach(page, page.get_by_role("button", name="Remove"))
    keys.press("Enter")
    page.wait_for_url(f"{ADDRESS}/containers/")
    console.call("DELETE", "networks/typed")


def test_rows_are_gone_through_picked_and_opened_by_keys(console: Console, page: Page) -> None:
    for name in ("first-row", "second-row"):
        console.network(name)
    keys = page.keyboard
    page.goto("/networks/?q=row&sort=name")
    page.wait_for_selector("#live[data-state=live]")
    keys.press("j")
    expect(page.get_by_role("link", name="first-row")).to_be_focused()
    keys.press("j")
    keys.press("x")
    expect(page.get_by_role("checkbox", name="Select second-row")).to_be_checked()
    keys.press("k")
    expect(page.get_by_role("link", name="first-row")).to_be_focused()
    keys.press("?")
    helping = page.get_by_role("dialog", name="Keys")
    for told in ("Next and previous row", "Create network", "Pause, or go on"):
        expect(helping).to_contain_text(told)
    keys.press("Escape")
    keys.press("p")
    expect(page.locator("#live")).to_have_attribute("data-state", "paused")
    keys.press("p")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    page.get_by_role("link", name="first-row").focus()
    keys.press("Enter")
    page.wait_for_url(f"{ADDRESS}/networks/first-row/")
    keys.press("e")
    page.wait_for_url(f"{ADDRESS}/networks/first-row/edit/")
    page.goto("/networks/")
    keys.press("c")
    page.wait_for_url(f"{ADDRESS}/networks/new/")
    console.run("spared")
    page.goto("/containers/spared/")
    keys.press("s")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()  # one stray key stops nothing
    keys.press("l")
    page.wait_for_url(f"{ADDRESS}/containers/spared/?tab=logs")
    assert console.get("containers/spared")["state"] == "running"
    console.remove("spared")
    for name in ("first-row", "second-row"):
        console.call("DELETE", f"networks/{name}")


def reach(page: Page, wanted: Locator) -> None:
    """Press Tab until it has the focus; never into a trap."""
    for _ in range(120):
        if wanted.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached by Tab")
