"""Published ports by the thousand: our two backends, python-iptables and Docker's way (one iptables call a rule), in one run.

``python -m benchmarks.ports [1000 10000]`` (root). Each side has a throw-away host of its own with one container, whose ports are
published under their own numbers, as a range is; a server listens on the one that was published last, and a client beyond the uplink
connects to it, one connection after the other. Every side writes the same three rules a port. Ratios: to python-iptables' commit for
what is written, to a single published port in nftables for connections.

Each side also says how much processor time it took, its programs included: on a busy machine that is what can be compared.
"""

from __future__ import annotations

import resource
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
        whole, processor, one = (rows["python-iptables"][name] for name in ("apply", "processor", "one"))
        print(
            f"\n{count} ports".ljust(35)
            + f"{'at once':>10}{'ratio':>7}{'processor':>11}{'ratio':>7}"
            + f"{'one more':>10}{'ratio':>7}{'conn/s':>9}{'ratio':>7}{'restart':>9}"
        )
        for side, row in rows.items():
            print(
                f"{side:34}{row['apply'] * 1000:8.0f}ms{row['apply'] / whole:7.3f}"
                f"{row['processor'] * 1000:9.0f}ms{row['processor'] / processor:7.3f}"
                f"{row['one'] * 1000:8.1f}ms{row['one'] / one:7.2f}"
                f"{row['connections']:9.0f}{row['connections'] / single:7.2f}{row['writes']:>9}"
            )


def run(side: str, count: int) -> dict[str, Any]:
    with Bottle(uplink=True) as bottle:
        found: dict[str, Any] = bottle.python("benchmarks.ports:measure", side, count, timeout=900)
        return found


def measure(side: str, count: int) -> dict[str, Any]:
    """Inside: seconds (and processor time) for all ports at once and for one more, writes of a restart, connections a second."""
    from tests.kernel.rules_lab import RUN_DIR
    from worker.firewall.flavour import BACKENDS

    RUN_DIR.mkdir(parents=True, exist_ok=True)
    server = _sandbox(FIRST_PORT + count - 1)
    try:
        found = _ours(side, count) if side in BACKENDS else _others(side, count)
        return {**found, "connections": _connections(FIRST_PORT + count - 1)}
    finally:
        server.kill()


def _sandbox(port: int) -> subprocess.Popen[bytes]:
    """The container's end, its server, and the way there."""
    for words in (
        "link add cnm0 type bridge", "addr add 172.30.0.1/16 dev cnm0", "link set cnm0 up", "netns add box",
        "link add v0 master cnm0 up type veth peer name eth0 netns box", "-n box addr add 172.30.0.2/16 dev eth0",
        "-n box link set eth0 up", "-n box link set lo up", "-n box route add default via 172.30.0.1",
    ):  # fmt: skip
        subprocess.run(["ip", *words.split()], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    server = f"import socket\ns = socket.create_server(('', {port}), backlog=1024)\nwhile True: s.accept()[0].close()"
    return subprocess.Popen(
        ["ip", "netns", "exec", "box", sys.executable, "-c", server],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _host(count: int) -> Any:
    from tests.kernel.rules_lab import port, small

    return small(*(port(1000 + at, FIRST_PORT + at, FIRST_PORT + at) for at in range(count)))


def _ours(side: str, count: int) -> dict[str, Any]:
    from tests.kernel.rules_lab import handler, plan_to

    rules = handler(side)

    def take_to(number: int) -> float:
        plan = plan_to(rules, _host(number))
        begun = time.perf_counter()
        rules.apply(plan.steps, lambda step: None)
        return time.perf_counter() - begun

    plan = plan_to(rules, _host(count))
    with _Taken() as taken:
        rules.apply(plan.steps, lambda step: None)
    # The last of the list is asked about: it is in place before one more is added on top.
    one = min(take_to(count + more) for more in (1, 2, 3))
    again = handler(side)  # as after a restart: nothing is remembered
    writes = len(plan_to(again, _host(count + 3)).steps)
    return {"apply": taken.seconds, "processor": taken.processor, "one": one, "writes": writes}


def _others(side: str, count: int) -> dict[str, Any]:
    """The same rules (a translation, an ACCEPT and a hairpin a port, as Docker has them) by other means, in the legacy tables."""
    for words in (
        "-t nat -N CNM",
        "-N CNM",
        "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j CNM",
        "-A FORWARD -o cnm0 -j CNM",
    ):
        subprocess.run(["iptables-legacy", *words.split()], check=True)
    write: Callable[[int, int], None] = _by_objects if side == "python-iptables" else _by_calls
    now = count if side == "python-iptables" else CALLS
    with _Taken() as taken:
        write(0, now)
    _rest(now, count)
    times = []
    for more in range(3):
        begun = time.perf_counter()
        write(count + more, count + more + 1)
        times.append(time.perf_counter() - begun)
    share = count / now
    return {"apply": taken.seconds * share, "processor": taken.processor * share, "one": min(times), "writes": "-"}


class _Taken:
    """What the body of a ``with`` took: seconds, and processor time with that of the programs that it ran."""

    def __enter__(self) -> _Taken:
        self._begun = time.perf_counter(), self._spent()
        return self

    def __exit__(self, *failure: object) -> None:
        self.seconds, self.processor = time.perf_counter() - self._begun[0], self._spent() - self._begun[1]

    @staticmethod
    def _spent() -> float:
        both = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in both)


def _rules(first: int, last: int) -> Iterator[tuple[str, str]]:
    """(table, rule)."""
    for at in range(first, last):
        to = f"-p tcp -m tcp --dport {FIRST_PORT + at}"
        yield "nat", f"-A CNM ! -i cnm0 {to} -j DNAT --to-destination 172.30.0.2:{FIRST_PORT + at}"
        yield "nat", f"-A POSTROUTING -s 172.30.0.2/32 -d 172.30.0.2/32 {to} -j MASQUERADE"
        yield "filter", f"-A CNM -d 172.30.0.2/32 ! -i cnm0 -o cnm0 {to} -j ACCEPT"


def _by_calls(first: int, last: int) -> None:
    for table, rule in _rules(first, last):
        subprocess.run(["iptables-legacy", "-t", table, *rule.split()], check=True)


def _rest(first: int, last: int) -> None:
    lines = {name: [rule for table, rule in _rules(first, last) if table == name] for name in ("nat", "filter")}
    text = "\n".join(["*nat", *lines["nat"], "COMMIT", "*filter", *lines["filter"], "COMMIT", ""])
    subprocess.run(["iptables-legacy-restore", "--noflush"], input=text, text=True, check=True)


def _by_objects(first: int, last: int) -> None:
    """One commit a table."""
    import iptc

    for table_name in ("nat", "filter"):
        table = iptc.Table(table_name)
        table.autocommit = False
        table.refresh()
        chain, hairpins = iptc.Chain(table, "CNM"), iptc.Chain(table, "POSTROUTING")
        for at in range(first, last):
            rule = _to_port(FIRST_PORT + at)
            rule.in_interface = "!cnm0"
            if table_name == "nat":
                rule.create_target("DNAT").to_destination = f"172.30.0.2:{FIRST_PORT + at}"
                hairpin = _to_port(FIRST_PORT + at)
                hairpin.src = hairpin.dst = "172.30.0.2/32"
                hairpin.create_target("MASQUERADE")
                hairpins.append_rule(hairpin)
            else:
                rule.dst, rule.out_interface = "172.30.0.2/32", "cnm0"
                rule.target = iptc.Target(rule, "ACCEPT")
            chain.append_rule(rule)
        table.commit()
        table.autocommit = True


def _to_port(number: int) -> Any:
    import iptc

    rule = iptc.Rule()
    rule.protocol = "tcp"
    rule.create_match("tcp").dport = str(number)
    return rule


def _connections(port: int) -> float:
    client = ["nsenter", "--net=/run/bottle/outside", sys.executable, "-c", _CLIENT, str(port), str(CONNECT_S)]
    return float(subprocess.run(client, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
