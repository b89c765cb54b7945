"""How soon a container that starts on one of many hosts is reached from all others: from the answer of the API until each of them has had
an answer to a ping from within a container of its own.

    sudo python -m benchmarks.overlay [--hosts 8] [--rounds 10]

All hosts run the whole product over one PostgreSQL and one Redis, on one machine, joined by a bridge: so what they would do at the same
time is done one after the other here, where there are fewer processors than hosts. Pings are sent every two milliseconds by one program on
each host.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.testlib.cluster import Cluster

WITHIN_S = 30
TARGET_MS = 500
PINGER = """
import os, socket, struct, sys, time

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF

channel = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
channel.settimeout(0.002)
print("ready", flush=True)
for number, line in enumerate(sys.stdin, 1):
    address = line.strip()
    head = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, number)
    echo = head[:2] + struct.pack("!H", checksum(head)) + head[4:]
    answered = False
    while not answered:
        try:
            channel.sendto(echo, (address, 0))
            packet, (sender, _) = channel.recvfrom(2048)
            answered = sender == address and packet[20] == 0
        except OSError:
            time.sleep(0.001)
    print(time.monotonic(), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Pinger:
    """A program in a container's sandbox that says when an address first answered it."""

    process: subprocess.Popen[str]

    def ask(self, address: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{address}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(asked.hosts))
        cluster.call("POST", "networks", {"name": "app", "driver": "overlay"}, host="h1")
        for host in cluster.members:
            cluster.run(host, f"on-{host}", network="app")
        pingers = {host: _pinger(cluster, host, stack) for host in cluster.members}
        time.sleep(3)
        load = os.getloadavg()[0]
        took = [_round(cluster, pingers, number) for number in range(asked.rounds)]
    all_of_them = [max(start.times.values()) for start in took]
    each = [one for start in took for one in start.times.values()]
    print(f"{asked.hosts} hosts, {asked.rounds} starts, {os.cpu_count()} processors, load before: {load:.1f}")
    print(f"{'ms after the answer':34}{'median':>8}{'worst':>8}")
    for name, times in (
        ("reached from one other host", each),
        (f"reached from all {asked.hosts - 1} others", all_of_them),
    ):
        print(f"{name:34}{statistics.median(times):8.0f}{max(times):8.0f}")
    late = sum(one > TARGET_MS for one in all_of_them)
    print(f"starts after which some host needed more than {TARGET_MS} ms: {late} of {asked.rounds}")
    print("\nwhat the slowest host of each start waited for, ms from the answer on")
    for start in sorted(took, key=lambda start: -max(start.times.values())):
        parts = ", ".join(f"{name} {ms:.0f}" for name, ms in start.parts())
        print(f"  {start.slowest:4}{max(start.times.values()):6.0f}: {parts}")


def _pinger(cluster: Cluster, host: str, stack: ExitStack) -> Pinger:
    sandbox = cluster.call("GET", f"containers/on-{host}", host=host)["sandbox"]
    command = ["ip", "netns", "exec", sandbox, sys.executable, "-c", PINGER]
    process = cluster.members[host].bottle.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    stack.callback(process.kill)
    made = Pinger(process)
    if made.answer() != "ready":
        raise SystemExit(f"{host}: the pinger did not start")
    return made


@dataclass(frozen=True, slots=True)
class Start:
    """What a container's start was followed by."""

    times: dict[str, float]
    """Milliseconds from the answer until each other host was answered by it."""
    told: dict[str, Any]
    """The operation by which the slowest host learned of it."""
    answered_at: float
    """By the wall's clock, as the operation's times."""

    @property
    def slowest(self) -> str:
        return max(self.times, key=self.times.__getitem__)

    def parts(self) -> Iterator[tuple[str, float]]:
        """What the slowest host's time went into, one after the other; below zero: before the answer."""
        moments = [(datetime.fromisoformat(self.told[name]).timestamp() - self.answered_at) * 1000 for name in _MOMENTS]
        before = 0.0
        for name, moment in zip(_MOMENTS.values(), moments, strict=True):
            yield name, moment - before
            before = moment
        yield "pinged", self.times[self.slowest] - before


_MOMENTS = {"created_at": "told", "started_at": "taken up", "finished_at": "done"}


def _ended(operation: dict[str, Any]) -> dict[str, Any] | None:
    return operation if operation["finished_at"] else None


def _round(cluster: Cluster, pingers: Mapping[str, Pinger], number: int) -> Start:
    """A new container's start; its host is another one each time."""
    hosts = list(pingers)
    home = hosts[number % len(hosts)]
    name = f"new-{number}"
    made = cluster.run(home, name, network="app")
    answered, answered_at = time.monotonic(), time.time()
    there = next(way["ipv4"] for way in made["endpoints"] if way["network"]["name"] == "app").partition("/")[0]
    others = [host for host in hosts if host != home]
    for host in others:
        pingers[host].ask(there)
    times = {host: (float(pingers[host].answer()) - answered) * 1000 for host in others}
    slowest = max(times, key=times.__getitem__)
    [latest] = cluster.call("GET", "operations", host=slowest, verb="network.peers", page_size=1)["results"]
    told = cluster.until(lambda: _ended(cluster.call("GET", f"operations/{latest['id']}")))
    cluster.call("DELETE", f"containers/{name}", host=home, force=1)
    time.sleep(2)
    return Start(times, told, answered_at)


if __name__ == "__main__":
    main()
