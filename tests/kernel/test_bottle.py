"""A throw-away host is a host of its own, and leaves nothing behind."""

import contextlib
import os
import time
from pathlib import Path

import pytest

from tests.testlib.bottle import Bottle, BottleError

pytestmark = pytest.mark.kernel


def links() -> list[str]:
    return sorted(os.listdir("/sys/class/net"))


def test_what_is_made_in_a_bottle_is_not_seen_outside(bottle: Bottle) -> None:
    before = links()
    bottle.run(["ip", "link", "add", "br-inside", "type", "bridge"])
    bottle.run(["ip", "netns", "add", "inside"])
    bottle.write("/etc/cnm-inside", "x")
    assert [link["ifname"] for link in bottle.ip("link")] == ["lo", "br-inside"]
    assert bottle.python(links) == bottle.call(links) == ["br-inside", "lo"]
    assert bottle.read("/etc/cnm-inside") == "x"
    assert links() == before
    assert not Path("/etc/cnm-inside").exists()
    assert not Path("/run/netns/inside").exists()


def test_the_uplink_carries_traffic_from_outside(uplink_bottle: Bottle) -> None:
    for address in ("192.0.2.2", "2001:db8::2"):
        uplink_bottle.run(["busybox", "ping", "-c1", "-W5", address], netns="outside")
    assert uplink_bottle.read("/etc/resolv.conf").startswith("nameserver 203.0.113.53\n")


def test_a_dump_sees_links_rules_and_sysctls_and_not_a_table_that_was_only_looked_at(bottle: Bottle) -> None:
    before = bottle.dump()
    bottle.run(["iptables-legacy", "-t", "nat", "-S"])
    bottle.run(["iptables-nft", "-A", "FORWARD", "-j", "ACCEPT"])
    bottle.run(["iptables-nft", "-D", "FORWARD", "-j", "ACCEPT"])
    assert bottle.dump() == before
    for command in (
        "ip link add x type bridge",
        "sysctl -qw net.ipv4.ip_forward=1",
        "iptables-legacy -A FORWARD -j DROP",
        "nft add table ip cnm",
        "ip6tables-nft -P FORWARD DROP",
    ):
        bottle.run(command.split())
        after = bottle.dump()
        assert after != before, command
        before = after


def test_everything_in_a_bottle_dies_with_it(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), Bottle(state_dir=tmp_path) as bottle:
        process = bottle.popen(["sleep", "1000"])
        bottle.run(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo left > /var/lib/cnm/file"])
        pid = bottle.pid
        _ = 1 / 0
    assert process.returncode is not None
    assert not Path(f"/proc/{pid}").exists()
    assert (tmp_path / "file").read_text() == "left\n"


def test_a_failing_or_endless_command_is_told_with_what_it_printed(bottle: Bottle) -> None:
    with pytest.raises(BottleError, match="no such thing"):
        bottle.run(["sh", "-c", "echo no such thing; exit 3"])
    with pytest.raises(BottleError, match="not through"):
        bottle.run(["sleep", "1000"], timeout=0.2)
    with pytest.raises(BottleError, match="ZeroDivisionError"):
        bottle.python("def main():\n    1 / 0\n")
    with pytest.raises(BottleError, match="ZeroDivisionError"):
        bottle.call(fail)
    with pytest.raises(BottleError, match="not through"):
        bottle.call(hang, timeout=0.2)


def fail() -> None:
    _ = 1 / 0


def hang() -> None:
    time.sleep(1000)
