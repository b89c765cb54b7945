"""The WebSocket of the real product: who may listen, what is missed is sent, nothing is lost and nothing comes twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from tests.product.conftest import Console

from .conftest import PATIENCE_S, websocket

pytestmark = pytest.mark.kernel
State = dict[str, dict[str, Any]]


@contextmanager
def listen(
    console: Console, browser: httpx.Client | None, *, query: str = "", origin: str = "http://localhost"
) -> Iterator[ClientConnection]:
    with websocket(console, browser, f"ws/live/{query}", origin=origin) as socket:
        yield socket


def messages(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    """Each is waited for anew: how long all of a test takes together says something about the machine alone."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        message = json.loads(socket.recv(timeout=PATIENCE_S))
        if message["type"] != "ping":
            yield message
            deadline = time.monotonic() + PATIENCE_S


class Page:
    """What a page knows: a snapshot and every event after it, each exactly once and in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.messages = messages(socket)
        first = next(self.messages)
        assert first["type"] == "snapshot"
        self.epoch, self.n, self.state = first["epoch"], first["n"], first["state"]

    def follow(self, until: Any) -> None:
        for message in self.messages:
            if message["type"] in {"counters", "traffic"}:
                continue  # a firewall page asks for its rows anew; this one shows none
            assert message["type"] == "events"
            for event in message["events"]:
                assert event["n"] == self.n + 1
                self.n = event["n"]
                objects = self.state.setdefault(event["kind"], {})
                if event["op"] == "put":
                    objects[event["id"]] = event["data"]
                else:
                    objects.pop(event["id"], None)
            if until(self.state):
                return
        raise AssertionError("what was waited for never came")


def read_on(socket: ClientConnection) -> None:
    """Until the server ends it, or is silent for too long."""
    while True:
        socket.recv(timeout=PATIENCE_S)


def names(state: State) -> set[str]:
    return {network["name"] for network in state["network"].values()}


def test_nobody_listens_without_signing_in(console: Console) -> None:
    with listen(console, None) as socket, pytest.raises(ConnectionClosed):
        socket.recv(timeout=PATIENCE_S)
    assert socket.close_code == 4401


def test_a_page_from_elsewhere_cannot_listen_with_somebodys_cookies(console: Console, browser: httpx.Client) -> None:
    with pytest.raises(InvalidStatus) as refused, listen(console, browser, origin="https://evil.example"):
        pass
    assert refused.value.response.status_code == 403


def test_two_pages_hear_of_many_changes_at_once_without_a_gap(console: Console, browser: httpx.Client) -> None:
    with listen(console, browser) as one, listen(console, browser) as two:
        pages = [Page(one), Page(two)]
        wanted = {f"live{number}" for number in range(12)}
        threads = [threading.Thread(target=console.network, args=(name,)) for name in wanted]
        for thread in threads:
            thread.start()
        for page in pages:
            page.follow(
                lambda state: wanted <= names(state) and all(n["status"] == "ready" for n in state["network"].values())
            )
        for thread in threads:
            thread.join()
        with listen(console, browser) as third:
            fresh = Page(third)
        for page in pages:
            if page.n < fresh.n:
                page.follow(lambda _, page=page: page.n >= fresh.n)
            for kind in ("network", "container", "link"):
                assert page.state.get(kind, {}) == fresh.state.get(kind, {}), kind


def test_who_comes_back_gets_what_was_missed_and_no_more(console: Console, browser: httpx.Client) -> None:
    with listen(console, browser) as socket:
        page = Page(socket)
    console.network("meanwhile")
    with listen(console, browser, query=f"?epoch={page.epoch}&since={page.n}") as socket:
        page.messages = messages(socket)
        page.follow(lambda state: "meanwhile" in names(state))
    with listen(console, browser, query=f"?epoch=another&since={page.n}") as socket:
        assert next(messages(socket))["type"] == "snapshot"


@pytest.mark.parametrize(
    "query", ["?since=-1", "?since=x&epoch=%00", "?since=99999999999999999999", "?epoch=" + "e" * 4000]
)
def test_a_position_that_makes_no_sense_gets_a_snapshot(console: Console, browser: httpx.Client, query: str) -> None:
    with listen(console, browser, query=query) as socket:
        assert next(messages(socket))["type"] == "snapshot"


def test_who_signs_out_hears_no_more(console: Console, browser: httpx.Client) -> None:
    with listen(console, browser) as socket:
        Page(socket)
        token = browser.cookies["csrftoken"]
        assert browser.post("/sign-out/", data={"csrfmiddlewaretoken": token}).status_code == 302
        with pytest.raises(ConnectionClosed):
            read_on(socket)
    assert socket.close_code == 4401


def test_what_others_do_in_the_kernel_is_heard(console: Console, browser: httpx.Client) -> None:
    console.run("seen", ports=["8090:80"])
    with listen(console, browser) as socket:
        page = Page(socket)
        console.bottle.run(["iptables", "-t", "nat", "-F", "CNM"])
        page.follow(lambda state: any("--dport 8090" in item["text"] for item in state.get("drift", {}).values()))
    console.call("POST", "drift/repair", {})
    console.remove("seen")


def test_changes_are_heard_while_redis_is_away(console: Console, browser: httpx.Client) -> None:
    with listen(console, browser) as socket:
        page = Page(socket)
        console.product.kill("redis")
        assert console.raw("POST", "networks", {"name": "quietly"}, wait=0).status_code == 202
        page.follow(lambda state: "quietly" in names(state))
        console.product.restart("redis")
        page.follow(lambda state: all(network["status"] == "ready" for network in state["network"].values()))


def test_traffic_is_counted_while_somebody_looks_and_no_longer(console: Console, browser: httpx.Client) -> None:
    console.serve("busy", 80, "x" * 2000, ports=["8095:80"])
    device = console.get("containers/busy")["endpoints"][0]["device"]
    address = "192.0.2.2"
    tables = ["nft", "list", "tables"]
    assert "cnm_traffic" not in console.bottle.run(tables).stdout
    with listen(console, browser) as socket:
        socket.send("traffic links")
        sample = next(
            m["hosts"]["local"] for m in messages(socket) if m["type"] == "traffic" and m["hosts"].get("local")
        )
        assert sample["ports"] is None
        assert "cnm_traffic" not in console.bottle.run(tables).stdout, (
            "of devices alone the kernel tells without a table"
        )
    with listen(console, browser) as socket:
        socket.send("traffic on")
        samples = (m["hosts"].get("local") for m in messages(socket) if m["type"] == "traffic")
        counted: dict[str, Any] = {}
        for sample in samples:
            if sample is not None:
                counted = sample
                if f"tcp {address} 8095" in (counted["ports"] or ()) and device in counted["links"]:
                    break
            assert console.connects_soon(address, 8095)
        to, packets_to, back, packets_back = counted["ports"][f"tcp {address} 8095"]
        assert back > 1000 > to
        assert packets_to
        assert packets_back
        assert counted["links"][device][2] >= back * 0.5, "the endpoint's own device counts the same"
        assert counted["every"] < 10
        shown = console.get("firewall/rules", page_size=500)["results"]
        assert shown
        assert not [rule for rule in shown if rule["table"] == "cnm_traffic"], "it decides nothing, so it is no rule"
        socket.send("traffic off")
    assert console.until(lambda: "cnm_traffic" not in console.bottle.run(tables).stdout), "nothing stays in the kernel"
    console.remove("busy")
