"""Containers that are picked in the list: stopped, started and removed together, with the plan before, by keyboard too."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.product.conftest import Console

from .conftest import ADDRESS, NewPage

pytestmark = [pytest.mark.kernel, pytest.mark.browser]


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=re.compile(rf"\b{name}\b"))


def test_the_picked_are_stopped_started_and_removed_together(
    console: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    for name in ("one", "two", "stays"):
        console.run(name, stop_timeout=0)
    page, watcher = new_page(), new_page()
    watcher.goto("/containers/")

    def carry_out(verb: str, title: str, confirm: str) -> None:
        page.goto("/containers/")
        for name in ("one", "two"):
            page.get_by_role("checkbox", name=f"Select {name}").check()
        page.get_by_role("button", name=verb).click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        assert "one, two" in page.locator("main").inner_text()
        page.get_by_role("button", name=confirm).press("Enter")
        page.wait_for_url(f"{ADDRESS}/containers/")

    carry_out("Stop", "Stop 2 containers", "Stop 2 containers")
    expect(page.get_by_text("2 containers were stopped.")).to_be_visible()
    for name, state in (("one", "exited"), ("two", "exited"), ("stays", "running")):
        expect(row(watcher, name)).to_contain_text(state)  # the other page, without a reload
    carry_out("Start", "Start 2 containers", "Start 2 containers")
    expect(row(watcher, "one")).to_contain_text("running")
    page.goto("/containers/")
    page.get_by_role("checkbox", name="Select one").check()
    page.get_by_role("checkbox", name="Select two").check()
    page.get_by_role("button", name="Remove…").click()
    expect(page.get_by_text("What changes in the kernel")).to_be_visible()
    shoot(page, "many-remove")
    page.get_by_role("link", name="Cancel").click()
    expect(row(page, "one")).to_contain_text("running")
    carry_out("Remove…", "Remove 2 containers", "Remove 2 containers")
    expect(row(watcher, "one")).to_have_count(0)
    expect(row(watcher, "stays")).to_contain_text("running")
    assert len(console.get("operations", verb="bulk.remove")["results"]) == 1
