"""What is counted: every device's packets each way, and those of translated connections by where they were addressed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.testlib.bottle import inside
from worker.kernel import meter
from worker.kernel.counters import LinkCounters

pytestmark = pytest.mark.kernel

SETUP = """
ip netns add inner
ip link add v0 type veth peer name eth0 netns inner
ip addr add 10.9.0.1/24 dev v0
ip link set v0 up
ip -n inner addr add 10.9.0.2/24 dev eth0
ip -n inner link set eth0 up
ip -n inner link set lo up
ip -n inner route add default via 10.9.0.1
ip netns add outer
ip link add v1 type veth peer name eth0 netns outer
ip addr add 192.0.2.1/24 dev v1
ip link set v1 up
ip -n outer addr add 192.0.2.2/24 dev eth0
ip -n outer link set eth0 up
sysctl -qw net.ipv4.ip_forward=1
"""

SERVER = """
import socket
listening = socket.create_server(("10.9.0.2", 80))
print("ready", flush=True)
while True:
    with listening.accept()[0] as one:
        one.sendall(bytes(3000))
"""
CLIENT = """
import socket
with socket.create_connection(("192.0.2.1", 8080), timeout=10) as one:
    while one.recv(4096):
        pass
"""


def sh(command: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command.split(), check=True, capture_output=True, timeout=20, **options)  # type: ignore[call-overload,no-any-return]


def lab() -> None:
    for line in SETUP.strip().splitlines():
        sh(line)


@inside
def test_a_device_counts_each_way_and_under_its_name_of_now() -> None:
    lab()
    counters = LinkCounters()
    before = {name: total for (_, name), total in counters.read().items()}
    sh("ip netns exec inner ping -q -c 3 -i 0.2 -s 972 10.9.0.1")
    after = {name: total for (_, name), total in counters.read().items()}
    moved = [new - old for new, old in zip(after["v0"], before["v0"], strict=True)]
    assert moved[1] >= 3
    assert moved[3] >= 3
    assert moved[0] >= 3 * 1000 <= moved[2]
    sh("ip link add late type bridge")
    assert "late" in {name for _, name in counters.read()}


@inside
def test_what_a_published_port_carries_counts_both_ways_and_nothing_else_does() -> None:
    lab()
    sh("iptables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.9.0.2:80")
    sh("iptables-nft -t nat -A OUTPUT -d 192.0.2.1 -p tcp --dport 8080 -j DNAT --to-destination 10.9.0.2:80")
    with subprocess.Popen(
        ["ip", "netns", "exec", "inner", sys.executable, "-c", SERVER], stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        try:
            server.stdout.readline()  # it listens
            meter.start()
            for inside_of in ("ip netns exec outer", ""):
                subprocess.run([*inside_of.split(), sys.executable, "-c", CLIENT], check=True, timeout=20)
            found = meter.read()
        finally:
            server.kill()
    assert set(found) == {("tcp", "192.0.2.1", 8080)}
    total = found["tcp", "192.0.2.1", 8080]
    assert total.bytes_from >= 2 * 3000, "from outside, and from the host itself"
    assert 6 <= total.packets_to < 60
    assert total.bytes_to < total.bytes_from
    meter.start()
    assert meter.read() == {}, "it begins from nothing"
    meter.stop()
    assert b"cnm_traffic" not in sh("nft list ruleset").stdout
    meter.stop()
