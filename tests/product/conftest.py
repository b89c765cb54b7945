"""The whole product in a throw-away host, and words to speak to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from tests.testlib.bottle import Bottle
from tests.testlib.product import Product

T = TypeVar("T")


class Console:
    """REST in a few words; every call that is refused fails the test with the problem's own text."""

    def __init__(self, product: Product) -> None:
        self.product = product

    @property
    def bottle(self) -> Bottle:
        """The host of now: a reboot makes another."""
        return self.product.bottle

    def raw(self, method: str, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return self.product.api.request(method, f"/api/v1/{path}", json=body, params=params, timeout=120)

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        answer = self.raw(method, path, body, **params)
        logs = self.product.logs() if answer.status_code >= 500 else ""
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}\n{logs}"
        return answer.json() if answer.content else None

    def get(self, path: str, **params: Any) -> Any:
        return self.call("GET", path, **params)

    def network(self, name: str, **spec: Any) -> Any:
        return self.call("POST", "networks", {"name": name, **spec})

    def run(self, name: str, *command: str, **spec: Any) -> Any:
        """A container that runs *command* (default: sleeps), up when this returns."""
        return self.call("POST", "containers", {"name": name, "command": list(command) or ["sleep", "1000"], **spec})

    def serve(self, name: str, port: int, text: str = "hello", **spec: Any) -> Any:
        """A container with a TCP server that answers every connection with *text*."""
        return self.run(name, "busybox", "nc", "-ll", "-p", str(port), "-e", "echo", text, **spec)

    def address(self, container: str, network: str | None = None) -> str:
        endpoints = self.get(f"containers/{container}")["endpoints"]
        chosen = [e for e in endpoints if network in (None, e["network"]["name"])]
        return str(chosen[0]["ipv4"]).partition("/")[0]

    def inside(self, container: str, *command: str, **options: Any) -> Any:
        """What a command run inside gave: exit_code, stdout, stderr."""
        return self.call("POST", f"containers/{container}/exec", {"command": list(command), **options})["result"]

    def state(self, container: str) -> str:
        return str(self.get(f"containers/{container}")["state"])

    def remove(self, *names: str) -> None:
        for name in names:
            self.call("DELETE", f"containers/{name}", force=1)

    def tidy(self) -> None:
        """Take away every container, and every network that was not there at first."""
        for container in self.get("containers", page_size=500)["results"]:
            self.remove(container["name"])
        for network in self.get("networks", page_size=500)["results"]:
            if not network["predefined"]:
                self.call("DELETE", f"networks/{network['name']}")

    def sandbox(self, container: str) -> str:
        return str(self.get(f"containers/{container}")["sandbox"])

    def connects(self, address: str, port: int, *, netns: str | None = "outside", timeout_s: int = 3) -> str | None:
        """What a TCP server at *address* says to a client in *netns*, or None when no connection comes about."""
        asked = self.bottle.run(
            ["busybox", "timeout", str(timeout_s), "busybox", "nc", "-w", str(timeout_s), address, str(port)],
            netns=netns,
            check=False,
            input="",
        )
        return asked.stdout.strip() if asked.returncode == 0 and asked.stdout else None

    def connects_soon(self, address: str, port: int, *, netns: str | None = "outside") -> str | None:
        """As :meth:`connects`, for a server that may still be starting."""
        return self.until(lambda: self.connects(address, port, netns=netns, timeout_s=1))

    def until(self, look: Callable[[], T], within_s: float = 15) -> T:
        """*look* again and again until it gives something true; its last answer."""
        deadline = time.monotonic() + within_s
        while not (seen := look()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return seen

    def iptables(self, table: str, *words: str) -> str:
        return self.bottle.run(["iptables", "-t", table, *(words or ("-S",))]).stdout


@pytest.fixture(scope="module")
def shared_console() -> Iterator[Console]:
    """One product for all tests of a module: each test takes away what it made."""
    with Product() as product:
        yield Console(product)


@pytest.fixture
def console(shared_console: Console) -> Iterator[Console]:
    yield shared_console
    shared_console.tidy()
