"""Published ports by the thousand: our two backends, python-iptables and Docker's way (one iptables call a rule), in one run.

``python -m benchmarks.ports [1000 10000]`` (root). Each side has a throw-away host of its own with one container, in which a server
listens on the port that was published last; a client beyond the uplink connects to it, one connection after the other. Ratios:
to python-iptables' commit for what is written, to a single published port in nftables for connections.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.testlib.bottle import Bottle

SIDES = ("nftables", "iptables-nft", "iptables-legacy", "python-iptables", "one call a rule")
CALLS = 200
"""Of one call a rule so many are made, the rest is reckoned from them: 10,000 would take minutes."""
CONNECT_S = 3.0
FIRST_PORT = 10000
_CLIENT = """
import socket, sys, time
until, count = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < until:
    with socket.create_connection(("192.0.2.2", int(sys.argv[1])), 5): count += 1
print(count / float(sys.argv[2]))
"""


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [1000, 10000]
    single = run("nftables", 1)["connections"]
    print(f"{'one port, nftables':34} {'':>9} {'':>9} {'':>9} {single:9.0f} connections/s")
    for count in counts:
        rows = {side: run(side, count) for side in SIDES}
        whole, one = rows["python-iptables"]["apply"], rows["python-iptables"]["one"]
        print(
            f"\n{count} ports".ljust(35)
            + f"{'at once':>10}{'ratio':>7}{'one more':>10}{'ratio':>7}{'conn/s':>9}{'ratio':>7}{'restart':>9}"
        )
        for side, row in rows.items():
            print(
                f"{side:34}{row['apply'] * 1000:8.0f}ms{row['apply'] / whole:7.3f}{row['one'] * 1000:8.1f}ms"
                f"{row['one'] / one:7.2f}{row['connections']:9.0f}{row['connections'] / single:7.2f}{row['writes']:>9}"
            )


def run(side: str, count: int) -> dict[str, Any]:
    with Bottle(uplink=True) as bottle:
        found: dict[str, Any] = bottle.python("benchmarks.ports:measure", side, count, timeout=900)
        return found


def measure(side: str, count: int) -> dict[str, Any]:
    """Inside: seconds for all ports at once and for one more, writes of a restart, connections a second through the last port."""
    from tests.kernel.rules_lab import RUN_DIR
    from worker.firewall.flavour import BACKENDS

    RUN_DIR.mkdir(parents=True, exist_ok=True)
    server = _sandbox()
    try:
        found = _ours(side, count) if side in BACKENDS else _others(side, count)
        return {**found, "connections": _connections(FIRST_PORT + count - 1)}
    finally:
        server.kill()


def _sandbox() -> subprocess.Popen[bytes]:
    """The container's end, its server, and the way there."""
    for words in (
        "link add cnm0 type bridge", "addr add 172.30.0.1/16 dev cnm0", "link set cnm0 up", "netns add box",
        "link add v0 master cnm0 up type veth peer name eth0 netns box", "-n box addr add 172.30.0.2/16 dev eth0",
        "-n box link set eth0 up", "-n box link set lo up", "-n box route add default via 172.30.0.1",
    ):  # fmt: skip
        subprocess.run(["ip", *words.split()], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    server = "import socket\ns = socket.create_server(('', 80), backlog=1024)\nwhile True: s.accept()[0].close()"
    return subprocess.Popen(
        ["ip", "netns", "exec", "box", sys.executable, "-c", server],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _host(count: int) -> Any:
    from tests.kernel.rules_lab import port, small

    return small(*(port(1000 + at, FIRST_PORT + at, 80) for at in range(count)))


def _ours(side: str, count: int) -> dict[str, Any]:
    from tests.kernel.rules_lab import handler, plan_to

    rules = handler(side)

    def take_to(number: int) -> float:
        plan = plan_to(rules, _host(number))
        begun = time.perf_counter()
        rules.apply(plan.steps, lambda step: None)
        return time.perf_counter() - begun

    apply = take_to(count)
    # The last of the list is asked about: it is in place before one more is added on top.
    one = min(take_to(count + more) for more in (1, 2, 3))
    again = handler(side)  # as after a restart: nothing is remembered
    writes = len(plan_to(again, _host(count + 3)).steps)
    return {"apply": apply, "one": one, "writes": writes}


def _others(side: str, count: int) -> dict[str, Any]:
    """The same rules (a translation and an ACCEPT a port) by other means, in the legacy tables."""
    for words in (
        "-t nat -N CNM",
        "-N CNM",
        "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j CNM",
        "-A FORWARD -o cnm0 -j CNM",
    ):
        subprocess.run(["iptables-legacy", *words.split()], check=True)
    write: Callable[[int, int], None] = _by_objects if side == "python-iptables" else _by_calls
    begun = time.perf_counter()
    if side == "python-iptables":
        write(0, count)
        apply = time.perf_counter() - begun
    else:
        write(0, CALLS)
        apply = (time.perf_counter() - begun) * count / CALLS
        _rest(CALLS, count)
    times = []
    for more in range(3):
        begun = time.perf_counter()
        write(count + more, count + more + 1)
        times.append(time.perf_counter() - begun)
    return {"apply": apply, "one": min(times), "writes": "-"}


def _pairs(first: int, last: int) -> Iterator[tuple[str, str]]:
    for at in range(first, last):
        nat = f"-A CNM ! -i cnm0 -p tcp -m tcp --dport {FIRST_PORT + at} -j DNAT --to-destination 172.30.0.2:80"
        yield nat, "-A CNM -d 172.30.0.2/32 ! -i cnm0 -o cnm0 -p tcp -m tcp --dport 80 -j ACCEPT"


def _by_calls(first: int, last: int) -> None:
    for nat, accept in _pairs(first, last):
        subprocess.run(["iptables-legacy", "-t", "nat", *nat.split()], check=True)
        subprocess.run(["iptables-legacy", *accept.split()], check=True)


def _rest(first: int, last: int) -> None:
    nat, accept = zip(*_pairs(first, last), strict=True) if last > first else ((), ())
    text = "\n".join(["*nat", *nat, "COMMIT", "*filter", *accept, "COMMIT", ""])
    subprocess.run(["iptables-legacy-restore", "--noflush"], input=text, text=True, check=True)


def _by_objects(first: int, last: int) -> None:
    """One commit a table."""
    import iptc

    for table_name in ("nat", "filter"):
        table = iptc.Table(table_name)
        table.autocommit = False
        table.refresh()
        chain = iptc.Chain(table, "CNM")
        for at in range(first, last):
            rule = iptc.Rule()
            rule.protocol, rule.in_interface = "tcp", "!cnm0"
            match = rule.create_match("tcp")
            if table_name == "nat":
                match.dport = str(FIRST_PORT + at)
                rule.create_target("DNAT").to_destination = "172.30.0.2:80"
            else:
                match.dport, rule.dst, rule.out_interface = "80", "172.30.0.2/32", "cnm0"
                rule.target = iptc.Target(rule, "ACCEPT")
            chain.append_rule(rule)
        table.commit()
        table.autocommit = True


def _connections(port: int) -> float:
    client = ["nsenter", "--net=/run/bottle/outside", sys.executable, "-c", _CLIENT, str(port), str(CONNECT_S)]
    return float(subprocess.run(client, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
