"""What the monitor hears while the kernel process is busy: told with one message, and looked at after the operations."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from worker.monitor.loop import AGAIN_S

from .conftest import Console

pytestmark = pytest.mark.kernel

ROUNDS = 40
WAITS = ["redis-cli", "-s", "/run/cnm/redis/redis.sock", "llen", "kernel.local"]


def messages(console: Console) -> int:
    return int(console.bottle.run(WAITS).stdout)


def test_news_of_a_busy_time_is_one_message_and_operations_go_first(console: Console) -> None:
    console.run("web", ports=["8080:80"])
    product = console.product
    product.signal("kernel", "STOP")
    begun = time.monotonic()
    try:
        # Somebody changes rules again and again, each time long enough after the last to be told of alone.
        for number in range(ROUNDS):
            console.bottle.run(["iptables", "-A", "FORWARD", "-s", f"198.51.100.{number + 1}", "-j", "DROP"])
            console.bottle.run(["sleep", "0.1"])
        # Not a rule: those are mended by whatever operation comes next.
        console.bottle.run(["ip", "address", "flush", "dev", "cnm0"])
        waiting, took_s = messages(console), time.monotonic() - begun
        asked = console.raw("POST", "networks", {"name": "app"}, wait=0).json()["operation"]
    finally:
        product.signal("kernel", "CONT")
    # Prefetched ones aside: a message for the news, some that say so again, one for the operation.
    assert waiting <= 4 + took_s / AGAIN_S < ROUNDS

    def drifted() -> list[dict[str, str]]:
        return [row for row in console.get("drift", resolved=0)["results"] if row["resource_kind"] == "address"]

    found = console.until(drifted)
    assert found, "the news was lost"
    done = console.get(f"operations/{asked['id']}")
    assert done["state"] == "done"
    assert done["finished_at"] < min(row["detected_at"] for row in found), "a look went first"
    assert console.until(lambda: messages(console) == 0)


def test_who_wrote_is_known_though_we_look_before_the_news_of_it(console: Console) -> None:
    console.run("web")
    then = datetime.now(UTC).isoformat()
    product = console.product
    product.signal("monitor", "STOP")  # its news always come too late
    try:
        console.bottle.run(["iptables", "-A", "FORWARD", "-s", "198.51.100.99", "-j", "DROP"])
        console.call("POST", "containers/web/stop", {"timeout": 1})  # what we look at after our own work shows it

        def came() -> list[str]:
            compared = console.get("history/changes", since=then)["rules"]
            return compared["writers"] if any("198.51.100.99" in rule["text"] for rule in compared["added"]) else []

        assert any(name.startswith("iptables") for name in console.until(came))
    finally:
        product.signal("monitor", "CONT")


def test_what_our_own_work_mended_is_no_drift_any_more_though_nobody_tells_of_it(console: Console) -> None:
    def drifted() -> list[dict[str, str]]:
        return [row for row in console.get("drift", resolved=0)["results"] if row["resource_kind"] == "rule"]

    console.run("web", ports=["8080:80"])
    console.product.signal("monitor", "STOP")
    try:
        console.bottle.run(["iptables", "-t", "nat", "-F", "CNM"])
        console.call("POST", "drift/look")
        assert drifted()
        console.run("other")  # rules are mended by whatever comes next
        console.until(lambda: not drifted())
        assert drifted() == []
    finally:
        console.product.signal("monitor", "CONT")
