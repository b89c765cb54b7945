"""The hosts view: all containers' files side by side, who resolves a name, and what changes inside while the page is open."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.product.conftest import Console

from .conftest import NewPage

pytestmark = [pytest.mark.kernel, pytest.mark.browser]


@pytest.fixture(scope="module")
def linked(console: Console) -> Console:
    console.network("shop")
    console.run("db", hostname="dbhost", exposed_ports=["5432/tcp"], env={"MODE": "primary"})
    console.run("web", links=["db:database"], extra_hosts=["printer:192.0.2.9"])
    console.run("cache", network="shop", aliases=["store"])
    console.run("shopper", network="shop")
    return console


def test_who_resolves_a_name_is_answered_for_all_containers(
    linked: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    for width, height, dark in ((1440, 900, False), (390, 844, True)):
        page = new_page(width=width, height=height, dark=dark)
        page.goto("/files/")
        page.wait_for_selector("#live[data-state=live]")
        page.get_by_label("Who resolves this name?").fill("database")
        answers = page.locator("#names tbody tr")
        expect(answers).to_have_count(1)
        expect(answers).to_contain_text(linked.address("db"))
        expect(answers).to_contain_text("Link database of container web")
        shoot(page, f"names-{width}")
        page.get_by_label("Who resolves this name?").fill("store")
        expect(answers).to_have_count(2)
        expect(page.locator("#names")).to_contain_text("these ask")
        page.get_by_label("Search files").fill("printer")
        expect(page.locator(".file-set")).to_have_count(1)
        shoot(page, f"files-found-{width}")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0


def test_an_edit_inside_shows_in_an_open_page(linked: Console, page: Page, shoot: Callable[[Page, str], None]) -> None:
    page.goto("/files/?q=web")
    page.wait_for_selector("#live[data-state=live]")
    command = ["sh", "-c", "echo 192.0.2.66 mine >> /etc/hosts; echo nameserver 198.51.100.1 > /etc/resolv.conf"]
    linked.call("POST", "containers/web/exec", {"command": command})
    files = page.locator("#list")
    expect(files).to_contain_text("192.0.2.66 mine")
    expect(files).to_contain_text("Nobody here wrote this line.")
    expect(files).to_contain_text("edited inside")
    shoot(page, "files-edited-1440")


def test_stale_variables_are_marked_in_an_open_page(
    linked: Console, page: Page, shoot: Callable[[Page, str], None]
) -> None:
    page.goto("/containers/web/")
    page.wait_for_selector("#live[data-state=live]")
    variables = page.locator("#link-variables")
    expect(variables).to_contain_text("DATABASE_PORT_5432_TCP_ADDR")
    expect(variables.get_by_text("stale", exact=True)).to_have_count(0)
    linked.call("POST", "containers/db/stop", {"timeout": 0})
    linked.product.forget_addresses()
    linked.call("POST", "containers/db/start")
    expect(variables.get_by_text("stale", exact=True).first).to_be_visible()
    expect(variables).to_contain_text(linked.address("db"))
    shoot(page, "variables-1440")
    page.set_viewport_size({"width": 390, "height": 844})
    variables.scroll_into_view_if_needed()
    shoot(page, "variables-390")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
