"""Findings and shadows, from rules and networks as values; and a whole dump rendered as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from networks.cnm.findings import find_all
from networks.cnm.guards import calls_closed, guard_of, guarded
from networks.cnm.iptables_text import parse_rule, parse_save, render_save
from networks.cnm.names import inner_device
from networks.cnm.plan import Step
from networks.cnm.resources import Owner
from networks.cnm.ruleset.iptables import parse_tables
from networks.cnm.ruleset.model import IPTABLES_NFT, LEGACY, Ruleset
from networks.cnm.ruleset.nftables import of_items
from networks.cnm.text import Text
from networks.cnm.trace.trace import Question
from networks.cnm.trace.walk import OUTSIDE, Party
from networks.cnm.trace.world import Device
from tests.unit.compiled import WEB, container, endpoint, host
from tests.unit.test_trace import WORLD
from worker.drift import kind_of
from worker.shadows import find_shadows

OURS = "-A FORWARD -i br -o br -j DROP"


def dump(*lines: str, flavour: str = LEGACY, table: str = "filter") -> Ruleset:
    return parse_tables("\n".join([f"*{table}", ":FORWARD ACCEPT [0:0]", *lines, "COMMIT"]), 4, flavour)


def codes(ruleset: Ruleset, world: object = None) -> set[str]:
    return {one.code for one in find_all(ruleset, world)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("foreign", "hides"),
    [
        ("-A FORWARD -j ACCEPT", True),
        ("-A FORWARD -i br -j ACCEPT", True),
        ("-A FORWARD -i br -o br -m comment --comment other -j DROP", True),
        ("-A FORWARD -i other -j ACCEPT", False),
        ("-A FORWARD -i br -p tcp -j ACCEPT", False),
        ("-A FORWARD -j LOG", False),
        ("-A FORWARD -j elsewhere", False),
        ("-A FORWARD -m limit --limit 1/sec -j ACCEPT", False),
    ],
)
def test_a_foreign_rule_hides_ours_when_it_takes_all_that_ours_would(foreign: str, hides: bool) -> None:
    rule = replace(parse_rule(OURS, 4, "filter"), owner=Owner(kind="network", id="n", name="app"))
    found = find_shadows(dump(foreign, OURS), [rule])
    assert [shadow.ours.owner.name for shadow in found] == ["app"] * hides
    assert find_shadows(dump(OURS, foreign), [rule]) == []


def test_two_flavours_are_said_only_where_both_hold_rules() -> None:
    both = Ruleset.joined([dump("-A FORWARD -j LOG"), dump("-A FORWARD -j LOG", flavour=IPTABLES_NFT)])
    assert "both_flavours" in codes(both)
    assert "both_flavours" not in codes(Ruleset.joined([dump("-A FORWARD -j LOG"), dump(flavour=IPTABLES_NFT)]))


def test_a_translation_to_nobody_is_dead_and_one_to_somebody_is_not() -> None:
    def to(address: str) -> Ruleset:
        line = f"-A FORWARD -p tcp -m tcp --dport 80 -j DNAT --to-destination {address}:80"
        return dump(line, table="nat")

    assert "dead_translation" in codes(to("172.17.0.99"), WORLD)
    assert "dead_translation" not in codes(to("172.17.0.2"), WORLD)
    assert "dead_translation" not in codes(to("198.51.100.1"), WORLD)


def test_a_map_of_nftables_that_leads_to_nobody_is_found_by_its_key() -> None:
    def to(*places: tuple[int, str]) -> Ruleset:
        chain = {"family": "ip", "table": "pub", "name": "pre", "type": "nat", "hook": "prerouting", "prio": -100}
        elements = [[{"concat": ["tcp", port]}, {"concat": [address, 80]}] for port, address in places]
        key = {"concat": [{"meta": {"key": "l4proto"}}, {"payload": {"protocol": "th", "field": "dport"}}]}
        kind = {"type": ["inet_proto", "inet_service"], "map": "ipv4_addr . inet_service"}
        rule = {"dnat": {"family": "ip", "addr": {"map": {"key": key, "data": "@doors"}}}}
        return of_items(
            [
                {"chain": chain},
                {"map": {"family": "ip", "table": "pub", "name": "doors", "elem": elements, **kind}},
                {"rule": {"family": "ip", "table": "pub", "chain": "pre", "handle": 1, "expr": [rule]}},
            ]
        )

    found = find_all(to((8080, "172.17.0.99"), (8081, "172.17.0.2"), (8082, "198.51.100.1")), WORLD)
    assert [one.code for one in found] == ["dead_translation"]
    assert "protocol tcp, dport 8080" in str(found[0].sentence)
    assert "172.17.0.99" in str(found[0].sentence)


def test_firewalld_calls_closed_what_its_zone_does_not_open() -> None:
    rules = of_items(json.loads((Path(__file__).parent / "dumps" / "firewalld.json").read_text())["nftables"])
    assert guard_of(rules) == "firewalld"
    caller = ip_address("203.0.113.77")  # 198.51.100.0/24 is blocked whatever it asks for
    ask = Question(source=Party(OUTSIDE, "eth0"), destination=ip_address("192.0.2.2"), source_address=caller)
    closed = [port for port in (22, 8080) if calls_closed(guarded(rules), WORLD, replace(ask, port=port))]
    assert closed == [8080]


def test_a_bridge_wider_than_what_leads_outside_and_a_loopback_route_are_found() -> None:
    wide = Device(name="vx", index=30, kind="bridge", mtu=9000, addresses=(ip_interface("10.9.0.1/24"),))
    over = Device(name="ov", index=31, kind="bridge", mtu=1500)
    tunnel = Device(name="vx42", index=32, kind="vxlan", master="ov", mtu=1450)
    local = tuple(replace(one, route_localnet=True) if one.name == "br" else one for one in WORLD.devices)
    found = find_all(Ruleset(), replace(WORLD, devices=(*local, wide, over, tunnel)))
    assert sorted((one.code, one.subject) for one in found) == [
        ("mtu_above_underlay", "ov"),
        ("mtu_above_underlay", "vx"),
        ("route_localnet", "br"),
    ]


def test_a_whole_dump_is_rendered_as_it_was() -> None:
    text = (
        "*nat\n:PREROUTING ACCEPT [12:3456]\n:DOCKER - [0:0]\n[5:300] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
        '[0:0] -A DOCKER -m comment --comment "a \\"b\\"" -j RETURN\nCOMMIT\n'
        "*filter\n:FORWARD DROP [1:2]\n[7:8] -A FORWARD -m policy --dir in --pol ipsec -j ufw6-x\nCOMMIT\n"
    )
    assert render_save(parse_save("# Generated by iptables-save\n" + text, 4), counters=True) == text


def test_drift_of_a_rule_says_whether_it_stands_twice_or_out_of_order() -> None:
    rule = replace(
        parse_rule(OURS, 4, "filter"), rank=(1, 2), owner=Owner(kind="network", id="n", name="app"), why=Text("x")
    )

    assert kind_of(Step(replace(rule, copies=2), rule)) == "duplicated"
    assert kind_of(Step(replace(rule, rank=()), rule)) == "out of order"
    assert kind_of(Step(None, rule)) == "missing"
    assert kind_of(Step(rule, None)) == "left over"


def test_a_link_that_a_docker_engine_has_not_taken_is_said() -> None:
    theirs = container(32, endpoint(32, WEB, "172.18.0.9/16"), name="api", kind="docker")
    left = Device(name=inner_device(theirs.endpoints[0].id), index=99, kind="veth")
    world = replace(WORLD, devices=(*WORLD.devices, left))
    found = [one for one in find_all(Ruleset(), world, host(theirs)) if one.code == "untaken_link"]
    assert [(one.subject, one.severity) for one in found] == [("container api", "warning")]
    for other_world, desired in ((WORLD, host(theirs)), (world, host(replace(theirs, live=False)))):
        assert "untaken_link" not in {one.code for one in find_all(Ruleset(), other_world, desired)}
