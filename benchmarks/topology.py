"""The topology page with very many containers, in headless Chromium without a GPU: first picture, frames, changes.

*first_ms* is from the data in memory to the second frame after it was drawn, *first_cpu_ms* what the page's own thread worked
for it: a machine with other work shows in the one and not in the other. Both are medians.

    python -m benchmarks.topology [--containers 1000 10000] [--json FILE]

The page is the real one, rendered by Django; its state and its WebSocket are made here. Nothing of a kernel is needed. *server_ms*
is what Django takes for the page with that many containers in its database (*server_cpu_ms*: of a processor), *click_ms* that and what the
browser takes from then on.

Changes come 100 a second while the picture is panned and zoomed: *states* (a container ends, or runs again) and *mixed* (every second one
brings a container or takes one away, so that the graph is built anew). *dropped*: messages that did not follow, so that the page had to
ask anew. *wrong*: containers that the graph shows otherwise than the messages said, when all had come. Aims: see ``AIMS``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

AIMS = {
    1000: {"first_ms": 150, "click_ms": 2000, "fps": 50, "dropped": 0, "wrong": 0},
    10_000: {"first_ms": 500, "fps": 30, "dropped": 0, "wrong": 0},
}
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
SHOWN_STATES = """() => Object.fromEntries(
    [...cnmTopology.graph.nodes.values()].filter((node) => node.kind === "container").map((node) => [node.id, node.state])
)"""
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


def signed_in() -> Any:
    """A browser's requests, to a database in which there is nothing but a host."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from networks.models import Host, User

    call_command("migrate", verbosity=0)
    Host.objects.create(name="local")
    browser = Client()
    browser.force_login(User.objects.create_user(username="bench", password="", role="admin"))
    return browser


def rendered(browser: Any) -> str:
    """The topology page as a person gets it."""
    page: str = browser.get("/topology/").content.decode()
    return page


def fill(count: int) -> None:
    """*count* containers in the database, with what :func:`state` gives them, in the place of those that were there."""
    from networks.models import Container, Endpoint, Host, Network, PublishedPort, Subnet

    host = Host.objects.get()
    for model in (PublishedPort, Endpoint, Container, Subnet, Network):
        model.objects.all().delete()
    wanted = state(count)
    for number, one in enumerate(wanted["network"].values()):
        Network.objects.create(id=one["id"], host=host, name=one["name"], activation=number, status="ready")
        Subnet.objects.create(network_id=one["id"], cidr=one["subnets"][0]["subnet"])
    rows = wanted["container"].values()
    Container.objects.bulk_create(
        Container(id=one["id"], host=host, name=one["name"], network_mode=one["network_mode"], status="running")
        for one in rows
    )
    Endpoint.objects.bulk_create(
        Endpoint(
            id=item["id"], container_id=one["id"], network_id=item["network"]["id"], position=number,
            ifname=f"eth{number}", mac=item["mac"], ipv4=item["ipv4"],
        )
        for one in rows
        for number, item in enumerate(one["endpoints"])
    )  # fmt: skip
    PublishedPort.objects.bulk_create(
        PublishedPort(
            id=item["id"], container_id=one["id"], protocol="tcp", host_port=item["host_port"], container_port=80
        )
        for one in rows
        for item in one["ports"]
    )


def served(browser: Any, count: int) -> tuple[str, float, float]:
    """The page with *count* containers in the database, and the milliseconds that it takes, by the clock and of a processor: medians."""
    fill(count)
    took = []
    for _ in range(LOADS):
        begun, worked = time.perf_counter(), time.process_time()
        page = rendered(browser)
        took.append(((time.perf_counter() - begun) * 1000, (time.process_time() - worked) * 1000))
    by_clock, of_processor = zip(*took, strict=True)
    return page, statistics.median(by_clock), statistics.median(of_processor)


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


def change(count: int, n: int, *, mixed: bool) -> dict[str, Any]:
    """The *n*-th one. Of the mixed, each fourth brings a container and the next one takes it away, but for each twelfth, which stays."""
    if mixed and n % 4 in (0, 1) and n > 1:
        number = count + n - n % 4
        if n % 4 == 0:
            data = container(number) | {"endpoints": container(number % count)["endpoints"], "ports": [], "links": []}
            return {"n": n, "op": "put", "kind": "container", "id": f"c{number}", "data": data}
        if n % 12 != 1:
            return {"n": n, "op": "delete", "kind": "container", "id": f"c{number}", "data": None}
    data = container(n % count, ("exited", "running")[n % 2])
    return {"n": n, "op": "put", "kind": "container", "id": data["id"], "data": data}


async def followed(chromium: Any, html: str, count: int, *, mixed: bool) -> dict[str, Any]:
    """A page that is panned and zoomed while changes come; what it shows when all have come."""
    sockets: list[Any] = []
    complaints: list[str] = []
    page = await opened(chromium, html, sockets, complaints)
    fps = await page.evaluate(PAN, 3)
    while not sockets:  # noqa: ASYNC110  # the page opens it when it likes
        await asyncio.sleep(0.05)
    sockets[0].send(json.dumps({"type": "ping"}))
    panning = asyncio.create_task(page.evaluate(PAN, SECONDS))
    wanted = {key: one["state"] for key, one in state(count)["container"].items()}
    total, begun = CHANGES_PER_S * SECONDS, asyncio.get_running_loop().time()
    for n in range(1, total + 1):
        one = change(count, n, mixed=mixed)
        if one["op"] == "put":
            wanted[one["id"]] = one["data"]["state"]
        else:
            del wanted[one["id"]]
        sockets[0].send(json.dumps({"type": "events", "epoch": EPOCH, "events": [one]}))
        await asyncio.sleep(max(0.0, begun + n / CHANGES_PER_S - asyncio.get_running_loop().time()))
    fps_changing = await panning
    await page.wait_for_function(f"document.querySelector('canvas.map').dataset.n === '{total}'", timeout=60_000)
    lag = round(asyncio.get_running_loop().time() - begun - SECONDS, 2)
    await page.wait_for_function("!cnmTopology.dirty")  # what came last may wait for a frame
    shown = await page.evaluate(SHOWN_STATES)
    again = len(sockets) - 1  # a message that did not follow makes the page ask anew, over a new socket
    await page.close()
    return {
        "fps_still": fps,
        "fps": fps_changing,
        "lag_s": lag,
        "dropped": again,
        "wrong": len(dict(wanted.items() ^ shown.items())),
        "errors": complaints,
    }


async def measure(chromium: Any, html: str, real: tuple[str, float, float], count: int) -> dict[str, Any]:
    pictures = [await first_picture(chromium, html) for _ in range(LOADS)]
    first, from_click, worked = (statistics.median(one) for one in zip(*pictures, strict=True))
    page, server_ms, server_cpu_ms = real
    loads = [(await first_picture(chromium, page))[1] for _ in range(LOADS)]
    states, mixed = [await followed(chromium, html, count, mixed=mixed) for mixed in (False, True)]
    return {
        "containers": count,
        "first_ms": round(first),
        "first_cpu_ms": round(worked),
        "from_click_ms": round(from_click),
        "server_ms": round(server_ms),
        "server_cpu_ms": round(server_cpu_ms),
        "click_ms": round(server_ms + statistics.median(loads)),
        "fps": states.pop("fps_still"),
        "states": states,
        "mixed": {key: value for key, value in mixed.items() if key != "fps_still"},
        "aims": AIMS.get(count, {}),
    }


async def run(html: str, real: dict[int, tuple[str, float, float]]) -> list[dict[str, Any]]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        results = [await measure(chromium, with_state(html, count), page, count) for count, page in real.items()]
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
        browser = signed_in()
        html = rendered(browser)
        real = {count: served(browser, count) for count in given.containers}
        results = asyncio.run(run(html, real))
    for result in results:
        print(json.dumps(result))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
