"""Rules as data and nft's JSON are exact inverses, one rule and whole tables alike."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks.cnm.errors import KernelRefused, Unsupported
from networks.cnm.iptables_text import parse_rule as parse_line
from networks.cnm.rules import Match, Rule, Target
from tests.kernel.rules_lab import CNM, FACTS, everything, port, rules_of, small
from tests.testlib.nft_json import commands
from worker.compile import compile_host
from worker.firewall import words
from worker.firewall.backend import Script
from worker.firewall.nft.change import change_table
from worker.firewall.nft.expressions import chain_name, chain_place, parse_rule, render_rule
from worker.firewall.nft.lookups import LOOKUPS, lookup_for, lookup_of
from worker.firewall.nft.table import Table, parse_table

ADDRESSES = {
    4: st.ip_addresses(v=4).map(str) | st.just("10.1.2.0/24") | st.just("0.0.0.0/0"),
    6: st.ip_addresses(v=6).map(str) | st.just("fd00:1::/64"),
}
DEVICES = st.sampled_from(["cnm0", "br-0123456789ab", "eth+", "lo"])
COMMENTS = "abcXYZ019:-_.,;!#$ \"'\\"
PORTS = st.integers(1, 65535).map(str) | st.just("80:90")
CHAINS = st.sampled_from(
    [("filter", "CNM"), ("nat", "CNM"), ("raw", "PREROUTING"), ("filter", "CNM-ISOLATION-STAGE-1")]
)


def through(rule: Rule) -> Rule:
    """*rule* as it is when it was rendered and parsed again, its counter counted meanwhile."""
    made = json.loads(json.dumps(render_rule(rule)))
    for item in made["expr"]:
        if "counter" in item:
            item["counter"] = {"packets": 7, "bytes": 420}
    found = parse_rule(made["expr"], made.get("comment", ""), rule.family, rule.table, rule.chain)
    assert (found.packets, found.bytes) == (7, 420)
    return found.rule


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Rules of every word that ours are made of."""
    family = draw(st.sampled_from([4, 6]))
    matches: list[Match] = []
    for option in ("-s", "-d"):
        if draw(st.booleans()):
            cidr = words.prefixed(ip_network(draw(ADDRESSES[family])))
            matches.append(Match("", option, (cidr,), draw(st.booleans())))
    for option in ("-i", "-o"):
        if draw(st.booleans()):
            matches.append(Match("", option, (draw(DEVICES),), draw(st.booleans())))
    protocol = draw(st.sampled_from(["", "tcp", "udp", "sctp", "icmp", "ipv6-icmp"]))
    if protocol in {"tcp", "udp", "sctp"}:
        matches.append(Match("", "-p", (protocol,)))
        matches.append(Match(protocol, draw(st.sampled_from(["--dport", "--sport"])), (draw(PORTS),)))
    elif protocol:
        matches.append(Match("", "-p", (protocol,), draw(st.booleans())))
    if draw(st.booleans()):
        matches += words.in_the_clear(draw(st.sampled_from(["in", "out"])))
    for extra in (words.TO_LOCAL, words.FROM_LOCAL, words.ESTABLISHED, words.RELATED_OR_ESTABLISHED):
        if draw(st.booleans()):
            matches += extra
    if draw(st.booleans()):
        address = ip_address(draw(st.ip_addresses(v=6 if family == 6 else 4).map(str))) if draw(st.booleans()) else None
        matches += words.first_sent_to(address, draw(st.integers(1, 65535)))
    if draw(st.booleans()):
        matches.append(Match("comment", "--comment", (draw(st.text(COMMENTS, min_size=1, max_size=60)),)))
    table, chain = draw(CHAINS)
    return Rule(family=family, table=table, chain=chain, matches=tuple(matches), target=draw(targets(family)))


def targets(family: int) -> st.SearchStrategy[Target]:
    address = st.ip_addresses(v=6 if family == 6 else 4)
    plain = [
        words.ACCEPT,
        words.DROP,
        words.RETURN,
        words.MASQUERADE,
        Target(),
        Target("CNM"),
        Target("CNM", goto=True),
    ]
    return (
        st.sampled_from(plain)
        | st.builds(words.translate_to, address, st.integers(1, 65535))
        | st.builds(words.leave_as, address)
    )


@given(rules())
def test_every_rule_comes_back_as_it_was(rule: Rule) -> None:
    again = through(rule)
    assert (again.matches, again.target, again.text) == (rule.matches, rule.target, rule.text)


def test_every_rule_that_is_compiled_comes_back_as_it_was() -> None:
    found = [item for item in compile_host(everything(), FACTS) if isinstance(item, Rule)]
    assert len(found) > 150
    for rule in found:
        assert through(rule).text == rule.text
        # Its text is what the backend is given.
        assert render_rule(parse_line(rule.text, rule.family, rule.table)) == render_rule(rule)


FOREIGN: list[dict[str, Any]] = [
    {"limit": {"rate": 5, "per": "second"}},
    {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 7}},
    {"match": {"op": "in", "left": {"payload": {"protocol": "tcp", "field": "flags"}}, "right": "syn"}},
    {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@banned"}},
    {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [80, 443]}}},
    {"match": {"op": "<", "left": {"meta": {"key": "length"}}, "right": 100}},
    {"log": {"prefix": 'it\'s "odd" \\'}},
    {"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [["lo", {"accept": None}]]}}},
    {"reject": {"type": "icmp", "expr": "host-unreachable"}},
    {"dnat": {"addr": {"map": {"key": {"meta": {"key": "mark"}}, "data": "@where"}}}},
    {"jump": {"target": "raw-PREROUTING"}},
    {"xt": None},
]


@pytest.mark.parametrize("expression", FOREIGN, ids=lambda item: next(iter(item)))
def test_words_of_others_are_kept_as_they_stand(expression: dict[str, Any]) -> None:
    before = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}
    found = parse_rule(
        [before, expression, {"counter": {"packets": 1, "bytes": 2}}], "mine", 4, "filter", "CNM-USER"
    ).rule
    assert found.text.startswith("-A CNM-USER -i eth0 -m nft --expr ")
    again = parse_line(found.text, 4, "filter")
    assert render_rule(again) == {"expr": [before, expression, {"counter": None}], "comment": "mine"}


def test_words_that_nft_has_not_are_refused_with_the_rule() -> None:
    for line in (
        "-A CNM -m recent --set --name ssh -j DROP",
        "-A CNM -j LOG --log-prefix x",
        "-A CNM -p tcp -m tcp --syn -j DROP",
    ):
        with pytest.raises(Unsupported, match="-A CNM"):
            render_rule(parse_line(line, 4, "filter"))


@given(CHAINS)
def test_a_chain_keeps_its_place_in_its_name(place: tuple[str, str]) -> None:
    assert chain_place(chain_name(*place)) == place


def test_what_grows_with_ports_and_containers_stands_in_maps_and_sets() -> None:
    many = small(*(port(100 + number, 20000 + number, 1000 + number) for number in range(1000)))
    compiled = [item for item in rules_of(many) if isinstance(item, Rule)]
    gathered = [rule for rule in compiled if lookup_for(rule)]
    assert len(gathered) >= 3000
    few = [item for item in rules_of(small()) if isinstance(item, Rule)]
    assert len(compiled) - len(gathered) == len(few) - sum(1 for rule in few if lookup_for(rule))


@pytest.mark.parametrize("settings", [CNM, replace(CNM, userland_proxy=False)], ids=["holder", "no-holder"])
def test_a_rule_of_a_lookup_is_its_elements(settings: Any) -> None:
    found = [item for item in compile_host(everything(settings), FACTS) if isinstance(item, Rule)]
    names = set()
    for rule in found:
        place = lookup_for(rule)
        if place is not None:
            _, key, lookup, elements = place
            names.add(lookup.name)
            assert lookup.assemble(rule.family, list(elements)).text == rule.text
            assert {element.key for element in elements if element.set == lookup.name} == {key}
    assert names == {lookup.name for lookup in LOOKUPS}
    # Who may use a port with allowed sources is asked by order, and so by rules.
    assert not [rule for rule in found if lookup_for(rule) and "ctorig" in rule.text]


def test_a_lookup_is_known_by_its_own_rule_alone() -> None:
    for lookup in LOOKUPS:
        assert lookup_of(lookup.rule(4).text) is lookup
    assert lookup_of("-A CNM -m comment --comment ports -j DNAT") is None


def listed(table: Table, script: dict[str, list[str]]) -> Table:
    """*table* after *script*, read from a list as nft would print it."""
    change = change_table(table, Script({name: tuple(lines) for name, lines in script.items()}))
    return parse_table(4, as_nft_lists(list(commands(change))))


def as_nft_lists(commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    objects: dict[tuple[str, str], dict[str, Any]] = {}
    rules: list[dict[str, Any]] = []
    for command in commands:
        ((verb, what),) = command.items()
        ((kind, value),) = what.items()
        assert verb == "add"
        if kind == "rule":
            rules.append({"rule": {**value, "handle": len(rules) + 1}})
        elif kind == "element":
            objects[("set", value["name"])]["elem"] = value["elem"]
        else:
            objects["set" if kind == "map" else kind, value["name"]] = dict(value)
            objects["set" if kind == "map" else kind, value["name"]]["is"] = kind
    return [*({value.pop("is"): value} for value in objects.values()), *rules]


def test_a_table_made_from_nothing_is_read_back_as_it_was_asked_for() -> None:
    wanted: dict[str, list[str]] = {"raw": [], "nat": [], "filter": []}
    slotted = set()
    for item in rules_of(everything()):
        if item.family != 4:  # type: ignore[attr-defined]
            continue
        if isinstance(item, Rule):
            wanted[item.table].append(item.text)
            place = lookup_for(item)
            if place:
                slotted.add(place.lookup)
        else:
            wanted[item.table].insert(0, f"-N {item.name}")  # type: ignore[attr-defined]
    for lookup in slotted:
        wanted[lookup.table].append(lookup.rule(4).text)
    table = listed(Table(4), wanted)
    read = table.saved(counters=True)
    texts = {(line.table, line.text) for line in read.lines}
    assert texts == {(name, line) for name, lines in wanted.items() for line in lines if line.startswith("-A")}
    assert {line.text for line in read.lines if line.via}
    # All of it taken away again leaves no table.
    gone = {name: [f"-D {line[3:]}" for line in lines if line.startswith("-A")] for name, lines in wanted.items()}
    for name, lines in wanted.items():
        gone[name] += [f"-X {line[3:]}" for line in lines if line.startswith("-N")]
    change = change_table(table, Script({name: tuple(lines) for name, lines in gone.items()}))
    assert [command for command, _ in change.commands] == [{"delete": {"table": {"family": "ip", "name": "cnm"}}}]


def test_what_is_not_there_is_not_deleted() -> None:
    with pytest.raises(KernelRefused, match="not there"):
        change_table(Table(4), Script({"nat": ("-D CNM -j RETURN",)}))
