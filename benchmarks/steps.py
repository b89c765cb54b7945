"""Where the time of one write over REST goes: ``python -m benchmarks.steps [--rounds 20]``.

Each step on the way from the request to its answer, in the order in which they begin: when it begins, how long it takes by the clock, and
how much of that its thread works; the rest is waiting, for a program, the kernel, another process, or a processor. Medians, in
milliseconds; steps stand within others. On a busy machine only the processor time means anything.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.testlib.bottle import REPOSITORY
from tests.testlib.product import Product

from .__main__ import Ours

ORDER = "/var/lib/cnm/stopwatch"
WARM, PAUSE_S = 3, 0.7
"""Requests before those that count, and what lies between two of them: the looks for the pages are through by then."""
STEPS = (
    "a2wsgi.wsgi:WSGIResponder.wsgi",
    "networks.api.base:CnmView.initial",
    "networks.services.networks:create_network",
    "networks.services.containers:run_container",
    "networks.feed:_write",
    "networks.wake:wake",
    "networks.services.operations:wait",
    "worker.kernel_process:drain",
    "worker.claim:claim_next",
    "worker.reconcile:Reconciler.compile",
    "worker.reconcile:Reconciler.plan",
    "worker.reconcile:Reconciler._apply",
    "worker.apply.ports:PortsHandler.apply",
    "worker.apply.rules:RulesHandler.apply",
    "worker.firewall.programs:run_program",
    "worker.apply.links:LinksHandler.apply",
    "worker.apply.files:FilesHandler.apply",
    "worker.apply.processes:ProcessesHandler.apply",
    "worker.runtime.runtime:Runtime.begin",
    "worker.runtime.conmon:Starting.finish",
    "worker.runtime.runtime:Runtime._call",
    "worker.reconcile:Reconciler._settle",
    "networks.wake:tell_end",
    "networks.feed:last_word",
)
Spans = list[tuple[float, float]]


def measure(task: str, request: Callable[[Ours, int], None], rounds: int) -> None:
    path = f"{REPOSITORY}/benchmarks/stopwatch:{REPOSITORY}"
    with Product({"PYTHONPATH": path, "CNM_STOPWATCH": ORDER}) as product:
        ours = Ours(product)
        folder = product.bottle.root / "var/lib/cnm"
        for number in range(WARM):
            request(ours, number)
        product.bottle.write(ORDER, "\n".join(STEPS))
        time.sleep(1)  # every process has seen it
        spans: Spans = []
        for number in range(WARM, WARM + rounds):
            time.sleep(PAUSE_S)
            begun = time.monotonic()
            request(ours, number)
            spans.append((begun, time.monotonic()))
        notes = read(folder)
    print(f"\n{task}: {statistics.median(end - begun for begun, end in spans) * 1000:.1f} ms")
    print(f"{'begins':>7} {'takes':>7} {'works':>7}")
    for row in sorted(steps(notes, spans)):
        print("{:7.1f} {:7.1f} {:7.1f}  {}".format(*row))


def read(folder: Path) -> list[tuple[float, float, float, str]]:
    """(begin, end, processor time, step) of everything that was noted."""
    lines = (line.split(" ", 3) for path in folder.glob("stopwatch.*") for line in path.read_text().splitlines())
    return [(float(begun), float(ended), float(worked), name) for begun, ended, worked, name in lines]


def steps(notes: list[tuple[float, float, float, str]], spans: Spans) -> list[tuple[float, float, float, str]]:
    """(begins, takes, works, step) in milliseconds; a step that comes more than once in a request is counted by its turn."""
    samples: dict[tuple[str, int], list[tuple[float, float, float]]] = defaultdict(list)
    for begun, ended in spans:
        turns: dict[str, int] = defaultdict(int)
        for start, end, worked, name in sorted(note for note in notes if begun <= note[0] <= ended):
            turns[name] += 1
            samples[name, turns[name]].append((start - begun, end - start, worked))
    medians = (
        (*(statistics.median(values) * 1000 for values in zip(*found, strict=True)), name)
        for (name, _), found in samples.items()
        if len(found) * 2 > len(spans)
    )
    return [(begins, takes, works, name) for begins, takes, works, name in medians]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="at most 25: a pool has so many subnets")
    rounds = parser.parse_args().rounds
    measure("create a network", lambda ours, n: ours.network(f"net{n}"), rounds)
    measure("container with a port", lambda ours, n: ours.container(f"web{n}", range(8000 + n, 8001 + n)), rounds)


if __name__ == "__main__":
    main()
