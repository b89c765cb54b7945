"""Networks of a plugin in the browser: made by the form, seen with the plugin's state, and told apart when it falls silent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.product.conftest import Console
from tests.testlib.plugin import PluginProcess
from tests.testlib.product import Product

from .conftest import ADDRESS
from .test_pages import LOOKS, OTHER_LOOKS, fits_and_is_accessible

pytestmark = [pytest.mark.kernel, pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def plugin(product: Product, console: Console) -> PluginProcess:
    made = PluginProcess(product.bottle)
    made.start()
    assert console.until(lambda: state(console) == "ready", within_s=90)
    return made


def state(console: Console) -> str:
    (host,) = console.get("hosts")["results"]
    return next((str(item["state"]) for item in host["plugins"] if item["name"] == "tester"), "absent")


def test_a_network_of_a_plugin_is_made_seen_and_seen_to_suffer(
    page: Page, console: Console, plugin: PluginProcess, shoot: Callable[[Page, str], None]
) -> None:
    page.goto("/networks/")
    page.get_by_role("link", name="Create network").first.click()
    page.locator("#f-name").fill("far")
    page.get_by_label("Driver").select_option("tester")
    expect(page.locator("#plan")).to_contain_text("Plugin tester makes network far.")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Addresses are given by").select_option("tester")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("Ranges of addresses that a plugin keeps")
    expect(plan).to_contain_text("Plugin tester makes network far.")
    fits_and_is_accessible(page, "plugin-network-new", shoot, (*LOOKS, *OTHER_LOOKS))
    page.get_by_role("button", name="Create network").click()
    page.wait_for_url(f"{ADDRESS}/networks/far/")
    console.run("one", network="far")
    expect(page.locator("#main")).to_contain_text("10.99.0.")
    fits_and_is_accessible(page, "plugin-network", shoot, (*LOOKS, *OTHER_LOOKS))
    for path, name in (("/containers/one/?tab=endpoints", "plugin-endpoint"), ("/host/", "plugin-host")):
        page.goto(path)
        expect(page.locator("#main")).to_contain_text("test.host-end" if name == "plugin-endpoint" else "tester")
        fits_and_is_accessible(page, name, shoot, (*LOOKS, *OTHER_LOOKS))
    page.goto("/networks/far/")
    page.wait_for_selector("#live[data-state=live]")
    plugin.kill()
    expect(page.locator("#main")).to_contain_text("It does not answer", timeout=60_000)
    fits_and_is_accessible(page, "plugin-degraded", shoot, (*LOOKS, *OTHER_LOOKS))
    plugin.start()
    expect(page.locator("#main")).not_to_contain_text("It does not answer", timeout=90_000)
