"""From a source's restart at another address until every recipient's hosts file is right, beside a Docker Engine in one run.

    sudo python -m benchmarks.links [--recipients 200] [--rounds 5] [--without-docker]

``answered``: the start was asked for and has answered. ``files``: every recipient's file names the new address; a look over all of
them takes a few milliseconds, which are in the figure. ``spread``: from the first right file to the last.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from tests.testlib.product import Product

from .engine import IMAGE, Engine


class Side(Protocol):
    name: str

    def recipients(self, count: int) -> list[Path]:
        """Make a source and its recipients: the recipients' hosts files."""

    def displace(self) -> None:
        """Stop the source and see that its address is not given to it again."""

    def start(self) -> None: ...

    def address(self) -> str: ...


class Ours:
    name = "CNM Web"

    def __init__(self, product: Product) -> None:
        self.product = product

    def _call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        answer = self.product.api.request(method, f"/api/v1/{path}", json=body, timeout=600)
        if answer.status_code >= 300 or answer.status_code == 202:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return dict(answer.json())

    def recipients(self, count: int) -> list[Path]:
        self._call("POST", "containers", {"name": "db", "kind": "sandbox"})
        wanted = [{"name": f"r{number}", "kind": "sandbox", "links": ["db"]} for number in range(count)]
        self._call("POST", "bulk", {"containers": wanted})
        root = self.product.bottle.root / "var/lib/cnm/containers"
        return [root / str(self._call("GET", f"containers/{item['name']}")["id"]) / "hosts" for item in wanted]

    def displace(self) -> None:
        self._call("POST", "containers/db/stop", {"timeout": 0})
        self.product.forget_addresses()

    def start(self) -> None:
        self._call("POST", "containers/db/start")

    def address(self) -> str:
        endpoints = self._call("GET", "containers/db")["endpoints"]
        assert isinstance(endpoints, list)
        return str(endpoints[0]["ipv4"]).partition("/")[0]


class Dockers:
    name = "Docker"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._takers = 0

    def _run(self, name: str, **host_config: object) -> str:
        body = {"Image": IMAGE, "Cmd": ["sleep", "10000"], "HostConfig": host_config}
        made = self.engine.request("POST", f"/containers/create?name={name}", body)
        self.engine.request("POST", f"/containers/{name}/start")
        return str(made["Id"])

    def recipients(self, count: int) -> list[Path]:
        self._run("source-db")
        ids = [self._run(f"r-{number}", Links=["source-db:db"]) for number in range(count)]
        return [self.engine.data / "root/containers" / one / "hosts" for one in ids]

    def displace(self) -> None:
        self.engine.request("POST", "/containers/source-db/stop?t=0")
        self._takers += 1
        self._run(f"taker-{self._takers}")  # gets the lowest free address: the source's

    def start(self) -> None:
        self.engine.request("POST", "/containers/source-db/start")

    def address(self) -> str:
        return str(self.engine.request("GET", "/containers/source-db/json")["NetworkSettings"]["IPAddress"])


class _Watch(threading.Thread):
    """Looks at the files without pause; notes when each first named the source by another address than *before*."""

    def __init__(self, paths: Sequence[Path], before: str) -> None:
        super().__init__(daemon=True)
        self.paths = paths
        self.before = f"{before}\tdb "
        self.right: dict[Path, float] = {}

    def run(self) -> None:
        while len(self.right) < len(self.paths):
            for path in self.paths:
                if path not in self.right:
                    text = path.read_text()
                    if "\tdb " in text and self.before not in text:
                        self.right[path] = time.perf_counter()


def measure(side: Side, paths: Sequence[Path], samples: dict[tuple[str, str], list[float]]) -> None:
    before = side.address()
    side.displace()
    watch = _Watch(paths, before)
    watch.start()
    started = time.perf_counter()
    side.start()
    answered = time.perf_counter()
    watch.join(timeout=120)
    after = side.address()
    wrong = [path for path in paths if f"{after}\tdb " not in path.read_text()]
    if after == before or wrong or watch.is_alive():
        raise SystemExit(f"{side.name}: {before} -> {after}, {len(wrong)} files are wrong")
    last, first = max(watch.right.values()), min(watch.right.values())
    for figure, value in (("answered", answered - started), ("files", last - started), ("spread", last - first)):
        samples[side.name, figure].append(value * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.links", description=__doc__)
    parser.add_argument("--recipients", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-docker", action="store_true")
    options = parser.parse_args()
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        sides: list[Side] = [Ours(stack.enter_context(Product()))]
        if not options.without_docker:
            sides.append(Dockers(stack.enter_context(Engine())))
        files = [side.recipients(options.recipients) for side in sides]
        for _ in range(options.rounds):
            for side, paths in zip(sides, files, strict=True):
                measure(side, paths, samples)
    print(f"{options.recipients} recipients, {options.rounds} rounds, milliseconds (median, worst)")
    for (name, figure), values in samples.items():
        print(f"{name:8} {figure:9} {statistics.median(values):8.1f} {max(values):8.1f}")


if __name__ == "__main__":
    main()
