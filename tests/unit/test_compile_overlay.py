"""What a network that spans hosts compiles to on one of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from itertools import combinations

import pytest

from networks.cnm.desired import Container, Endpoint, Host, HostSettings, Network, RemoteEndpoint, Subnet
from networks.cnm.errors import Unsupported
from networks.cnm.facts import Feature, HostFacts
from networks.cnm.options import NetworkOptions
from networks.cnm.resources import Bridge, ForwardingEntry, NameRecord, Neighbour, Resource, Route, Veth, Vxlan
from networks.cnm.rules import Rule
from networks.cnm.underlay import underlay_of
from worker.compile import compile_host
from worker.diff import diff, patch
from worker.drivers import driver
from worker.scope import Scope

UNDER = (("eth0", ip_interface("192.0.2.2/24")), ("lo", ip_interface("127.0.0.1/8")))
FACTS = HostFacts(hostname="one", addresses=UNDER, default_device="eth0", mtus=(("eth0", 1500), ("lo", 65536)))


def identity(number: int) -> str:
    return f"{number:012x}" + "a" * 52


APP = Network(
    id=identity(1),
    name="app",
    driver="overlay",
    activation=1,
    scope="global",
    subnets=(Subnet(subnet=ip_network("10.0.0.0/24"), gateway=ip_address("10.0.0.1")),),
    vni=4096,
)
GATEWAY = Network(
    id=identity(2),
    name="cnm_gwbridge",
    driver="bridge",
    activation=2,
    subnets=(Subnet(subnet=ip_network("172.18.0.0/16"), gateway=ip_address("172.18.0.1")),),
    options=NetworkOptions(icc=False),
)


def container(number: int, **fields: object) -> Container:
    on_app = Endpoint(
        id=identity(number), network_id=APP.id, ifname="eth0", ipv4=ip_interface(f"10.0.0.{number}/24"), mac=mac(number)
    )
    outside = Endpoint(
        id=identity(number + 500),
        network_id=GATEWAY.id,
        ifname="eth1",
        ipv4=ip_interface(f"172.18.0.{number}/16"),
        gw_priority=-1000,
    )
    values = {"name": f"c{number}", "live": True, "run": "1.0", "endpoints": (on_app, outside)} | fields
    return Container(id=identity(number), **values)  # type: ignore[arg-type]


def mac(number: int) -> str:
    return f"02:42:0a:00:00:{number:02x}"


def remote(number: int, underlay: str = "192.0.2.9") -> RemoteEndpoint:
    return RemoteEndpoint(
        id=identity(number),
        network_id=APP.id,
        container_id=identity(number),
        host="two",
        underlay=ip_address(underlay),
        mac=mac(number),
        addresses=(ip_address(f"10.0.0.{number}"),),
        names=(f"c{number}", identity(number)[:12]),
    )


def host(*containers: Container, remotes: tuple[RemoteEndpoint, ...] = (), **fields: object) -> Host:
    return Host(id="one", networks=(APP, GATEWAY), containers=containers, remotes=remotes, **fields)  # type: ignore[arg-type]


def of_kind(resources: tuple[Resource, ...], kind: type[Resource]) -> list[Resource]:
    return [item for item in resources if isinstance(item, kind)]


def test_a_host_without_a_container_there_holds_nothing_of_it() -> None:
    made = compile_host(host(remotes=(remote(9),)), FACTS)
    assert not [item for item in made if item.owner.id == APP.id]
    assert compile_host(host(container(5, live=False), remotes=(remote(9),)), FACTS) == made


def test_who_is_elsewhere_is_a_forwarding_entry_its_neighbours_and_its_names() -> None:
    made = compile_host(host(container(5), remotes=(remote(9), remote(8, "192.0.2.8"))), FACTS)
    (device,) = of_kind(made, Vxlan)
    assert device.describe() == "vxlan cx4096 id 4096 local 192.0.2.2 dstport 4789 master br-000000000001 mtu 1450"
    assert [item.describe() for item in of_kind(made, ForwardingEntry)] == [
        f"fdb {mac(8)} dev cx4096 dst 192.0.2.8",
        f"fdb {mac(9)} dev cx4096 dst 192.0.2.9",
    ]
    assert [str(item.address) for item in of_kind(made, Neighbour)] == ["10.0.0.8", "10.0.0.9"]  # type: ignore[attr-defined]
    names = {item.names[0] for item in of_kind(made, NameRecord)}  # type: ignore[attr-defined]
    assert names == {"c5", "c8", "c9"}, "and nobody has a name on the gateway network"
    assert "c9" in str(of_kind(made, ForwardingEntry)[1].why)
    assert "two" in str(of_kind(made, ForwardingEntry)[1].why)


def test_each_subnet_is_a_segment_of_its_own_and_all_are_on_one_link() -> None:
    more = (Subnet(subnet=ip_network("10.5.0.0/24"), gateway=ip_address("10.5.0.1"), vni=5000),)
    six = (Subnet(subnet=ip_network("fd00:10::/64")), Subnet(subnet=ip_network("fd00:15::/64")))
    wide = replace(APP, subnets=(*APP.subnets, *more, *six))
    away = replace(remote(9), addresses=(ip_address("10.5.0.9"), ip_address("fd00:10::9")))
    made = compile_host(replace(host(container(5), remotes=(remote(8), away)), networks=(wide, GATEWAY)), FACTS)
    assert [item.describe().split(" local ")[0] for item in of_kind(made, Vxlan)] == [
        "vxlan cx4096 id 4096",
        "vxlan cx5000 id 5000",
    ]
    assert {item.describe().split("master ")[1] for item in of_kind(made, Vxlan)} == {"br-000000000001 mtu 1450"}
    assert sorted(item.describe() for item in of_kind(made, ForwardingEntry)) == [
        f"fdb {mac(8)} dev cx4096 dst 192.0.2.9",
        f"fdb {mac(9)} dev cx5000 dst 192.0.2.9",
    ]
    known = {(item.device, str(item.address)) for item in of_kind(made, Neighbour)}  # type: ignore[attr-defined]
    assert known == {("cx4096", "10.0.0.8"), ("cx5000", "10.5.0.9"), ("cx5000", "fd00:10::9")}, "where its frames go"
    links = {str(item.destination): item.device for item in of_kind(made, Route) if item.gateway is None}  # type: ignore[attr-defined]
    assert links == {"10.5.0.0/24": "eth0"}, "it has no IPv6 address, and its own subnet is there by its address"


def test_the_way_outside_is_the_hosts_gateway_network() -> None:
    made = compile_host(host(container(5)), FACTS)
    (route,) = of_kind(made, Route)
    assert (route.device, str(route.gateway)) == ("eth1", "172.18.0.1")  # type: ignore[attr-defined]
    assert not [item for item in of_kind(made, Rule) if "10.0.0." in item.text], "nothing of it is translated"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mtu", "under", "room", "expected"),
    [(1500, "192.0.2.2/24", 0, 1450), (9000, "192.0.2.2/24", 1450, 1450), (1500, "2001:db8::2/64", 0, 1430)],
)
def test_the_mtu_leaves_room_for_the_headers_on_every_host(mtu: int, under: str, room: int, expected: int) -> None:
    facts = replace(FACTS, addresses=(("eth0", ip_interface(under)),), mtus=(("eth0", mtu),))
    made = compile_host(host(container(5), underlay_room=room), facts)
    bridge = next(item for item in of_kind(made, Bridge) if item.owner.id == APP.id)
    veth = next(item for item in of_kind(made, Veth) if item.ifname == "eth0")  # type: ignore[attr-defined]
    assert {bridge.mtu, veth.mtu, of_kind(made, Vxlan)[0].mtu} == {expected}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("chosen", "found"), [("", "192.0.2.2"), ("eth1", "198.51.100.2"), ("198.51.100.3", "198.51.100.3"), ("ppp0", None)]
)
def test_the_underlay_is_the_way_outside_or_what_was_chosen(chosen: str, found: str | None) -> None:
    more = (("eth1", ip_interface("198.51.100.2/24")), ("eth1", ip_interface("198.51.100.3/24")))
    facts = replace(FACTS, addresses=(*more, *UNDER))
    underlay = underlay_of(HostSettings(underlay=chosen), facts)
    assert (str(underlay.address) if underlay else None) == found


def test_what_other_hosts_changed_touches_nothing_else() -> None:
    before = compile_host(host(container(5), remotes=(remote(8), remote(9))), FACTS)
    after = compile_host(host(container(5), remotes=(remote(9), remote(10))), FACTS)
    plan = diff(after, before)
    assert {step.kind for step in plan} == {"forwarding", "neighbour", "name"}
    scope = Scope.from_json({"networks": [], "containers": [], "peers": [APP.id]})
    keys = scope.keys(host(container(5)), (*before, *after))
    assert {step.key for step in plan} <= keys
    assert {key[0] for key in keys} == {"forwarding", "neighbour", "name"} | {item.kind for item in of_host(after)}


def of_host(resources: tuple[Resource, ...]) -> list[Resource]:
    return [item for item in resources if item.owner.kind == "host" and item.kind not in {"rule", "chain"}]


def test_the_first_container_brings_the_network_along_and_the_last_takes_it_away() -> None:
    kept = host(container(5), remotes=(remote(9),))
    there = compile_host(kept, FACTS)
    keys = Scope.from_json({"containers": [identity(5)]}).keys(kept, there)
    for kind in (Vxlan, ForwardingEntry, Neighbour, NameRecord):
        assert {item.key for item in of_kind(there, kind)} <= keys
    gone = compile_host(host(remotes=(remote(9),)), FACTS)
    deleted = [step.kind for step in diff(gone, there) if step.kind in {"vxlan", "bridge", "veth", "forwarding"}]
    assert deleted.index("vxlan") < deleted.index("bridge"), "a port goes before its switch"


def test_a_device_that_is_made_anew_takes_its_entries_along() -> None:
    states = [
        compile_host(replace(host(container(5), remotes=(remote(9),)), settings=HostSettings(vxlan_port=port)), FACTS)
        for port in (4789, 4790)
    ]
    for one, other in combinations(states, 2):
        plan = diff(other, one)
        assert {step.kind for step in plan} == {"vxlan", "forwarding", "neighbour"}
        assert set(patch(one, plan)) == set(other)


def test_a_kernel_that_cannot_is_named_with_its_remedy() -> None:
    lacking = replace(
        FACTS, features=(Feature(key="link.vxlan", present=False, detail="no vxlan", remedy="CONFIG_VXLAN"),)
    )
    with pytest.raises(Unsupported, match="no vxlan CONFIG_VXLAN"):
        driver("overlay").check(APP, lacking)
    encrypted = replace(APP, options=NetworkOptions(encrypted=True))
    no_esp = replace(
        FACTS, features=(Feature(key="esp", present=False, detail="No IPsec ESP", remedy="CONFIG_INET_ESP"),)
    )
    with pytest.raises(Unsupported, match="No IPsec ESP CONFIG_INET_ESP"):
        driver("overlay").check(encrypted, no_esp)
    with_esp = replace(FACTS, features=(Feature(key="esp", present=True),))
    by_ipv6 = replace(
        FACTS,
        addresses=(("eth0", ip_interface("2001:db8::2/64")),),
        features=(
            Feature(key="esp", present=True),
            Feature(key="esp6", present=False, detail="No IPsec ESP over IPv6"),
        ),
    )
    with pytest.raises(Unsupported, match="No IPsec ESP over IPv6"):
        driver("overlay").check(encrypted, by_ipv6)
    for facts in (FACTS, with_esp):
        driver("overlay").check(encrypted, facts)
        driver("overlay").check(APP, facts)
