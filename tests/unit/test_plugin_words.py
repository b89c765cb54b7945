"""What plugins are told and what their answers mean; the ledger of it; and what is asked before the rest is planned."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.desired import Container, Endpoint, Host, Ipam, Joined, Network, PublishedPort, Subnet
from networks.cnm.facts import HostFacts
from networks.cnm.plan import Plan, Step
from networks.cnm.plugin_resources import (
    TOLD,
    AddressLease,
    AddressPool,
    PluginAllocation,
    PluginEndpoint,
    PluginJoin,
    PluginNetwork,
    PluginNode,
    PluginPorts,
    Told,
)
from networks.cnm.plugins import Plugin
from networks.cnm.resources import Address, Interface, Resource, Route, Sandbox
from worker.asking import first_round
from worker.compile import compile_host
from worker.diff import diff
from worker.drivers import driver, is_plugin
from worker.order import stage
from worker.plugins import words
from worker.plugins.told import Entry, Ledger
from worker.plugins.words import Nonsense

N, E = "a" * 64, "b" * 64
SUBNET = Subnet(subnet=ip_network("10.1.0.0/24"), gateway=ip_address("10.1.0.1"))
FAR = Network(
    id=N, name="far", driver="weave", activation=1, subnets=(SUBNET,), driver_options=(("com.example.colour", "blue"),)
)
ENDPOINT = Endpoint(id=E, network_id=N, ifname="eth0", ipv4=ip_interface("10.1.0.2/24"), mac="02:99:00:00:00:01")
JOINED = Joined(
    source="vethwe1",
    prefix="ethwe",
    gateways=(ip_address("10.1.0.1"),),
    routes=((ip_network("10.9.0.0/16"), ip_address("10.1.0.254")), (ip_network("10.8.0.0/16"), None)),
    info=(("a", "b"),),
)


def host(network: Network = FAR, endpoint: Endpoint = ENDPOINT, **more: Any) -> tuple[Resource, ...]:
    container = Container(
        id="c" * 64, name="web", network_mode="far", live=True, kind="sandbox", endpoints=(endpoint,), **more
    )
    return compile_host(Host(id="local", networks=(network,), containers=(container,)), HostFacts())


NODES = (("a", ip_address("192.0.2.11")), ("local", ip_address("192.0.2.12")))
SPANNING = HostFacts(plugins=(Plugin(name="weave", address="unix:///w", connectivity="global", scope="global"),))
WIDE = replace(FAR, scope="global", ipam=Ipam(driver="weave", options=(("a", "b"),)))


def wide(network: Network = WIDE, *, live: bool = True) -> tuple[Resource, ...]:
    """A host among several, with a container on a network of a plugin that joins them."""
    endpoint = replace(ENDPOINT, joined=JOINED)
    container = Container(id="c" * 64, name="web", network_mode="far", live=live, kind="sandbox", endpoints=(endpoint,))
    return compile_host(Host(id="local", networks=(network,), containers=(container,), nodes=NODES), SPANNING)


def only(found: tuple[Resource, ...], kind: type[Resource]) -> Any:
    (one,) = (item for item in found if type(item) is kind)
    return one


def test_a_plugins_network_is_compiled_to_what_the_plugin_is_told() -> None:
    found = host()
    assert only(found, PluginNetwork).subnets == (("10.1.0.0/24", "10.1.0.1/24", ()),)
    assert only(found, PluginNetwork).options == (("com.example.colour", "blue"),)
    assert only(found, PluginEndpoint).ipv4 == "10.1.0.2/24"
    assert only(found, PluginEndpoint).mac == "", (
        "nobody chose one: the plugin gives it, and it is not given back as chosen"
    )
    assert only(found, Interface).source == "", "nobody knows it before the plugin has answered"
    assert not any(isinstance(item, Route) for item in found)
    assert all(item.owner.id and item.why for item in found if isinstance(item, Told))


def test_what_the_plugin_answered_is_compiled_as_on_any_network() -> None:
    found = host(endpoint=replace(ENDPOINT, joined=JOINED))
    interface = only(found, Interface)
    assert (interface.source, interface.ifname, interface.mac) == ("vethwe1", "eth0", "02:99:00:00:00:01")
    assert str(only(found, Address).address) == "10.1.0.2/24"
    routes = {str(item.destination): str(item.gateway) for item in found if isinstance(item, Route)}
    assert routes == {"10.9.0.0/16": "10.1.0.254", "10.8.0.0/16": "None", "0.0.0.0/0": "10.1.0.1"}
    without = replace(JOINED, gateways=(), routes=())
    assert not any(isinstance(item, PluginPorts | Route) for item in host(endpoint=replace(ENDPOINT, joined=without)))


def test_a_range_of_the_plugins_choice_keeps_its_key_when_it_is_known() -> None:
    theirs = replace(FAR, ipam=Ipam(driver="weave"), subnets=(), wants_ipv6=True)
    before = [item for item in host(theirs) if isinstance(item, AddressPool)]
    assert [(item.version, item.asked, item.former) for item in before] == [("4", "", ""), ("6", "", "")]
    assert not any(isinstance(item, AddressLease) for item in host(theirs)), "no range, no address of it"
    known = replace(theirs, subnets=(replace(SUBNET, chosen=True),))
    after = [item for item in host(known) if isinstance(item, AddressPool)]
    assert after == before
    assert [item.former for item in after] == ["10.1.0.0/24", ""]
    asked = only(host(replace(theirs, wants_ipv6=False, subnets=(SUBNET,))), AddressPool)
    assert (asked.asked, asked.former) == ("10.1.0.0/24", "")
    assert [item.former for item in host(known) if isinstance(item, AddressLease)] == ["10.1.0.2"]


def test_without_anybody_who_gives_addresses_the_plugin_is_given_none() -> None:
    found = host(replace(FAR, ipam=Ipam(driver="null"), subnets=()))
    assert only(found, PluginEndpoint).ipv4 == ""
    assert str(only(found, Address).address) == "10.1.0.2/24", "the plugin gave it"


def test_ports_are_told_as_the_protocol_says() -> None:
    port = PublishedPort(
        id="p", protocol="udp", host_address=ip_address("192.0.2.1"), host_port=53, container_port=5353
    )
    told = words.ports_said(only(host(ports=(port,), exposed_ports=((80, "tcp"),)), PluginPorts))
    assert told["Options"][words.PORT_MAP] == [
        {"Proto": 17, "IP": "", "Port": 5353, "HostIP": "192.0.2.1", "HostPort": 53, "HostPortEnd": 53}
    ]
    assert told["Options"][words.EXPOSED_PORTS] == [{"Proto": 6, "Port": 80}]


def test_a_network_is_told_as_the_protocol_says() -> None:
    both = replace(
        FAR,
        internal=True,
        wants_ipv6=True,
        subnets=(
            replace(SUBNET, reserved=(("nas", ip_address("10.1.0.9")),)),
            Subnet(subnet=ip_network("fd00:1::/64"), gateway=ip_address("fd00:1::1")),
        ),
    )
    assert words.network_said(only(host(both), PluginNetwork), "LocalDefault") == {
        "NetworkID": N,
        "Options": {
            "com.docker.network.enable_ipv6": True,
            "com.docker.network.internal": True,
            "com.docker.network.generic": {"com.example.colour": "blue"},
        },
        "IPv4Data": [
            {
                "AddressSpace": "LocalDefault",
                "Pool": "10.1.0.0/24",
                "Gateway": "10.1.0.1/24",
                "AuxAddresses": {"nas": "10.1.0.9/24"},
            }
        ],
        "IPv6Data": [
            {"AddressSpace": "LocalDefault", "Pool": "fd00:1::/64", "Gateway": "fd00:1::1/64", "AuxAddresses": {}}
        ],
    }


def test_a_plugin_that_needs_no_gateway_is_told_of_none_but_one_that_was_asked_for() -> None:
    both = only(
        host(
            replace(
                FAR,
                wants_ipv6=True,
                subnets=(
                    SUBNET,
                    Subnet(subnet=ip_network("10.2.0.0/24"), gateway=ip_address("10.2.0.254")),
                    Subnet(subnet=ip_network("fd00:1::/64"), gateway=ip_address("fd00:1::1")),
                ),
            )
        ),
        PluginNetwork,
    )
    told = words.network_said(words.without_gateways(both, {"SkipIPv4": True}), "LocalDefault")
    assert [item["Gateway"] for item in told["IPv4Data"]] == ["", "10.2.0.254/24"], "that one was chosen"
    assert [item["Gateway"] for item in told["IPv6Data"]] == ["fd00:1::1/64"]
    assert words.without_gateways(both, {}) == both
    with pytest.raises(Nonsense):
        words.without_gateways(both, {"SkipIPv6": "yes"})


def test_an_endpoints_answer_settles_what_was_left_open_and_no_more() -> None:
    said = words.endpoint_said(only(host(), PluginEndpoint), "")
    assert said["Interface"] == {"Address": "10.1.0.2/24", "AddressIPv6": "", "MacAddress": ""}
    settled = words.read_endpoint({"Interface": {"MacAddress": "02:AA:00:00:00:01"}}, said)
    assert settled == {"ipv4": "10.1.0.2/24", "ipv6": "", "mac": "02:aa:00:00:00:01"}
    assert words.read_endpoint({}, said)["mac"] == ""
    assert words.read_endpoint({"Interface": None}, said)["mac"] == ""
    for answer in (
        {"Interface": {"Address": "10.1.0.2/24"}},
        {"Interface": {"AddressIPv6": "10.1.0.2/24"}},
        {"Interface": {"AddressIPv6": "fd00::1"}},
        {"Interface": {"MacAddress": "2"}},
        {"Interface": {"MacAddress": 2}},
        {"Interface": ["x"]},
    ):
        with pytest.raises(Nonsense):
            words.read_endpoint(answer, said)


def test_a_joins_answer_is_read_whole() -> None:
    answer = {
        "InterfaceName": {"SrcName": "vethwe1", "DstPrefix": "ethwe"},
        "Gateway": "10.1.0.1",
        "GatewayIPv6": "fd00::1",
        "StaticRoutes": [
            {"Destination": "10.9.0.0/16", "RouteType": 0, "NextHop": "10.1.0.254"},
            {"Destination": "10.8.0.1/16", "RouteType": 1, "NextHop": ""},
        ],
    }
    joined = words.read_join(answer)
    assert (joined.source, joined.prefix) == ("vethwe1", "ethwe")
    assert joined.gateways == (ip_address("10.1.0.1"), ip_address("fd00::1"))
    assert joined.routes[1] == (ip_network("10.8.0.0/16"), None)
    assert (joined.leads, joined.closed) == (True, False)
    assert words.read_join({"InterfaceName": {"SrcName": "v"}, "DisableGatewayService": True}).closed
    assert Joined.from_json(json.loads(json.dumps(joined.to_json()))) == joined
    assert json.loads(json.dumps(JOINED.to_json())) == JOINED.to_json(), "as a row gives it back"


@pytest.mark.parametrize(
    "change",
    [
        {"InterfaceName": {"DstPrefix": "eth"}},
        {"InterfaceName": {"SrcName": "lo", "DstPrefix": "eth"}},
        {"InterfaceName": {"SrcName": "a/b", "DstPrefix": "eth"}},
        {"InterfaceName": {"SrcName": "x" * 16, "DstPrefix": "eth"}},
        {"InterfaceName": {"SrcName": "veth1", "DstPrefix": "../eth"}},
        {"InterfaceName": "veth1"},
        {"Gateway": "everywhere"},
        {"Gateway": "fd00::1"},
        {"Gateway": 7},
        {"StaticRoutes": "10.0.0.0/8"},
        {"StaticRoutes": ["10.0.0.0/8"]},
        {"StaticRoutes": [{"Destination": "x", "NextHop": "10.1.0.1"}]},
        {"StaticRoutes": [{"Destination": "10.0.0.0/8", "NextHop": ""}]},
        {"StaticRoutes": [{"Destination": "10.0.0.0/8", "NextHop": "fd00::1"}]},
    ],
)
def test_a_join_that_means_nothing_is_nonsense(change: dict[str, Any]) -> None:
    with pytest.raises(Nonsense):
        words.read_join({"InterfaceName": {"SrcName": "veth1", "DstPrefix": "eth"}, **change})


def test_pools_and_addresses_are_those_of_their_family_and_range() -> None:
    assert words.read_pool({"PoolID": "p", "Pool": "10.1.0.0/24", "Data": None}, "4") == ("10.1.0.0/24", "")
    gateway = {"PoolID": "p", "Pool": "10.1.0.0/24", "Data": {words.GATEWAY: "10.1.0.5/24"}}
    assert words.read_pool(gateway, "4")[1] == "10.1.0.5/24"
    assert words.read_pool_id(gateway) == "p"
    for answer in ({"PoolID": "p"}, {"PoolID": "p", "Pool": ""}, {"PoolID": "p", "Pool": "fd00::/64"}):
        with pytest.raises(Nonsense):
            words.read_pool(answer, "4")
    for answer in ({"Pool": "10.1.0.0/24"}, {"PoolID": 7}):
        with pytest.raises(Nonsense):
            words.read_pool_id(answer)
    assert words.read_address({"Address": "10.1.0.9/32"}, "10.1.0.0/24", "") == ("10.1.0.9/24", "10.1.0.9")
    assert words.read_address({"Address": "fd00:0::9/64"}, "fd00::/64", "") == ("fd00::9/64", "fd00:0::9")
    for answer, asked in (({}, ""), ({"Address": "10.2.0.1/24"}, ""), ({"Address": "10.1.0.9/24"}, "10.1.0.8")):
        with pytest.raises(Nonsense):
            words.read_address(answer, "10.1.0.0/24", asked)


def everything() -> list[Told]:
    return [item for item in wide() if isinstance(item, Told)]


def test_the_ledger_gives_back_what_was_told_after_a_restart(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "plugins")
    assert {item.kind for item in everything()} == set(TOLD)
    for item in everything():
        ledger.put(Entry(item, {"x": 1}, "start 1", {"pool_id": "p"}))
    again = Ledger(tmp_path / "plugins")
    assert sorted(map(repr, (entry.resource for entry in again.entries().values()))) == sorted(
        repr(item.from_told(item.to_told())) for item in everything()
    )
    for item in everything():
        entry = again.get(item.key)
        assert entry is not None
        assert entry.resource == item
        assert (entry.owed, entry.answer, entry.instance, entry.undo) == (False, {"x": 1}, "start 1", {"pool_id": "p"})
    (tmp_path / "plugins" / "torn.json").write_text('{"kind": "lease"')
    (tmp_path / "plugins" / "odd.json").write_text('{"kind": "nosuch", "resource": {}}')
    assert len(Ledger(tmp_path / "plugins").entries()) == len(everything())
    for item in everything():
        again.drop(item.key)
    assert Ledger(tmp_path / "plugins").entries() == {}


OUTWARD = ["plugin-ports", "plugin-join", "plugin-endpoint", "lease", "plugin-network", "plugin-allocation", "pool"]
"""In the order in which they are taken back."""


def test_a_network_that_spans_hosts_is_allocated_once_and_made_where_somebody_is_on_it() -> None:
    told = words.allocation_said(only(wide(), PluginAllocation), "GlobalDefault")
    assert (told["NetworkID"], told["Options"]) == (N, {"com.example.colour": "blue"})
    assert told["IPv4Data"][0]["Pool"] == "10.1.0.0/24"
    assert words.read_allocation({"Options": {"vni": "7"}}, {"a": "b"}) == {"vni": "7"}
    assert words.read_allocation({}, {"a": "b"}) == {"a": "b"}
    for answer in ({"Options": ["x"]}, {"Options": {"vni": 7}}):
        with pytest.raises(Nonsense):
            words.read_allocation(answer, {})
    nodes = [item for item in wide() if isinstance(item, PluginNode)]
    assert [words.node_said(item)["DiscoveryData"] for item in nodes] == [
        {"Address": "192.0.2.11", "self": False},
        {"Address": "192.0.2.12", "self": True},
    ]
    there = replace(WIDE, kept_here=False, subnets=(replace(SUBNET, chosen=True),))
    kinds = {item.kind for item in wide(there) if isinstance(item, Told)}
    assert kinds == set(TOLD) - {"plugin-allocation"}
    pool = only(wide(there), AddressPool)
    assert (pool.asked, pool.former, pool.shared) == ("10.1.0.0/24", "", True), "the very range, and nothing in it"
    assert not any(isinstance(item, Told) for item in wide(there, live=False)), "nobody there is on it"
    assert {item.kind for item in wide(live=False) if isinstance(item, Told)} == {
        *("plugin-node", "pool", "plugin-allocation", "plugin-network")
    }


def test_what_is_not_known_to_be_told_is_owed_and_taken_back_from_the_inside_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for item in everything():
        ledger.put(Entry(item))
    kinds = [entry.resource.kind for entry in ledger.owed()]
    assert kinds == [*OUTWARD, "plugin-node", "plugin-node"]
    assert ledger.by_plugin() == {"weave": 9}
    network = next(item for item in everything() if isinstance(item, PluginNetwork))
    ledger.put(Entry(network, {}))
    assert ledger.by_plugin() == {"weave": 8}


def test_what_a_plugin_answers_is_asked_first_in_rounds() -> None:
    theirs = replace(FAR, ipam=Ipam(driver="weave"), subnets=())
    plan = diff(host(theirs), ())
    first = first_round(plan, ())
    assert first is not None
    assert [step.kind for step in first] == ["pool"]
    known = replace(theirs, subnets=(replace(SUBNET, chosen=True),))
    has = [item for item in host(known) if item.kind == "pool"]
    second = first_round(diff(host(known), has), {has[0].key})
    assert second is not None
    assert [step.kind for step in second] == ["lease"]
    has += [item for item in host(known) if item.kind == "lease"]
    third = first_round(diff(host(known), has), ())
    assert third is not None
    assert [step.kind for step in third] == ["plugin-network", "sandbox", "plugin-endpoint", "plugin-join"]
    has += [step.after for step in third if step.after is not None]
    rest = diff(host(known, replace(ENDPOINT, joined=JOINED)), has)
    assert first_round(rest, ()) is None
    kinds = {step.kind for step in rest}
    assert {"interface", "address", "route", "plugin-ports"} <= kinds


def test_nobody_is_asked_twice_in_one_operation_and_removals_ask_nobody() -> None:
    plan = diff(host(), ())
    first = first_round(plan, ())
    assert first is not None
    assert first_round(plan, {step.key for step in first}) is None
    assert first_round(diff((), host()), ()) is None
    assert first_round(Plan(), ()) is None


def test_what_rests_on_an_endpoint_goes_before_it_and_its_interface_in_between() -> None:
    steps = [Step(item, None) for item in wide() if item.kind in {*TOLD, "interface"}]
    kinds = [step.kind for step in sorted(steps, key=stage)]
    assert kinds == [*OUTWARD[:2], "interface", *OUTWARD[2:], "plugin-node", "plugin-node"]


def test_an_interface_that_another_takes_the_place_of_has_its_addresses_and_routes_again() -> None:
    before = host(endpoint=replace(ENDPOINT, joined=JOINED))
    after = host(endpoint=replace(ENDPOINT, joined=replace(JOINED, source="vethwe2")))
    kinds = [step.kind for step in diff(after, before)]
    assert kinds.count("interface") == 1
    assert {"address", "route"} <= set(kinds)


def test_a_lost_interface_asks_for_its_endpoint_and_its_joining_anew() -> None:
    wanted = host(endpoint=replace(ENDPOINT, joined=JOINED))
    seen = [
        replace(item, up=False) if isinstance(item, PluginEndpoint | PluginJoin) else item
        for item in wanted
        if not isinstance(item, Interface | Address | Route)
    ]
    round_ = first_round(diff(wanted, seen), ())
    assert round_ is not None
    assert [(step.kind, str(step.action)) for step in round_] == [
        ("plugin-endpoint", "change"),
        ("plugin-join", "change"),
    ]


def test_a_plugins_driver_is_known_by_the_facts() -> None:
    assert not is_plugin("bridge")
    assert is_plugin("weave")
    weave = Plugin(name="weave", address="unix:///x", implements=("NetworkDriver",))
    driver("weave").check(FAR, HostFacts(version="1", plugins=(weave,)))
    driver("weave").check(FAR, HostFacts(version="1", plugins=(replace(weave, implements=()),)))
    sandbox = only(host(), Sandbox)
    assert sandbox.name == only(host(), PluginJoin).sandbox
