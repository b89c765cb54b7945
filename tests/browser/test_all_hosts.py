"""All hosts on one page: chosen at the top, what each row leads to, and what is picked among several hosts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.testlib.cluster import Cluster
from tests.testlib.product import Product

from .test_pages import check

pytestmark = [pytest.mark.kernel, pytest.mark.browser]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(2) as made:
        for host in ("h1", "h2"):
            made.run(host, "web", stop_timeout=0, ports=["8080:80"])
        yield made


@pytest.fixture(scope="module")
def product(cluster: Cluster) -> Product:
    """The console, which the browser's fixtures speak to."""
    cluster.members["h1"].serve_tcp(8000)
    return cluster.members["h1"]


def look_at(page: Page, name: str) -> None:
    page.get_by_label("Which host the pages are about").click()
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator("#top-host")).to_contain_text(name)


def rows(page: Page) -> Locator:
    return page.locator("#list tbody tr")


def test_all_hosts_are_chosen_and_each_row_leads_to_its_own(
    cluster: Cluster, page: Page, shoot: Callable[[Page, str], None]
) -> None:
    page.goto("/containers/")
    expect(page).to_have_url(re.compile(r"/@h1/containers/$"))
    expect(rows(page)).to_have_count(1)
    look_at(page, "All hosts")
    expect(page).to_have_url(re.compile(r"/@\*/containers/$"))
    expect(rows(page)).to_have_count(2)
    check(page, "containers of all hosts")
    shoot(page, "containers-all-hosts-1440")
    rows(page).filter(has_text="h2").get_by_role("link", name="web").click()
    expect(page).to_have_url(re.compile(r"/@h2/containers/web/$"))
    expect(page.locator("#top-host")).to_contain_text("h2")
    page.get_by_role("link", name="Firewall", exact=True).click()
    expect(page).to_have_url(re.compile(r"/@h2/firewall/$"))
    look_at(page, "All hosts")
    expect(page.locator("#rules")).to_contain_text("h1")
    check(page, "rules of all hosts")
    page.get_by_role("link", name="Topology").click()
    expect(page).to_have_url(re.compile(r"/@\*/topology/$"))
    page.goto("/@*/containers/new/")
    page.get_by_role("link", name="h2", exact=True).click()
    expect(page).to_have_url(re.compile(r"/@h2/containers/new/$"))


def test_what_is_picked_is_stopped_on_each_host_and_the_page_follows(cluster: Cluster, page: Page) -> None:
    page.goto("/@*/containers/")
    for row in rows(page).all():
        row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("heading", name="On host")).to_have_count(2)
    page.get_by_role("button", name="Stop 2 containers").click()
    expect(page).to_have_url(re.compile(r"/@\*/containers/$"))
    expect(rows(page).filter(has_text="exited")).to_have_count(2)
    cluster.call("POST", "containers/web/start", host="h2")
    expect(rows(page).filter(has_text="running")).to_have_count(1)
    expect(rows(page).filter(has_text="running")).to_contain_text("h2")


def test_a_page_whose_address_names_no_host_goes_on(cluster: Cluster, page: Page) -> None:
    page.goto("/api/docs/")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option", name="Topology")).to_be_visible()
    page.goto("/@h1/containers/")
    page.wait_for_selector("#live[data-state=live]")
    page.evaluate("history.replaceState(null, '', '/containers/')")  # it was opened while there was one host
    cluster.call("POST", "containers/web/stop", host="h1")
    expect(page.locator("#list")).to_contain_text("exited")
    cluster.call("POST", "containers/web/start", host="h1")
    expect(page.locator("#list")).not_to_contain_text("exited")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_page_stays_about_its_host_though_its_address_names_none_and_another_was_chosen(
    cluster: Cluster, page: Page
) -> None:
    page.goto("/containers/")
    look_at(page, "h2")
    page.goto("/@h1/containers/")
    page.wait_for_selector("#live[data-state=live]")
    page.evaluate("history.replaceState(null, '', '/containers/')")  # it was opened while there was one host
    cluster.call("POST", "containers/web/stop", host="h1")
    expect(page.locator("#list")).to_contain_text("exited")
    cluster.call("POST", "containers/web/start", host="h1")
    expect(page.locator("#list")).not_to_contain_text("exited")
    look_at(page, "h1")  # the choice is the person's, in whatever test comes next


OPENED_BEFORE = """() => {  // as it was while there was one host: no address names it
  history.replaceState(null, '', location.pathname.replace('/@h1/', '/'));
  for (const name of ['href', 'action', 'formaction'])
    for (const part of document.querySelectorAll(`[${name}]`))
      part.setAttribute(name, part.getAttribute(name).replace('/@h1/', '/'));
}"""


def test_what_a_page_leads_to_that_was_opened_before_a_host_joined_is_of_its_own_host(
    cluster: Cluster, page: Page
) -> None:
    page.goto("/containers/")
    look_at(page, "h2")
    page.goto("/@h1/containers/web/")
    page.wait_for_selector("#live[data-state=live]")
    page.evaluate(OPENED_BEFORE)
    cluster.call("POST", "hosts/h2/drain")
    cluster.call("POST", "hosts/h2/activate", {"start": True})
    images = page.get_by_role("link", name="Images", exact=True)

    def leads_to() -> str | None:
        images.dispatch_event("contextmenu")  # it may be opened elsewhere
        return images.get_attribute("href")

    assert cluster.until(lambda: leads_to() == "/@h1/images/"), "it has heard of another host"
    page.evaluate(OPENED_BEFORE)
    page.get_by_role("link", name="Remove", exact=True).first.click()
    expect(page).to_have_url(re.compile("/@h1/containers/web/remove/$"))
    page.goto("/@h1/firewall/reachability/")
    page.evaluate(OPENED_BEFORE)
    page.locator("main form[method=get]").first.evaluate("""form => {
        document.body.classList.add('stale');  // it hears no more: another may have joined
        form.requestSubmit();
    }""")
    expect(page).to_have_url(re.compile(r"/@h1/firewall/reachability/\?"))
    look_at(page, "h1")
