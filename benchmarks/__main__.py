"""The same work on CNM Web and on a Docker Engine, interleaved in one run, as ratios.

    sudo make bench            # or: python -m benchmarks [--rounds 5] [--json FILE]

Both run in throw-away hosts of this machine. CNM Web is driven over REST and has answered only when the kernel has what
was asked; the Engine is driven over its own API in the same way. Absolute times drift: read the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.testlib.product import Product

from .engine import IMAGE, Engine
from .writes import rule_generation

AIMS = {
    "network create": 0.2,
    "container with a port": 0.2,
    "sandbox of a hundred": 0.05,
    "1,000 ports at once": 0.05,
    "one more port": 0.3,
}
"""What share of Docker's time is aimed at."""


class Timings:
    """Milliseconds by (task, side), each round's pair taken one after the other."""

    def __init__(self) -> None:
        self.samples: dict[tuple[str, str], list[float]] = defaultdict(list)

    @contextmanager
    def of(self, task: str, side: str, share: int = 1) -> Iterator[None]:
        """Time a block; *share*: how many objects it made, to give the time of one."""
        started = time.perf_counter()
        yield
        self.samples[task, side].append((time.perf_counter() - started) * 1000 / share)

    def count(self, task: str, side: str, number: int) -> None:
        """Note a number of something else than milliseconds."""
        self.samples[task, side].append(number)

    def table(self) -> list[dict[str, Any]]:
        rows = []
        for task in dict.fromkeys(task for task, _ in self.samples):
            ours, docker = self.samples[task, "cnm"], self.samples[task, "docker"]
            rows.append(
                {
                    "task": task,
                    "cnm_ms": round(statistics.median(ours), 1) if ours else None,
                    "docker_ms": round(statistics.median(docker), 1) if docker else None,
                    "ratio": _ratio(ours, docker),
                    "aim": AIMS.get(task),
                    "rounds": len(ours),
                }
            )
        return rows


def _ratio(ours: list[float], docker: list[float]) -> float | None:
    if not ours or not docker or not statistics.median(docker):
        return None
    return round(statistics.median(ours) / statistics.median(docker), 3)


class Ours:
    """CNM Web over REST."""

    side = "cnm"

    def __init__(self, product: Product) -> None:
        self.product = product
        self.api = product.api

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.api.request(method, f"/api/v1/{path}", json=body, timeout=600)
        if answer.status_code >= 300 or answer.status_code == 202:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json() if answer.content else None

    def network(self, name: str) -> None:
        self.call("POST", "networks", {"name": name})

    def remove_network(self, name: str) -> None:
        self.call("DELETE", f"networks/{name}")

    def container(self, name: str, ports: range) -> None:
        self.call("POST", "containers", {"name": name, "command": ["sleep", "1000"], "ports": _publish(ports)})

    def sandboxes(self, names: list[str]) -> None:
        containers = [{"name": name, "kind": "sandbox"} for name in names]
        self.call("POST", "bulk", {"containers": containers})

    def remove(self, names: list[str]) -> None:
        for name in names:
            self.call("DELETE", f"containers/{name}?force=1")

    def generation(self) -> int:
        return rule_generation(self.product.bottle)

    def restart(self) -> None:
        """The process that writes to the kernel, until it has looked at everything and answers again."""
        self.product.restart("kernel")


class Dockers:
    """A Docker Engine over its own API."""

    side = "docker"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.request = engine.request

    def network(self, name: str) -> None:
        self.request("POST", "/networks/create", {"Name": name, "CheckDuplicate": True})

    def remove_network(self, name: str) -> None:
        self.request("DELETE", f"/networks/{name}")

    def container(self, name: str, ports: range) -> None:
        body = {
            "Image": IMAGE,
            "Cmd": ["sleep", "1000"],
            "ExposedPorts": {f"{port}/tcp": {} for port in ports},
            "HostConfig": {"PortBindings": {f"{port}/tcp": [{"HostPort": str(port)}] for port in ports}},
        }
        self.request("POST", f"/containers/create?name={name}", body)
        self.request("POST", f"/containers/{name}/start")

    def sandboxes(self, names: list[str]) -> None:
        for name in names:  # an Engine has no sandbox without a process, and no request for many
            self.container(name, range(0))

    def remove(self, names: list[str]) -> None:
        for name in names:
            self.request("DELETE", f"/containers/{name}?force=1")

    def generation(self) -> int:
        return rule_generation(self.engine.bottle)

    def restart(self) -> None:
        self.engine.restart()


def _publish(ports: range) -> list[str]:
    return [f"{ports[0]}-{ports[-1]}:{ports[0]}-{ports[-1]}"] if len(ports) > 1 else [f"{p}:{p}" for p in ports]


Sides = tuple[Ours, Dockers]


def bench_networks(sides: Sides, timings: Timings, rounds: int) -> None:
    for number in range(rounds):
        for side in sides:
            with timings.of("network create", side.side):
                side.network(f"bench{number}")
        for side in sides:
            with timings.of("network remove", side.side):
                side.remove_network(f"bench{number}")


def bench_containers(sides: Sides, timings: Timings, rounds: int) -> None:
    for number in range(rounds):
        for side in sides:
            with timings.of("container with a port", side.side):
                side.container(f"web{number}", range(8000 + number, 8001 + number))
        for side in sides:
            with timings.of("container stop and remove", side.side):
                side.remove([f"web{number}"])


def bench_hundred(sides: Sides, timings: Timings, rounds: int) -> None:
    names = [f"box{number}" for number in range(100)]
    for _ in range((rounds + 1) // 2):
        for side in sides:
            with timings.of("sandbox of a hundred", side.side, share=len(names)):
                side.sandboxes(names)
        for side in sides:
            with timings.of("remove each of the hundred", side.side, share=len(names)):
                side.remove(names)


def bench_ports(sides: Sides, timings: Timings, rounds: int) -> None:
    for _ in range((rounds + 2) // 3):
        for side in sides:
            with timings.of("1,000 ports at once", side.side):
                side.container("many", range(20000, 21000))
        for number in range(rounds):
            for side in sides:
                with timings.of("one more port", side.side):
                    side.container(f"more{number}", range(30000 + number, 30001 + number))
        for side in sides:
            side.remove([f"more{number}" for number in range(rounds)])
            with timings.of("remove 1,000 ports", side.side):
                side.remove(["many"])


def bench_restart(sides: Sides, timings: Timings, rounds: int) -> None:
    """Each side's daemon is killed and started again over twenty containers that run on, a published port each."""
    names = [f"kept{number}" for number in range(20)]
    for side in sides:
        for number, name in enumerate(names):
            side.container(name, range(9000 + number, 9001 + number))
    for _ in range((rounds + 1) // 2):
        for side in sides:
            before = side.generation()
            with timings.of("restart with nothing changed", side.side):
                side.restart()
            timings.count("rule transactions of a restart", side.side, side.generation() - before)
    for side in sides:
        side.remove(names)


BENCHES: dict[str, Callable[[Sides, Timings, int], None]] = {
    "networks": bench_networks,
    "containers": bench_containers,
    "hundred": bench_hundred,
    "ports": bench_ports,
    "restart": bench_restart,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benches", nargs="*", choices=[*BENCHES, []], help="which; none: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write the rows to this file too")
    options = parser.parse_args()
    timings = Timings()
    with Product() as product, Engine() as engine:
        sides = (Ours(product), Dockers(engine))
        for name in options.benches or BENCHES:
            print(f"… {name}", file=sys.stderr, flush=True)
            BENCHES[name](sides, timings, options.rounds)
    rows = timings.table()
    print(f"{'task':28} {'CNM Web ms':>11} {'Docker ms':>10} {'ratio':>7} {'aim':>6}")
    for row in rows:
        aim = "" if row["aim"] is None else row["aim"]
        print(f"{row['task']:28} {row['cnm_ms']!s:>11} {row['docker_ms']!s:>10} {row['ratio']!s:>7} {aim!s:>6}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
