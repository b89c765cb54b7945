"""The one model of all rules: parsed from iptables-save and from nft's JSON, whoever wrote them."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from networks.cnm.errors import InvalidSpec
from networks.cnm.iptables_text import parse_save, render_rule
from networks.cnm.ruleset.iptables import native_names, parse_tables, statements
from networks.cnm.ruleset.members import Members, Span
from networks.cnm.ruleset.model import (
    IPTABLES_NFT,
    LEGACY,
    Condition,
    Depends,
    Note,
    Ruleset,
    SetMark,
    Translation,
    Unknown,
    Untrack,
    Verdict,
    VerdictMap,
)
from networks.cnm.ruleset.nftables import parse_ruleset

CAPTURES = Path(__file__).parents[1] / "golden" / "captures"
NFT = json.loads((Path(__file__).parents[1] / "data" / "ruleset.nft.json").read_text())


def rule(text: str, family: int = 4, table: str = "filter") -> tuple[object, ...]:
    return statements(text, family, table)


def test_base_chains_have_hook_priority_and_policy() -> None:
    text = "*nat\n:PREROUTING ACCEPT [1:2]\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -j DOCKER\nCOMMIT\n"
    text += "*filter\n:FORWARD DROP [3:4]\nCOMMIT\n"
    found = parse_tables(text, 4, LEGACY)
    shown = [(chain.table, chain.name, chain.type, chain.hook, chain.priority, chain.policy) for chain in found.chains]
    assert shown == [
        ("nat", "PREROUTING", "nat", "prerouting", -100, "accept"),
        ("nat", "OUTPUT", "nat", "output", -100, "accept"),
        ("nat", "DOCKER", "nat", "", 0, ""),
        ("filter", "FORWARD", "filter", "forward", 0, "drop"),
    ]
    assert found.flavours() == (LEGACY,)


@pytest.mark.parametrize(
    "path", sorted(CAPTURES.rglob("iptables-*.txt")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_every_rule_that_docker_writes_is_understood_and_rendered_alike(path: Path) -> None:
    text = path.read_text()
    table = path.stem.removeprefix("iptables-")
    lines = [line for line in text.splitlines() if line.startswith("-A")]
    saved = parse_save(f"*{table}\n" + "\n".join(lines), 4)
    assert [render_rule(rule) for rule in saved.rules()] == lines
    found = parse_tables(f"*{table}\n" + "\n".join(lines), 4, LEGACY)
    assert [rule.text for rule in found.rules() if rule.opaque] == []


def test_a_translation_keeps_its_address_and_port() -> None:
    found = rule(
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 5000 -j DNAT --to-destination 172.17.0.4:80", table="nat"
    )
    assert isinstance(found[0], Condition)
    assert found[0].negated
    assert found[-1] == Translation("dnat", 4, Span.one(int(ip_address("172.17.0.4"))), Span.one(80))
    by_six = rule("-A DOCKER -p tcp -m tcp --dport 5000 -j DNAT --to-destination [fd00::2]:80", 6, "nat")
    assert by_six[-1] == Translation("dnat", 6, Span.one(int(ip_address("fd00::2"))), Span.one(80))
    ranged = rule("-A P -j SNAT --to-source 192.0.2.1-192.0.2.4:1024-2048", table="nat")[-1]
    assert isinstance(ranged, Translation)
    assert (ranged.addresses, ranged.ports) == (
        Span(int(ip_address("192.0.2.1")), int(ip_address("192.0.2.4"))),
        Span(1024, 2048),
    )


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("-A F -j MARK --set-xmark 0x1/0xff", SetMark("mark", 1, 0xFF)),
        ("-A F -j MARK --or-mark 0x10", SetMark("mark", 0x10, 0x10)),
        ("-A F -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff", SetMark("mark", mask=0xFF, copy="ct.mark")),
        ("-A F -j CT --notrack", Untrack()),
        ("-A F -j REJECT --reject-with tcp-reset", Verdict("reject", detail="tcp-reset")),
        ("-A F -g elsewhere", Verdict("goto", "elsewhere")),
        ('-A F -j LOG --log-prefix "[UFW BLOCK] "', Note("LOG")),
    ],
)
def test_targets(text: str, last: object) -> None:
    assert rule(text)[-1] == last


def test_what_depends_on_more_than_the_packet_is_told_from_what_is_not_known() -> None:
    assert Depends("limit") in rule("-A F -m limit --limit 3/min -j ACCEPT")
    assert Depends("owner") in rule("-A OUTPUT -m owner --uid-owner 0 -j ACCEPT")
    assert Depends("policy") in rule("-A INPUT -m policy --dir in --pol none -j DROP")
    unknown = rule("-A F -m ipvs --vproto 6 --vport 80 -j ACCEPT")
    assert [type(one) for one in unknown[:2]] == [Unknown, Unknown]
    queued = rule("-A F -j NFQUEUE --queue-num 3")[-1]
    assert isinstance(queued, Unknown)
    assert queued.ends


def test_native_tables_with_sets_maps_and_verdict_maps() -> None:
    found = parse_ruleset(json.dumps(NFT))
    chain = found.by_name["nftables", "inet", "t", "c"]
    assert (chain.hook, chain.priority, chain.policy) == ("forward", 0, "drop")
    kinds = [type(one) for rule in chain.rules for one in rule.statements]
    assert VerdictMap in kinds
    assert Depends in kinds
    opaque = [rule.text for rule in found.rules() if rule.opaque]
    assert opaque == ["fib daddr . iif type local accept"]
    ports = next(one for one in found.sets if one.name == "ps")
    assert ports.members is not None
    assert [ports.members.find((Span.one(port),))[0] for port in (3, 6, 80)] == [True, False, True]
    doors = next(one for one in found.sets if one.name == "mm")
    assert doors.members is not None
    where = (Span.one(int(ip_address("1.2.3.4"))), Span.one(80))
    assert doors.members.find(where) == (True, (Span.one(int(ip_address("10.0.0.2"))), Span.one(8080)))


def test_tables_that_iptables_shows_are_left_to_it_and_the_rest_is_kept_whole() -> None:
    items = [
        {"table": {"family": "ip", "name": "filter", "handle": 1}},
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter", "hook": "forward"}},
        {"table": {"family": "ip", "name": "mine", "handle": 2}},
        {"chain": {"family": "ip", "table": "mine", "name": "c", "handle": 1}},
        {"flowtable": {"family": "ip", "table": "mine", "name": "fast", "hook": "ingress"}},
    ]  # fmt: skip
    shown = native_names(parse_save("*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", 4))
    found = parse_ruleset(json.dumps({"nftables": items}), shown)
    assert [(chain.table, chain.name) for chain in found.chains] == [("mine", "c")]
    assert "flowtable" in found.opaque[0]


def test_what_is_no_dump_is_refused_with_what_to_load_instead() -> None:
    with pytest.raises(InvalidSpec, match="nft -j list ruleset"):
        parse_ruleset("table ip filter { }")


def test_joined_rule_sets_say_which_flavours_hold_rules() -> None:
    legacy = parse_tables("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", 4, LEGACY)
    empty = parse_tables("*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", 4, IPTABLES_NFT)
    assert Ruleset.joined([legacy, empty]).flavours() == (LEGACY,)


def test_members_find_single_numbers_spans_names_and_parts_of_spans() -> None:
    members = Members.of([(Span(10, 20),), (Span.one(5),), (Span(30, 40),)])
    assert [members.find((Span.one(number),))[0] for number in (5, 10, 20, 21, 35)] == [True, True, True, False, True]
    assert members.find((Span(15, 25),))[0] is None
    assert members.find((Span(12, 18),))[0] is True
    names = Members.of([("br-*",), ("eth0",)])
    assert [names.find((name,))[0] for name in ("br-1", "eth0", "eth1")] == [True, True, False]
