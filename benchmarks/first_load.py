"""How heavy a first visit is and how long it takes: the whole product and Chromium, with nothing in store, in one run.

    sudo python -m benchmarks.first_load [--rounds 5] [--json FILE]

*kB* is everything that came over the network, as compressed as it came. *shown_ms* is from the click to the first contentful
paint, *live_ms* until the page says that it is live. *worked_ms* is the processor time of the browser's page for all of that:
a machine with other work shows in the others and not in it. Medians. Aims: see ``AIMS``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.testlib.product import ADMIN, PASSWORD, Product

ADDRESS = "http://127.0.0.1:8000"
AIMS = {"kB": 300, "live_ms": 1000}
PAGES = {"dashboard": "/", "containers": "/containers/", "topology": "/topology/", "firewall": "/firewall/"}
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
LIVE = """
new MutationObserver((_, watch) => {
    if (!document.querySelector("#live[data-state=live]")) return;
    performance.mark("live");
    watch.disconnect();
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"] });
"""


def visit(browser: Browser, session: Any, path: str) -> dict[str, float]:
    context = browser.new_context(base_url=ADDRESS, storage_state=session)
    page = context.new_page()
    page.add_init_script(LIVE)
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Performance.enable", {"timeDomain": "threadTicks"})
    sizes: list[int] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    page.goto(path)
    page.wait_for_selector("#live[data-state=live]")
    while not page.evaluate(PAINTED):
        page.wait_for_timeout(50)
    live, shown = page.evaluate(f"[performance.getEntriesByName('live')[0].startTime, {PAINTED}]")
    worked = {one["name"]: one["value"] for one in network.send("Performance.getMetrics")["metrics"]}["TaskDuration"]
    context.close()
    return {"kB": sum(sizes) / 1000, "shown_ms": shown, "live_ms": live, "worked_ms": worked * 1000}


def measure(rounds: int) -> list[dict[str, Any]]:
    with Product() as product, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        product.serve_tcp(8000)
        wrapper = Path(folder) / "chromium"
        chromium = shutil.which("chromium")
        wrapper.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{product.bottle.pid}/ns/net {chromium} "$@"\n')
        wrapper.chmod(0o755)
        browser = playwright.chromium.launch(executable_path=str(wrapper), args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(base_url=ADDRESS)
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Name").fill(ADMIN)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(ADDRESS + "/")
        session = context.storage_state()
        context.close()
        results = []
        for name, path in PAGES.items():
            seen = [visit(browser, session, path) for _ in range(rounds)]
            medians = {key: round(statistics.median(one[key] for one in seen)) for key in seen[0]}
            results.append({"page": name, **medians, "least_live_ms": round(min(one["live_ms"] for one in seen))})
        browser.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = measure(given.rounds)
    for result in results:
        print(json.dumps(result | {"aims": AIMS}))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
