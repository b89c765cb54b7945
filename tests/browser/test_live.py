"""What others do shows in an open page by itself: other people, other programs, and work that takes its time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.product.conftest import Console
from tests.testlib.product import PASSWORD

from .conftest import ADDRESS, NewPage, sign_in
from .test_pages import check

pytestmark = [pytest.mark.kernel, pytest.mark.browser]


def never_loaded_again(page: Page) -> None:
    """The mark that was put on the page's window is still there: it is the same page."""
    assert page.evaluate("window.sameAsBefore") is True


def open_once(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_selector("#live[data-state=live]")
    page.evaluate("window.sameAsBefore = true")


def test_two_people_see_each_others_changes(console: Console, new_page: NewPage) -> None:
    anna, boris = new_page(), new_page()
    open_once(boris, "/networks/")
    anna.goto("/networks/new/")
    anna.locator("#f-name").fill("shared")
    expect(anna.locator("#plan")).to_contain_text("network shared")
    anna.get_by_role("button", name="Create network").click()
    anna.wait_for_url(f"{ADDRESS}/networks/shared/")
    row = boris.get_by_role("row", name=re.compile("shared"))
    expect(row).to_contain_text("ready")
    open_once(anna, "/networks/shared/")
    boris.goto("/networks/shared/remove/")
    boris.get_by_role("button", name="Remove").click()
    expect(anna.get_by_text("does not exist any more")).to_be_visible()
    never_loaded_again(anna)


def test_where_no_websocket_comes_through_the_page_asks_and_says_that_it_does(console: Console, page: Page) -> None:
    page.route_web_socket("**/ws/live/**", lambda socket: socket.close())  # as many a proxy does
    page.goto("/networks/?q=asked")
    expect(page.locator("#live")).to_have_attribute("data-state", "polled")
    expect(page.locator("#live")).to_have_text("Live, a few seconds late")
    page.evaluate("window.sameAsBefore = true")
    console.network("asked")
    expect(page.get_by_role("row", name=re.compile("asked"))).to_contain_text("ready")
    console.call("DELETE", "networks/asked")
    expect(page.get_by_role("row", name=re.compile("asked"))).to_have_count(0)
    never_loaded_again(page)


def test_an_operation_shows_how_far_it_is_and_its_end(console: Console, page: Page) -> None:
    console.run("stubborn", "sh", "-c", "trap '' TERM; while :; do sleep 1; done", stop_timeout=600)
    open_once(page, "/operations/")
    console.call("POST", "containers/stubborn/stop", {}, wait=0)
    row = page.get_by_role("row", name=re.compile("stopped container stubborn"))
    expect(row).to_contain_text("running")
    expect(row.get_by_role("progressbar")).to_be_visible()
    expect(row).to_contain_text("waiting for its process to end")
    page.goto("/networks/")  # it is left, and goes on
    open_once(page, "/operations/")
    expect(row.get_by_role("progressbar")).to_be_visible()
    row.get_by_role("link").first.click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    open_once(page, "/operations/")
    expect(row.get_by_role("progressbar")).to_be_visible()
    console.bottle.run(["kill", "-KILL", str(console.get("containers/stubborn")["pid"])])
    expect(row).to_contain_text("done", timeout=60_000)
    expect(row.get_by_role("progressbar")).to_have_count(0)
    never_loaded_again(page)
    console.remove("stubborn")


def test_a_flushed_rule_a_deleted_veth_and_a_changed_setting_show_by_themselves(
    console: Console, new_page: NewPage
) -> None:
    console.run("victim", ports=["8082:80"])
    device = console.get("containers/victim")["endpoints"][0]["device"]
    rules, drift, topology = new_page(), new_page(), new_page()
    for page, path in ((rules, "/firewall/?port=8082"), (drift, "/drift/"), (topology, "/topology/")):
        open_once(page, path)
    expect(rules.locator(".rule-text").filter(has_text="DNAT")).to_have_count(1)
    topology.get_by_role("treeitem", name=re.compile("network, bridge")).locator("[data-toggle]").first.click()
    item = topology.get_by_role("treeitem", name=re.compile("container, victim"))
    expect(item).not_to_have_accessible_name(re.compile("differences"))
    console.bottle.run(["iptables", "-t", "nat", "-F", "CNM"])
    expect(rules.locator(".rule-text").filter(has_text="DNAT")).to_have_count(0)
    expect(drift.locator("#list")).to_contain_text("--dport 8082")
    console.bottle.run(["ip", "link", "del", device])
    expect(drift.locator("#list")).to_contain_text(device)
    expect(item).to_have_accessible_name(re.compile("differences from the kernel"))
    console.bottle.run(["sysctl", "-w", "net.ipv4.ip_forward=0"])
    expect(drift.locator("#list")).to_contain_text("ip_forward")
    for page in (rules, drift, topology):
        never_loaded_again(page)
    console.call("POST", "drift/repair", {})
    expect(drift.locator("#list tr")).to_have_count(0)
    expect(item).not_to_have_accessible_name(re.compile("differences"))
    console.remove("victim")


def test_an_address_taken_away_inside_a_sandbox_shows_by_itself(console: Console, page: Page) -> None:
    console.run("inner")
    open_once(page, "/drift/")
    sandbox, address = console.sandbox("inner"), console.get("containers/inner")["endpoints"][0]["ipv4"]
    console.bottle.run(["ip", "-n", sandbox, "addr", "del", address, "dev", "eth0"])
    expect(page.locator("#list")).to_contain_text(address.partition("/")[0])
    never_loaded_again(page)
    console.remove("inner")


def test_rules_are_narrowed_by_owner_chain_and_port(console: Console, page: Page) -> None:
    console.network("narrow")
    console.run("server", network="narrow", ports=["8083:80", "8084:81"])
    # The rules are read anew after the answer.
    assert console.until(lambda: console.get("firewall/rules", q="8084")["count"])
    page.goto("/firewall/")
    texts = page.locator(".rule-text")
    page.get_by_label("Owner").select_option(label="published port 8083/tcp")
    expect(texts.filter(has_text="8083")).not_to_have_count(0)
    expect(texts.filter(has_text="8084")).to_have_count(0)
    expect(page).to_have_url(re.compile("owner="))
    page.reload()  # the address holds the filter
    expect(texts.filter(has_text="8084")).to_have_count(0)
    page.goto("/firewall/?port=8084")
    expect(texts.filter(has_text="8084")).not_to_have_count(0)
    expect(texts.filter(has_text="8083")).to_have_count(0)
    page.get_by_label("Chain").select_option("FORWARD")
    expect(page.get_by_text("No rule matches")).to_be_visible()
    console.remove("server")
    console.call("DELETE", "networks/narrow")


def test_guessing_a_password_is_slowed_down(console: Console, new_page: NewPage) -> None:
    admin, stranger = new_page(), new_page(signed_in=False)
    open_once(admin, "/activity/")

    def try_password(password: str) -> None:
        stranger.goto("/sign-in/")
        stranger.get_by_label("Name").fill("mallory")
        stranger.get_by_label("Password").fill(password)
        stranger.get_by_role("button", name="Sign in").click()

    for number in range(5):
        try_password(f"guess-{number}")
        expect(stranger.get_by_role("alert")).to_contain_text("is wrong")
    try_password("guess-6")
    expect(stranger.get_by_role("alert")).to_contain_text("Too many failed attempts. Try again in 5 minutes.")
    refused = admin.get_by_role("row", name=re.compile("mallory"))
    expect(refused).to_have_count(5)  # what was not even looked at is not written down
    never_loaded_again(admin)


@pytest.mark.unserved
def test_a_page_that_was_cut_off_says_so_and_misses_none_of_fifty_changes(console: Console, page: Page) -> None:
    told: list[int] = []

    def heard(text: str | bytes) -> None:
        told.extend(event["n"] for event in json.loads(text).get("events", ()))

    page.on("websocket", lambda socket: socket.on("framereceived", heard))
    open_once(page, "/containers/?q=missed")
    before = int(page.evaluate("Number(document.body.dataset.n)"))
    console.product.kill("web-tcp")
    live = page.locator("#live")
    expect(live).to_have_attribute("data-state", "waiting")
    expect(live).to_contain_text("Reconnecting in")
    expect(page.locator("body")).to_have_class(re.compile("stale"))
    boxes = [{"name": f"missed-{number}", "kind": "sandbox", "start": False} for number in range(52)]
    console.call("POST", "bulk", {"containers": boxes})
    console.product.start("web-tcp")
    live.click()  # as the person would who does not want to wait
    expect(page.get_by_text(re.compile("^52 of "))).to_be_visible(timeout=60_000)
    expect(live).to_have_attribute("data-state", "live")
    expect(page.locator("body")).not_to_have_class(re.compile("stale"))
    never_loaded_again(page)
    assert len(told) > 50
    assert told == list(range(before + 1, before + 1 + len(told))), "each once, in order, from where the page stood"
    console.call("POST", "bulk/remove", {"containers": [box["name"] for box in boxes]})
    expect(page.get_by_text("No container matches.")).to_be_visible()


def test_a_worker_that_falls_silent_shows_by_itself_and_so_does_its_return(console: Console, page: Page) -> None:
    open_once(page, "/")
    silent = page.get_by_role("alert").filter(has_text="The worker does not answer.")
    console.product.kill("kernel")
    console.product.age_heartbeat()
    expect(silent).to_be_visible()
    expect(page.locator("#top-host")).to_contain_text("does not answer")
    refused = console.raw("POST", "networks", {"name": "too-late"})
    assert refused.status_code == 503
    console.product.restart("kernel")
    expect(silent).to_have_count(0)
    never_loaded_again(page)


def test_what_an_open_page_says_of_the_past_does_not_grow_old(console: Console, page: Page) -> None:
    page.clock.install()
    console.network("aging")
    open_once(page, "/networks/?q=aging")
    row = page.get_by_role("row", name=re.compile("aging"))
    page.clock.fast_forward("05:00")
    expect(row).to_contain_text("5 minutes ago")
    never_loaded_again(page)
    console.call("DELETE", "networks/aging")


def test_the_dashboard_names_who_moves_most_while_it_moves(console: Console, page: Page) -> None:
    console.network("moving")
    console.run("called", network="moving")
    open_once(page, "/")
    expect(page.get_by_text("No traffic at this moment.")).to_be_visible()
    console.run("caller", "busybox", "ping", "-i", "0.2", console.address("called"), network="moving", stop_timeout=0)
    busy = page.locator("#busy")
    expect(busy.get_by_role("link", name="caller")).to_be_visible()
    expect(busy).to_contain_text("B/s")
    never_loaded_again(page)
    console.remove("caller", "called")
    expect(page.get_by_text("No traffic at this moment.")).to_be_visible()
    console.call("DELETE", "networks/moving")


def test_whose_session_ends_signs_in_again_in_place_and_what_was_typed_is_still_there(
    console: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    page = new_page(signed_in=False)
    sign_in(page)
    open_once(page, "/networks/new/")
    page.locator("#f-name").fill("kept")
    expect(page.locator("#plan")).to_contain_text("network kept")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Addressing").click()
    page.get_by_label("Subnet", exact=True).fill("10.66.0.0/24")  # its preview is answered by the page to sign in
    asking = page.get_by_role("dialog", name="You are signed out")
    expect(asking).to_be_visible()
    shoot(page, "signed-out-1440")
    check(page, "the dialog to sign in again")
    asking.get_by_label("Password").fill("not-the-password")
    asking.get_by_role("button", name="Sign in").click()
    expect(asking.get_by_role("alert")).to_contain_text("is wrong")
    asking.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(asking).to_be_hidden()
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.get_by_label("Subnet", exact=True)).to_have_value("10.66.0.0/24")
    page.get_by_label("Gateway", exact=True).fill("10.66.0.1")
    expect(page.locator("#plan")).to_contain_text("10.66.0.1/24")
    never_loaded_again(page)
    page.get_by_role("button", name="Create network").click()  # with the new session's token
    page.wait_for_url(f"{ADDRESS}/networks/kept/")
    console.call("DELETE", "networks/kept")


def test_whoever_signed_in_again_in_another_tab_goes_on_in_this_one(console: Console, new_page: NewPage) -> None:
    console.network("picked")
    page = new_page(signed_in=False)
    sign_in(page)
    other = page.context.new_page()
    page.goto("/networks/")
    page.get_by_role("checkbox", name="Select picked").check()
    page.get_by_role("button", name="Remove…").click()
    page.wait_for_selector("#live[data-state=live]")
    page.evaluate("window.sameAsBefore = true")  # only a form leads here: the address alone shows nothing
    other.goto("/networks/")
    other.locator("form[action='/sign-out/']").evaluate("form => form.submit()")
    asking = page.get_by_role("dialog", name="You are signed out")
    expect(asking).to_be_visible()
    sign_in(other)  # the tokens of all other tabs are worth nothing any more
    asking.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(asking).to_be_hidden()
    never_loaded_again(page)
    page.get_by_role("button", name="Remove 1 network").click()
    expect(page.get_by_text("1 network was removed.")).to_be_visible()


def test_a_preview_that_is_older_than_the_sign_in_says_so_and_goes_on(console: Console, new_page: NewPage) -> None:
    page = new_page(signed_in=False)
    sign_in(page)
    open_once(page, "/networks/new/")
    page.locator("#f-name").fill("old")
    expect(page.locator("#plan")).to_contain_text("network old")
    page.context.clear_cookies(name="csrftoken")  # as a sign-in in another tab exchanges it
    page.context.new_page().goto("/settings/")
    page.locator("#f-name").fill("older")
    expect(page.locator("#plan")).to_contain_text("opened before you signed in the last time")
    expect(page.locator("#plan")).not_to_contain_text("may be old")
    page.locator("#f-name").fill("renewed")
    expect(page.locator("#plan")).to_contain_text("network renewed")
    never_loaded_again(page)
    page.route(
        "**/networks/new/",
        lambda route: route.fulfill(
            status=403,
            headers={"X-Refused-Form": "elsewhere", "Content-Type": "text/html"},
            body='<div class="empty-state"><h1>No</h1><p>Sent from elsewhere.</p><p class="x">Open it there.</p></div>',
        ),
    )
    page.locator("#f-name").fill("elsewhere")
    expect(page.locator("#plan")).to_contain_text("Sent from elsewhere. Open it there.")
    page.unroute("**/networks/new/")
    page.locator("#f-name").fill("again")
    expect(page.locator("#plan")).to_contain_text("network again")


def test_a_form_that_is_older_than_the_sign_in_leads_back_to_its_page(
    console: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    console.network("kept")
    page = new_page(signed_in=False)
    sign_in(page)
    page.goto("/networks/kept/remove/")
    page.context.clear_cookies(name="csrftoken")
    page.context.new_page().goto("/settings/")
    page.get_by_role("button", name="Remove").last.click()
    expect(page.get_by_text("Load the page again, then do it once more.")).to_be_visible()
    shoot(page, "refused-form-1440")
    check(page, "a form that was refused")
    page.get_by_role("link", name="Load the page again").click()
    page.wait_for_url(f"{ADDRESS}/networks/kept/remove/")
    page.get_by_role("button", name="Remove").last.click()
    expect(page.get_by_text("kept").first).to_be_visible()
    page.wait_for_url(f"{ADDRESS}/networks/")


@pytest.mark.unserved
def test_an_answer_that_is_no_form_does_not_take_the_place_of_one(console: Console, page: Page) -> None:
    page.goto("/networks/new/")
    page.route("**/networks/new/", lambda route: route.fulfill(body="<h1>Somebody else's page</h1>"))
    page.locator("#f-name").fill("first")
    expect(page.locator("#plan")).to_contain_text("This plan may be old")
    page.unroute("**/networks/new/")
    page.route("**/networks/new/", lambda route: route.abort("connectionrefused"))
    page.locator("#f-name").fill("second")
    expect(page.locator("#plan")).to_contain_text("This plan may be old")
    expect(page.locator("#f-name")).to_have_value("second")
    page.unroute("**/networks/new/")
    page.locator("#f-name").fill("third")
    expect(page.locator("#plan")).to_contain_text("network third")
    expect(page.locator("#plan")).not_to_contain_text("may be old")


BREAKABLE = """
const real = window.fetch;
window.fetch = async (input, init) => {
    const answer = await real(input, init);
    if (!String(input).includes("/log/")) return answer;
    const [stop, pipe] = [new AbortController(), new TransformStream()];
    answer.body.pipeTo(pipe.writable, { signal: stop.signal }).catch(() => {});
    window.breakTheLog = () => stop.abort();
    return new Response(pipe.readable, { status: answer.status });
};
"""
"""Gives a test a way to break the stream of a log; being offline in Chromium breaks none that flows."""


def test_a_log_is_followed_over_a_broken_connection_without_a_gap(console: Console, page: Page) -> None:
    script = "n=0; while :; do n=$((n+1)); echo out-$n; echo err-$n >&2; sleep 0.2; done"
    console.run("talker", "sh", "-c", script)
    page.add_init_script(BREAKABLE)
    open_once(page, "/containers/talker/?tab=logs")
    log = page.locator("#log")
    expect(log).to_contain_text("out-5")
    expect(log.locator(".stderr").first).to_have_text("err-1")
    held: list[Route] = []
    page.route(
        "**/log/**", lambda route: held.append(route)
    )  # it would be there again before anybody has seen that it was away
    page.evaluate("window.breakTheLog()")
    expect(log.locator(".log-note")).to_contain_text("Trying again")
    page.unroute("**/log/**")
    for route in held:
        route.continue_()
    expect(log.locator(".log-note")).to_have_count(0)
    last = int(log.locator("div").last.inner_text().partition("-")[2]) + 5
    expect(log).to_contain_text(f"out-{last}")
    follow = page.get_by_role("button", name="Follow")
    follow.click()
    expect(follow).to_have_attribute("aria-pressed", "false")
    for stream in ("out", "err"):
        shown = [line for line in log.locator("div").all_inner_texts() if line.startswith(stream)]
        assert shown == [f"{stream}-{number}" for number in range(1, len(shown) + 1)]
    page.get_by_label("Search in the log").fill("out-3")
    expect(log.get_by_text("out-3", exact=True)).to_be_visible()
    expect(log.get_by_text("err-3", exact=True)).to_be_hidden()
    expect(page.locator("#log-found")).to_contain_text("lines")
    page.get_by_role("button", name="Times").click()
    expect(log.get_by_text("out-3", exact=True)).to_have_attribute("data-shown", re.compile(r"\d\d:\d\d:\d\d\.\d{3}"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    text = download.value.path().read_text()
    assert download.value.suggested_filename == "talker.log"
    assert re.search(r"^\d{4}-\S+ out-1\n", text)
    never_loaded_again(page)
    console.remove("talker")


def test_an_address_that_comes_to_the_host_ends_nothing_that_a_page_asks_for(console: Console, page: Page) -> None:
    """Of the tests themselves: a browser whose own network changes ends the requests that have no connection yet."""
    page.goto("/networks/")
    page.evaluate("""() => {
        window.failed = [];
        window.over = false;
        const ask = async () => {
            while (!window.over) await fetch(`/networks/?q=${Math.random()}`).catch((error) => window.failed.push(String(error)));
        };
        window.asked = Promise.all(Array.from({ length: 12 }, ask));  // of which six have one
    }""")
    for verb in ("add", "del"):
        console.bottle.run(["ip", "addr", verb, "198.51.100.9/32", "dev", "eth0"])
        page.wait_for_timeout(500)
    page.evaluate("() => { window.over = true; return window.asked.then(() => null); }")
    assert page.evaluate("window.failed") == []
