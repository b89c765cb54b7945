"""The running product says what packets do, and packets do it; foreign rules are seen, classed and found to be in the way."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

import pytest

from tests.testlib import pcapng
from tests.testlib.product import Product

from .conftest import Console
from .test_start import Prepared

pytestmark = pytest.mark.kernel
GUARD = """
table inet guard {
  chain forward {
    type filter hook forward priority 10; policy accept;
    tcp dport 80 drop comment "no web"
  }
}
"""


def trace(console: Console, source: str, destination: str, port: int, **more: Any) -> Any:
    return console.call("POST", "firewall/trace", {"from": source, "to": destination, "port": port, **more})


def look_for(console: Console, words: str) -> None:
    """Wait until the worker has seen a rule with *words*: its look follows an operation after a moment."""
    rules = lambda: console.get("firewall/rules", q=words)["count"]  # noqa: E731  # one expression, asked again and again
    assert console.until(rules), words


def soon(console: Console, verdict: str, *question: Any, by: str = "") -> Any:
    """The worker looks when it hears of a change: the answer follows. *by*: the owner of the rule that decides."""
    source, destination, port = question
    body = {"from": source, "to": destination, "port": port}

    def is_seen() -> bool:
        found = console.raw("POST", "firewall/trace", body).json()
        owner = (found.get("decided_by") or {}).get("owner") or {}
        return bool(found.get("verdict") == verdict and (not by or owner.get("name") == by))

    console.until(is_seen)
    found = trace(console, *question)
    assert found["verdict"] == verdict, json.dumps(found, indent=1)
    return found


def test_a_trace_says_what_a_packet_then_does(console: Console) -> None:
    console.network("front")
    console.network("back")
    console.serve("web", 80, network="front", ports=["8080:80"])
    console.serve("db", 80, network="back")
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    look_for(console, "--dport 8080")
    opened = soon(console, "allowed", "192.0.2.1", "192.0.2.2", 8080)
    assert opened["received"].endswith(f"{console.address('web')}:80")
    closed = soon(console, "dropped", "web", "db", 80, by="db on back")
    assert console.connects(console.address("db"), 80, netns=console.sandbox("web")) is None
    assert closed["decided_by"]["owner"]["name"] == "db on back"
    proposed = closed["remedies"][0]
    console.call("POST", proposed["request"]["path"].removeprefix("/api/v1/"), proposed["request"]["body"])
    soon(console, "allowed", "web", "db", 80)
    assert console.connects(console.address("db"), 80, netns=console.sandbox("web")) == "hello"


def test_what_was_just_changed_is_in_the_audit_at_once(console: Console) -> None:
    """No waiting and no second try: a read after a write is answered by a look of after the write."""
    console.network("front")
    for host_port in range(8101, 8104):
        name = f"web{host_port}"
        console.run(name, network="front", ports=[f"{host_port}:80"])
        assert console.get("firewall/rules", q=f"--dport {host_port}")["count"]
        found = trace(console, "192.0.2.1", "192.0.2.2", host_port)
        assert (found["verdict"], found["current"]) == ("allowed", True)
        assert found["received"].endswith(f"{console.address(name)}:80")
        console.remove(name)
        assert not console.get("firewall/rules", q=f"--dport {host_port}")["count"]


def test_a_native_table_of_somebody_else_is_seen_and_named_as_what_decides(console: Console) -> None:
    console.serve("web", 80, ports=["8080:80"])
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    console.bottle.run(["nft", "-f", "-"], input=GUARD)
    try:
        found = soon(console, "dropped", "192.0.2.1", "192.0.2.2", 8080)
        assert console.connects("192.0.2.2", 8080) is None
        decider = found["decided_by"]
        assert (decider["flavour"], decider["chain"], decider["ours"]) == ("nftables", "forward", False)
        assert decider["text"] == 'tcp dport 80 drop comment "no web"'
        assert any("Accept it above the rule that ends it" in remedy["text"] for remedy in found["remedies"])
        (exposed,) = console.get("exposure")["results"]
        reached = {one["address"]: one["verdict"] for one in exposed["reaches"] if one["device"] == "eth0"}
        # By IPv6 the port holder carries it, past every forward hook: a guard there misses that.
        assert reached == {"192.0.2.2": "dropped", "2001:db8::2": "allowed"}
        assert console.connects("2001:db8::2", 8080) == "hello"
    finally:
        console.bottle.run(["nft", "delete", "table", "inet", "guard"])
    soon(console, "allowed", "192.0.2.1", "192.0.2.2", 8080)


def test_both_flavours_and_a_switched_off_bridge_filter_are_found(console: Console) -> None:
    console.network("apart", options={"com.docker.network.bridge.enable_icc": "false"})
    console.run("web", network="apart")

    def codes() -> set[str]:
        return {one["code"] for one in console.get("findings")["results"]}

    assert "icc_without_bridge_nf" not in codes()
    console.bottle.run(["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0"])
    console.bottle.run(["iptables-legacy", "-A", "INPUT", "-p", "tcp", "--dport", "7", "-j", "DROP"])
    try:
        assert console.until(lambda: {"icc_without_bridge_nf", "both_flavours"} <= codes()), codes()
    finally:
        console.bottle.run(["iptables-legacy", "-F", "INPUT"])
        console.bottle.run(["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"])
    assert console.until(lambda: not {"icc_without_bridge_nf", "both_flavours"} & codes()), codes()


def test_in_nftables_what_stands_in_maps_is_named_with_its_owner_and_reason() -> None:
    with Product({"CNM_FIREWALL": "nftables"}) as product:
        console = Console(product)
        console.network("back")
        console.serve("web", 80, ports=["8080:80"])
        console.serve("db", 80, network="back")
        assert console.connects_soon("192.0.2.2", 8080) == "hello"
        look_for(console, "--dport 8080")
        opened = soon(console, "allowed", "192.0.2.1", "192.0.2.2", 8080)
        named = [
            step["rule"]["owner"]["name"]
            for step in opened["steps"]
            if step["rule"] and step["rule"]["why"] and step["rule"]["owner"]["kind"] == "port"
        ]
        assert named == ["8080/tcp", "8080/tcp"]  # translated, then admitted
        closed = soon(console, "dropped", "web", "db", 80, by="db on back")
        assert closed["decided_by"]["owner"]["name"] == "db on back"
        assert closed["decided_by"]["why"]


def test_drift_says_what_happened_to_a_rule_and_who_stands_in_its_way(console: Console) -> None:
    console.network("app")
    console.run("web", network="app", ports=["8080:80"])
    isolation = [line for line in console.iptables("filter", "-S", "CNM").splitlines() if "--dport 80 " in line]

    def kinds(resolved: int = 0) -> set[str]:
        return {row["kind"] for row in console.get("drift", resolved=resolved)["results"]}

    assert console.until(lambda: not kinds())
    console.bottle.run(["iptables", *shlex.split(isolation[0])])
    assert console.until(lambda: kinds() == {"duplicated"}), kinds()
    console.bottle.run(["iptables", "-I", "FORWARD", "-j", "ACCEPT"])
    assert console.until(lambda: kinds() == {"duplicated", "shadowed"}), kinds()
    (shadow,) = [row for row in console.get("drift")["results"] if row["kind"] == "shadowed"]
    assert shadow["text"] == "iptables -t filter -A FORWARD -j ACCEPT"
    assert "iptables" in shadow["writer"]
    console.call("POST", "drift/repair", {})
    assert console.until(lambda: kinds() == {"shadowed"}), kinds()
    console.bottle.run(["iptables", "-D", "FORWARD", "-j", "ACCEPT"])
    assert console.until(lambda: not kinds()), kinds()
    assert {"duplicated", "shadowed"} <= kinds(resolved=1)


def verify(console: Console, source: str, destination: str, port: int, **more: Any) -> Any:
    return console.call("POST", "firewall/verify", {"from": source, "to": destination, "port": port, **more})


@pytest.mark.parametrize(
    "firewall",
    ["nftables", *(pytest.param(name, marks=pytest.mark.long) for name in ("iptables-nft", "iptables-legacy"))],
)
def test_a_prediction_is_put_to_the_test_by_a_real_packet_and_the_kernels_own_trace(firewall: str) -> None:
    standing = [["iptables-legacy", "-A", "INPUT", "-j", "ACCEPT"]] if firewall == "iptables-legacy" else []
    with Prepared(standing, {"CNM_FIREWALL": "nftables"} if firewall == "nftables" else {}) as product:
        console = Console(product)
        assert console.get("hosts/local")["firewall_backend"] == firewall
        console.network("front")
        console.network("back")
        console.serve("web", 80, network="front", ports=["8080:80"])
        console.run("client", network="front")
        console.serve("db", 80, network="back")
        soon(console, "allowed", "client", "web", 80)
        opened = verify(console, "client", "web", 80)
        assert (opened["predicted"], opened["answer"], opened["agrees"]) == ("allowed", "connected", True), opened
        closed = verify(console, "client", "db", 80)
        assert (closed["predicted"], closed["answer"], closed["agrees"]) == ("dropped", "silence", True), closed
        nobody = verify(console, "client", "web", 81)
        assert (nobody["predicted"], nobody["answer"], nobody["agrees"]) == ("allowed", "refused", True), nobody
        ping = verify(console, "host", "web", 0, protocol="icmp")
        assert (ping["answer"], ping["agrees"]) == ("answered", True), ping
        datagram = verify(console, "client", "db", 53, protocol="udp")
        assert (datagram["answer"], datagram["agrees"]) == ("silence", True), datagram
        published = verify(console, "db", "192.0.2.2", 8080)
        assert published["agrees"] is True, published
        if firewall == "iptables-legacy":
            assert opened["kernel"] is None
        else:
            last = closed["kernel"][-1]
            assert last["verdict"] == "drop", closed
            assert any(step["verdict"] == "accept" for step in opened["kernel"]), opened
        assert "cnm_probe" not in console.bottle.run(["nft", "list", "tables"]).stdout
        refused = console.raw("POST", "firewall/verify", {"from": "192.0.2.1", "to": "web", "port": 80})
        assert refused.status_code == 501


def test_what_a_container_reaches_is_tried_out_beside_what_was_expected(console: Console) -> None:
    console.network("shop")
    console.run("web", network="shop")
    console.run("db", network="shop")
    address = console.address("db")
    asked = console.call("POST", "containers/web/look-up", {"name": "db"})
    assert (asked["result"]["answer"], asked["result"]["addresses"]) == ("answered", [address])
    assert asked["result"]["server"] == "127.0.0.11"
    nobody = console.call("POST", "containers/web/look-up", {"name": "nosuch.invalid"})
    assert nobody["result"]["addresses"] == []
    refused = console.raw("POST", "containers/web/look-up", {"name": "not a name"})
    assert (refused.status_code, refused.json()["field"]) == (400, "name")


def test_packets_of_an_endpoint_and_of_a_bridge_are_captured_filtered_and_bounded(console: Console) -> None:
    console.network("shop", subnets=[{"subnet": "10.40.0.0/24"}])
    console.run("web", network="shop")
    console.serve("db", 80, network="shop")
    address = console.address("db")
    sent = {"network": "shop", "protocol": "tcp", "port": 80, "seconds": 600, "snap_length": 96}
    endpoint = console.call("POST", "captures", {"container": "web", **sent})
    bridge = console.call("POST", "captures", {"network": "shop", "host": address, "seconds": 600})

    def capture(which: Any) -> Any:
        return console.get(f"captures/{which['id']}")

    for which in (endpoint, bridge):
        assert console.until(lambda which=which: capture(which)["state"] == "running"), console.product.logs()
    assert console.inside("web", "busybox", "ping", "-c", "1", "-s", "1000", address)["exit_code"] == 0
    said = console.inside("web", "sh", "-c", f"echo | busybox nc -w 2 {address} 80")
    assert said["stdout"].strip() == "hello"
    enough = console.until(lambda: capture(endpoint)["packets"] >= 7 and capture(bridge)["packets"] >= 9)
    assert enough, (capture(endpoint), capture(bridge))
    for which in (endpoint, bridge):
        console.call("POST", f"captures/{which['id']}/stop", {})
        assert console.until(lambda which=which: capture(which)["state"] == "done"), capture(which)
        assert capture(which)["reason"] == "stopped"

    file = pcapng.read(console.raw("GET", f"captures/{endpoint['id']}/file").content)
    assert (file.interface, file.snap_length, file.dropped) == ("eth0", 96, 0)
    assert "container web" in file.comment
    assert len(file.packets) == capture(endpoint)["packets"] == file.received
    assert {packet.data[23] for packet in file.packets} == {6}, "TCP alone"
    assert {packet.direction for packet in file.packets} == {1, 2}
    assert max(len(packet.data) for packet in file.packets) <= 96
    times = [packet.ns for packet in file.packets]
    assert times == sorted(times)
    assert abs(times[0] / 1e9 - time.time()) < 600
    whole = pcapng.read(console.raw("GET", f"captures/{bridge['id']}/file").content)
    assert any(packet.length > 1000 and packet.length == len(packet.data) for packet in whole.packets), "the ping"
    assert 1 in {packet.data[23] for packet in whole.packets if packet.data[12:14] == b"\x08\0"}

    mode = console.bottle.run(["stat", "-c", "%a %u", "/var/lib/cnm/captures", "-L"]).stdout.split()
    assert mode == ["750", "0"]
    small = console.call("POST", "captures", {"container": "db", "seconds": 600, "size": 4096})
    assert console.until(lambda: capture(small)["state"] == "running")
    console.inside("web", "busybox", "ping", "-c", "6", "-i", "0.2", "-s", "1000", address)
    assert console.until(lambda: capture(small)["state"] == "done")
    assert (capture(small)["reason"], capture(small)["size"] <= 4096 + 128) == ("size", True)

    for which in (endpoint, bridge, small):
        console.call("DELETE", f"captures/{which['id']}")
        assert which["id"] not in console.bottle.run(["ls", "/var/lib/cnm/captures"]).stdout
    verbs = [row["verb"] for row in console.get("activity", page_size=50)["results"]]
    assert {"capture.run", "capture.stop", "capture.download", "capture.remove"} <= set(verbs)


def test_a_capture_ends_with_its_interface_and_with_its_worker(console: Console) -> None:
    console.network("shop")
    console.run("web", network="shop")
    ids = [console.call("POST", "captures", {"container": "web", "seconds": 600})["id"]]
    capture = lambda index: console.get(f"captures/{ids[index]}")  # noqa: E731  # asked again and again
    assert console.until(lambda: capture(0)["state"] == "running")
    console.call("POST", "containers/web/stop", {"timeout": 0})
    assert console.until(lambda: capture(0)["state"] == "done")
    assert capture(0)["reason"] == "gone"
    refused = console.raw("POST", "captures", {"container": "web"})
    assert (refused.status_code, refused.json()["field"]) == (409, "container")
    console.call("POST", "containers/web/start", {})
    ids.append(console.call("POST", "captures", {"container": "web", "seconds": 600})["id"])
    assert console.until(lambda: capture(1)["state"] == "running")
    console.product.restart("slow")
    assert console.until(lambda: capture(1)["state"] == "done")
    assert capture(1)["reason"] == "lost"
    assert console.raw("DELETE", f"captures/{ids[1]}").status_code == 204
