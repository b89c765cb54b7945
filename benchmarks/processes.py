"""How much processor time a request takes, in which of our processes: ``python -m benchmarks.processes [--rounds 20]``.

Requests follow each other without pause, in a throw-away host of this machine; no Docker takes part. What the worker looks at for the
pages when it pauses is in the figures. Processor time drifts with a machine's load much less than the clock does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.testlib.product import COMMANDS, Product

from .__main__ import Ours

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
CHILDREN = (13, 14)
"""Places of cutime and cstime in /proc/PID/stat behind the name (proc(5))."""


def processor_ms(product: Product) -> Counter[str]:
    """Process of the product -> milliseconds so far. ``programs``: what they started, and what has ended."""
    spent: Counter[str] = Counter()
    names = {" ".join(command[1:4]): name for name, command in COMMANDS.items()}
    for folder in (product.bottle.root / "proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_text().replace("\0", " ")
            name = next((name for begin, name in names.items() if begin in words), None)
            name = name or ("redis" if "redis-server" in words else "dns" if "worker.dns" in words else "")
            if name:
                spent[name] += _threads_ms(folder)
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                spent["programs"] += sum(int(fields[place]) for place in CHILDREN) * TICK_MS
    return spent


def _threads_ms(folder: Path) -> float:
    """Of all its threads, by the scheduler's own count in nanoseconds."""
    return sum(int(path.read_text().split()[0]) for path in folder.glob("task/*/schedstat")) / 1e6


def measure(product: Product, task: str, request: Callable[[int], None], rounds: int) -> None:
    time.sleep(1)  # what follows on the requests before is through
    before, walls = processor_ms(product), []
    for number in range(rounds):
        begun = time.perf_counter()
        request(number)
        walls.append((time.perf_counter() - begun) * 1000)
    spent = processor_ms(product)
    spent.subtract(before)
    shares = " ".join(f"{name} {ms / rounds:.1f}" for name, ms in spent.most_common() if ms / rounds >= 0.1)
    total = sum(spent.values()) / rounds
    print(f"{task:24} {statistics.median(walls):7.1f} ms, of processor time {total:6.1f}: {shares}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="at most 25: a pool has so many subnets")
    rounds = parser.parse_args().rounds
    hundred = [f"of-many{number}" for number in range(100)]
    with Product() as product:
        ours = Ours(product)
        for times in (2, rounds):  # the first requests load what is loaded late
            measure(product, "create a network", lambda n: ours.network(f"net{n}"), times)
            measure(product, "remove it", lambda n: ours.remove_network(f"net{n}"), times)
            measure(
                product, "container with a port", lambda n: ours.container(f"web{n}", range(8000 + n, 8001 + n)), times
            )
            measure(product, "stop and remove it", lambda n: ours.remove([f"web{n}"]), times)
        measure(product, "a hundred sandboxes", lambda _: ours.sandboxes(hundred), 1)
        measure(product, "remove each of them", lambda n: ours.remove([hundred[n]]), 100)
        measure(product, "1,000 ports at once", lambda _: ours.container("many", range(20000, 21000)), 1)
        measure(product, "one more port", lambda n: ours.container(f"more{n}", range(30000 + n, 30001 + n)), rounds)
        measure(product, "remove it", lambda n: ours.remove([f"more{n}"]), rounds)


if __name__ == "__main__":
    main()
