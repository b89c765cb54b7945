"""Links, sandboxes, addresses and routes in a real kernel: as asked, once, repairable, and without a trace afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.errors import CnmError, Conflict, KernelRefused
from networks.cnm.plan import Action, Step
from networks.cnm.resources import Address, Bridge, Key, Owner, Resource, Route, Sandbox, Veth
from tests.testlib.bottle import Bottle, inside
from tests.testlib.dump import dump
from worker import patience
from worker.apply.links import LinksHandler
from worker.diff import diff
from worker.kernel import netns, sysctl
from worker.kernel.netlink import Netlink
from worker.machine import Machine
from worker.observe.world import WorldObserver
from worker.patience import in_passing

pytestmark = pytest.mark.kernel

NETWORK = Owner(kind="network", id="a" * 64, name="web")
CONTAINER = Owner(kind="container", id="b" * 64, name="one")
ENDPOINT = Owner(kind="endpoint", id="c" * 64)
BRIDGE = "br-aaaaaaaaaaaa"
SANDBOX = "cnm-bbbbbbbbbbbb"
VETH = "cvcccccccccccc"
ADOPTED = "/run/netns/theirs"


def network(*, ipv6: bool = False, mtu: int = 1500, name: str = BRIDGE) -> tuple[Resource, ...]:
    found: tuple[Resource, ...] = (
        Bridge(owner=NETWORK, name=name, mtu=mtu, ipv6=ipv6),
        Address(owner=NETWORK, device=name, address=ip_interface("172.30.0.1/16")),
    )
    if ipv6:
        found += (Address(owner=NETWORK, device=name, address=ip_interface("fd00:30::1/64")),)
    return found


def container(*, ipv6: bool = False, mtu: int = 1500, number: int = 2, adopted: str = "") -> tuple[Resource, ...]:
    owner, endpoint = replace(CONTAINER, name=f"container-{number}"), replace(ENDPOINT, name=f"container-{number}")
    sandbox, veth = (SANDBOX, VETH) if number == 2 else (f"cnm-{number:012x}", f"cv{number:012x}")
    high, low = divmod(number, 256)
    found: tuple[Resource, ...] = (
        Sandbox(owner=owner, name=sandbox, ipv6=ipv6, adopted_path=adopted),
        Veth(
            owner=endpoint,
            name=veth,
            bridge=BRIDGE,
            sandbox=sandbox,
            ifname="eth0",
            mac=f"02:42:ac:1e:{high:02x}:{low:02x}",
            mtu=mtu,
        ),
        Address(owner=endpoint, sandbox=sandbox, device="eth0", address=ip_interface(f"172.30.{high}.{low}/16")),
        Route(
            owner=endpoint,
            sandbox=sandbox,
            destination=ip_network("0.0.0.0/0"),
            gateway=ip_address("172.30.0.1"),
            device="eth0",
        ),
    )
    if ipv6:
        address = ip_interface(f"fd00:30::{number:x}/64")
        found += (
            Address(owner=endpoint, sandbox=sandbox, device="eth0", address=address),
            Route(
                owner=endpoint,
                sandbox=sandbox,
                destination=ip_network("::/0"),
                gateway=ip_address("fd00:30::1"),
                device="eth0",
            ),
        )
    return found


def keys(resources: Sequence[Resource]) -> set[Key]:
    return {resource.key for resource in resources}


def take_to(handler: LinksHandler, desired: Sequence[Resource]) -> list[Step]:
    """Apply what a full look says is missing for *desired*; then a full look and one by keys must find nothing to do."""
    plan = diff(desired, handler.observe(None))
    done: list[Step] = []
    for stage_steps in (
        [step for step in plan if step.action is Action.DELETE],
        [step for step in plan if step.action is not Action.DELETE],
    ):
        handler.apply(stage_steps, done.append)
    assert {id(step) for step in done} == {id(step) for step in plan}
    assert_settled(handler, desired)
    return done


def assert_settled(handler: LinksHandler, desired: Sequence[Resource]) -> None:
    for current in (handler.observe(None), handler.observe(keys(desired))):
        assert [step.describe() for step in diff(desired, current)] == []


def missing(handler: LinksHandler, desired: Sequence[Resource]) -> set[str]:
    plan = diff(desired, handler.observe(keys(desired)))
    assert keys([step.resource for step in plan]) == keys([s.resource for s in diff(desired, handler.observe(None))])
    return {f"{step.action} {step.kind}" for step in plan}


def sh(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def ip(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(sh("ip", "-d", "-j", *words) or "[]")
    return found


def in_sandbox(*words: str) -> list[dict[str, Any]]:
    return ip("-n", SANDBOX, *words)


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


def reaches(address: str) -> bool:
    """Whether the sandbox reaches *address* soon: a bridge that was down lets IPv6 through only after a while (RFC 4862, 5.4)."""
    ping = ("ip", "netns", "exec", SANDBOX, "busybox", "ping", "-c1", "-W1", address)
    return any(
        subprocess.run(ping, check=False, capture_output=True).returncode == 0 or time.sleep(0.2) for _ in range(10)
    )


def wait_for(handler: LinksHandler, desired: Sequence[Resource], expected: set[str]) -> set[str]:
    """A namespace that was deleted lets its links go a moment later."""
    for _ in range(200):
        found = {f"{step.action} {step.kind}" for step in diff(desired, handler.observe(keys(desired)))}
        if found == expected:
            return missing(handler, desired)
        subprocess.run(["sleep", "0.01"], check=True)
    return found


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
def test_foreign_addresses_and_routes_are_left_alone() -> None:
    handler = LinksHandler()
    desired = [*network(), *container()]
    take_to(handler, desired)
    sh("ip", "addr", "add", "10.9.9.1/24", "dev", BRIDGE)
    sh("ip", "-n", SANDBOX, "addr", "add", "10.9.9.2/24", "dev", "eth0")
    sh("ip", "-n", SANDBOX, "route", "add", "10.8.0.0/16", "via", "10.9.9.1")
    sh("ip", "link", "add", "br-other", "type", "bridge")
    sh("ip", "netns", "add", "other")
    assert_settled(handler, desired)
    take_to(handler, [])
    assert "br-other" in sh("ip", "link")
    assert os.listdir("/run/netns") == ["other"]


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
def test_a_bridge_that_was_there_before_is_kept_and_gets_its_settings_back() -> None:
    sh("ip", "link", "add", "lan0", "type", "bridge")
    sh("ip", "link", "set", "lan0", "mtu", "1300")
    sh("ip", "addr", "add", "192.168.77.1/24", "dev", "lan0")
    before = dump()
    handler = LinksHandler()
    own_address = Address(owner=NETWORK, device="lan0", address=ip_interface("192.168.77.1/24"))
    desired = [*network(name="lan0"), own_address]
    take_to(handler, desired)
    assert ip("link", "show", "dev", "lan0")[0]["mtu"] == 1500
    assert_settled(LinksHandler(), desired)
    take_to(LinksHandler(), [])
    assert dump() == before


@inside
def test_a_device_that_is_no_bridge_is_not_taken_for_one() -> None:
    sh("ip", "link", "add", "lan0", "type", "ifb")
    before = dump()
    handler = LinksHandler()
    with pytest.raises(Conflict, match="not a bridge"):
        take_to(handler, network(name="lan0"))
    assert dump() == before


@inside
def test_a_device_of_somebody_else_with_the_name_of_a_veth_is_neither_taken_nor_deleted() -> None:
    handler = LinksHandler()
    for number, made in enumerate((("veth", "peer", "name", "theirs"), ("bridge",))):
        sh("ip", "link", "add", VETH, "type", *made)
        sh("ip", "link", "set", VETH, "alias", "of a friend")
        index, before = ip("link", "show", "dev", VETH)[0]["ifindex"], dump()
        assert list(handler.observe(None)) == [], "it is not ours, so a full look does not take it away either"
        applied = Machine([handler]).apply(diff([*network(), *container()], handler.observe(None)))
        ((step, error),) = applied.failed
        assert (step.kind, error.code) == ("veth", "conflict")
        assert VETH in str(error)
        assert dump() == before, "the steps before it are undone, and the device stays"
        assert ip("link", "show", "dev", VETH)[0]["ifindex"] == index
        sh("ip", "link", "set", VETH, "name", f"theirs{number}")
    take_to(handler, [*network(), *container()])


@inside
def test_a_veth_of_ours_without_its_alias_is_known_by_its_other_end() -> None:
    handler = LinksHandler()
    desired = [*network(), *container()]
    take_to(handler, desired)
    index = ip("link", "show", "dev", VETH)[0]["ifindex"]
    sh("ip", "link", "set", VETH, "alias", "renamed by hand")
    assert_settled(handler, desired)
    handler.apply(diff(desired, ()).steps, lambda step: None)
    (port,) = ip("link", "show", "dev", VETH)
    assert (port["ifindex"], port["ifalias"]) == (index, "cnm:end:cccccccccccc")
    sh("ip", "link", "set", VETH, "alias", "renamed by hand")
    take_to(handler, network())
    assert VETH not in sh("ip", "link")


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


@inside
def test_a_failure_in_the_middle_names_its_step_and_can_be_undone() -> None:
    before = dump()
    handler = LinksHandler()
    impossible = Route(
        owner=ENDPOINT,
        sandbox=SANDBOX,
        destination=ip_network("10.0.0.0/8"),
        gateway=ip_address("192.168.1.1"),
        device="eth0",
    )
    loopback = Address(owner=ENDPOINT, sandbox=SANDBOX, device="eth9", address=ip_interface("10.0.0.1/24"))
    veth = container()[1]
    assert isinstance(veth, Veth)
    small, nowhere = replace(veth, mtu=10), replace(veth, bridge="br-nowhere")
    for bad, cause in ((impossible, "gateway"), (loopback, "eth9"), (small, "mtu"), (nowhere, "br-nowhere")):
        desired = {resource.key: resource for resource in [*network(), *container(), *container(number=3), bad]}
        applied = Machine([handler]).apply(diff(desired.values(), handler.observe(None)))
        ((step, error),) = applied.failed
        assert step.key == bad.key
        assert isinstance(error, KernelRefused)
        assert cause in str(error)
        assert applied.left == []
        assert dump() == before


@inside
def test_a_full_pass_goes_on_with_the_other_sandboxes() -> None:
    handler = LinksHandler()
    good, bad = container(), list(container(number=3))
    assert isinstance(bad[1], Veth)
    bad[1] = replace(bad[1], mtu=10)
    desired = [network()[0], good[0], bad[0], *network()[1:], *bad[1:], *good[1:]]
    applied = Machine([handler]).apply_what_can_be(diff(desired, ()), lambda owner: owner.name)
    assert [step.key for step, _ in applied.failed] == [bad[1].key]
    sh("ip", "netns", "exec", SANDBOX, "busybox", "ping", "-c1", "-W5", "172.30.0.1")


@inside
def test_what_an_interrupted_start_left_is_seen_and_mended() -> None:
    handler = LinksHandler()
    take_to(handler, network())
    Path(f"/run/netns/{SANDBOX}").touch()  # the name was made, the namespace not
    desired = [*network(), *container()]
    assert missing(handler, desired) == {"change sandbox", "create veth", "create address", "create route"}
    take_to(handler, desired)
    Path("/run/netns/cnm-eeeeeeeeeeee").touch()
    take_to(handler, desired)
    assert os.listdir("/run/netns") == [SANDBOX]


def killed_at(moment: int, desired: Sequence[Resource]) -> bool:
    """Take the host to *desired* in a process that is killed before its call number *moment* into the kernel; whether it was."""
    child = os.fork()
    if child == 0:
        calls = count(1)

        def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                if next(calls) == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return wrapped

        for module, name in ((Netlink, "_exchange"), (netns, "unshare"), (netns, "mount"), (sysctl, "write")):
            setattr(module, name, deadly(getattr(module, name)))
        handler = LinksHandler()
        handler.apply(diff(desired, handler.observe(None)).steps, lambda step: None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


@inside
def test_a_worker_killed_at_any_moment_leaves_nothing_that_the_next_cannot_mend() -> None:
    before = dump()
    desired = [*network(ipv6=True), *container(ipv6=True), *container(number=3)]
    for wanted in (desired, []):
        moment = 1
        while killed_at(moment, wanted):
            take_to(LinksHandler(), wanted)
            if wanted:
                sh("ip", "netns", "exec", SANDBOX, "busybox", "ping", "-c1", "-W5", "fd00:30::1")
            take_to(LinksHandler(), [] if wanted else desired)
            moment += 1
        assert moment > 5
        take_to(LinksHandler(), desired)
    take_to(LinksHandler(), [])
    assert dump() == before


@inside
def test_applying_the_same_steps_again_changes_nothing() -> None:
    handler = LinksHandler()
    desired = [*network(ipv6=True), *container(ipv6=True)]
    plan = diff(desired, ())
    handler.apply(plan.steps, lambda step: None)
    index = ip("link", "show", "dev", VETH)[0]["ifindex"]
    handler.apply(plan.steps, lambda step: None)
    assert ip("link", "show", "dev", VETH)[0]["ifindex"] == index
    assert_settled(handler, desired)
    removal = [step.inverse() for step in plan]
    handler.apply(removal, lambda step: None)
    handler.apply(removal, lambda step: None)
    assert list(handler.observe(None)) == []


@inside
def test_a_namespace_held_by_a_process_does_not_keep_its_links() -> None:
    handler = LinksHandler()
    take_to(handler, [*network(), *container()])
    holder = subprocess.Popen(["ip", "netns", "exec", SANDBOX, "sleep", "100"])
    try:
        subprocess.run(["sleep", "0.2"], check=True)
        take_to(handler, network())
        assert VETH not in sh("ip", "link")
    finally:
        holder.kill()
        holder.wait()


@inside
def test_an_adopted_namespace_is_used_and_let_go() -> None:
    sh("ip", "netns", "add", "theirs")
    sh("ip", "-n", "theirs", "link", "set", "lo", "up")
    before, inner = dump(), sh("ip", "-n", "theirs", "addr")
    handler = LinksHandler()
    desired = [*network(), *container(adopted=ADOPTED)]
    take_to(handler, desired)
    assert "172.30.0.2" in sh("ip", "-n", "theirs", "addr")
    sh("ip", "netns", "exec", "theirs", "busybox", "ping", "-c1", "-W5", "172.30.0.1")
    assert_settled(LinksHandler(), desired)
    take_to(handler, [])
    assert dump() == before
    assert sh("ip", "-n", "theirs", "addr") == inner


@inside
def test_an_adopted_namespace_that_was_made_anew_is_adopted_anew() -> None:
    sh("ip", "netns", "add", "theirs")
    handler = LinksHandler()
    desired = [*network(), *container(adopted=ADOPTED)]
    take_to(handler, desired)
    sh("ip", "netns", "del", "theirs")
    assert_settled(handler, desired)  # ours still holds it
    sh("ip", "netns", "add", "theirs")
    assert "change sandbox" in missing(handler, desired)
    take_to(handler, desired)
    assert "172.30.0.2" in sh("ip", "-n", "theirs", "addr")


@inside
def test_a_process_number_that_was_given_to_a_stranger_is_not_adopted_anew() -> None:
    first = subprocess.Popen(["unshare", "--net", "sleep", "100"])
    subprocess.run(["sleep", "0.2"], check=True)
    handler = LinksHandler()
    desired = [*network(), *container(adopted=f"/proc/{first.pid}/ns/net")]
    take_to(handler, desired)
    first.kill()
    first.wait()
    assert_settled(handler, desired)
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
    second = subprocess.Popen(["sleep", "100"])
    assert second.pid == first.pid
    try:
        assert_settled(handler, desired)
    finally:
        second.kill()
        second.wait()


@inside
def test_what_is_no_foreign_network_namespace_is_not_adopted() -> None:
    Path("/run/file").touch()
    os.mkfifo("/run/pipe")
    handler = LinksHandler()
    take_to(handler, network())
    for path in ("/run/file", "/run/pipe", "/dev/null", "/proc/self/ns/mnt", "/proc/1/ns/net", "/run/nothing"):
        with pytest.raises(CnmError) as raised:
            take_to(handler, [*network(), *container(adopted=path)])
        assert raised.value.facts["key"] == ["sandbox", SANDBOX]
        assert os.listdir("/run/netns") == []


@inside
def test_a_default_route_of_an_adopted_namespace_is_not_replaced() -> None:
    sh("ip", "netns", "add", "theirs")
    for command in ("link set lo up", "route add default via 127.0.0.2 dev lo"):
        sh("ip", "-n", "theirs", *command.split())
    before = sh("ip", "-n", "theirs", "route")
    with pytest.raises(Conflict, match="already has a route"):
        take_to(LinksHandler(), [*network(), *container(adopted=ADOPTED)])
    assert before in sh("ip", "-n", "theirs", "route")


def test_a_sandbox_is_seen_in_mount_namespaces_made_before_it(bottle: Bottle) -> None:
    early = bottle.popen(["unshare", "--mount", "--propagation", "slave", "sleep", "100"])
    bottle.python("tests.kernel.test_links:make_sandbox")
    done = bottle.run(["ip", "-n", SANDBOX, "-br", "addr", "show", "dev", "eth0"])
    assert "172.30.0.2/16" in done.stdout
    assert early.poll() is None


def make_sandbox() -> None:
    take_to(LinksHandler(), [*network(), *container()])
