"""VXLAN devices, forwarding entries and neighbours in a real kernel: two hosts over a veth, one container on each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from networks.cnm.errors import Conflict
from networks.cnm.resources import ForwardingEntry, Neighbour, Owner, Resource, Vxlan
from tests.testlib.bottle import inside
from tests.testlib.dump import dump
from worker.apply.overlay import OverlayHandler
from worker.diff import diff
from worker.kernel.netns import Namespaces
from worker.machine import Machine

pytestmark = pytest.mark.kernel

OWNER = Owner(kind="network", id="a" * 64, name="app")
BRIDGE, DEVICE, VNI, PORT = "br-aaaaaaaaaaaa", "cx4096", 4096, 4789
HOSTS = {"": ("192.0.2.1", 2), "far": ("192.0.2.9", 3)}
"""Namespace of each host ("" is the throw-away host itself) -> its underlay address, and its container's number."""


def run(*words: str, ns: str = "", check: bool = True) -> str:
    inside_of = ["ip", "netns", "exec", ns] if ns else []
    done = subprocess.run([*inside_of, *words], capture_output=True, text=True, timeout=20, check=False)
    assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@contextmanager
def within(ns: str) -> Iterator[None]:
    """This thread in the namespace of a host: what it opens and writes there is that host's."""
    there = os.open(f"/run/netns/{ns}" if ns else "/proc/self/ns/net", os.O_RDONLY)
    try:
        with Namespaces(Path("/run/netns")).entered(there):
            yield
    finally:
        os.close(there)


def mac(number: int) -> str:
    return f"02:42:0a:00:00:{number:02x}"


def two_hosts() -> None:
    """Each with a bridge and a container behind it, joined by an underlay with an MTU of 1500."""
    run("ip", "netns", "add", "far")
    run("ip", "link", "add", "under", "type", "veth", "peer", "name", "under", "netns", "far")
    for ns, (address, number) in HOSTS.items():
        run("ip", "address", "add", f"{address}/24", "dev", "under", ns=ns)
        run("ip", "link", "set", "under", "up", ns=ns)
        run("ip", "link", "add", BRIDGE, "type", "bridge", ns=ns)
        run("ip", "link", "set", BRIDGE, "up", ns=ns)
        box = f"box{number}"
        run("ip", "netns", "add", box)
        peer = ("peer", "name", "eth0", "netns", box, "address", mac(number))
        run("ip", "link", "add", "toeth0", "mtu", "1450", "master", BRIDGE, "type", "veth", *peer, ns=ns)
        run("ip", "link", "set", "toeth0", "up", ns=ns)
        run("ip", "link", "set", "eth0", "mtu", "1450", "up", ns=box)
        run("ip", "address", "add", f"10.0.0.{number}/24", "dev", "eth0", ns=box)
        run("ip", "address", "add", f"fd00:10::{number}/64", "dev", "eth0", "nodad", ns=box)


def device(ns: str = "", **fields: object) -> Vxlan:
    values = {"name": DEVICE, "vni": VNI, "port": PORT, "bridge": BRIDGE, "local": ip_address(HOSTS[ns][0])} | fields
    return Vxlan(owner=OWNER, **values)  # type: ignore[arg-type]


def segment(ns: str, **fields: object) -> tuple[Resource, ...]:
    """What a host needs: the device, and the way to the other host's container."""
    (other,) = HOSTS.keys() - {ns}
    underlay, number = HOSTS[other]
    return (
        device(ns, **fields),
        ForwardingEntry(owner=OWNER, device=DEVICE, mac=mac(number), remote=ip_address(underlay)),
        Neighbour(owner=OWNER, device=DEVICE, address=ip_address(f"10.0.0.{number}"), mac=mac(number)),
        Neighbour(owner=OWNER, device=DEVICE, address=ip_address(f"fd00:10::{number}"), mac=mac(number)),
    )


def take_to(ns: str, desired: Sequence[Resource]) -> list[str]:
    """Apply what is missing for *desired*; a full look and one by keys must find nothing to do then. What was done."""
    with within(ns):
        machine = Machine([OverlayHandler()])
        plan = diff(desired, machine.observe(None))
        applied = machine.apply(plan)
        if applied.error is not None:
            raise applied.error
        for seen in (machine.observe(None), machine.observe({resource.key for resource in desired})):
            assert [step.describe() for step in diff(desired, seen)] == []
    return [step.describe() for step in plan]


def pings(source: int, address: str, *words: str) -> bool:
    command = ["ping", "-c1", "-W2", "-i0.2", *words, address]
    return "1 received" in run(*command, ns=f"box{source}", check=False)


def sent() -> int:
    """Packets that the throw-away host has sent to the other through the segment."""
    return int(run("cat", f"/sys/class/net/{DEVICE}/statistics/tx_packets"))


@inside
def test_containers_on_two_hosts_reach_each_other_and_nobody_is_asked_who_they_are() -> None:
    two_hosts()
    for ns in HOSTS:
        take_to(ns, segment(ns))
    assert pings(2, "10.0.0.3")
    assert pings(3, "fd00:10::2")
    assert pings(2, "10.0.0.3", "-M", "do", "-s", "1422"), "a packet that fills the MTU arrives whole"
    before = sent()
    assert before
    assert not pings(2, "10.0.0.77"), "nobody is there"
    assert not pings(2, "fd00:10::77")
    assert sent() == before, "and no other host was asked: nothing is flooded"
    learned = run("bridge", "fdb", "show", "dev", DEVICE)
    assert sorted(line.split()[0] for line in learned.splitlines() if " dst " in line) == [mac(3)]


@inside
def test_two_subnets_are_two_segments_on_one_link() -> None:
    """The far container is in another subnet: what is for it goes by its segment, what it answers by ours."""
    two_hosts()
    run("ip", "address", "flush", "dev", "eth0", "scope", "global", ns="box3")
    run("ip", "address", "add", "10.5.0.3/24", "dev", "eth0", ns="box3")
    for box, other in (("box2", "10.5.0.0/24"), ("box3", "10.0.0.0/24")):
        run("ip", "route", "add", other, "dev", "eth0", ns=box)
    own, others = {"": "cx4096", "far": "cx5000"}, {"": "10.0.0.2", "far": "10.5.0.3"}
    for ns in HOSTS:
        (there,) = HOSTS.keys() - {ns}
        underlay, number = HOSTS[there]
        way = own[there]
        take_to(
            ns,
            (
                device(ns),
                device(ns, name="cx5000", vni=5000),
                ForwardingEntry(owner=OWNER, device=way, mac=mac(number), remote=ip_address(underlay)),
                Neighbour(owner=OWNER, device=way, address=ip_address(others[there]), mac=mac(number)),
            ),
        )

    def carried(segment: str) -> int:
        return int(run("cat", f"/sys/class/net/{segment}/statistics/tx_packets"))

    for _ in range(3):
        before = carried("cx4096"), carried("cx5000")
        assert pings(2, "10.5.0.3"), "and again, once the bridges have seen both"
        assert pings(3, "10.0.0.2")
        assert carried("cx4096") == before[0], "nothing for the other subnet goes by ours"
        assert carried("cx5000") > before[1]
    port = run("bridge", "-d", "link", "show", "dev", "cx5000")
    assert "learning off" in port


@inside
def test_what_was_made_is_taken_away_without_a_trace() -> None:
    two_hosts()
    before = dump()
    take_to("", segment(""))
    assert take_to("", segment("")) == [], "applied twice, nothing changes"
    assert len(take_to("", ())) == 4
    assert dump() == before


@inside
def test_drift_is_seen_and_mended() -> None:
    two_hosts()
    for ns in HOSTS:
        take_to(ns, segment(ns))
    run("bridge", "fdb", "del", mac(3), "dev", DEVICE, "master")
    run("ip", "neigh", "del", "10.0.0.3", "dev", DEVICE)
    run("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", DEVICE, "dst", "192.0.2.66")
    run("ip", "link", "set", DEVICE, "type", "vxlan", "learning")
    mended = take_to("", segment(""))
    assert len(mended) == 4
    assert pings(2, "10.0.0.3")


@inside
def test_a_device_follows_its_host_to_another_address_and_port() -> None:
    two_hosts()
    for ns in HOSTS:
        take_to(ns, segment(ns))
    assert len(take_to("", segment("", local=ip_address("192.0.2.2")))) == 1, "in place"
    changed = take_to("", segment("", port=4790))
    assert len(changed) == 4, "made anew, and its entries with it"
    take_to("", segment(""))
    assert pings(2, "10.0.0.3")


@inside
def test_a_stale_device_of_the_segment_gives_way_and_a_strangers_is_named() -> None:
    two_hosts()
    run("ip", "link", "add", "cx9", "type", "vxlan", "id", str(VNI), "dstport", str(PORT))
    run("ip", "link", "set", "cx9", "alias", "cnm:net:bbbbbbbbbbbb")
    with within(""):
        Machine([OverlayHandler()]).apply(diff((device(),), ()))
    assert "cx9" not in run("ip", "-o", "link")
    run("ip", "link", "delete", DEVICE)
    run("ip", "link", "add", "docker-vx", "type", "vxlan", "id", str(VNI), "dstport", str(PORT))
    with pytest.raises(Conflict, match="docker-vx"):
        take_to("", (device(),))
    assert "docker-vx" in run("ip", "-o", "link"), "what is not ours stays"
