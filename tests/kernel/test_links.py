"""Links, sandboxes, addresses and routes in a real kernel: as asked, once, repairable, and without a trace afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from itertools import count
from pathlib import Path

import pytest

from networks.cnm.resources import Address, Bridge, Route, Veth
from tests.testlib.bottle import inside
from tests.testlib.dump import dump
from worker import patience
from worker.apply.links import LinksHandler
from worker.diff import diff
from worker.machine import Machine
from worker.observe.world import WorldObserver
from worker.patience import in_passing

from .links_lab import (
    BRIDGE,
    ENDPOINT,
    SANDBOX,
    VETH,
    assert_settled,
    container,
    in_sandbox,
    ip,
    keys,
    missing,
    network,
    reaches,
    sh,
    take_to,
    wait_for,
)

pytestmark = pytest.mark.kernel


@inside
def test_everything_is_in_the_kernel_as_asked() -> None:
    handler = LinksHandler()
    take_to(handler, [*network(mtu=1400), *container(mtu=1400)])
    (bridge,) = ip("addr", "show", "dev", BRIDGE)
    assert (bridge["mtu"], bridge["ifalias"]) == (1400, "cnm:net:aaaaaaaaaaaa")
    assert bridge["linkinfo"]["info_data"]["stp_state"] == 0
    assert [(a["local"], a["prefixlen"], a["broadcast"]) for a in bridge["addr_info"]] == [
        ("172.30.0.1", 16, "172.30.255.255")
    ]
    (port,) = ip("link", "show", "dev", VETH)
    assert (port["master"], port["mtu"], port["ifalias"]) == (BRIDGE, 1400, "cnm:end:cccccccccccc")
    assert port["linkinfo"]["info_slave_data"]["hairpin"] is False
    lo, eth0 = in_sandbox("addr")
    assert "UP" in lo["flags"]
    assert "UP" in eth0["flags"]
    assert (eth0["ifname"], eth0["address"], eth0["mtu"]) == ("eth0", "02:42:ac:1e:00:02", 1400)
    assert [a["local"] for a in eth0["addr_info"]] == ["172.30.0.2"]  # and no link-local one: IPv6 is off
    assert [(r["dst"], r.get("gateway")) for r in in_sandbox("route")] == [
        ("default", "172.30.0.1"),
        ("172.30.0.0/16", None),
    ]
    for link in (BRIDGE, VETH):
        assert Path(f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6").read_text() == "1\n"
    assert "1 packets received" in sh("ip", "netns", "exec", SANDBOX, "busybox", "ping", "-c1", "-W5", "172.30.0.1")


@inside
def test_an_ipv6_network_is_usable_at_once() -> None:
    handler = LinksHandler()
    take_to(handler, [*network(ipv6=True), *container(ipv6=True)])
    assert "1 packets received" in sh("ip", "netns", "exec", SANDBOX, "busybox", "ping", "-c1", "-W5", "fd00:30::1")
    addresses = {a["local"]: a for a in in_sandbox("addr", "show", "dev", "eth0")[0]["addr_info"]}
    assert addresses["fd00:30::2"]["nodad"] is True
    assert "tentative" not in addresses["fd00:30::2"]
    assert sh("ip", "netns", "exec", SANDBOX, "cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra") == "0\n"


@inside
def test_removal_leaves_no_trace() -> None:
    before = dump()
    handler = LinksHandler()
    take_to(handler, [*network(ipv6=True), *container(ipv6=True), *container(number=300)])
    assert dump() != before
    take_to(handler, [])
    assert dump() == before
    assert not Path("/run/cnm/ledger").exists()


@inside
def test_removing_one_endpoint_of_a_living_sandbox_leaves_the_other() -> None:
    handler = LinksHandler()
    extra = Veth(
        owner=ENDPOINT, name="cvdddddddddddd", bridge=BRIDGE, sandbox=SANDBOX, ifname="eth1", mac="02:42:0a:00:00:01"
    )
    address = Address(owner=ENDPOINT, sandbox=SANDBOX, device="eth1", address=ip_interface("10.0.0.1/24"))
    desired = [*network(), *container()]
    take_to(handler, [*desired, extra, address])
    done = take_to(handler, desired)
    assert {step.kind for step in done} == {"veth", "address"}
    assert [link["ifname"] for link in in_sandbox("link")] == ["lo", "eth0"]


@inside
def test_many_endpoints_of_living_sandboxes_go_at_once() -> None:
    handler = LinksHandler()
    several = [container(number=number) for number in range(3, 9)]
    take_to(handler, [*network(), *(r for c in several for r in c)])
    take_to(handler, [*network(), *(c[0] for c in several)])
    assert [link["ifname"] for link in ip("link")] == ["lo", BRIDGE]


@inside
def test_each_thing_deleted_by_hand_is_seen_and_mended() -> None:
    handler = LinksHandler()
    desired = [*network(ipv6=True), *container(ipv6=True)]
    take_to(handler, desired)
    everything_of_the_endpoint = {"create veth", "create address", "create route"}
    for command, expected in (
        (f"ip addr del 172.30.0.1/16 dev {BRIDGE}", {"create address"}),
        (f"ip -n {SANDBOX} route del default", {"create route"}),
        (f"ip -n {SANDBOX} -6 route del default", {"create route"}),
        (f"ip -n {SANDBOX} addr del 172.30.0.2/16 dev eth0", {"create address", "create route"}),
        (f"ip -n {SANDBOX} link set lo down", {"change sandbox"}),
        (f"ip link set {VETH} nomaster", {"change veth"}),
        (f"ip link set {VETH} down", {"change veth"}),
        (f"ip link set {BRIDGE} down", {"change bridge", "create address"}),
        (f"ip link del {VETH}", everything_of_the_endpoint),
        (f"ip link del {BRIDGE}", {"create bridge", "create address", "change veth"}),
        (f"ip netns del {SANDBOX}", {"create sandbox", *everything_of_the_endpoint}),
    ):
        sh(*command.split())
        found = wait_for(handler, desired, expected)
        assert found == expected, command
        take_to(handler, desired)
        assert reaches("172.30.0.1"), command
        assert reaches("fd00:30::1"), command


@inside
def test_what_was_changed_by_hand_is_seen_and_mended() -> None:
    handler = LinksHandler()
    desired = [*network(), *container()]
    take_to(handler, desired)
    for command, field in (
        (f"ip link set {BRIDGE} mtu 1300", "mtu"),
        (f"ip link set {VETH} mtu 1300", "mtu"),
        (f"ip -n {SANDBOX} link set eth0 mtu 1300", "mtu"),
        (f"ip -n {SANDBOX} link set eth0 address 02:00:00:00:00:99", "mac"),
        (f"ip -n {SANDBOX} link set eth0 name other0", "ifname"),
        (f"bridge link set dev {VETH} hairpin on", "hairpin"),
        (f"sysctl -qw net.ipv4.conf.{BRIDGE}.route_localnet=1", "route_localnet"),
        (f"sysctl -qw net.ipv6.conf.{BRIDGE}.disable_ipv6=0", "ipv6"),
        (f"ip netns exec {SANDBOX} sysctl -qw net.ipv6.conf.all.disable_ipv6=0", "ipv6"),
        (f"ip -n {SANDBOX} route change default via 172.30.0.9", "gateway"),
    ):
        sh(*command.split())
        fields = {name for step in diff(desired, handler.observe(None)) for name in step.difference()}
        assert field in fields, command
        take_to(handler, desired)


@inside
def test_a_change_of_what_is_asked_changes_the_link_in_place() -> None:
    handler = LinksHandler()
    take_to(handler, [*network(), *container()])
    index = ip("link", "show", "dev", VETH)[0]["ifindex"]
    bridge, *addresses = network(mtu=9000)
    sandbox, veth, *rest = container(mtu=9000)
    assert isinstance(bridge, Bridge)
    assert isinstance(veth, Veth)
    changed = replace(veth, hairpin=True, mac="02:42:00:00:00:07")
    take_to(handler, [replace(bridge, route_localnet=True), *addresses, sandbox, changed, *rest])
    (port,) = ip("link", "show", "dev", VETH)
    assert (port["ifindex"], port["mtu"]) == (index, 9000)
    assert port["linkinfo"]["info_slave_data"]["hairpin"] is True
    assert in_sandbox("link", "show", "dev", "eth0")[0]["address"] == "02:42:00:00:00:07"
    sh("ip", "netns", "exec", SANDBOX, "busybox", "ping", "-c1", "-W5", "172.30.0.1")


@inside
def test_a_bridge_keeps_its_mtu_without_ports() -> None:
    handler = LinksHandler()
    take_to(handler, [*network(mtu=9000), *container(mtu=9000)])
    take_to(handler, network(mtu=9000))
    assert ip("link", "show", "dev", BRIDGE)[0]["mtu"] == 9000


@inside
def test_what_no_desired_object_knows_is_found_by_a_full_look() -> None:
    take_to(LinksHandler(), [*network(), *container()])
    found = {resource.key for resource in LinksHandler().observe(None)}
    assert found == keys([*network(), *container()])


@inside
def test_a_look_at_many_sandboxes_gives_way_between_two_of_them_and_sees_all_afterwards() -> None:
    wanted = [*network(), *(item for number in range(2, 12) for item in container(number=number))]
    handler = LinksHandler()
    take_to(handler, wanted)
    patience.ASK_EVERY_S = 0.0
    for observe in (lambda: handler.observe(None), WorldObserver()):
        asked, served, seen = count(), [], []  # type: ignore[var-annotated]

        def look(observe: Callable[[], object] = observe, seen: list[object] = seen) -> None:
            seen.append(observe())

        def serve(served: list[int] = served, seen: list[object] = seen) -> None:
            served.append(len(seen))

        in_passing(look, lambda asked=asked: next(asked) == 4, serve)  # type: ignore[misc]
        assert served == [0], "in the middle of the first look, which was given up"
        assert len(seen) == 1
    assert_settled(handler, wanted)
    assert len(WorldObserver()().sandboxes) == 10


@inside
def test_an_address_that_changes_under_a_running_container_keeps_its_default_route() -> None:
    handler = LinksHandler()
    sandbox, veth, address, *rest = container(ipv6=True)
    take_to(handler, [*network(ipv6=True), sandbox, veth, address, *rest])
    assert isinstance(address, Address)
    moved = replace(address, address=ip_interface("172.30.0.77/16"))
    desired = [*network(ipv6=True), sandbox, veth, moved, *rest]
    plan = diff(desired, handler.observe(keys([*desired, address])))
    assert {f"{step.action} {step.kind}" for step in plan} == {"delete address", "create address", "change route"}
    take_to(handler, desired)
    assert reaches("172.30.0.1")
    assert next((r["dst"], r.get("gateway")) for r in in_sandbox("route")) == ("default", "172.30.0.1")
    back = Machine([handler]).apply(diff([*network(ipv6=True), *container(ipv6=True)], handler.observe(None)))
    assert back.failed == []
    assert reaches("172.30.0.1")


@inside
def test_an_address_change_that_is_undone_brings_the_route_back_too() -> None:
    handler = LinksHandler()
    sandbox, veth, address, *rest = container()
    take_to(handler, [*network(), sandbox, veth, address, *rest])
    assert isinstance(address, Address)
    moved = replace(address, address=ip_interface("172.30.0.77/16"))
    unreachable = Route(
        owner=ENDPOINT,
        sandbox=SANDBOX,
        destination=ip_network("10.0.0.0/8"),
        gateway=ip_address("192.168.1.1"),
        device="eth0",
    )
    applied = Machine([handler]).apply(
        diff([*network(), sandbox, veth, moved, *rest, unreachable], handler.observe(None))
    )
    assert [step.key for step, _ in applied.failed] == [unreachable.key]
    assert applied.left == []
    assert_settled(handler, [*network(), *container()])
    assert reaches("172.30.0.1")


@inside
def test_an_interfaces_settings_are_made_measured_and_gone_with_it() -> None:
    before = dump()
    handler = LinksHandler()
    sandbox, veth, *rest = container()
    assert isinstance(veth, Veth)
    forwarding, martians = "net/ipv4/conf/eth0/forwarding", "net/ipv4/conf/eth0/log_martians"
    wanted = replace(veth, sysctls=((forwarding, "1"), (martians, "1")))
    desired = [*network(), sandbox, wanted, *rest]
    take_to(handler, desired)

    def seen(name: str) -> str:
        return sh("ip", "netns", "exec", SANDBOX, "cat", f"/proc/sys/{name}").strip()

    assert (seen(forwarding), seen(martians)) == ("1", "1")
    assert Path("/proc/sys/net/ipv4/conf/lo/log_martians").read_text() == "0\n", "the host's own are as they were"
    sh("ip", "netns", "exec", SANDBOX, "sysctl", "-qw", "net.ipv4.conf.eth0.log_martians=0")
    assert missing(handler, desired) == {"change veth"}
    take_to(LinksHandler(), desired)
    assert seen(martians) == "1"
    refused = replace(veth, sysctls=(("net/ipv4/conf/eth0/no_such_setting", "1"),))
    applied = Machine([handler]).apply(diff([*network(), sandbox, refused, *rest], handler.observe(None)))
    ((step, error),) = applied.failed
    assert step.kind == "veth"
    assert "no_such_setting" in str(error)
    take_to(handler, desired)
    take_to(handler, [])
    assert dump() == before
    assert not Path("/run/cnm/ledger").exists() or not list(Path("/run/cnm/ledger").iterdir())
