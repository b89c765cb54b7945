"""What the monitor hears while the kernel process is busy: told with one message, and looked at after the operations."""

from __future__ import annotations

import pytest

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
    try:
        # Somebody changes rules again and again, each time long enough after the last to be told of alone.
        for number in range(ROUNDS):
            console.bottle.run(["iptables", "-A", "FORWARD", "-s", f"198.51.100.{number + 1}", "-j", "DROP"])
            console.bottle.run(["sleep", "0.1"])
        # Not a rule: those are mended by whatever operation comes next.
        console.bottle.run(["ip", "address", "flush", "dev", "cnm0"])
        waiting = messages(console)
        asked = console.raw("POST", "networks", {"name": "app"}, wait=0).json()["operation"]
    finally:
        product.signal("kernel", "CONT")
    # Prefetched ones aside: a message for the news, some that say so again, one for the operation.
    assert waiting < ROUNDS / 4

    def drifted() -> list[dict[str, str]]:
        return [row for row in console.get("drift", resolved=0)["results"] if row["resource_kind"] == "address"]

    found = console.until(drifted)
    assert found, "the news was lost"
    done = console.get(f"operations/{asked['id']}")
    assert done["state"] == "done"
    assert done["finished_at"] < min(row["detected_at"] for row in found), "a look went first"
    assert console.until(lambda: messages(console) == 0)
