"""A busy console: many people write at once, and the worker is killed among it. Nothing waits for itself, nothing is half done.

On PostgreSQL, where rows are locked one by one and who locks them in another order than another is ended by the server; and on
SQLite, where whoever waits too long for the one writer fails.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.testlib.postgres import Postgres
from tests.testlib.product import Product

from .conftest import Console

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

WRITERS = 12
SHARED = ("web", "db", "cache")
"""Containers that everybody works on: whose rows are wanted by many at once."""
REQUESTS = 12
"""Of each writer."""
SILENT = "unavailable"
"""What is told while the worker that was killed has not been heard of for a while: nobody is kept waiting for it."""
NEVER = ("deadlock detected", "too many clients", "remaining connection slots", "could not serialize")


class Writer:
    """Somebody who asks for one thing after the other; *number* gives their own names, and what comes next."""

    def __init__(self, console: Console, number: int) -> None:
        self._console = console
        self._random = random.Random(number)
        self._name = f"w{number}"
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []

    def work(self) -> None:
        asks = (
            self.network,
            self.container,
            self.connect,
            self.link,
            self.several,
            self.publish,
            self.restart,
            self.look,
        )
        for _ in range(REQUESTS):
            self._random.choice(asks)()

    def network(self) -> None:
        self._ask("POST", "networks", {"name": self._name})
        self._ask("DELETE", f"networks/{self._name}")

    def container(self) -> None:
        self._ask("POST", "containers", {"name": self._name, "kind": "sandbox", "network": self._any_network()})
        self._ask("DELETE", f"containers/{self._name}", force=1)

    def connect(self) -> None:
        network, body = self._any_network(), {"container": self._shared()}
        self._ask("POST", f"networks/{network}/connect", body)
        self._ask("POST", f"networks/{network}/disconnect", body)

    def link(self) -> None:
        recipient, source = self._random.sample(SHARED, 2)
        made = self._ask("POST", "links", {"recipient": recipient, "source": source, "alias": self._name})
        if made:
            self._ask("DELETE", f"links/{made['id']}")

    def several(self) -> None:
        names = [f"{self._name}-{letter}" for letter in "ab"]
        containers = [{"name": name, "kind": "sandbox", "network": f"{self._name}-n"} for name in names]
        self._ask("POST", "bulk", {"networks": [{"name": f"{self._name}-n"}], "containers": containers})
        self._ask("POST", "bulk/remove", {"containers": names, "networks": [f"{self._name}-n"], "force": True})

    def publish(self) -> None:
        name, port = self._shared(), self._random.randrange(8000, 8004)
        self._ask("POST", f"containers/{name}/ports", {"ports": [f"{port}:80"]})
        for row in (self._ask("GET", f"containers/{name}") or {"ports": []})["ports"]:
            if row["host_port"] == port:
                self._ask("DELETE", f"containers/{name}/ports/{row['id']}")

    def restart(self) -> None:
        self._ask("POST", f"containers/{self._shared()}/restart", {"timeout": 0})

    def look(self) -> None:
        self._ask("POST", "networks", {"name": f"{self._name}-seen"}, dry_run=1)
        for path in ("topology", "activity", "firewall/rules", "drift"):
            self._ask("GET", path)

    def _ask(self, method: str, path: str, body: object = None, **params: object) -> dict[str, object] | None:
        answer = self._console.raw(method, path, body, **params)
        self.answers[answer.status_code] += 1
        if answer.status_code >= 500 and answer.json().get("code") != SILENT:
            self.failures.append(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.status_code in {200, 201} else None

    def _shared(self) -> str:
        return self._random.choice(SHARED)

    def _any_network(self) -> str:
        return self._random.choice(("app", "other"))


@pytest.fixture(params=["postgresql", pytest.param("sqlite", marks=pytest.mark.long)])
def busy(request: pytest.FixtureRequest) -> Iterator[tuple[Console, Callable[[], list[str]]]]:
    """A console of its own, and what the database's server should never have had to say."""
    if request.param == "sqlite":
        with Product(server="") as product:
            yield Console(product), list
        return
    with Postgres() as server, Product(server=server.url) as product:
        yield Console(product), lambda: [line for line in server.log().splitlines() if any(map(line.count, NEVER))]


def test_many_who_write_at_once_wait_for_each_other_and_never_for_themselves(
    busy: tuple[Console, Callable[[], list[str]]],
) -> None:
    console, complaints = busy
    for network in ("app", "other"):
        console.network(network)
    for name in SHARED:
        console.run(name)
    writers = [Writer(console, number) for number in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        work = [pool.submit(writer.work) for writer in writers]
        for _ in range(2):
            time.sleep(5)
            console.product.kill("kernel")
            console.product.start("kernel")
        for each in work:
            each.result()
    failures = [failure for writer in writers for failure in writer.failures]
    assert failures == [], console.product.logs()
    assert complaints() == []
    answers = sum((writer.answers for writer in writers), Counter())
    assert answers[200] + answers[201] + answers[202] + answers[204] > answers[409], "little of it was done"

    def waiting() -> list[dict[str, object]]:
        rows = console.get("operations", page_size=500)["results"]
        return [row for row in rows if row["state"] in {"pending", "running"}]

    assert console.until(lambda: not waiting(), 60), waiting()
    assert "defect" not in console.product.logs()
    console.call("POST", "drift/look", {})
    assert console.get("drift")["results"] == []
    console.tidy()
    database = console.product.database
    assert database.execute("SELECT count(*), max(number) - min(number) + 1 FROM networks_event")[0][0] > 0
    assert database.execute("SELECT name FROM networks_container") == []
    assert database.execute("SELECT address FROM networks_lease WHERE endpoint_id IS NOT NULL") == []
