"""Answers of our DNS server and of a Docker Engine's, asked in the same way in one run, as ratios.

    sudo python -m benchmarks.dns [--rounds 5] [--seconds 3]

Each side has a container whose sandbox dnsperf asks from, and a crowd of others with names. ``known``: names of the crowd, over and
over. ``one``: one question after the other, for the time to an answer. ``passed on``: names of nobody here, which a server beyond the
host's uplink answers. The load generator shares the cores with the server that it measures, on both sides alike.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.testlib.bottle import REPOSITORY, Bottle
from tests.testlib.product import Product

from .engine import IMAGE, Engine

NETWORK = "names"
CROWD = 20
SERVER = "203.0.113.53"
"""The host's name server in a throw-away host's resolv.conf."""
UPSTREAM = f"""
import socket, struct
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("{SERVER}", 53))
while True:
    packet, sender = server.recvfrom(4096)
    end = packet.index(0, 12) + 5
    answer = packet[:2] + bytes.fromhex("818000010001") + bytes(4) + packet[12:end]
    server.sendto(answer + bytes.fromhex("c00c000100010000003c0004c6336401"), sender)
"""
LOADS = {
    # load: (which names, clients, questions under way)
    "known": ("known", 4, 50),
    "one": ("known", 1, 1),
    "passed on": ("unknown", 4, 50),
}
AIMS = {"known": 0.5, "passed on": 0.5}
"""What share of Docker's rate is aimed at."""
_RATE = re.compile(r"Queries per second:\s+([\d.]+)")
_LATENCY = re.compile(r"Average Latency \(s\):\s+([\d.]+)")
_LOST = re.compile(r"Queries lost:\s+(\d+)")


class Ours:
    side = "cnm"

    def __init__(self, product: Product) -> None:
        self.bottle = product.bottle
        self._api = product.api

    def make(self) -> str:
        """The crowd, and the namespace to ask from."""
        self._call("POST", "networks", {"name": NETWORK})
        for number in range(CROWD):
            self._call("POST", "containers", {"name": f"w{number}", "kind": "sandbox", "network": NETWORK})
        sandbox = self._call("GET", "containers/w0")["sandbox"]
        return str(self.bottle.netns(sandbox))

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._api.request(method, f"/api/v1/{path}", json=body, timeout=600)
        if answer.status_code >= 300 or answer.status_code == 202:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json()


class Dockers:
    side = "docker"

    def __init__(self, engine: Engine) -> None:
        self.bottle = engine.bottle
        self._request = engine.request

    def make(self) -> str:
        self._request("POST", "/networks/create", {"Name": NETWORK, "CheckDuplicate": True})
        for number in range(CROWD):
            body = {"Image": IMAGE, "Cmd": ["sleep", "10000"], "HostConfig": {"NetworkMode": NETWORK}}
            self._request("POST", f"/containers/create?name=w{number}", body)
            self._request("POST", f"/containers/w{number}/start")
        pid = self._request("GET", "/containers/w0/json")["State"]["Pid"]
        return f"{self.bottle.root}/proc/{pid}/ns/net"


def answer_outside(bottle: Bottle) -> None:
    """A server beyond the uplink, plain enough that neither side waits for it."""
    bottle.run(["ip", "address", "add", f"{SERVER}/32", "dev", "lo"], netns="outside")
    bottle.popen([sys.executable, "-c", UPSTREAM], netns="outside")
    time.sleep(0.5)


def questions(folder: Path) -> dict[str, str]:
    known = folder / "known"
    known.write_text("".join(f"w{number} A\nw{number}.{NETWORK} A\n" for number in range(CROWD)))
    unknown = folder / "unknown"
    unknown.write_text("".join(f"n{number}.example.org A\n" for number in range(1000)))
    return {"known": str(known), "unknown": str(unknown)}


def measure(namespace: str, file: str, clients: int, under_way: int, seconds: int) -> tuple[float, float]:
    """(answers a second, milliseconds to an answer)."""
    load = ("-l", str(seconds), "-c", str(clients), "-q", str(under_way), "-t", "5")
    command = ["nsenter", f"--net={namespace}", "dnsperf", "-s", "127.0.0.11", "-d", file, *load]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=REPOSITORY).stdout
    rate, latency, lost = (float(pattern.search(out)[1]) for pattern in (_RATE, _LATENCY, _LOST))  # type: ignore[index]
    if lost:
        print(f"  {int(lost)} questions were lost", file=sys.stderr)
    return rate, latency * 1000


def table(samples: dict[tuple[str, str], list[tuple[float, float]]]) -> list[dict[str, Any]]:
    rows = []
    for load in LOADS:
        ours, docker = samples[load, "cnm"], samples[load, "docker"]
        rates = [statistics.median(rate for rate, _ in side) for side in (ours, docker)]
        times = [statistics.median(ms for _, ms in side) for side in (ours, docker)]
        rows.append(
            {
                "load": load,
                "cnm_per_s": round(rates[0]),
                "docker_per_s": round(rates[1]),
                "rate_ratio": round(rates[0] / rates[1], 2),
                "cnm_ms": round(times[0], 3),
                "docker_ms": round(times[1], 3),
                "time_ratio": round(times[0] / times[1], 2),
                "aim": AIMS.get(load),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dns", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--json", help="write the rows to this file too")
    options = parser.parse_args()
    samples: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    with Product() as product, Engine() as engine:
        files = questions(engine.data)
        sides = (Ours(product), Dockers(engine))
        namespaces = {side.side: side.make() for side in sides}
        for side in sides:
            answer_outside(side.bottle)
        for number in range(options.rounds):
            for load, (names, clients, under_way) in LOADS.items():
                for side in sides if number % 2 else reversed(sides):
                    found = measure(namespaces[side.side], files[names], clients, under_way, options.seconds)
                    samples[load, side.side].append(found)
                    print(f"… {load} {side.side}: {found[0]:.0f}/s {found[1]:.3f} ms", file=sys.stderr, flush=True)
    rows = table(samples)
    print(
        f"{'load':10} {'CNM Web/s':>10} {'Docker/s':>10} {'ratio':>6} {'aim':>5} {'CNM ms':>8} {'Docker ms':>9} {'ratio':>6}"
    )
    for row in rows:
        print(
            f"{row['load']:10} {row['cnm_per_s']:>10} {row['docker_per_s']:>10} {row['rate_ratio']:>6} {row['aim'] or '':>5}"
            f" {row['cnm_ms']:>8} {row['docker_ms']:>9} {row['time_ratio']:>6}"
        )
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
