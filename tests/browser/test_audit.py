"""The audit in the browser: from who reaches whom to the trace of a cell, a real packet, a kept moment, and counters that move."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.product.conftest import Console

pytestmark = [pytest.mark.kernel, pytest.mark.browser]

WATCH = """() => {
  const look = () => { window.sawOthers ||= document.querySelector("#rules").textContent.includes("MASQUERADE"); };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
"""Notes whether rules that the filter leaves out are shown, be it for a moment."""

SLOW_AND_ONCE_BROKEN = """() => {
  const ask = window.fetch.bind(window), held = new Set();
  window.fetch = (url, more) => {
    const address = String(url);
    if (!address.includes("/firewall/rows")) return ask(url, more);
    const late = new Promise((resolve) => setTimeout(resolve, 2500));
    if (held.has(address)) return late.then(() => ask(url, more));
    held.add(address);
    return late.then(() => Promise.reject(new TypeError("Failed to fetch")));
  };
}"""
"""Each answer with rows comes two seconds and a half late, and the first for each rows not at all."""


@pytest.fixture(scope="module")
def sample(console: Console) -> Console:
    console.network("front")
    console.network("back")
    console.serve("web", 80, network="front", ports=["8080:80"])
    console.serve("db", 80, network="back", exposed_ports=["80/tcp"])
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    return console


def test_a_cell_of_the_matrix_leads_to_its_trace_and_that_to_a_real_packet(sample: Console, page: Page) -> None:
    page.goto("/firewall/reachability/")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="web", exact=True))
    closed = row.locator("td.verdict-bad a").first
    expect(closed).to_contain_text("dropped")
    closed.click()
    expect(page).to_have_url(re.compile(r"/firewall/trace/\?from=web"))
    expect(page.locator("#verdict")).to_contain_text("dropped")
    page.get_by_role("button", name="Send a real packet").click()
    truth = page.locator("#verified")
    expect(truth).to_contain_text("Prediction and truth")
    expect(truth.locator("strong.verdict-good")).to_have_text("yes")


def test_a_kept_moment_shows_what_differs_when_somebody_writes_a_rule(sample: Console, page: Page) -> None:
    page.goto("/firewall/reachability/")
    page.get_by_label("Note").fill("before")
    page.get_by_role("button", name="Keep this moment").click()
    expect(page.locator("#reach")).to_contain_text("Nothing.")
    sample.bottle.run(["iptables", "-I", "FORWARD", "-p", "tcp", "--dport", "80", "-j", "DROP"])
    try:
        expect(page.locator("td.changed").first).to_be_visible()  # without a reload
        expect(page.locator("#reach")).to_contain_text("host:8080/tcp")
    finally:
        sample.bottle.run(["iptables", "-D", "FORWARD", "-p", "tcp", "--dport", "80", "-j", "DROP"])
    expect(page.locator("td.changed")).to_have_count(0)


def test_counters_move_on_an_open_page(sample: Console, page: Page) -> None:
    page.goto("/firewall/?port=8080&table=nat")
    cell = page.locator("tr.ours").filter(has_text="--dport 8080").locator("td.num").first
    before = cell.inner_text()
    for _ in range(5):
        assert sample.connects_soon("192.0.2.2", 8080) == "hello"
    expect(cell).not_to_have_text(before, timeout=60_000)


def test_an_answer_for_what_was_asked_before_does_not_take_the_place_of_what_is_filtered_now(
    sample: Console, page: Page
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "x-live-refresh" in route.request.headers and not held:
            held.append(route)
        else:
            route.continue_()

    page.goto("/firewall/?table=nat")
    expect(page.locator("#rules")).to_contain_text("MASQUERADE")
    page.route("**/firewall/?**", hold)
    sample.bottle.run(["iptables", "-t", "nat", "-N", "NEWS"])
    try:
        sample.until(lambda: page.wait_for_timeout(50) or held)
        page.get_by_label("Port").fill("8080")
        expect(page).to_have_url(re.compile("port=8080"))
        expect(page.locator("#rules")).not_to_contain_text("MASQUERADE")
        page.evaluate(WATCH)
        with page.expect_response(lambda answer: "port=8080" in answer.url):  # it asks again, for what is shown now
            held[0].continue_()
        expect(page.locator("#rules")).to_contain_text("--dport 8080")
        assert not page.evaluate("window.sawOthers")
    finally:
        sample.bottle.run(["iptables", "-t", "nat", "-X", "NEWS"])


def test_of_ten_thousand_rules_only_those_that_are_looked_at_stand_in_the_page(sample: Console, page: Page) -> None:
    count = 10_000
    lines = "".join(f"-A MANY -p tcp -m tcp --dport {number} -j RETURN\n" for number in range(1, count + 1))
    sample.bottle.run(["iptables-restore", "--noflush"], input=f"*filter\n:MANY - [0:0]\n{lines}COMMIT\n")
    try:
        assert sample.until(lambda: sample.get("firewall/rules", chain="MANY", page_size=1)["count"] == count, 60)
        page.goto("/firewall/?chain=MANY")
        table = page.locator("table[data-rows]")
        rows = table.locator("tr[aria-rowindex]:not(thead tr)")
        expect(table).to_have_attribute("aria-rowcount", str(count + 1))
        expect(table.locator('tr[aria-rowindex="2"]')).to_contain_text("--dport 1 ")
        expect(page.locator(".paging")).to_be_hidden()
        assert rows.count() < 700
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/firewall/rows" in request.url else None)
        page.locator("h1").click()
        last = table.locator(f'tr[aria-rowindex="{count + 1}"]')

        def leapt() -> int:
            page.keyboard.press("End")  # on a busy machine the browser may have drawn nothing yet that it could go to
            page.wait_for_timeout(1000)
            return last.count()

        assert sample.until(leapt, 30)
        expect(last).to_contain_text(f"--dport {count} ")
        assert len(set(asked)) < 8, "rows that only rush by are not asked for"
        page.keyboard.press("End")
        expect(last).to_be_in_viewport()
        expect(table.locator('tr[aria-rowindex="2"]')).to_have_count(0)
        assert rows.count() < 700
        # The page goes on living: a rule less, and the last row is the one before, without a reload.
        sample.bottle.run(["iptables", "-D", "MANY", str(count)])
        expect(table).to_have_attribute("aria-rowcount", str(count))
        expect(last).to_have_count(0)
        page.keyboard.press("Home")
        expect(table.locator('tr[aria-rowindex="2"]')).to_be_in_viewport()
        # Search and order are those of all rules, not of what is in the page.
        page.get_by_label("Port").fill("9876")
        expect(page.locator("#rules table.rules tbody tr")).to_have_count(1)
        expect(page.locator("#rules tbody")).to_contain_text("--dport 9876 ")
        page.get_by_label("Port").fill("")
        page.get_by_label("Order").select_option("packets")
        expect(table).to_have_attribute("aria-rowcount", str(count))
        expect(page.get_by_role("table", name="Rules by their counters")).to_be_visible()
    finally:
        sample.bottle.run(["iptables", "-F", "MANY"])
        sample.bottle.run(["iptables", "-X", "MANY"])


def test_rows_come_though_news_come_faster_than_answers_and_one_answer_fails(sample: Console, page: Page) -> None:
    count = 2_000
    lines = "".join(f"-A MANY -p tcp -m tcp --dport {number} -j RETURN\n" for number in range(1, count + 1))
    sample.bottle.run(["iptables-restore", "--noflush"], input=f"*filter\n:MANY - [0:0]\n{lines}COMMIT\n")
    sample.bottle.run(["iptables", "-t", "nat", "-N", "NEWS"])
    try:
        assert sample.until(lambda: sample.get("firewall/rules", chain="MANY", page_size=1)["count"] == count, 60)
        page.goto("/firewall/?chain=MANY")
        table = page.locator("table[data-rows]")
        expect(table).to_have_attribute("aria-rowcount", str(count + 1))
        page.evaluate(SLOW_AND_ONCE_BROKEN)
        page.locator("h1").click()
        page.keyboard.press("End")
        last = table.locator(f'tr[aria-rowindex="{count + 1}"]')

        def shown_after_more_news() -> int:
            sample.bottle.run(["iptables", "-t", "nat", "-A", "NEWS", "-j", "RETURN"])
            page.wait_for_timeout(1000)
            return last.count()

        assert sample.until(shown_after_more_news, 30)
        expect(last).to_contain_text(f"--dport {count} ")
    finally:
        sample.bottle.run(["iptables", "-t", "nat", "-F", "NEWS"])
        sample.bottle.run(["iptables", "-t", "nat", "-X", "NEWS"])
        sample.bottle.run(["iptables", "-F", "MANY"])
        sample.bottle.run(["iptables", "-X", "MANY"])


def test_who_may_reach_a_port_is_changed_from_the_exposure_report_with_the_plan_and_its_flips(
    sample: Console, page: Page
) -> None:
    page.goto("/firewall/exposure/")
    page.get_by_role("row").filter(has_text="8080/tcp").get_by_role("link", name="Restrict").click()
    page.get_by_label("Addresses and networks").fill("198.51.100.0/24")
    plan = page.locator(".plan")
    expect(plan).to_contain_text("Who reaches whom then")
    expect(plan).to_contain_text("host:8080/tcp")
    page.get_by_role("button", name="Change").click()
    page.wait_for_url(re.compile("/containers/web/"))
    expect(page.get_by_text("198.51.100.0/24").first).to_be_visible()
    assert sample.connects("192.0.2.2", 8080) is None
    (port,) = sample.get("containers/web")["ports"]
    sample.call("PATCH", f"containers/web/ports/{port['id']}", {"allowed_sources": []})  # as the other tests expect it
