"""The text of iptables-save and rules as data are exact inverses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks.cnm.iptables_text import Saved, SavedRule, parse_rule, parse_save, quote, render_rule, unquote
from networks.cnm.rules import Match, Rule, Target

CAPTURES = Path(__file__).resolve().parents[1] / "golden" / "captures"

# Lines as iptables 1.8 prints them, of modules that nothing here knows.
LINES = (
    "-A FORWARD",
    "-A FORWARD -j ACCEPT",
    "-A FORWARD -g OTHER",
    "-A INPUT -p tcp -j ACCEPT",
    "-A INPUT -p tcp -m tcp -j ACCEPT",
    "-A INPUT -f -j DROP",
    "-A INPUT ! -f -j DROP",
    "-A INPUT ! -s 10.0.0.0/8 ! -i eth+ -p tcp -m tcp ! --dport 80 -j DROP",
    "-A INPUT -p tcp -m tcp --sport 1:1024 --dport 80 --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT",
    "-A INPUT -p icmp -m icmp --icmp-type 8/0 -m limit --limit 5/sec --limit-burst 10 -j ACCEPT",
    "-A INPUT -p tcp -m multiport --dports 80,443,8000:8080 -m comment --comment web -j ACCEPT",
    '-A INPUT -m comment --comment "a: \\"quoted\\" \\\\ thing\'s" -j ACCEPT'.replace("'", "\\'"),
    '-A INPUT -m comment --comment "" -j ACCEPT',
    "-A INPUT -m comment --comment -j -j ACCEPT",
    "-A INPUT -m comment --comment one -m comment --comment two -j ACCEPT",
    '-A INPUT -j LOG --log-prefix "dropped: " --log-level 4',
    '-A INPUT -m string --string "GET /x y" --algo bm --to 65535 -j DROP',
    "-A INPUT -m recent --set --name ssh --mask 255.255.255.255 --rsource -m recent --update --seconds 60 --name ssh",
    "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED --ctorigdstport 80 -j ACCEPT",
    "-A INPUT -m set ! --match-set banned src,dst -j DROP",
    "-A INPUT -m statistic --mode random --probability 0.50000000000 -j DROP",
    '-A INPUT -m u32 --u32 "0x0>>0x16&0x3c@0x0>>0x18=0x0" -j DROP',
    "-A OUTPUT -m owner ! --uid-owner 1000-2000 -m mark --mark 0x1/0xff -j REJECT --reject-with icmp-port-unreachable",
    "-A POSTROUTING -s 10.0.0.0/8 -o eth0 -j SNAT --to-source 192.0.2.1-192.0.2.9 --random --persistent",
    "-A PREROUTING -p udp -m udp --dport 53 -j DNAT --to-destination [2001:db8::2]:53",
    "-A PREROUTING -m addrtype ! --src-type LOCAL --limit-iface-in -j CT --notrack",
    "-A PREROUTING -m tcp -m tcp --dport 80",
)


def captured_lines() -> list[tuple[str, str]]:
    found = []
    for path in sorted(CAPTURES.rglob("iptables-*.txt")):
        found += [(line.table, line.text) for line in parse_save(path.read_text(), 4).lines]
    return found


def test_every_captured_line_survives_the_way_through_data() -> None:
    lines = captured_lines()
    assert len(lines) > 500
    for table, line in lines:
        rule = parse_rule(line, 4, table)
        assert render_rule(rule) == line
        assert rule.text == line


@pytest.mark.parametrize("line", LINES)
def test_lines_of_unknown_modules_survive(line: str) -> None:
    rule = parse_rule(line, 4, "filter")
    assert render_rule(rule) == line
    again = parse_rule(render_rule(rule), 4, "filter")
    assert (again.matches, again.target) == (rule.matches, rule.target)


def test_a_published_port_reads_as_conditions_and_a_target() -> None:
    line = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    rule = parse_rule(line, 4, "nat")
    assert (rule.family, rule.table, rule.chain) == (4, "nat", "DOCKER")
    assert rule.matches == (
        Match("", "-i", ("docker0",), negated=True),
        Match("", "-p", ("tcp",)),
        Match("tcp", "--dport", ("8080",)),
    )
    assert rule.target == Target("DNAT", (("--to-destination", ("172.17.0.2:80",)),))


def test_counters_before_a_rule_are_kept_beside_it() -> None:
    text = "*filter\n:INPUT DROP [5:300]\n:OWN - [0:0]\n[7:420] -A INPUT -i lo -j ACCEPT\n-A OWN\nCOMMIT\n# a comment\n"
    saved = parse_save(text, 4)
    assert [(chain.name, chain.policy, chain.packets, chain.bytes, chain.builtin) for chain in saved.chains] == [
        ("INPUT", "DROP", 5, 300, True),
        ("OWN", "-", 0, 0, False),
    ]
    assert saved.lines == (
        SavedRule("filter", "INPUT", "-A INPUT -i lo -j ACCEPT", 7, 420),
        SavedRule("filter", "OWN", "-A OWN"),
    )
    assert saved.rules() == (parse_rule("-A INPUT -i lo -j ACCEPT", 4, "filter"), parse_rule("-A OWN", 4, "filter"))
    assert parse_rule("[7:420] -A INPUT -i lo -j ACCEPT", 4, "filter").text == "-A INPUT -i lo -j ACCEPT"
    assert parse_save("", 6) == Saved(6)


@pytest.mark.parametrize("line", ["", "COMMIT", "-I INPUT -j ACCEPT", "-A", ":INPUT ACCEPT"])
def test_what_is_no_rule_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="Not a rule"):
        parse_rule(line, 4, "filter")


def test_two_rules_are_equal_when_they_print_alike_and_stand_alike() -> None:
    rule = Rule(family=4, table="nat", chain="A", target=Target("RETURN"), rank=(1,))
    assert rule == Rule(family=4, table="nat", chain="A", target=Target("RETURN"), rank=(1,), anchor="top")
    assert hash(rule) == hash(Rule(family=4, table="nat", chain="A", target=Target("RETURN"), rank=(1,)))
    assert rule != Rule(family=4, table="nat", chain="A", target=Target("RETURN"), rank=(2,))
    assert rule != Rule(family=4, table="nat", chain="A", target=Target("RETURN"), rank=(1,), copies=2)
    assert rule != Rule(family=6, table="nat", chain="A", target=Target("RETURN"), rank=(1,))
    assert rule != "rule"


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"!-'), min_size=1, max_size=12)
NAMES = st.text(st.characters(categories=("Ll", "Lu", "Nd"), max_codepoint=126), min_size=1, max_size=8)
FREE_TEXT = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=40)
OPTIONS = st.tuples(NAMES.map(lambda name: f"--x{name}"), st.lists(WORDS, max_size=3).map(tuple))


@st.composite
def matches(draw: st.DrawFn) -> tuple[Match, ...]:
    found: list[Match] = []
    for option, value in draw(st.lists(st.tuples(st.sampled_from(["-s", "-d", "-i", "-o", "-p"]), WORDS), max_size=4)):
        found.append(Match("", option, (value,), draw(st.booleans())))
    for module, options in draw(st.lists(st.tuples(NAMES, st.lists(OPTIONS, max_size=3)), max_size=3)):
        if not options:
            found.append(Match(module, ""))
        for number, (option, values) in enumerate(options):
            found.append(Match(module, option, values, draw(st.booleans()), joined=number > 0))
    if draw(st.booleans()):
        found.append(Match("comment", "--comment", (draw(FREE_TEXT),)))
    return tuple(found)


TARGETS = st.one_of(
    st.just(Target()),
    st.builds(Target, NAMES.map(str.upper), st.lists(OPTIONS, max_size=3).map(tuple), st.booleans()),
)


@given(chain=NAMES, found=matches(), target=TARGETS)
def test_any_rule_is_parsed_back_from_its_text(chain: str, found: tuple[Match, ...], target: Target) -> None:
    rule = Rule(family=6, table="mangle", chain=chain, matches=found, target=target)
    again = parse_rule(render_rule(rule), 6, "mangle")
    assert (again.chain, again.matches, again.target) == (chain, found, target)
    assert again.text == rule.text


@given(FREE_TEXT)
def test_free_text_survives_its_quotes(text: str) -> None:
    assert unquote(quote(text)) == text
