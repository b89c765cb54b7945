"""Every page, on a wide and on a narrow screen, light and dark: it fits, nothing fails, and axe finds nothing serious."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.product.conftest import Console

from .conftest import NewPage

pytestmark = [pytest.mark.kernel, pytest.mark.browser]
AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
AXE_RUN = """axe.run(document, {
    resultTypes: ["violations"],
    // The text of an item of the tree holds that of everything below it, which its name rightly leaves out.
    rules: {"label-content-name-mismatch": {enabled: false}},
})"""
PAGES = {
    "dashboard": "/",
    "networks": "/networks/",
    "network": "/networks/frontend/",
    "network-rules": "/networks/frontend/?tab=rules",
    "network-new": "/networks/new/",
    "network-remove": "/networks/spare/remove/",
    "containers": "/containers/",
    "container": "/containers/web/",
    "container-endpoints": "/containers/web/?tab=endpoints",
    "container-rules": "/containers/web/?tab=rules",
    "container-files": "/containers/web/?tab=files",
    "container-logs": "/containers/web/?tab=logs",
    "container-commands": "/containers/web/?tab=exec",
    "container-commit": "/containers/web/commit/",
    "images": "/images/",
    "image-add": "/images/add/",
    "user": "/users/admin/",
    "container-new": "/containers/new/",
    "container-connect": "/containers/web/connect/",
    "container-publish": "/containers/web/publish/",
    "topology": "/topology/",
    "firewall": "/firewall/",
    "trace": "/firewall/trace/?from=web&to=192.0.2.1&port=80",
    "firewall-sorted": "/firewall/?sort=-packets",
    "reachability": "/firewall/reachability/",
    "exposure": "/firewall/exposure/",
    "dump": "/firewall/dump/",
    "files": "/files/",
    "operations": "/operations/",
    "activity": "/activity/",
    "drift": "/drift/",
    "host": "/host/",
    "tokens": "/tokens/",
    "users": "/users/",
    "settings": "/settings/",
}


@pytest.fixture(scope="module")
def sample(console: Console) -> Console:
    """Web, cache and database on two networks, and a container of each other mode."""
    console.network("frontend", subnets=[{"subnet": "10.20.0.0/24"}], labels={"team": "shop"})
    console.network("backend", internal=True, subnets=[{"subnet": "10.21.0.0/24"}])
    console.network("spare")
    serve = ("sh", "-c", "echo ready to serve; while :; do busybox nc -ll -p 80 -e echo hello; done")
    console.run("web", *serve, network="frontend", ports=["8080:80", "127.0.0.1:8443:443"])
    console.call("POST", "networks/backend/connect", {"container": "web"})
    console.run("cache", network="backend", exposed_ports=["6379/tcp"])
    console.run("database-with-a-long-name", network="backend", env={"MODE": "primary"})
    console.run("plain")
    console.run("on-host", network="host")
    console.run("ended", "sh", "-c", "echo that was all; exit 3", network="frontend")
    return console


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_is_accessible(
    sample: Console, new_page: NewPage, shoot: Callable[[Page, str], None], name: str
) -> None:
    for width, height, dark in ((1440, 900, False), (390, 844, True)):
        page = new_page(width=width, height=height, dark=dark)
        page.goto(PAGES[name])
        page.wait_for_selector("#live[data-state=live]")
        page.wait_for_timeout(150)  # what fades in has faded in
        shoot(page, f"{name}-{width}")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} px too wide at {width}"
        page.evaluate(AXE.read_text())
        found = page.evaluate(AXE_RUN)
        serious = [
            f"{item['id']}: {item['help']}: {[node['html'] for node in item['nodes']][:3]}"
            for item in found["violations"]
            if item["impact"] in ("serious", "critical")
        ]
        assert not serious, "\n".join(serious)
