"""What a host's desired state compiles to: sandboxes, links, addresses, ways out, and what holds of all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, ip_interface

import pytest

from networks.cnm.desired import Endpoint, Network
from networks.cnm.errors import Unsupported
from networks.cnm.resources import (
    Address,
    Bridge,
    EtcFile,
    Ipvlan,
    Macvlan,
    Process,
    Resource,
    Route,
    Sandbox,
    Sysctl,
    Veth,
    Vlan,
)
from tests.testlib.desired import network, published
from worker.compile import compile_host
from worker.drivers import DRIVERS, driver

from .compiled import BRIDGE, DUAL, FACTS, ON_WEB, WEB, compiled, container, endpoint, host, only, rules


def test_the_same_input_gives_the_same_output_whatever_its_order() -> None:
    others = [container(number, endpoint(number, WEB, f"172.18.0.{number}/16")) for number in range(17, 25)]
    one = host(ON_WEB, *others)
    two = host(*reversed(others), ON_WEB, networks=(DUAL, WEB, BRIDGE))
    assert [item.to_json() for item in compile_host(one, FACTS)] == [
        item.to_json() for item in compile_host(two, FACTS)
    ]


def test_every_resource_says_whose_it_is_and_why() -> None:
    ports = (published(), published(8081, "127.0.0.1"), published(8082, "", "10.0.0.0/8"))
    found = compiled(
        container(16, endpoint(16, DUAL, "172.19.0.2/16", "fd00:19::2/64"), ports=ports), userland_proxy=False
    )
    for resource in found:
        assert resource.owner.id, resource.describe()
        sentence = str(resource.why)
        assert sentence.endswith("."), resource.describe()
        assert "{" not in sentence
    assert len({resource.key for resource in found}) == len(found)


def test_what_was_compiled_before_makes_no_difference() -> None:
    first = [item.to_json() for item in compiled(ON_WEB)]
    compiled(replace(ON_WEB, hostname="other"))
    compiled(ON_WEB, userland_proxy=False)
    assert [item.to_json() for item in compiled(ON_WEB)] == first


def test_a_container_has_a_sandbox_a_pair_an_address_and_a_way_out() -> None:
    found = compiled(ON_WEB)
    sandbox = only(found, Sandbox)
    assert sandbox == Sandbox(name="cnm-000000000010")
    assert only(found, Veth) == Veth(
        name="cv000000000010",
        bridge="br-000000000002",
        sandbox="cnm-000000000010",
        ifname="eth0",
        mac="02:42:ac:12:00:02",
    )
    assert only(found, Address, sandbox="cnm-000000000010") == Address(
        sandbox="cnm-000000000010", device="eth0", address=ip_interface("172.18.0.2/16")
    )
    route = only(found, Route)
    assert isinstance(route, Route)
    assert (route.gateway, route.device) == (IPv4Address("172.18.0.1"), "eth0")
    assert isinstance(only(found, Process), Process)


def test_a_container_that_is_not_live_needs_nothing() -> None:
    stopped = replace(ON_WEB, live=False)
    assert compiled(stopped) == compiled()


def test_an_endpoint_without_ipv4_has_a_mac_of_its_id() -> None:
    veth = only(compiled(container(16, endpoint(0x0123456789AB, DUAL, "fd00:19::2/64"))), Veth)
    assert isinstance(veth, Veth)
    assert veth.mac == "02:42:01:23:45:67"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda point, on: (replace(point, gw_priority=1), on), "eth1"),
        (lambda point, on: (replace(point, gw_priority=-1), replace(on, name="aaa")), "eth0"),
        (lambda point, on: (point, replace(on, name="aaa")), "eth1"),
        (lambda point, on: (point, replace(on, name="aaa", internal=True)), "eth0"),
        (lambda point, on: (replace(point, ipv6=ip_interface("fd00:19::2/64")), on), "eth1"),
    ],
)
def test_the_way_out_follows_dockers_order(
    change: Callable[[Endpoint, Network], tuple[Endpoint, Network]], expected: str
) -> None:
    first = endpoint(16, WEB, "172.18.0.2/16")
    second, on = change(endpoint(17, DUAL, "172.19.0.2/16", ifname="eth1"), replace(DUAL, name="zzz"))
    both = container(16, first, second, ports=(published(),))
    found = compiled(both, networks=(WEB, on))
    routes = {item.destination.version: item for item in found if isinstance(item, Route)}
    assert routes[4].device == expected
    address = {"eth0": "172.18.0.2", "eth1": "172.19.0.2"}[expected]
    assert [f"--to-destination {address}:80" in line for line in rules(found, "nat", "CNM") if "DNAT" in line] == [True]


def test_each_family_has_its_own_way_out() -> None:
    both = container(
        16,
        endpoint(16, WEB, "172.18.0.2/16", gw_priority=5),
        endpoint(17, DUAL, "172.19.0.2/16", "fd00:19::2/64", ifname="eth1"),
    )
    routes = {item.destination.version: item.device for item in compiled(both) if isinstance(item, Route)}
    assert routes == {4: "eth0", 6: "eth1"}


def test_a_container_that_joins_a_sandbox_sees_its_files_and_has_no_link_of_its_own() -> None:
    joiner = container(17, network_mode=f"container:{ON_WEB.id}")
    found = compiled(ON_WEB, joiner)
    process = only(found, Process, container_id=joiner.id)
    assert isinstance(process, Process)
    assert (process.sandbox, process.files_of, process.hostname) == ("cnm-000000000010", ON_WEB.id, "000000000010")
    assert not [item for item in found if isinstance(item, EtcFile) and item.container_id == joiner.id]


def test_a_sandbox_lives_on_while_somebody_shares_it() -> None:
    joiner = container(17, network_mode=f"container:{ON_WEB.id}")
    found = compiled(replace(ON_WEB, live=False), joiner)
    assert only(found, Sandbox) == Sandbox(name="cnm-000000000010")
    assert not [item for item in found if isinstance(item, Veth)]


def test_a_container_on_the_host_network_has_no_sandbox_and_the_hosts_files() -> None:
    found = compiled(container(16, network_mode="host"))
    assert not [item for item in found if isinstance(item, Sandbox | Veth | Route)]
    process = only(found, Process)
    assert isinstance(process, Process)
    assert (process.sandbox, process.hostname) == ("", "vm")
    files = {item.name: item.content for item in found if isinstance(item, EtcFile)}
    assert files == {"hosts": FACTS.etc_hosts, "hostname": "vm\n", "resolv.conf": FACTS.resolv_conf}


def test_an_adopted_namespace_is_bound_and_has_no_process() -> None:
    found = compiled(replace(ON_WEB, kind="adopted", adopted_path="/run/netns/theirs"))
    assert only(found, Sandbox) == Sandbox(name="cnm-000000000010", adopted_path="/run/netns/theirs")
    assert not [item for item in found if isinstance(item, Process)]


def test_forwarding_is_left_alone_when_told_so() -> None:
    assert only(compiled(), Sysctl, name="net.ipv4.ip_forward") == Sysctl(name="net.ipv4.ip_forward", value="1")
    assert not [item for item in compiled(ip_forward=False) if isinstance(item, Sysctl)]


def test_an_isolated_network_has_no_gateway() -> None:
    isolated = network(4, "isolated", "172.20.0.0/16", internal=True, gateway_mode_ipv4="isolated")
    found = compiled(container(16, endpoint(16, isolated, "172.20.0.2/16")), networks=(isolated,))
    assert not [item for item in found if isinstance(item, Route)]
    assert [str(item.address) for item in found if isinstance(item, Address)] == ["172.20.0.2/16"]


def test_the_gateway_address_can_be_kept_off_the_bridge() -> None:
    inhibited = network(4, "inhibited", "172.20.0.0/16", inhibit_ipv4=True)
    found = compiled(container(16, endpoint(16, inhibited, "172.20.0.2/16")), networks=(inhibited,))
    assert [item.device for item in found if isinstance(item, Address)] == ["eth0"]
    assert isinstance(only(found, Route), Route)


def test_the_mtu_of_a_network_is_that_of_its_bridge_and_links() -> None:
    small = network(4, "small", "172.20.0.0/16", mtu=1400)
    found = compiled(container(16, endpoint(16, small, "172.20.0.2/16")), networks=(small,))
    assert {item.mtu for item in found if isinstance(item, Bridge | Veth)} == {1400}
    wide = compile_host(host(ON_WEB), replace(FACTS, default_mtu=9000))
    assert {item.mtu for item in wide if isinstance(item, Bridge | Veth)} == {9000}


@pytest.mark.parametrize(("asked", "of_parent", "made"), [(1500, 1400, 1400), (1300, 1400, 1300), (0, 1400, 1400)])
def test_a_macvlan_has_no_more_mtu_than_its_parent_has_by_now(asked: int, of_parent: int, made: int) -> None:
    lan = replace(network(4, "lan", "172.20.0.0/16", mtu=asked, parent="lan0"), driver="macvlan")
    on_lan = container(16, endpoint(16, lan, "172.20.0.2/16"))
    facts = replace(FACTS, version="1", devices=(("lan0", of_parent),))
    device = only(compile_host(host(on_lan, networks=(lan,)), facts), Macvlan)
    assert isinstance(device, Macvlan)
    assert device.mtu == made


def on_lan(
    parent: str, *devices: tuple[str, int], kind: str = "macvlan", internal: bool = False, **options: object
) -> tuple[Resource, ...]:
    """A host with these devices, and a container on a network of the driver *kind* on *parent*."""
    subnets = ("172.20.0.0/16", "fd00:20::/64")
    lan = replace(network(4, "lan", *subnets, internal=internal, parent=parent, **options), driver=kind)
    there = container(16, endpoint(16, lan, "172.20.0.2/16", "fd00:20::2/64"))
    return compile_host(host(there, networks=(lan,)), replace(FACTS, version="1", devices=devices))


def test_a_vlan_that_nobody_made_is_made_with_the_mtu_of_its_device_and_one_that_is_there_is_used() -> None:
    found = on_lan("lan0.7", ("lan0", 1400))
    made = only(found, Vlan)
    assert made == Vlan(name="lan0.7", parent="lan0", number=7, mtu=1400)
    assert (made.owner.kind, str(made.why)) == (
        "network",
        "Network lan stands on VLAN 7 of lan0, for which the host had no device.",
    )
    device = only(found, Macvlan)
    assert isinstance(device, Macvlan)
    assert (device.parent, device.mtu) == ("lan0.7", 1400)
    for there in (("lan0.7", 1300), ("lan0", 1400)), (("lan0.7", 1300),):
        found = on_lan("lan0.7", *there, mtu=1350)
        assert not [item for item in found if isinstance(item, Vlan)]
        device = only(found, Macvlan)
        assert isinstance(device, Macvlan)
        assert device.mtu == 1300
    assert not [item for item in on_lan("lan0", ("lan0", 1400)) if isinstance(item, Vlan)]


def test_two_networks_on_one_vlan_have_it_once() -> None:
    lans = [
        replace(network(number, f"lan{number}", f"172.2{number}.0.0/16", parent="lan0.7"), driver="macvlan")
        for number in (4, 5)
    ]
    facts = replace(FACTS, version="1", devices=(("lan0", 1400),))
    for networks in (lans, lans[:1], lans[1:]):
        assert only(compile_host(host(networks=tuple(networks)), facts), Vlan).key == ("vlan", "lan0.7")


def test_an_ipvlan_of_layer_2_has_its_parents_mac_and_the_gateway_of_its_lan() -> None:
    found = on_lan("lan0.7", ("lan0", 1400), kind="ipvlan", ipvlan_flag="private")
    assert only(found, Ipvlan) == Ipvlan(
        sandbox="cnm-000000000010", ifname="eth0", parent="lan0.7", mode="l2", flag="private", mtu=1400
    )
    assert only(found, Vlan).key == ("vlan", "lan0.7")
    ways = {str(item.destination): str(item.gateway) for item in found if isinstance(item, Route)}
    assert ways == {"0.0.0.0/0": "172.20.0.1", "::/0": "fd00:20::1"}


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_an_ipvlan_of_layer_3_has_its_device_for_a_gateway(mode: str) -> None:
    found = on_lan("lan0", ("lan0", 1400), kind="ipvlan", ipvlan_mode=mode)
    device = only(found, Ipvlan)
    assert isinstance(device, Ipvlan)
    assert (device.mode, device.flag) == (mode, "bridge")
    ways = [item for item in found if isinstance(item, Route)]
    assert [(str(item.destination), item.gateway, item.device) for item in ways] == [
        ("0.0.0.0/0", None, "eth0"),
        ("::/0", None, "eth0"),
    ]
    assert str(ways[0].why) == "Container c16 hands what is for elsewhere to the routes of the host, by network lan."
    found = on_lan("lan0", ("lan0", 1400), kind="ipvlan", internal=True, ipvlan_mode=mode)
    assert not [item for item in found if isinstance(item, Route)]


def test_all_drivers_are_registered_and_those_not_built_say_so() -> None:
    assert set(DRIVERS) == {"bridge", "host", "null", "overlay", "remote", "macvlan", "ipvlan"}
    refusing = {name for name, known in DRIVERS.items() if known.availability(FACTS) is not None}
    assert refusing == {"remote"}
    with pytest.raises(Unsupported, match="no plugin that makes networks") as refused:
        driver("remote").check(replace(WEB, driver="remote"), FACTS)
    assert str(refused.value.remedy)
    with pytest.raises(Unsupported, match="called nosuch") as unknown:
        driver("nosuch").check(replace(WEB, driver="nosuch"), FACTS)
    assert "bridge" in str(unknown.value.remedy)


def test_a_network_of_a_driver_that_is_not_built_adds_nothing() -> None:
    assert compiled(networks=(replace(WEB, driver="remote"),)) == compiled(networks=())


def test_an_interfaces_settings_name_the_interface() -> None:
    settings = (("net.ipv4.conf.IFNAME.log_martians", "1"),)
    (veth,) = (
        item
        for item in compiled(container(16, endpoint(17, WEB, "172.18.0.2/16", ifname="eth0.1", sysctls=settings)))
        if isinstance(item, Veth)
    )
    assert veth.sysctls == (("net/ipv4/conf/eth0.1/log_martians", "1"),)
