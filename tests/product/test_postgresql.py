"""What only PostgreSQL can get wrong: connections that pile up, and a server that goes away and comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import pytest

from tests.testlib.postgres import Postgres
from tests.testlib.product import Product

from .conftest import Console

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def shared_console(server: Postgres) -> Iterator[Console]:
    with Product(server=server.url) as product:
        yield Console(product)


def connections(console: Console) -> int:
    rows = console.product.database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return int(rows[0][0])


def test_logs_that_are_followed_keep_no_connection(console: Console) -> None:
    console.run("web", "sh", "-c", "echo hello; exec sleep 1000")
    before = connections(console)
    transport = httpx.HTTPTransport(uds=str(console.bottle.root / "run/cnm/web.sock"))
    headers = console.product.api.headers
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(
            httpx.Client(
                transport=transport,
                base_url="http://localhost",
                headers=headers,
                timeout=60,
                limits=httpx.Limits(max_connections=None),
            )
        )
        for _ in range(40):
            answer = stack.enter_context(client.stream("GET", "/api/v1/containers/web/logs", params={"follow": 1}))
            assert next(answer.iter_lines()) == "hello"
        assert console.until(lambda: connections(console) <= before + 3), connections(console)


def test_a_server_that_was_away_is_found_again_by_every_process(console: Console, server: Postgres) -> None:
    console.network("before")
    server.restart()
    assert console.until(lambda: console.raw("GET", "networks").status_code == 200)
    console.network("after")
    console.run("web", network="after")
    assert console.inside("web", "true")["exit_code"] == 0, "the slow worker is there"
    assert console.get("drift")["results"] == []
