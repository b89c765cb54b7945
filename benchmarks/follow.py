"""How soon a name follows what happens to its container, beside a Docker Engine in one run.

    sudo python -m benchmarks.follow [--rounds 5] [--without-docker]

A program in another container's sandbox asks the embedded DNS server for the name again and again. ``request``: milliseconds from
the request until the answer is the new one. ``answer``: the same from the API's answer to the request; below zero where the name was
right before. An end is that of the container's own process, killed from outside: nobody is asked for anything.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol

from tests.testlib.bottle import Bottle
from tests.testlib.product import Product

from .dns import SERVER
from .engine import IMAGE, Engine

NETWORK, ASKER, TARGET = "names", "asker", "target"
NOBODY = f"""
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("{SERVER}", 53))
while True:
    packet, sender = server.recvfrom(4096)
    server.sendto(packet[:2] + bytes.fromhex("8183000100000000") + bytes(2) + packet[12:packet.index(0, 12) + 5], sender)
"""
"""The host's name server, beyond the uplink: it knows no name, and says so at once."""
ASK = f"""
import socket, struct, sys, time
question = struct.pack("!6H", 0, 256, 1, 0, 0, 0) + b"\\x06{TARGET}\\0" + struct.pack("!HH", 1, 1)
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.settimeout(2)
asker.connect(("127.0.0.11", 53))
number, before = 0, None
while True:
    number = (number + 1) % 65536
    asker.send(struct.pack("!H", number) + question[2:])
    try:
        while (reply := asker.recv(4096))[:2] != struct.pack("!H", number): pass
    except TimeoutError:
        continue
    known = struct.unpack_from("!H", reply, 6)[0] > 0
    if known != before:
        before = known
        print(int(known), time.monotonic(), flush=True)
    time.sleep(0.001)
"""
"""Prints when the name comes (1) and goes (0), by the clock that all processes share."""


class Side(Protocol):
    name: str
    bottle: Bottle

    def make(self) -> str:
        """Two containers on one network; the namespace to ask from."""

    def connect(self) -> None: ...

    def disconnect(self) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None:
        """End its process from outside."""


class Ours:
    name = "CNM Web"

    def __init__(self, product: Product) -> None:
        self.product = product
        self.bottle = product.bottle

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.product.api.request(method, f"/api/v1/{path}", json=body, timeout=600)
        if answer.status_code >= 300 or answer.status_code == 202:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json() if answer.content else None

    def make(self) -> str:
        self._call("POST", "networks", {"name": NETWORK})
        for name in (ASKER, TARGET):
            self._call("POST", "containers", {"name": name, "network": NETWORK, "command": ["sleep", "10000"]})
        return str(self.bottle.netns(self._call("GET", f"containers/{ASKER}")["sandbox"]))

    def connect(self) -> None:
        self._call("POST", f"networks/{NETWORK}/connect", {"container": TARGET})

    def disconnect(self) -> None:
        self._call("POST", f"networks/{NETWORK}/disconnect", {"container": TARGET})

    def start(self) -> None:
        self._call("POST", f"containers/{TARGET}/start")

    def stop(self) -> None:
        self._call("POST", f"containers/{TARGET}/stop", {"timeout": 0})

    def kill(self) -> None:
        self.bottle.run(["kill", "-KILL", str(self._call("GET", f"containers/{TARGET}")["pid"])])


class Dockers:
    name = "Docker"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.bottle = engine.bottle

    def _pid(self, name: str) -> int:
        return int(self.engine.request("GET", f"/containers/{name}/json")["State"]["Pid"])

    def make(self) -> str:
        self.engine.request("POST", "/networks/create", {"Name": NETWORK, "CheckDuplicate": True})
        for name in (ASKER, TARGET):
            body = {"Image": IMAGE, "Cmd": ["sleep", "10000"], "HostConfig": {"NetworkMode": NETWORK}}
            self.engine.request("POST", f"/containers/create?name={name}", body)
            self.engine.request("POST", f"/containers/{name}/start")
        return f"{self.bottle.root}/proc/{self._pid(ASKER)}/ns/net"

    def connect(self) -> None:
        self.engine.request("POST", f"/networks/{NETWORK}/connect", {"Container": TARGET})

    def disconnect(self) -> None:
        self.engine.request("POST", f"/networks/{NETWORK}/disconnect", {"Container": TARGET, "Force": False})

    def start(self) -> None:
        self.engine.request("POST", f"/containers/{TARGET}/start")

    def stop(self) -> None:
        self.engine.request("POST", f"/containers/{TARGET}/stop?t=0")

    def kill(self) -> None:
        self.bottle.run(["kill", "-KILL", str(self._pid(TARGET))])


class Watch:
    """Hears of each coming and going of the name."""

    def __init__(self, namespace: str) -> None:
        command = ["nsenter", f"--net={namespace}", sys.executable, "-c", ASK]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._news = threading.Condition()
        self._last: tuple[bool, float] = (False, 0.0)
        threading.Thread(target=self._hear, daemon=True).start()
        self.wait(True)

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            known, at = line.split()
            with self._news:
                self._last = (known == "1", float(at))
                self._news.notify_all()

    def wait(self, known: bool) -> float:
        """When the name came or went."""
        with self._news:
            if not self._news.wait_for(lambda: self._last[1] > 0 and self._last[0] is known, timeout=30):
                raise SystemExit(f"the name does not follow: {known} was waited for, {self._last} was heard")
            return self._last[1]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def measure(side: Side, watch: Watch, samples: dict[tuple[str, str, str], list[float]]) -> None:
    deeds: list[tuple[str, Callable[[], None], bool]] = [
        ("disconnect", side.disconnect, False),
        ("connect", side.connect, True),
        ("stop", side.stop, False),
        ("start", side.start, True),
        ("end", side.kill, False),
        ("start after", side.start, True),
    ]
    for name, deed, known in deeds:
        asked = time.monotonic()
        deed()
        answered = time.monotonic()
        followed = watch.wait(known)
        samples[side.name, name, "request"].append((followed - asked) * 1000)
        samples[side.name, name, "answer"].append((followed - answered) * 1000)
        time.sleep(0.7)  # what follows on a change is over, on both sides


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.follow", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-docker", action="store_true")
    options = parser.parse_args()
    samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        sides: list[Side] = [Ours(stack.enter_context(Product()))]
        if not options.without_docker:
            sides.append(Dockers(stack.enter_context(Engine())))
        watches = []
        for side in sides:
            side.bottle.run(["ip", "address", "add", f"{SERVER}/32", "dev", "lo"], netns="outside")
            side.bottle.popen([sys.executable, "-c", NOBODY], netns="outside")
            time.sleep(0.5)
            watches.append(Watch(side.make()))
            stack.callback(watches[-1].close)
        for _ in range(options.rounds):
            for side, watch in zip(sides, watches, strict=True):
                measure(side, watch, samples)
    print(f"{options.rounds} rounds, milliseconds (median, worst)")
    for (side_name, deed, figure), values in samples.items():
        print(f"{side_name:8} {deed:12} {figure:8} {statistics.median(values):8.1f} {max(values):8.1f}")


if __name__ == "__main__":
    main()
