"""What a host's desired state compiles to, piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

import pytest

from networks.cnm.desired import Container, Endpoint, Host, HostSettings, Network, PublishedPort, Subnet
from networks.cnm.errors import Unsupported
from networks.cnm.facts import Feature, HostFacts
from networks.cnm.options import NetworkOptions
from networks.cnm.resources import (
    Address,
    Bridge,
    EtcFile,
    PortReservation,
    Process,
    Resource,
    Route,
    Sandbox,
    Sysctl,
    Veth,
)
from networks.cnm.rules import Chain, Rule
from worker.compile import compile_host
from worker.drivers import DRIVERS, driver

FACTS = HostFacts(
    hostname="vm",
    resolv_conf="# made by hand\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch corp.example\n",
    etc_hosts="127.0.0.1 localhost vm\n",
)


def identity(number: int) -> str:
    return f"{number:012x}" + "a" * 52


def network(number: int, name: str, *subnets: str, internal: bool = False, **options: object) -> Network:
    cidrs = [ip_network(subnet) for subnet in subnets]
    return Network(
        id=identity(number),
        name=name,
        driver="bridge",
        activation=number,
        internal=internal,
        predefined=name == "bridge",
        subnets=tuple(Subnet(subnet=cidr, gateway=cidr[1]) for cidr in cidrs),
        options=NetworkOptions(**options),  # type: ignore[arg-type]
    )


BRIDGE = network(1, "bridge", "172.17.0.0/16")
WEB = network(2, "web", "172.18.0.0/16")
DUAL = network(3, "dual", "172.19.0.0/16", "fd00:19::/64")


def endpoint(number: int, on: Network, *addresses: str, ifname: str = "eth0", **fields: object) -> Endpoint:
    interfaces = {ip_interface(address).version: ip_interface(address) for address in addresses}
    return Endpoint(
        id=identity(number),
        network_id=on.id,
        ifname=ifname,
        ipv4=interfaces.get(4),  # type: ignore[arg-type]
        ipv6=interfaces.get(6),  # type: ignore[arg-type]
        **fields,  # type: ignore[arg-type]
    )


def container(number: int, *endpoints: Endpoint, **fields: object) -> Container:
    values = {"name": f"c{number}", "live": True, "run": "1.0", "activation": number} | fields
    return Container(id=identity(number), endpoints=endpoints, **values)  # type: ignore[arg-type]


def published(host_port: int = 8080, address: str = "", *sources: str, **fields: object) -> PublishedPort:
    values = {"id": identity(host_port), "protocol": "tcp", "container_port": 80, "activation": 1} | fields
    return PublishedPort(
        host_port=host_port,
        host_address=ip_address(address) if address else None,
        allowed_sources=tuple(ip_network(source) for source in sources),
        **values,  # type: ignore[arg-type]
    )


def host(*containers: Container, networks: tuple[Network, ...] = (BRIDGE, WEB, DUAL), **settings: object) -> Host:
    made = HostSettings(**settings)  # type: ignore[arg-type]
    return Host(id=identity(0xF0), settings=made, networks=networks, containers=containers)


def compiled(*containers: Container, **wanted: object) -> tuple[Resource, ...]:
    return compile_host(host(*containers, **wanted), FACTS)  # type: ignore[arg-type]


def rules(resources: tuple[Resource, ...], table: str, chain: str, family: int = 4) -> list[str]:
    """The texts of one chain, without their comments."""
    found = [item for item in resources if isinstance(item, Rule)]
    lines = [item.text for item in found if (item.table, item.chain, item.family) == (table, chain, family)]
    return [_bare(line) for line in lines]


def _bare(line: str) -> str:
    head, comment, tail = line.partition(" -m comment --comment ")
    return head + tail[tail.index('"', 1) + 1 :] if comment else line


def only(resources: tuple[Resource, ...], kind: type[Resource], **fields: object) -> Resource:
    (found,) = [r for r in resources if isinstance(r, kind) and all(getattr(r, k) == v for k, v in fields.items())]
    return found


ON_WEB = container(16, endpoint(16, WEB, "172.18.0.2/16"))


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


def test_every_rule_carries_its_owners_id() -> None:
    for resource in compiled(container(16, endpoint(16, WEB, "172.18.0.2/16"), ports=(published(),))):
        if isinstance(resource, Rule):
            assert f'--comment "{resource.owner.tag}"' in resource.text


@pytest.mark.parametrize("names", ["cnm", "docker"])
def test_every_chain_that_a_rule_stands_in_or_leads_to_is_there(names: str) -> None:
    restricted = container(16, endpoint(16, WEB, "172.18.0.2/16"), ports=(published(8080, "", "10.0.0.0/8"),))
    for networks in ((), (WEB,), (DUAL, WEB), (replace(WEB, internal=True),)):
        live = (restricted,) if WEB in networks else ()
        found = compiled(*live, networks=networks, names=names)
        chains = {(item.family, item.table, item.name) for item in found if isinstance(item, Chain)}
        for rule in (item for item in found if isinstance(item, Rule)):
            for chain in (rule.chain, rule.target.name):
                if chain.startswith(names.upper()):
                    assert (rule.family, rule.table, chain) in chains, rule.describe()


def test_in_docker_naming_no_rule_carries_a_comment_and_ipv6_has_none() -> None:
    found = [item for item in compiled(ON_WEB, names="docker") if isinstance(item, Rule)]
    assert found
    assert not [rule for rule in found if "comment" in rule.text or rule.family == 6]


def test_a_change_of_one_container_moves_no_rule_of_another() -> None:
    one = container(16, endpoint(16, WEB, "172.18.0.2/16"), ports=(published(8080),))
    two = container(17, endpoint(17, WEB, "172.18.0.3/16"), ports=(published(8081),))
    alone = {rule.key: rule for rule in compiled(two) if isinstance(rule, Rule)}
    both = {rule.key: rule for rule in compiled(one, two) if isinstance(rule, Rule)}
    assert all(both[key] == rule for key, rule in alone.items())


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


def resolv_conf(*containers: Container, **settings: object) -> str:
    """What a container asks without a server of ours; with one see test_compile_names.py."""
    found = only(compiled(*containers, embedded_dns=False, **settings), EtcFile, name="resolv.conf")
    assert isinstance(found, EtcFile)
    return found.content


def test_servers_that_a_sandbox_cannot_reach_are_left_out() -> None:
    assert resolv_conf(ON_WEB) == "# made by hand\nnameserver 192.0.2.53\nsearch corp.example\n"
    dual = container(16, endpoint(16, DUAL, "172.19.0.2/16", "fd00:19::2/64"))
    assert "nameserver 2001:db8::53\n" in resolv_conf(dual)


def test_a_host_without_a_reachable_server_falls_back() -> None:
    local = replace(FACTS, resolv_conf="nameserver 127.0.0.53\noptions edns0\n")
    seen = replace(local, nameservers=("192.0.2.53",))
    for facts, servers in ((local, ["8.8.8.8", "8.8.4.4"]), (seen, ["192.0.2.53"])):
        found = only(compile_host(host(ON_WEB, embedded_dns=False), facts), EtcFile, name="resolv.conf")
        assert isinstance(found, EtcFile)
        assert found.content == "options edns0\n" + "".join(f"nameserver {server}\n" for server in servers)


def test_the_hosts_setting_for_dns_holds_where_a_container_says_nothing() -> None:
    assert resolv_conf(ON_WEB, dns=("198.51.100.1",)) == "search corp.example\nnameserver 198.51.100.1\n"
    own = replace(
        ON_WEB, dns=("198.51.100.2",), dns_search=("a.example", "b.example"), dns_options=("ndots:1", "rotate")
    )
    expected = "search a.example b.example\nnameserver 198.51.100.2\noptions ndots:1 rotate\n"
    assert resolv_conf(own, dns=("198.51.100.1",)) == expected


def test_without_a_dns_server_hosts_names_the_neighbours() -> None:
    neighbour = container(17, endpoint(17, WEB, "172.18.0.3/16", aliases=("db", "store")))
    elsewhere = container(18, endpoint(18, BRIDGE, "172.17.0.2/16"))
    found = {
        item.container_id: item.content
        for item in compiled(ON_WEB, neighbour, elsewhere, embedded_dns=False)
        if isinstance(item, EtcFile) and item.name == "hosts"
    }
    assert found[ON_WEB.id].endswith("172.18.0.2\t000000000010\n172.18.0.2\tc16\n172.18.0.3\tc17 db store\n")
    assert "c16" not in found[elsewhere.id]
    with_dns = compiled(ON_WEB, neighbour, embedded_dns=True)
    hosts = only(with_dns, EtcFile, name="hosts", container_id=ON_WEB.id)
    assert isinstance(hosts, EtcFile)
    assert hosts.content.endswith("ff02::2\tip6-allrouters\n172.18.0.2\t000000000010\n")


def test_forwarding_is_left_alone_when_told_so() -> None:
    assert only(compiled(), Sysctl, name="net.ipv4.ip_forward") == Sysctl(name="net.ipv4.ip_forward", value="1")
    assert not [item for item in compiled(ip_forward=False) if isinstance(item, Sysctl)]


def test_icc_false_needs_bridge_filtering() -> None:
    closed = network(4, "closed", "172.20.0.0/16", icc=False)
    names = {item.name for item in compiled(networks=(BRIDGE, closed)) if isinstance(item, Sysctl)}
    assert "net.bridge.bridge-nf-call-iptables" in names
    assert not {
        item.name for item in compiled(networks=(BRIDGE,)) if isinstance(item, Sysctl) and "bridge" in item.name
    }


def test_icc_false_drops_within_the_networks_own_block() -> None:
    closed = network(4, "closed", "172.20.0.0/16", icc=False)
    forward = rules(compiled(networks=(BRIDGE, closed)), "filter", "FORWARD")
    assert forward.index("-A FORWARD -i br-000000000004 -o br-000000000004 -j DROP") < forward.index(
        "-A FORWARD -o cnm0 -j CNM"
    )


def test_without_iptables_there_is_no_rule_at_all() -> None:
    assert not [item for item in compiled(ON_WEB, iptables=False) if isinstance(item, Rule | Chain)]


def test_masquerading_of_the_default_bridge_can_be_left_out() -> None:
    lines = rules(compiled(networks=(BRIDGE, WEB), ip_masq=False), "nat", "POSTROUTING")
    assert lines == ["-A POSTROUTING -s 172.18.0.0/16 ! -o br-000000000002 -j MASQUERADE"]


def test_a_fixed_address_replaces_masquerading() -> None:
    fixed = network(4, "fixed", "172.20.0.0/16", host_ipv4=IPv4Address("192.0.2.9"))
    lines = rules(compiled(networks=(fixed,)), "nat", "POSTROUTING")
    assert lines == ["-A POSTROUTING -s 172.20.0.0/16 ! -o br-000000000004 -j SNAT --to-source 192.0.2.9"]


def test_an_internal_network_lets_nothing_in_or_out_and_publishes_nothing() -> None:
    inner = network(4, "inner", "172.20.0.0/16", internal=True)
    found = compiled(container(16, endpoint(16, inner, "172.20.0.2/16"), ports=(published(),)), networks=(inner,))
    assert rules(found, "filter", "CNM-ISOLATION-STAGE-1") == [
        "-A CNM-ISOLATION-STAGE-1 ! -s 172.20.0.0/16 -o br-000000000004 -j DROP",
        "-A CNM-ISOLATION-STAGE-1 ! -d 172.20.0.0/16 -i br-000000000004 -j DROP",
        "-A CNM-ISOLATION-STAGE-1 -j RETURN",
    ]
    assert not [
        item
        for item in found
        if isinstance(item, PortReservation) or (isinstance(item, Rule) and item.table != "filter")
    ]


def test_a_routed_network_opens_published_ports_and_translates_nothing() -> None:
    routed = network(4, "routed", "172.20.0.0/16", gateway_mode_ipv4="routed")
    found = compiled(container(16, endpoint(16, routed, "172.20.0.2/16"), ports=(published(),)), networks=(routed,))
    assert rules(found, "filter", "CNM") == [
        "-A CNM -d 172.20.0.2/32 ! -i br-000000000004 -o br-000000000004 -p tcp -m tcp --dport 80 -j ACCEPT",
        "-A CNM ! -i br-000000000004 -o br-000000000004 -p icmp -j ACCEPT",
        "-A CNM ! -i br-000000000004 -o br-000000000004 -j DROP",
    ]
    assert "-A CNM-ISOLATION-STAGE-2 -o br-000000000004 -j CNM" in rules(found, "filter", "CNM-ISOLATION-STAGE-2")
    assert not rules(found, "nat", "POSTROUTING")
    assert not rules(found, "raw", "PREROUTING")
    assert not [item for item in found if isinstance(item, PortReservation) and item.host_address.version == 4]


def test_an_unprotected_network_lets_everybody_in() -> None:
    open_ = network(4, "open", "172.20.0.0/16", gateway_mode_ipv4="nat-unprotected")
    found = compiled(container(16, endpoint(16, open_, "172.20.0.2/16"), ports=(published(),)), networks=(open_,))
    assert rules(found, "filter", "CNM")[-1] == "-A CNM ! -i br-000000000004 -o br-000000000004 -j ACCEPT"
    assert not rules(found, "raw", "PREROUTING")


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


def test_direct_access_to_a_containers_address_is_closed() -> None:
    found = compiled(container(16, endpoint(16, DUAL, "172.19.0.2/16", "fd00:19::2/64")))
    assert rules(found, "raw", "PREROUTING") == ["-A PREROUTING -d 172.19.0.2/32 ! -i br-000000000003 -j DROP"]
    assert rules(found, "raw", "PREROUTING", 6) == ["-A PREROUTING -d fd00:19::2/128 ! -i br-000000000003 -j DROP"]
    assert not rules(compiled(ON_WEB, hardening=False), "raw", "PREROUTING")


def test_a_port_published_on_loopback_is_closed_to_the_outside() -> None:
    found = compiled(container(16, endpoint(16, WEB, "172.18.0.2/16"), ports=(published(8081, "127.0.0.1"),)))
    assert "-A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8081 -j DROP" in rules(
        found, "raw", "PREROUTING"
    )


def test_allowed_sources_let_those_in_and_keep_the_rest_out() -> None:
    ports = (published(8080, "", "10.0.0.0/8", "2001:db8::/32"), published(9090))
    found = compiled(container(16, endpoint(16, DUAL, "172.19.0.2/16", "fd00:19::2/64"), ports=ports))
    way = "! -i br-000000000003 -o br-000000000003 -p tcp -m tcp --dport 80"
    called = "-m conntrack --ctorigdstport 8080"
    held = "! -i lo -p tcp -m tcp --dport 8080 -m addrtype --dst-type LOCAL"
    assert rules(found, "filter", "CNM") == [
        f"-A CNM -s 10.0.0.0/8 -d 172.19.0.2/32 {way} {called} -j ACCEPT",
        f"-A CNM -d 172.19.0.2/32 {way} {called} -j DROP",
        f"-A CNM -d 172.19.0.2/32 {way} -j ACCEPT",
        f"-A CNM -s 10.0.0.0/8 {held} -j RETURN",
        f"-A CNM {held} -j DROP",
    ]
    assert rules(found, "filter", "INPUT") == ["-A INPUT ! -i lo -p tcp -m tcp --dport 8080 -j CNM"]
    assert rules(found, "filter", "CNM", 6) == [
        f"-A CNM -s 2001:db8::/32 -d fd00:19::2/128 {way} {called} -j ACCEPT",
        f"-A CNM -d fd00:19::2/128 {way} {called} -j DROP",
        f"-A CNM -d fd00:19::2/128 {way} -j ACCEPT",
        f"-A CNM -s 2001:db8::/32 {held} -j RETURN",
        f"-A CNM {held} -j DROP",
    ]


@pytest.mark.parametrize(
    ("change", "carried"), [({"names": "docker"}, {4}), ({"iptables": False}, set()), ({}, {4, 6})]
)
def test_a_restricted_port_is_only_carried_where_rules_guard_it(change: dict[str, object], carried: set[int]) -> None:
    found = compiled(replace(ON_WEB, ports=(published(8080, "", "10.0.0.0/8"),)), networks=(WEB, DUAL), **change)
    held = [item for item in found if isinstance(item, PortReservation)]
    assert {item.host_address.version for item in held} == {4, 6}
    assert {item.host_address.version for item in held if item.target} == carried


def test_a_port_on_every_address_is_held_for_both_families() -> None:
    held = [item for item in compiled(replace(ON_WEB, ports=(published(),))) if isinstance(item, PortReservation)]
    assert [(str(item.host_address), item.target) for item in held] == [
        ("0.0.0.0", ("172.18.0.2", 80)),
        ("::", ("172.18.0.2", 80)),
    ]
    bare = compiled(replace(ON_WEB, ports=(published(),)), userland_proxy=False)
    assert {item.target for item in bare if isinstance(item, PortReservation)} == {None}


def test_a_host_booted_without_ipv6_is_asked_for_none() -> None:
    facts = replace(FACTS, features=(Feature(key="ipv6", present=False, detail="No IPv6.", remedy="Boot with it."),))
    restricted = published(8080, "", "10.0.0.0/8")
    found = compile_host(host(replace(ON_WEB, ports=(restricted, published(8081))), networks=(BRIDGE, WEB)), facts)
    assert {str(item.host_address) for item in found if isinstance(item, PortReservation)} == {"0.0.0.0"}
    assert {item.family for item in found if isinstance(item, Rule | Chain)} == {4}


def test_ipv6_has_its_own_translations() -> None:
    found = compiled(container(16, endpoint(16, DUAL, "172.19.0.2/16", "fd00:19::2/64"), ports=(published(),)))
    translation = (
        "-A CNM ! -s fe80::/10 ! -i br-000000000003 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:19::2]:80"
    )
    assert translation in rules(found, "nat", "CNM", 6)
    assert "-A OUTPUT ! -d ::1/128 -m addrtype --dst-type LOCAL -j CNM" in rules(found, "nat", "OUTPUT", 6)


def test_a_port_that_has_no_number_yet_is_not_published() -> None:
    found = compiled(replace(ON_WEB, ports=(published(0),)))
    assert not [item for item in found if isinstance(item, PortReservation)]
    assert not [line for line in rules(found, "nat", "CNM") if "DNAT" in line]


def test_the_networks_default_binding_holds_for_ports_that_name_no_address() -> None:
    bound = network(4, "bound", "172.20.0.0/16", host_binding=IPv4Address("127.0.0.1"))
    ports = (published(8080), published(8081, "192.0.2.2"))
    found = compiled(container(16, endpoint(16, bound, "172.20.0.2/16"), ports=ports), networks=(bound,))
    assert {str(item.host_address) for item in found if isinstance(item, PortReservation)} == {"127.0.0.1", "192.0.2.2"}


def test_all_drivers_are_registered_and_those_not_built_say_so() -> None:
    assert set(DRIVERS) == {"bridge", "host", "null", "overlay", "remote", "macvlan"}
    refusing = {name for name, known in DRIVERS.items() if known.availability(FACTS) is not None}
    assert refusing == {"overlay", "remote", "macvlan"}
    for name in refusing:
        with pytest.raises(Unsupported, match="not built") as refused:
            driver(name).check(replace(WEB, driver=name), FACTS)
        assert str(refused.value.remedy)
    with pytest.raises(Unsupported, match="called nosuch") as unknown:
        driver("nosuch")
    assert "bridge" in str(unknown.value.remedy)


def test_a_network_of_a_driver_that_is_not_built_adds_nothing() -> None:
    assert compiled(networks=(replace(WEB, driver="overlay"),)) == compiled(networks=())


@pytest.mark.parametrize("mode", ["bridge", "host"])
def test_host_gateway_stands_for_the_hosts_address_on_the_default_bridge(mode: str) -> None:
    extra = (("db", "10.0.0.5"), ("box", "host-gateway"))
    attached = (endpoint(0x10, WEB, "172.18.0.2/16"),) if mode == "bridge" else ()
    made = compiled(container(0x20, *attached, network_mode=mode, extra_hosts=extra))
    content = only(made, EtcFile, name="hosts").content  # type: ignore[attr-defined]
    assert "10.0.0.5\tdb\n172.17.0.1\tbox\n" in content
    assert "host-gateway" not in content


def test_host_gateway_stands_for_both_families_where_the_default_bridge_has_both() -> None:
    both = network(1, "bridge", "172.17.0.0/16", "fd00:17::/64")
    box = container(0x20, endpoint(0x10, both, "172.17.0.2/16"), extra_hosts=(("box", "host-gateway"),))
    content = only(compiled(box, networks=(both,)), EtcFile, name="hosts").content  # type: ignore[attr-defined]
    assert "172.17.0.1\tbox\nfd00:17::1\tbox\n" in content


def test_trusted_interfaces_stand_above_every_guard_of_a_containers_address() -> None:
    trusting = replace(WEB, options=NetworkOptions(trusted_interfaces=("wg0", "eth0.100")))
    one, two = (
        container(16, endpoint(17, trusting, "172.18.0.2/16")),
        container(18, endpoint(19, BRIDGE, "172.17.0.2/16")),
    )
    found = compiled(two, one, networks=(BRIDGE, trusting, DUAL))
    lines = sorted(
        (item.rank, item.text.partition(" -m comment")[0])
        for item in found
        if isinstance(item, Rule) and (item.table, item.chain) == ("raw", "PREROUTING")
    )
    drops = [text for _, text in lines if "-i !" in text or "! -i" in text]
    assert [text for _, text in lines][:2] == [
        "-A PREROUTING -d 172.18.0.2/32 -i wg0",
        "-A PREROUTING -d 172.18.0.2/32 -i eth0.100",
    ]
    assert len(drops) == len(lines) - 2 == 2
    for changed in (replace(trusting, internal=True), replace(trusting, options=NetworkOptions())):
        again = compiled(one, networks=(BRIDGE, changed, DUAL))
        assert not any(isinstance(item, Rule) and "wg0" in item.text for item in again)


def test_an_interfaces_settings_name_the_interface() -> None:
    settings = (("net.ipv4.conf.IFNAME.log_martians", "1"),)
    (veth,) = (
        item
        for item in compiled(container(16, endpoint(17, WEB, "172.18.0.2/16", ifname="eth0.1", sysctls=settings)))
        if isinstance(item, Veth)
    )
    assert veth.sysctls == (("net/ipv4/conf/eth0.1/log_martians", "1"),)
