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
    removals = len(console.get("operations", verb="bulk.remove")["results"])
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
    assert len(console.get("operations", verb="bulk.remove")["results"]) == removals + 1


COMPOSE = """services:
  shop:
    image: host
    command: sleep ${TIME:-1000}
    ports: ["8086:80"]
    stop_grace_period: 1s
    healthcheck: {test: "true"}
  store: {image: host, command: sleep 1000, stop_grace_period: 1s}
"""


def test_a_compose_file_becomes_the_desired_state_and_what_is_typed_is_planned_applied_and_copied(
    console: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    page = new_page()
    page.goto("/desired-state/")
    page.get_by_text("Import a Compose file").click()
    page.get_by_label("Compose file", exact=True).fill(COMPOSE)
    page.get_by_role("button", name="Import and show the plan").click()
    expect(page.get_by_text("1 thing is not taken over")).to_be_visible()
    plan = page.locator("#plan")
    expect(plan).to_contain_text("--dport 8086")
    shoot(page, "desired-state-plan")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(r"/operations/\d+/"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("done")
    assert console.get("containers/shop")["state"] == "running"

    page.goto("/desired-state/")
    text = page.get_by_label("YAML", exact=True)
    text.fill(text.input_value().replace("8086:80", "8086:none"))
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("alert")).to_contain_text("containers.shop.ports.0")
    page.get_by_role("alert").get_by_role("link").click()
    chosen = page.evaluate(
        "(() => { const a = document.activeElement; return a.value.slice(a.selectionStart, a.selectionEnd); })()"
    )
    assert "8086:none" in chosen, "the link leads to the line"
    text.fill(text.input_value().replace("8086:none", "8087:80"))
    page.get_by_role("button", name="Show the plan").click()
    expect(plan).to_contain_text("is changed in place")
    page.get_by_role("button", name="Apply").press("Enter")
    page.wait_for_url(re.compile(r"/operations/\d+/"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("done")
    page.goto("/desired-state/")
    page.get_by_role("button", name="Show the plan").click()
    expect(plan).to_contain_text("there is nothing to do")

    page.goto("/containers/shop/")
    page.get_by_text("Copy as docker command").click()
    expect(page.locator("#copy-docker-text")).to_contain_text("docker run --detach --name=shop")
    page.goto("/containers/new/")
    page.locator("[name='ports.0.container_port']").fill("79")
    console.run("other", ports=["8079:79"])
    page.locator("[name='ports.0.host_port']").fill("8079")
    expect(page.locator("#plan")).to_contain_text("held by container other")
    page.get_by_role("button", name="Use 8080").click()
    expect(page.locator("[name='ports.0.host_port']")).to_have_value("8080")
    expect(plan).to_contain_text("--dport 8080")
