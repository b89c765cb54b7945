"""The topology page with very many containers, in headless Chromium without a GPU: first picture, frames, changes.

*first_ms* is from the data in memory to the second frame after it was drawn, *first_cpu_ms* what the page's own thread worked
for it: a machine with other work shows in the one and not in the other. Both are medians.

    python -m benchmarks.topology [--containers 1000 10000] [--json FILE]

The page is the real one, rendered by Django over an empty database; its state and its WebSocket are made here. Nothing of a
kernel is needed. Aims: see ``AIMS``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import tempfile
from pathlib import Path
from typing import Any

AIMS = {1000: {"first_ms": 150, "fps": 50}, 10_000: {"first_ms": 500, "fps": 30}}
SIZE = {"width": 1440, "height": 900}
PER_NETWORK = 12
CHANGES_PER_S = 100
SECONDS = 5
LOADS = 5
DIST = Path(__file__).resolve().parents[1] / "static" / "dist"
ADDRESS = "http://bench.test"
EPOCH = "bench"
SHOWN = """
const mark = performance.mark.bind(performance);
performance.mark = (name, options) => {
    if (name === "topology:painted")
        requestAnimationFrame(() => requestAnimationFrame(() => mark("topology:shown")));
    return mark(name, options);
};
"""
PAN = """(seconds) => new Promise((done) => {
    const canvas = document.querySelector("canvas.map");
    const at = canvas.getBoundingClientRect();
    const options = (x, y) => ({clientX: at.x + x, clientY: at.y + y, bubbles: true, view: window, button: 0});
    const middle = [at.width / 2, 8];
    canvas.dispatchEvent(new MouseEvent("mousedown", options(...middle)));
    const start = performance.now();
    let frames = 0;
    const step = (now) => {
        frames += 1;
        const turn = (now - start) / 400;
        const to = [middle[0] + 150 * Math.sin(turn), middle[1] + 90 * Math.cos(turn)];
        window.dispatchEvent(new MouseEvent("mousemove", options(...to)));
        const wheel = {...options(...middle), deltaY: 12 * Math.sin(turn / 3), cancelable: true};
        if (frames % 2) canvas.dispatchEvent(new WheelEvent("wheel", wheel));
        if (now - start < seconds * 1000) requestAnimationFrame(step);
        else {
            window.dispatchEvent(new MouseEvent("mouseup", options(...middle)));
            done(Math.round(frames / seconds * 10) / 10);
        }
    };
    requestAnimationFrame(step);
})"""


def container(number: int, state: str = "running") -> dict[str, Any]:
    network = number // PER_NETWORK
    name = f"service-{number}"
    endpoint = {
        "id": f"e{number}",
        "network": {"id": f"net{network}", "name": f"network-{network}"},
        "ipv4": f"10.{network // 250}.{network % 250}.{number % PER_NETWORK + 2}/24",
        "ipv6": "",
        "interface": "eth0",
        "mac": "02:42:0a:00:00:02",
    }
    second = {
        **endpoint,
        "id": f"f{number}",
        "network": {"id": f"net{network // 2}", "name": f"network-{network // 2}"},
    }
    port = {
        "id": f"p{number}",
        "protocol": "tcp",
        "host_address": "",
        "host_port": 20000 + number,
        "container_port": 80,
    }
    return {
        "id": f"c{number}",
        "short_id": f"c{number}",
        "name": name,
        "host": "local",
        "image": "host",
        "state": state,
        "wanted": "running",
        "created_at": f"{number:08}",
        "network_mode": f"network-{network}",
        "endpoints": [endpoint, second] if number % 9 == 0 and network else [endpoint],
        "ports": [port] if number % 10 == 0 else [],
        "links": [{"id": f"l{number}", "source": {"id": f"c{number - 1}", "name": ""}, "alias": "x"}]
        if number % 25 == 24
        else [],
    }


def state(count: int) -> dict[str, Any]:
    networks = {
        f"net{n}": {
            "id": f"net{n}",
            "name": f"network-{n}",
            "host": "local",
            "driver": "bridge",
            "bridge": f"br-{n}",
            "internal": False,
            "predefined": False,
            "status": "ready",
            "activation": n,
            "subnets": [{"subnet": f"10.{n // 250}.{n % 250}.0/24"}],
        }
        for n in range((count + PER_NETWORK - 1) // PER_NETWORK)
    }
    return {
        "host": {"local": {"id": "local", "name": "local", "alive": True, "kernel": "bench"}},
        "network": networks,
        "container": {f"c{n}": container(n) for n in range(count)},
        "drift": {},
    }


def rendered() -> str:
    """The topology page of an empty host, as a person gets it."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from networks.models import Host, User

    call_command("migrate", verbosity=0)
    Host.objects.create(name="local")
    browser = Client()
    browser.force_login(User.objects.create_user(username="bench", password="", role="admin"))
    return browser.get("/topology/").content.decode()


def with_state(page: str, count: int) -> str:
    snapshot = json.dumps({"epoch": EPOCH, "n": 0, "state": state(count)})
    return re.sub(
        r'(<script id="snapshot" type="application/json">).*?(</script>)',
        lambda found: found[1] + snapshot + found[2],
        page,
        flags=re.DOTALL,
    )


async def opened(chromium: Any, html: str, sockets: list[Any], complaints: list[str]) -> Any:
    """A page that shows the topology. Its server is here; its WebSockets come into *sockets*."""
    page = await chromium.new_page(viewport=SIZE)
    refreshed = with_state(html, 0)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.add_init_script(SHOWN)

    async def serve(route: Any) -> None:
        path = route.request.url.removeprefix(ADDRESS).partition("?")[0]
        if path.startswith("/static/"):
            await route.fulfill(path=str(DIST / path.rpartition("/")[2]))
        else:
            refresh = "x-live-refresh" in route.request.headers  # as the server answers it: without the state
            await route.fulfill(body=refreshed if refresh else html, content_type="text/html")

    await page.route("**/*", serve)
    await page.route_web_socket("**/ws/live/**", lambda socket: sockets.append(socket))  # wants a function
    await page.goto(f"{ADDRESS}/topology/")
    await page.wait_for_function("performance.getEntriesByName('topology:shown').length")
    return page


async def first_picture(chromium: Any, html: str) -> tuple[float, float, float]:
    """Milliseconds: to the picture on the screen from the data in memory, and from the click; and what the page's thread worked for it."""
    with tempfile.NamedTemporaryFile(suffix=".json") as trace:
        tracer = await chromium.new_page()
        await chromium.start_tracing(page=tracer, path=trace.name, categories=["blink.user_timing"])
        page = await opened(chromium, html, [], [])
        begun, shown = await page.evaluate(
            "['begun', 'shown'].map((name) => performance.getEntriesByName('topology:' + name)[0].startTime)"
        )
        await chromium.stop_tracing()
        await tracer.close()
        await page.close()
        marks = {
            event["name"]: event for event in json.load(trace)["traceEvents"] if event["name"].startswith("topology:")
        }
    worked = (marks["topology:shown"]["tts"] - marks["topology:begun"]["tts"]) / 1000
    return shown - begun, shown, worked


async def measure(chromium: Any, html: str, count: int) -> dict[str, Any]:
    pictures = [await first_picture(chromium, html) for _ in range(LOADS)]
    first, from_click, worked = (statistics.median(one) for one in zip(*pictures, strict=True))
    sockets: list[Any] = []
    complaints: list[str] = []
    page = await opened(chromium, html, sockets, complaints)
    fps = await page.evaluate(PAN, 3)
    while not sockets:  # noqa: ASYNC110  # the page opens it when it likes
        await asyncio.sleep(0.05)
    sockets[0].send(json.dumps({"type": "ping"}))
    panning = asyncio.create_task(page.evaluate(PAN, SECONDS))
    total, begun = CHANGES_PER_S * SECONDS, asyncio.get_running_loop().time()
    for n in range(1, total + 1):
        change = {
            "n": n,
            "op": "put",
            "kind": "container",
            "id": f"c{n % count}",
            "data": container(n % count, ("exited", "running")[n % 2]),
        }
        sockets[0].send(json.dumps({"type": "events", "epoch": EPOCH, "events": [change]}))
        await asyncio.sleep(max(0.0, begun + n / CHANGES_PER_S - asyncio.get_running_loop().time()))
    fps_changing = await panning
    await page.wait_for_function(f"document.querySelector('canvas.map').dataset.n === '{total}'", timeout=60_000)
    lag = round(asyncio.get_running_loop().time() - begun - SECONDS, 2)
    again = len(sockets) - 1  # a message that did not follow makes the page ask anew, over a new socket
    await page.close()
    return {
        "containers": count,
        "first_ms": round(first),
        "first_cpu_ms": round(worked),
        "from_click_ms": round(from_click),
        "fps": fps,
        "fps_at_100_changes_a_second": fps_changing,
        "lag_s": lag,
        "dropped": again,
        "errors": complaints,
        "aims": AIMS.get(count, {}),
    }


async def run(html: str, counts: list[int]) -> list[dict[str, Any]]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        results = [await measure(chromium, with_state(html, count), count) for count in counts]
        await chromium.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--containers", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cnm-bench-") as folder:
        os.environ |= {
            "CNM_STATE_DIR": folder,
            "CNM_RUN_DIR": folder,
            "CNM_ALLOWED_HOSTS": "*",
            "DJANGO_SETTINGS_MODULE": "cnmweb.settings",
        }
        html = rendered()
        results = asyncio.run(run(html, given.containers))
    for result in results:
        print(json.dumps(result))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
