"""How soon a change by hand is shown as drift: from the moment it was made until the API lists it, and until its repair is off the list.

    sudo python -m benchmarks.drift [--rounds 5]

One product on nf_tables and one on the legacy flavour, each in a throw-away host. The API is asked every few milliseconds, and the
time of one question is in the figure. The clock starts when the program that made the change has ended.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from tests.product.conftest import Console
from tests.product.test_start import Prepared

LIMIT_S = 20.0
STANDING = {"nf_tables": [], "legacy": [["iptables-legacy", "-A", "INPUT", "-j", "ACCEPT"]]}
"""What stands on the host before the first start: the flavour in which rules stand is the one that is used."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{'flavour':12}{'change':28}{'seen, ms':>10}{'worst':>8}{'writer':>24}")
    for flavour, commands in STANDING.items():
        with Prepared(commands) as product:
            console = Console(product)
            console.network("app")
            web = console.run("web", network="app", ports=["8080:80"])
            for name, change in _changes(console, flavour, web).items():
                times, writers = zip(*(_round(console, change) for _ in range(rounds)), strict=True)
                print(
                    f"{flavour:12}{name:28}{statistics.median(times) * 1000:10.0f}{max(times) * 1000:8.0f}{writers[-1]:>24}"
                )


def _changes(console: Console, flavour: str, web: Any) -> dict[str, Callable[[], None]]:
    program = "iptables" if flavour == "nf_tables" else "iptables-legacy"

    def run(*words: str) -> None:
        console.bottle.run(list(words))

    def delete_rule() -> None:
        chain = console.bottle.run([program, "-S", "CNM"]).stdout.splitlines()
        run("sh", "-c", f"{program} -D {next(line for line in chain if '--dport 80 ' in line)[3:]}")

    changes: dict[str, Callable[[], None]] = {"a rule deleted": delete_rule}
    if flavour == "nf_tables":
        ports = console.bottle.ip("link", "show", "type", "veth")
        link = next(item["ifname"] for item in ports if item.get("master"))
        bridge = next(item["master"] for item in ports if item.get("master"))
        gateway = console.bottle.ip("addr", "show", "dev", bridge)[0]["addr_info"][0]
        changes |= {
            "a link deleted": lambda: run("ip", "link", "del", link),
            "an address deleted": lambda: run(
                "ip", "addr", "del", f"{gateway['local']}/{gateway['prefixlen']}", "dev", bridge
            ),
            "a sysctl changed": lambda: run("sysctl", "-qw", "net.ipv4.ip_forward=0"),
        }
    return changes


def _round(console: Console, change: Callable[[], None]) -> tuple[float, str]:
    """Seconds until it is seen, and the process that is named for it. Then it is repaired."""
    _until(lambda: not _open(console))
    time.sleep(0.5)  # what was written last is seen and done with
    change()
    begun = time.monotonic()
    rows = _until(lambda: _open(console))
    seen = time.monotonic() - begun
    console.call("POST", "drift/repair", {})
    return seen, str(rows[0]["writer"])


def _open(console: Console) -> list[Any]:
    return list(console.get("drift")["results"])


def _until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LIMIT_S
    while not (found := look()):
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing within {LIMIT_S} s")
        time.sleep(0.005)
    return found


if __name__ == "__main__":
    main()
