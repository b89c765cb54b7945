"""What a packet would do, without a kernel; tests/kernel/test_trace.py compares the same with real packets."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from networks.cnm.ruleset.iptables import parse_tables
from networks.cnm.ruleset.model import IPTABLES_NFT, LEGACY, Ruleset
from networks.cnm.ruleset.words import PROTOCOLS
from networks.cnm.trace.trace import Question, Trace, trace
from networks.cnm.trace.walk import CONTAINER, HOST, OUTSIDE, Party
from networks.cnm.trace.world import Device, PolicyRule, Route, Sandbox, World, from_json, to_json

NOTHING = Ruleset()


def device(name: str, index: int, *addresses: str, **fields: object) -> Device:
    shown = tuple(ip_interface(address) for address in addresses)
    return Device(name=name, index=index, addresses=shown, forwarding=True, forwarding6=True, **fields)  # type: ignore[arg-type]


def route(destination: str, name: str, gateway: str = "", **fields: object) -> Route:
    via = ip_address(gateway) if gateway else None
    return Route(destination=ip_network(destination), device=name, gateway=via, **fields)  # type: ignore[arg-type]


def sandbox(name: str, index: int, address: str) -> Sandbox:
    inner = device("eth0", 2, f"{address}/24", kind="veth", peer=index)
    routes = (route("172.17.0.0/24", "eth0"), route("0.0.0.0/0", "eth0", "172.17.0.1"))
    return Sandbox(name=f"cnm-{name}", container=name, container_id=name * 12, devices=(inner,), routes=routes)


WORLD = World(
    devices=(
        device("lo", 1, "127.0.0.1/8"),
        device("eth0", 2, "192.0.2.2/24"),
        device("br", 3, "172.17.0.1/24", kind="bridge"),
        device("va", 10, kind="veth", master="br", peer=2),
        device("vb", 11, kind="veth", master="br", peer=2),
    ),
    routes=(route("192.0.2.0/24", "eth0"), route("172.17.0.0/24", "br"), route("0.0.0.0/0", "eth0", "192.0.2.1")),
    sandboxes=(sandbox("a", 10, "172.17.0.2"), sandbox("b", 11, "172.17.0.3")),
    bridge_nf=True,
)
A, B = Party(CONTAINER, "cnm-a"), Party(CONTAINER, "cnm-b")
INTERNET = Party(OUTSIDE, "eth0")


def rules(text: str, flavour: str = LEGACY) -> Ruleset:
    return parse_tables(text, 4, flavour)


def ask(source: Party, destination: str, ruleset: Ruleset = NOTHING, world: World = WORLD, **fields: object) -> Trace:
    given = {"port": 80, "protocol": PROTOCOLS["tcp"]} | fields
    if source.kind == OUTSIDE:
        given.setdefault("source_address", ip_address("192.0.2.9"))
    return trace(Question(source=source, destination=ip_address(destination), **given), ruleset, world)  # type: ignore[arg-type]


def test_neighbours_on_a_bridge_reach_each_other() -> None:
    found = ask(A, "172.17.0.3")
    assert (found.verdict, found.outcome.arrived) == ("allowed", B)
    assert found.outcome.received == "172.17.0.2 -> 172.17.0.3:80"


def test_a_drop_between_neighbours_counts_only_where_the_bridge_shows_packets_to_iptables() -> None:
    apart = rules("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i br -o br -j DROP\nCOMMIT\n")
    found = ask(A, "172.17.0.3", apart)
    assert found.verdict == "dropped"
    assert found.outcome.decider is not None
    assert found.outcome.decider.rule is not None
    assert found.outcome.decider.rule.text == "-A FORWARD -i br -o br -j DROP"
    assert ask(A, "172.17.0.3", apart, replace(WORLD, bridge_nf=False)).verdict == "allowed"


PUBLISHED = rules(
    "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
    "-A PREROUTING -m addrtype --dst-type LOCAL -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n"
    "-A POSTROUTING -s 172.17.0.0/24 ! -o br -j MASQUERADE\nCOMMIT\n"
)


def test_a_published_port_is_translated_and_its_answer_translated_back() -> None:
    found = ask(INTERNET, "192.0.2.2", PUBLISHED, port=8080)
    assert (found.verdict, found.outcome.arrived, found.outcome.received) == (
        "allowed",
        A,
        "192.0.2.9 -> 172.17.0.2:80",
    )
    last = [step.packet for step in found.outcome.steps if step.phase == "answer"][-1]
    assert last.startswith("192.0.2.2 -> 192.0.2.9")


def test_a_container_leaves_under_the_hosts_address() -> None:
    found = ask(A, "198.51.100.7", PUBLISHED)
    assert found.outcome.received == "192.0.2.2 -> 198.51.100.7:80"
    assert found.outcome.arrived == INTERNET


def test_a_container_that_calls_itself_needs_hairpin_and_another_source() -> None:
    assert ask(A, "172.17.0.1", PUBLISHED, port=8080).outcome.code == "hairpin"
    ports = tuple(replace(one, hairpin=True) if one.name == "va" else one for one in WORLD.devices)
    hairpin = replace(WORLD, devices=ports)
    assert ask(A, "172.17.0.1", PUBLISHED, hairpin, port=8080).outcome.code == "own_source"
    masked = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -j MASQUERADE\nCOMMIT\n"
    both = Ruleset.joined([PUBLISHED, rules(masked)])
    assert ask(A, "172.17.0.1", both, hairpin, port=8080).verdict == "allowed"


def test_a_drop_in_either_flavour_wins() -> None:
    accept = rules("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j ACCEPT\nCOMMIT\n", LEGACY)
    refuse = rules("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", IPTABLES_NFT)
    found = ask(A, "198.51.100.7", Ruleset.joined([accept, refuse]))
    assert (found.verdict, found.outcome.code) == ("dropped", "policy")


def test_two_translations_in_two_flavours_cannot_be_decided() -> None:
    mine = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.3:80\nCOMMIT\n"
    found = ask(INTERNET, "192.0.2.2", Ruleset.joined([PUBLISHED, rules(mine, IPTABLES_NFT)]), port=8080)
    assert found.verdict == "undecidable"
    assert [choice.name for choice in found.undecided] == ["order of registration"]


@pytest.mark.parametrize(("match", "name"), [("-m limit --limit 1/sec", "limit"), ("-m policy --dir in", "policy")])
def test_what_cannot_be_decided_is_named_and_both_outcomes_are_followed(match: str, name: str) -> None:
    found = ask(A, "198.51.100.7", rules(f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {match} -j DROP\nCOMMIT\n"))
    assert found.verdict == "undecidable"
    assert {choice.name for choice in found.undecided} == {name}
    assert {outcome.verdict for outcome, _ in found.others} == {"dropped"}
    harmless = ask(A, "198.51.100.7", rules(f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {match} -j LOG\nCOMMIT\n"))
    assert harmless.verdict == "allowed"


def test_an_open_source_port_is_compared_as_a_range() -> None:
    low = rules("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -m tcp --sport 81:1023 -j DROP\nCOMMIT\n")
    assert ask(A, "198.51.100.7", low).verdict == "allowed"
    some = rules("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -m tcp --sport 40000:40010 -j DROP\nCOMMIT\n")
    assert [choice.name for choice in ask(A, "198.51.100.7", some).undecided] == ["source port"]
    assert ask(A, "198.51.100.7", some, source_port=40005).verdict == "dropped"


def test_a_packet_in_the_middle_of_a_connection_goes_by_other_rules() -> None:
    only_new = rules("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate NEW -j DROP\nCOMMIT\n")
    assert ask(A, "198.51.100.7", only_new).verdict == "dropped"
    assert ask(A, "198.51.100.7", only_new, state="established").verdict == "allowed"


def test_an_answer_that_is_dropped_says_so() -> None:
    no_answer = rules("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -m tcp --sport 80 -j DROP\nCOMMIT\n")
    found = ask(A, "198.51.100.7", no_answer)
    assert found.verdict == "dropped"
    assert str(found.reason).startswith("The packet arrives, but its answer does not")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"forwarding": False}, "forwarding"),
        ({"rp_filter": 1}, "rp_filter"),
        ({"up": False}, "link_down"),
    ],
)
def test_what_the_kernel_refuses_without_any_rule(change: dict[str, object], code: str) -> None:
    devices = tuple(replace(one, **change) if one.name == "eth0" else one for one in WORLD.devices)  # type: ignore[arg-type]
    found = ask(
        INTERNET,
        "172.17.0.2",
        world=replace(WORLD, devices=devices),
        source_address=ip_address("172.17.0.77") if code == "rp_filter" else ip_address("192.0.2.9"),
    )
    assert found.outcome.code == code


def test_nobody_has_the_address() -> None:
    assert ask(HOST_PARTY, "172.17.0.99").outcome.code == "nobody"
    assert ask(A, "172.17.0.99").outcome.code == "nobody"


HOST_PARTY = Party(HOST)


def test_policy_routing_is_followed_and_what_is_not_modelled_is_named() -> None:
    table = route("0.0.0.0/0", "tun0", table=100)
    world = replace(
        WORLD,
        devices=(*WORLD.devices, device("tun0", 5, "10.8.0.1/24")),
        routes=(*WORLD.routes, table),
        policies=(
            PolicyRule(priority=0, family=4, table=255),
            PolicyRule(priority=10, family=4, table=100, mark=1, mask=1),
            PolicyRule(priority=32766, family=4, table=254),
        ),
    )
    marked = rules("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i br -j MARK --set-xmark 0x1/0xff\nCOMMIT\n")
    assert ask(A, "198.51.100.7", marked, world).outcome.arrived == Party(OUTSIDE, "tun0")
    assert ask(A, "198.51.100.7", NOTHING, world).outcome.arrived == INTERNET


def test_a_world_survives_its_json() -> None:
    assert from_json(to_json(WORLD)) == WORLD


def on_wire(name: str, number: int, mode: str = "bridge") -> Sandbox:
    inner = device("eth0", 2, f"192.0.2.{number}/24", kind="macvlan", peer=2, mode=mode)
    routes = (route("192.0.2.0/24", "eth0"), route("0.0.0.0/0", "eth0", "192.0.2.1"))
    return Sandbox(name=f"cnm-{name}", container=name, container_id=name * 12, devices=(inner,), routes=routes)


def wired(mode: str = "bridge") -> World:
    return replace(WORLD, sandboxes=(*WORLD.sandboxes, on_wire("m", 51, mode), on_wire("n", 52, mode)))


M, N = Party(CONTAINER, "cnm-m"), Party(CONTAINER, "cnm-n")


def test_on_a_wire_no_rule_of_the_host_is_asked() -> None:
    drop = rules("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n")
    assert from_json(to_json(wired())).wires == wired().wires
    for source, destination, arrived in (
        (M, "192.0.2.52", N),
        (M, "198.51.100.7", INTERNET),
        (INTERNET, "192.0.2.51", M),
    ):
        found = ask(source, destination, drop, wired())
        assert (found.verdict, found.outcome.arrived) == ("allowed", arrived)


def test_in_private_mode_those_on_a_wire_do_not_hear_one_another() -> None:
    assert ask(M, "192.0.2.52", NOTHING, wired("private")).verdict == "dropped"
    assert ask(M, "198.51.100.7", NOTHING, wired("private")).verdict == "allowed"


def ipvlan(mode: str) -> World:
    """As :func:`wired`, with ipvlans."""
    world = wired(mode)
    sandboxes = (
        replace(one, devices=tuple(replace(d, kind="ipvlan") for d in one.devices))
        if one.container in {"m", "n"}
        else one
        for one in world.sandboxes
    )
    return replace(world, sandboxes=tuple(sandboxes))


def test_an_ipvlan_of_layer_2_is_on_the_wire_and_what_the_host_routes_is_not_judged() -> None:
    for mode, among, out in (
        ("bridge", "allowed", "allowed"),
        ("private", "dropped", "allowed"),
        ("vepa", "undecidable", "allowed"),
        ("l3", "undecidable", "undecidable"),
        ("l3s", "undecidable", "undecidable"),
    ):
        assert ask(M, "192.0.2.52", NOTHING, ipvlan(mode)).verdict == among, mode
        assert ask(M, "198.51.100.7", NOTHING, ipvlan(mode)).verdict == out, mode
    assert ask(Party(HOST), "192.0.2.51", NOTHING, ipvlan("bridge")).verdict == "dropped"


def test_the_host_and_the_wire_on_its_device_do_not_reach_each_other() -> None:
    for source, destination in ((M, "192.0.2.2"), (Party(HOST), "192.0.2.51"), (A, "192.0.2.51")):
        found = ask(source, destination, NOTHING, wired())
        assert found.verdict == "dropped"
        assert "only others on that wire reach them" in str(found.reason)
    assert ask(M, "172.17.0.2", NOTHING, wired()).verdict == "allowed", "its router may know the way back in"
