"""One product for all tests of WebSockets, and a browser's way to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from websockets.sync.client import ClientConnection, unix_connect

from tests.product.conftest import Console
from tests.testlib.product import ADMIN, PASSWORD, Product

PATIENCE_S = 15


@pytest.fixture(scope="package")
def console() -> Iterator[Console]:
    with Product({"CNM_TERMINALS_PER_USER": "3"}) as product:
        yield Console(product)


@pytest.fixture
def browser(console: Console) -> Iterator[httpx.Client]:
    """A browser's cookies, got as a browser gets them."""
    with signed_in(console, ADMIN, PASSWORD) as client:
        yield client


@contextmanager
def signed_in(console: Console, name: str, password: str) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(uds=str(console.bottle.root / "run/cnm/web.sock"))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        form = client.get("/sign-in/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token
        fields = {"username": name, "password": password, "csrfmiddlewaretoken": token[1]}
        assert client.post("/sign-in/", data=fields).status_code == 302
        yield client


@contextmanager
def websocket(
    console: Console, browser: httpx.Client | None, path: str, *, origin: str = "http://localhost"
) -> Iterator[ClientConnection]:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items()) if browser else ""
    with unix_connect(
        str(console.bottle.root / "run/cnm/web.sock"),
        f"ws://localhost/{path}",
        additional_headers={"Origin": origin, "Cookie": cookies},
        max_size=None,
    ) as socket:
        yield socket
