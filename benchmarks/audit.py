"""What the audit costs with ten thousand rules: reading, joining with their owners, modelling, one trace, all findings.

``python -m benchmarks.audit`` needs no kernel and no database: the text is that which iptables-save would print. One figure a line, the
median of five; the ratio is to reading the text alone, so that it can be compared between machines.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

ROUNDS = 5
PORTS = 3340
"""Each published port has about four rules."""


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnmweb.settings")
    import django

    django.setup()
    from networks.audit import join
    from networks.cnm.findings import find_all
    from networks.cnm.iptables_text import parse_save
    from networks.cnm.rules import Rule
    from networks.cnm.ruleset.iptables import of_saved
    from networks.cnm.ruleset.model import LEGACY
    from networks.cnm.trace.trace import Question, trace
    from networks.cnm.trace.walk import OUTSIDE, Party
    from tests.kernel.rules_lab import FACTS, small
    from tests.unit.test_trace import WORLD
    from worker.compile import compile_host
    from worker.observe.rules import described

    host = small(*_ports())
    wanted = [item for item in compile_host(host, FACTS) if isinstance(item, Rule) and item.family == 4]
    text = _save(wanted)
    saved = parse_save(text, 4)
    rows = list(described(LEGACY, saved))
    question = Question(
        source=Party(OUTSIDE, "eth0"),
        destination=ip_address("192.0.2.2"),
        port=10000 + PORTS - 1,
        source_address=ip_address("192.0.2.9"),
    )
    ruleset = of_saved(saved, LEGACY)
    reading = _median(lambda: parse_save(text, 4))
    print(f"{len(saved.lines)} rules")
    for name, work in (
        ("read", lambda: parse_save(text, 4)),
        ("read and joined with owner and reason", lambda: join(list(described(LEGACY, parse_save(text, 4))), wanted)),
        ("what should be, compiled", lambda: compile_host(host, FACTS)),
        ("one model of all", lambda: of_saved(saved, LEGACY)),
        ("a trace to the last port, first", lambda: trace(question, of_saved(saved, LEGACY), WORLD)),
        ("a trace to the last port, again", lambda: trace(question, ruleset, WORLD)),
        ("all findings", lambda: find_all(of_saved(saved, LEGACY), WORLD, host, _identities(wanted))),
    ):
        seconds = _median(work)
        print(f"{name:40} {seconds * 1000:8.0f} ms {seconds / reading:7.1f}")
    assert rows
    _reach()


def _reach() -> None:
    """Who reaches whom, of 200 containers on 20 networks; and the firewall's page."""
    from networks.cnm import reach
    from networks.cnm.imagined import imagined_rules, imagined_world
    from networks.cnm.ruleset.model import LEGACY, Ruleset
    from tests.kernel.rules_lab import FACTS
    from tests.unit.test_reach import BARE, asked_of, host_of
    from worker.compile import compile_host

    host = host_of(20, 200, ports=4)
    wanted = compile_host(host, FACTS)
    ruleset = imagined_rules(Ruleset(), wanted, LEGACY)
    count = sum(len(rule.statements) > 0 for rule in ruleset.rules())
    matrix = reach.compute(ruleset, imagined_world(BARE, wanted, ()), asked_of(host))
    shown = f"{len(matrix.sources)} x {len(matrix.targets)} groups, {matrix.traces} packets"
    seconds = _median(lambda: reach.compute(ruleset, imagined_world(BARE, wanted, ()), asked_of(host)))
    print(f"200 containers on 20 networks, {count} rules: {shown}")
    print(f"{'who reaches whom':40} {seconds * 1000:8.0f} ms")


def _ports() -> list[Any]:
    from tests.kernel.rules_lab import port

    return [port(1000 + at, 10000 + at, 80 + at % 40000) for at in range(PORTS)]


def _save(rules: list[Any]) -> str:
    tables: dict[str, list[str]] = {}
    for rule in sorted(rules, key=lambda rule: rule.rank):
        tables.setdefault(rule.table, []).append(f"[0:0] {rule.text}")
    builtin = {
        "nat": ("PREROUTING", "OUTPUT", "POSTROUTING"),
        "filter": ("INPUT", "FORWARD", "OUTPUT"),
        "raw": ("PREROUTING",),
    }
    own = {"nat": ("CNM",), "filter": ("CNM", "CNM-USER", "CNM-ISOLATION-STAGE-1", "CNM-ISOLATION-STAGE-2")}
    parts = []
    for table, lines in tables.items():
        heads = [f":{name} ACCEPT [0:0]" for name in builtin[table]] + [
            f":{name} - [0:0]" for name in own.get(table, ())
        ]
        parts += [f"*{table}", *heads, *lines, "COMMIT"]
    return "\n".join(parts) + "\n"


def _identities(rules: list[Any]) -> frozenset[tuple[str, ...]]:
    return frozenset(("iptables-legacy", "ip", rule.table, rule.chain, rule.text) for rule in rules)


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


if __name__ == "__main__":
    main()
