"""Macvlans in a real kernel: as asked, mended, without a trace afterwards; and what they let through."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from networks.cnm.errors import Conflict
from networks.cnm.resources import Address, Macvlan, Owner, Resource, Route, Sandbox
from tests.testlib.bottle import inside
from tests.testlib.dump import dump
from worker.apply.links import LinksHandler
from worker.diff import diff
from worker.facts.observe import observe_facts

from .links_lab import ip, missing, sh, take_to

pytestmark = pytest.mark.kernel

NAMES = {2: "cnm-bbbbbbbbbbb2", 3: "cnm-bbbbbbbbbbb3"}


def wire() -> None:
    """A LAN: the host's device lan0, and a machine at 172.30.0.1 in the namespace ``lan``."""
    sh("ip", "netns", "add", "lan")
    sh("ip", "link", "add", "lan0", "mtu", "1400", "type", "veth", "peer", "name", "eth0", "netns", "lan")
    sh("ip", "link", "set", "lan0", "up")
    sh("ip", "addr", "add", "172.30.0.9/16", "dev", "lan0")
    for words in ("link set lo up", "addr add 172.30.0.1/16 dev eth0", "addr add fd00:30::1/64 dev eth0 nodad"):
        sh("ip", "-n", "lan", *words.split())
    sh("ip", "-n", "lan", "link", "set", "eth0", "up", "mtu", "1400")


def container(number: int = 2, mode: str = "bridge", parent: str = "lan0") -> tuple[Resource, ...]:
    owner = Owner(kind="container", id=f"{number}" * 64, name=f"c{number}")
    endpoint = Owner(kind="endpoint", id=f"{number}e" * 32, name=f"c{number} on lan")
    sandbox = NAMES[number]
    on = {"owner": endpoint, "sandbox": sandbox, "device": "eth0"}
    gateways = (("0.0.0.0/0", "172.30.0.1"), ("::/0", "fd00:30::1"))
    return (
        Sandbox(owner=owner, name=sandbox, ipv6=True),
        Macvlan(
            owner=endpoint,
            sandbox=sandbox,
            ifname="eth0",
            parent=parent,
            mode=mode,
            mac=f"02:42:ac:1e:00:0{number}",
            mtu=1400,
            sysctls=(("net/ipv4/conf/eth0/log_martians", "1"),),
        ),
        *(Address(**on, address=ip_interface(text)) for text in (f"172.30.0.{number}/16", f"fd00:30::{number}/64")),
        *(Route(**on, destination=ip_network(where), gateway=ip_address(gateway)) for where, gateway in gateways),
    )


def both(mode: str = "bridge") -> list[Resource]:
    return [*container(2, mode), *container(3, mode)]


def comes_to_reach(netns: str, address: str) -> bool:
    """IPv6 by a device that has just come up waits for the wire."""
    return any(reaches(netns, address) for _ in range(5))


def reaches(netns: str, address: str) -> bool:
    command = ("ip", "netns", "exec", netns, "busybox", "ping", "-c1", "-W1", address)
    return subprocess.run(command, check=False, capture_output=True, timeout=10).returncode == 0


@inside
def test_two_on_one_wire_reach_each_other_and_the_machines_there_and_not_the_host() -> None:
    wire()
    handler = LinksHandler()
    take_to(handler, both())
    (device,) = ip("-n", NAMES[2], "addr", "show", "dev", "eth0")
    assert (device["mtu"], device["address"], device["ifalias"]) == (1400, "02:42:ac:1e:00:02", "cnm:end:2e2e2e2e2e2e")
    assert device["linkinfo"]["info_data"]["mode"] == "bridge"
    assert sh("ip", "netns", "exec", NAMES[2], "cat", "/proc/sys/net/ipv4/conf/eth0/log_martians") == "1\n"
    for address in ("172.30.0.3", "172.30.0.1", "fd00:30::3", "fd00:30::1"):
        assert comes_to_reach(NAMES[2], address), address
    assert reaches("lan", "172.30.0.2")
    assert not reaches(NAMES[2], "172.30.0.9"), "the parent's own address is behind the wire's other end"


@inside
def test_in_private_mode_they_reach_the_wire_alone_and_the_mode_changes_in_place() -> None:
    wire()
    handler = LinksHandler()
    take_to(handler, both("private"))
    index = ip("-n", NAMES[2], "link", "show", "dev", "eth0")[0]["ifindex"]
    assert reaches(NAMES[2], "172.30.0.1")
    assert not reaches(NAMES[2], "172.30.0.3")
    assert [step.describe() for step in take_to(handler, both("bridge"))]
    assert reaches(NAMES[2], "172.30.0.3")
    assert ip("-n", NAMES[2], "link", "show", "dev", "eth0")[0]["ifindex"] == index


@inside
def test_removal_leaves_no_trace() -> None:
    wire()
    before = dump()
    handler = LinksHandler()
    take_to(handler, both())
    take_to(handler, container(2)[:1])
    assert [link["ifname"] for link in ip("-n", NAMES[2], "link")] == ["lo"]
    take_to(handler, [])
    assert dump() == before


@inside
def test_a_container_that_starts_anew_has_its_mac_back_at_once() -> None:
    """A namespace that goes takes a while, and its devices with it; meanwhile nobody else may have their MACs on that parent."""
    wire()
    handler = LinksHandler()
    for _ in range(5):
        take_to(handler, container())
        held = subprocess.Popen(["ip", "netns", "exec", NAMES[2], "sleep", "30"])
        try:
            take_to(handler, [])
            take_to(handler, container())
            assert reaches(NAMES[2], "172.30.0.1")
        finally:
            held.kill()
            held.wait()


@inside
def test_what_was_changed_by_hand_is_seen_and_mended() -> None:
    wire()
    handler = LinksHandler()
    desired = container()
    take_to(handler, desired)
    addresses = {"create macvlan", "create address", "create route"}
    for command, expected in (
        ("link set eth0 down", {"change macvlan", "create route", "create address"}),
        ("link set eth0 mtu 1300", {"change macvlan"}),
        ("link set eth0 address 02:00:00:00:00:99", {"change macvlan"}),
        ("link set eth0 type macvlan mode private", {"change macvlan"}),
        ("addr del 172.30.0.2/16 dev eth0", {"create address", "create route"}),
        ("link del eth0", addresses),
    ):
        sh("ip", "-n", NAMES[2], *command.split())
        found = missing(handler, desired)
        assert found, command
        assert found <= expected, command
        take_to(handler, desired)
        assert reaches(NAMES[2], "172.30.0.1"), command


@inside
def test_a_parent_that_is_gone_is_named_and_its_return_mends_all() -> None:
    wire()
    handler = LinksHandler()
    desired = container()
    take_to(handler, desired)
    sh("ip", "link", "del", "lan0")
    assert "create macvlan" in missing(handler, desired)
    assert refusal(handler, desired) == "The host has no device lan0, on which eth0 would stand."
    assert ip("-n", NAMES[2], "link")[0]["ifname"] == "lo"
    sh("ip", "netns", "del", "lan")
    wire()
    take_to(handler, desired)
    assert reaches(NAMES[2], "172.30.0.1")


def refusal(handler: LinksHandler, desired: Sequence[Resource]) -> str:
    try:
        handler.apply(list(diff(desired, handler.observe(None))), lambda step: None)
    except Conflict as error:
        return str(error.sentence)
    return ""


@inside
def test_somebody_elses_device_is_left_alone() -> None:
    wire()
    handler = LinksHandler()
    take_to(handler, container())
    sh("ip", "link", "add", "mine", "link", "lan0", "netns", NAMES[2], "type", "macvlan", "mode", "bridge")
    assert diff(container(), handler.observe(None)).steps == ()
    changed = [
        replace(item, ifname="eth1", sysctls=()) if isinstance(item, Macvlan) else item for item in container()[:2]
    ]
    take_to(handler, changed)
    assert [link["ifname"] for link in ip("-n", NAMES[2], "link")] == ["lo", "mine", "eth1"]


@inside
def test_a_parent_whose_name_passed_to_another_device_is_followed_with_all_that_stood_on_it() -> None:
    wire()
    handler = LinksHandler()
    take_to(handler, container())
    other = "add lan0 mtu 1400 type veth peer name wire0"
    for words in ("set lan0 down", "set lan0 name lan1", "set lan1 up", other, "set lan0 up", "set wire0 up"):
        sh("ip", "link", *words.split())
    take_to(handler, container())
    assert missing(handler, container()) == set()
    (device,) = ip("-n", NAMES[2], "link", "show", "dev", "eth0")
    assert device["link_index"] == ip("link", "show", "dev", "lan0")[0]["ifindex"]


@inside
def test_what_another_macvlan_or_no_ethernet_is_cannot_be_a_parent() -> None:
    """The kernel would put what is made on a macvlan on that one's own parent instead."""
    wire()
    for words in (
        "link add mv0 link lan0 type macvlan",
        "link add mt0 link lan0 type macvtap",
        "tuntap add tun0 mode tun",
    ):
        sh("ip", *words.split())
    assert observe_facts(lambda: ()).devices == (("lan0", 1400),)


@inside
def test_the_routers_of_the_lan_are_among_the_facts() -> None:
    wire()
    for words in ("default via 172.30.0.1", "10.9.0.0/16 via 172.30.0.2", "10.8.0.0/16 dev lan0"):
        sh("ip", "route", "add", *words.split())
    assert observe_facts(lambda: ()).gateways == ("172.30.0.1", "172.30.0.2")
