"""A real Docker Engine beside us on one host: what it has is in the picture, quieter, by its own names, and can be hidden."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from benchmarks.engine import IMAGE, Engine
from tests.product.conftest import Console

from .test_topology import chosen, item

pytestmark = [pytest.mark.kernel, pytest.mark.browser, pytest.mark.long]


@pytest.fixture(scope="module")
def engine(console: Console) -> Iterator[Engine]:
    with Engine(beside=console.bottle) as started:
        yield started


def test_containers_of_docker_stand_in_its_bridges_by_their_names(
    engine: Engine, console: Console, page: Page, shoot: Callable[[Page, str], None]
) -> None:
    console.network("front")
    console.run("web", network="front", ports=["8080:80"])
    engine.request("POST", "/networks/create", {"Name": "backend", "CheckDuplicate": True})
    made = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "backend"}}
    engine.request("POST", "/containers/create?name=shop-db", made)
    engine.request("POST", "/containers/shop-db/start")
    page.goto("/topology/")
    item(page, "another program, br-[0-9a-f]{12}").locator("[data-toggle]").first.click()
    panel = chosen(page, "not ours, shop-db")
    expect(panel).to_contain_text("Docker")
    expect(panel).to_contain_text(re.compile("eth0 172[.]"))
    expect(panel.get_by_role("button", name=re.compile("Start|Stop"))).to_have_count(0)
    expect(chosen(page, "another program, br-")).to_contain_text("backend")
    shoot(page, "topology-docker-1440")
    page.get_by_role("checkbox", name="Not ours").uncheck()
    expect(item(page, "network, front")).to_be_visible()
    expect(item(page, "another program")).to_have_count(0)
    engine.request("DELETE", "/containers/shop-db?force=1")
    page.get_by_role("checkbox", name="Not ours").check()
    expect(item(page, "another program, br-[0-9a-f]{12}")).to_be_visible()
    expect(item(page, "not ours, shop-db")).to_have_count(0)
