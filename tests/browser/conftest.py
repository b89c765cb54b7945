"""Headless Chromium on the whole product: the browser runs beside the throw-away host, on the machine's own files."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect, sync_playwright

from tests.product.conftest import Console
from tests.testlib.beside import network_beside
from tests.testlib.product import ADMIN, PASSWORD, Product

PORT = 8000
ADDRESS = f"http://127.0.0.1:{PORT}"
PATIENCE_MS = 15_000
NewPage = Callable[..., Page]
NOBODY_SERVES = "net::ERR_|Connection closed before receiving a handshake response"
"""How Chromium complains of a server that is taken away. It has a name for each moment at which that can come: refused, reset, empty,
incomplete, too short, not connected any more."""
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """One product, and one browser, for all tests of a module."""
    with Product() as product:
        product.serve_tcp(PORT)
        yield product


@pytest.fixture(scope="module")
def console(product: Product) -> Iterator[Console]:
    console = Console(product)
    yield console
    console.tidy()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """For one module: it keeps an event loop running in this thread, in which Django refuses the tests that come after."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright, product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Debian's Chromium, without its window where that can be had; a wrapper puts it into a network beside the throw-away host's."""
    found = filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome")))
    chromium = next((path for path in found if not path.startswith("/snap/")), None)
    assert chromium, "Chromium is missing, or is a snap, which cannot enter a throw-away host: make tools"
    wrapper = tmp_path_factory.mktemp("chromium") / "chromium"
    with network_beside(product.bottle, PORT) as network:
        wrapper.write_text(f'#!/bin/sh\nexec nsenter --net={network} {chromium} "$@"\n')
        wrapper.chmod(0o755)
        started = playwright.chromium.launch(
            executable_path=str(wrapper), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def session(browser: Browser) -> dict[str, object]:
    """The cookies of a signed-in admin: most tests are not about signing in."""
    context = browser.new_context(base_url=ADDRESS)
    sign_in(context.new_page())
    state = dict(context.storage_state())
    context.close()
    return state


def sign_in(page: Page, name: str = ADMIN, password: str = PASSWORD) -> None:
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(rf"^{re.escape(ADDRESS)}/(@[^/]+/)?$"))


@pytest.fixture
def new_page(browser: Browser, session: dict[str, object], request: pytest.FixtureRequest) -> Iterator[NewPage]:
    """Makes signed-in pages. A script that fails, a refused resource or a console error anywhere fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    away = request.node.get_closest_marker("unserved") is not None

    def complain(message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        if "status of 4" in message.text and "/static/" not in url:
            return  # Chromium says so of every refused form, which is what some tests ask for
        if away and re.search(NOBODY_SERVES, message.text):
            return
        if "closed before the connection is established" in message.text:
            return  # the page was left while its WebSocket still opened
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text} ({url})")

    def make(
        *, width: int = 1440, height: int = 900, dark: bool = False, signed_in: bool = True, locale: str = "en-US"
    ) -> Page:
        context = browser.new_context(
            base_url=ADDRESS,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=locale,
            storage_state=session if signed_in else None,  # type: ignore[arg-type]  # what storage_state() gave
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()


@pytest.fixture
def shoot() -> Callable[[Page, str], None]:
    """Keeps a picture of a page when CNM_SCREENSHOTS names a folder."""

    def take(page: Page, name: str) -> None:
        folder = os.environ.get("CNM_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{folder}/{name}.png")

    return take
