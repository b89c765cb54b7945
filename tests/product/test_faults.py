"""Workers die, rules are flushed, machines reboot: the host always converges to what was asked."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.testlib.product import Product

from .conftest import Console

pytestmark = pytest.mark.kernel

MOMENTS = range(1, 9, 2)
"""Of one request, from its first row to its answer; :mod:`tests.product.test_killed_anywhere` knows every step."""


@pytest.fixture
def fresh() -> Iterator[Console]:
    """A product of the test's own, for tests of what others would disturb or not get over."""
    with Product() as product:
        yield Console(product)


@pytest.fixture
def ends_with_the_test() -> Iterator[Callable[[subprocess.Popen[str]], None]]:
    """Whatever a test finds out: a port that its program holds would be missing to every later test."""
    started: list[subprocess.Popen[str]] = []
    yield started.append
    for program in started:
        os.killpg(program.pid, signal.SIGKILL)  # what it entered the host with, and the program itself
        program.wait()


def links(console: Console) -> set[str]:
    return {link["ifname"] for link in console.bottle.ip("link")}


def test_the_worker_killed_at_many_moments_leaves_no_leftovers_and_no_duplicates(console: Console) -> None:
    before = console.bottle.dump()
    for moment in MOMENTS:
        name = f"web{moment}"
        body = {"name": name, "command": ["sleep", "1000"], "ports": [f"{8100 + moment}:80"]}
        request = threading.Thread(target=console.raw, args=("POST", "containers", body))
        request.start()
        time.sleep(0.004 * moment * moment)
        console.product.kill("kernel")
        console.product.restart("kernel")
        request.join(60)
        assert console.until(lambda name=name: console.get(f"containers/{name}")["state"] == "running", 30), name
    rules = console.iptables("nat")
    for moment in MOMENTS:
        assert rules.count(f"--dport {8100 + moment} ") == 1, rules
    assert len([name for name in links(console) if name.startswith("cv")]) == len(MOMENTS)
    console.remove(*(f"web{moment}" for moment in MOMENTS))
    assert console.bottle.dump() == before


def test_containers_run_on_while_the_worker_is_down(console: Console) -> None:
    console.serve("web", 80, ports=["8080:80"])
    pid = console.get("containers/web")["pid"]
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    console.product.kill("kernel")
    assert console.connects("192.0.2.2", 8080) == "hello"
    console.product.restart("kernel")
    assert console.until(lambda: console.get("containers/web")["pid"]) == pid


def test_a_restart_with_nothing_changed_writes_nothing(fresh: Console) -> None:
    console = fresh
    bridge = console.network("app", enable_ipv6=True)["bridge"]
    # A port's forward delay runs without STP too, and its end is told like a change: 15 s later, unless it is short.
    console.bottle.run(["ip", "link", "set", bridge, "type", "bridge", "forward_delay", "200"])
    container = console.run("web", network="app", ports=["8080:80"])
    console.run("sandboxed", kind="sandbox", command=[])
    console.call("POST", "containers/sandboxed/stop", {"timeout": 0})
    files = [f"/var/lib/cnm/containers/{container['id']}/{name}" for name in ("hosts", "hostname", "resolv.conf")]

    def written() -> tuple[object, ...]:
        generation = console.bottle.python("tests.product.test_faults:nft_generation")
        changed = [console.bottle.run(["stat", "-c", "%i %z", path]).stdout for path in files]
        return generation, changed, console.get("operations")["count"], console.get("containers/web")["pid"]

    listener = console.bottle.popen(["stdbuf", "-oL", "ip", "monitor", "link", "address", "route", "rule", "netconf"])
    assert listener.stdout is not None
    while select.select([listener.stdout], [], [], 3)[0]:
        os.read(listener.stdout.fileno(), 65536)  # what the kernel still has to say of the links that were made
    before = written()
    console.product.restart("kernel")
    assert console.until(lambda: console.get("hosts")["results"][0]["alive"])
    console.until(lambda: not (console.bottle.root / "run/cnm/busy").exists())
    console.bottle.run(["ip", "route", "add", "blackhole", "198.51.100.0/24"])
    heard = []
    while "198.51.100.0/24" not in (line := listener.stdout.readline()):
        heard.append(line)
    assert heard == []
    assert written() == before


def nft_generation() -> int | None:
    """Runs inside: the number of the last transaction of the host's nf_tables."""
    from worker.firewall.generation import Generation

    return Generation().read()


def test_the_port_holder_that_died_gets_its_ports_back_by_itself(console: Console) -> None:
    console.network("six", enable_ipv6=True)
    console.serve("web", 80, ports=["8080:80"])
    console.serve("other", 80, network="six", ports=["8081:80"])
    for address in ("127.0.0.1", "::1"):
        assert console.connects_soon(address, 8080, netns=None) == "hello"
    console.product.restart("holder")
    for port in (8080, 8081):
        for address in ("127.0.0.1", "::1"):
            assert console.connects_soon(address, port, netns=None) == "hello", (address, port)
    assert console.get("operations")["results"][0]["verb"] == "host.ports"
    assert console.until(lambda: not console.get("drift")["results"])


def test_a_holder_that_is_found_while_a_container_waits_to_be_made_makes_no_drift(console: Console) -> None:
    before = console.get("operations")["results"][0]["number"] if console.get("operations")["count"] else 0
    console.product.signal("kernel", "STOP")
    console.product.restart("holder")
    time.sleep(1)  # so that the monitor's notice of it stands before the container's operation
    body = {"name": "web", "command": ["sleep", "1000"], "ports": ["8079:80"]}  # one that no other test here has held
    console.call("POST", "containers", body, wait=0)
    console.product.signal("kernel", "CONT")
    assert console.until(lambda: console.state("web") == "running")
    verbs = [made["verb"] for made in console.get("operations")["results"] if made["number"] > before]
    assert "host.ports" not in verbs, verbs
    assert console.get("drift")["results"] == []


def test_a_port_that_was_taken_while_the_holder_was_dead_is_not_hijacked(
    console: Console, ends_with_the_test: Callable[[subprocess.Popen[str]], None]
) -> None:
    console.serve("web", 80, ports=["8080:80"])
    console.serve("other", 80, ports=["8081:80"])
    console.product.kill("holder")
    ends_with_the_test(console.bottle.popen(["busybox", "nc", "-ll", "-p", "8080", "-e", "echo", "taken"]))
    assert console.until(lambda: ":8080 " in console.bottle.run(["ss", "-Hltn"]).stdout)
    console.product.start("holder")
    assert console.until(lambda: "--dport 8080" not in console.iptables("nat"))
    assert console.connects_soon("192.0.2.2", 8080) == "taken"
    assert console.connects_soon("127.0.0.1", 8081, netns=None) == "hello"
    # Its rules go before it is written down why.
    assert console.until(lambda: "8080" in json.dumps(console.get("containers/web")["error"]))
    assert console.state("web") == "running"


def test_a_command_whose_worker_died_fails_and_is_not_run_again(console: Console) -> None:
    console.run("web")
    command = ["sh", "-c", "echo once >>/count; sleep 1000; echo end >>/count"]
    asked = console.raw("POST", "containers/web/exec", {"command": command}, wait=0)
    number = asked.json()["operation"]["number"]
    count = ["cat", "/count"]

    def lines() -> str:
        return str(console.call("POST", "containers/web/exec", {"command": count})["result"]["stdout"])

    assert console.until(lambda: "once" in lines())
    console.product.restart("slow")
    ended = console.until(lambda: (o := console.get(f"operations/{number}"))["state"] == "failed" and o, 40)
    assert "under way" in json.dumps(ended["error"])
    assert lines().count("once") == 1


def test_after_a_reboot_everything_comes_back(console: Console) -> None:
    console.network("app", subnets=[{"subnet": "10.55.0.0/24"}])
    console.serve("web", 80, network="app", ports=["8080:80"])
    address = console.address("web")
    console.product.reboot()
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    assert console.address("web") == address


def test_rules_flushed_by_hand_are_shown_as_drift_and_repaired(console: Console) -> None:
    console.serve("web", 80, ports=["8080:80"])
    console.bottle.run(["iptables", "-t", "nat", "-F"])
    drift = console.until(lambda: console.get("drift")["results"])
    assert any(row["kind"] == "missing" and "DNAT" in row["text"] for row in drift), drift
    assert "DNAT" not in console.iptables("nat"), "showing is not repairing"
    console.call("POST", "drift/repair", {})
    assert "--to-destination" in console.iptables("nat")
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    assert console.until(lambda: not console.get("drift")["results"])


def test_a_link_deleted_by_hand_is_shown_and_repaired(console: Console) -> None:
    console.serve("web", 80, ports=["8080:80"])
    device = console.get("containers/web")["endpoints"][0]["device"]
    console.bottle.run(["ip", "link", "del", device])
    assert console.until(lambda: any(device in row["text"] for row in console.get("drift")["results"]))
    console.call("POST", "drift/repair", {})
    assert console.connects_soon("192.0.2.2", 8080) == "hello"


def test_foreign_rules_stay_where_they_are(console: Console) -> None:
    foreign = ["-A FORWARD -s 203.0.113.9/32 -j DROP", "-A FORWARD -p tcp -m tcp --dport 25 -j REJECT"]
    for rule in foreign:
        console.bottle.run(["iptables", *rule.split()])
    console.run("web", ports=["8080:80"])
    console.remove("web")
    standing = console.iptables("filter")
    positions = [standing.index(rule) for rule in foreign]
    assert positions == sorted(positions)
    for rule in foreign:
        console.bottle.run(["iptables", *rule.replace("-A", "-D", 1).split()])


def test_a_write_without_a_live_worker_is_refused_and_writes_nothing(console: Console) -> None:
    console.product.kill("kernel")
    console.product.age_heartbeat()
    answer = console.raw("POST", "networks", {"name": "late"})
    assert answer.status_code == 503
    assert console.raw("GET", "networks/late").status_code == 404
    waiting = console.raw("POST", "networks", {"name": "later"}, wait=0)
    assert waiting.status_code == 202
    console.product.restart("kernel")
    assert console.until(lambda: console.get("networks/later")["status"] == "ready", 30)


def test_reads_and_waiting_writes_go_on_without_redis(fresh: Console) -> None:
    console = fresh
    console.product.kill("redis")
    assert console.get("networks")["count"] == 3
    assert console.raw("POST", "networks", {"name": "patient"}, wait=0).status_code == 202
    console.product.restart("redis")
    assert console.until(lambda: console.get("networks/patient")["status"] == "ready", 40)


def test_a_redis_that_hangs_keeps_nobody_waiting_for_it(fresh: Console) -> None:
    console = fresh
    console.product.signal("redis", "STOP")
    assert console.raw("POST", "networks", {"name": "patient"}, wait=0).status_code == 202
    assert console.get("networks")["count"] == 4
    console.product.signal("redis", "CONT")
    assert console.until(lambda: console.get("networks/patient")["status"] == "ready", 40)


def test_a_worker_that_cannot_be_rung_is_woken_by_a_message_and_is_rung_again(console: Console) -> None:
    def redis(*words: str) -> str:
        return console.bottle.run(["redis-cli", "-s", "/run/cnm/redis/redis.sock", *words]).stdout

    def listens() -> bool:
        return "1" in redis("pubsub", "numsub", "cnm:doorbell:kernel.local").splitlines()

    def messages() -> int:
        return console.product.log("kernel").count("worker.tasks.wake_kernel")

    assert console.until(listens)
    before = messages()
    console.network("rung")
    assert messages() == before, "heard at once, and no message lies about"

    def woken_by_a_message() -> bool:
        redis("client", "kill", "type", "pubsub")
        console.network("woken")
        console.call("DELETE", "networks/woken")
        return messages() > before

    assert console.until(woken_by_a_message, 30)
    assert console.until(listens)
    console.call("DELETE", "networks/rung")


def test_a_process_that_ends_is_seen_with_its_exit_code_and_its_network_goes(console: Console) -> None:
    console.run("short", "sh", "-c", "exit 3", ports=["8080:80"])
    ended = console.until(lambda: (c := console.get("containers/short"))["state"] == "exited" and c)
    assert ended["exit_code"] == 3
    assert console.until(lambda: "--dport 8080" not in console.iptables("nat"))


def test_a_restart_policy_starts_it_again(console: Console) -> None:
    console.run("again", "sh", "-c", "sleep 0.2; exit 1", restart_policy={"name": "on-failure", "max_retries": 2})
    ended = console.until(
        lambda: (c := console.get("containers/again"))["restart_count"] == 2 and c["state"] == "exited" and c
    )
    assert ended["exit_code"] == 1


def test_a_failure_in_the_middle_leaves_nothing_and_says_what_happened(console: Console) -> None:
    before = console.bottle.dump()
    answer = console.raw(
        "POST", "containers", {"name": "broken", "command": ["/no/such/program"], "ports": ["8080:80"]}
    )
    assert answer.status_code >= 400
    problem = answer.json()
    assert "/no/such/program" in problem["detail"], json.dumps(problem)
    assert console.bottle.dump() == before
    assert console.get("containers/broken")["state"] == "failed"
    console.remove("broken")
