"""ipset's sets as ``ipset save`` prints them, and what rules ask of them."""

from __future__ import annotations

import pytest

from networks.audit import Beside, join
from networks.cnm.ruleset.ipsets import from_json, parse_ipsets
from networks.cnm.ruleset.iptables import parse_tables
from networks.cnm.ruleset.model import LEGACY
from networks.cnm.trace.trace import Trace
from tests.unit.test_trace import A, ask

SAVED = """create a hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0xaa5a128b
add a 172.17.0.2
create wide hash:net family inet hashsize 1024 maxelem 65536
add wide 172.16.0.0/12
add wide 172.17.0.64/26
create except hash:net family inet hashsize 1024 maxelem 65536
add except 172.16.0.0/12
add except 172.17.0.0/24 nomatch
create doors hash:ip,port family inet hashsize 1024 maxelem 65536 timeout 100 counters comment
add doors 172.17.0.3,tcp:80 timeout 99 packets 0 bytes 0 comment "x y"
add doors 172.17.0.3,udp:53 timeout 99 packets 0 bytes 0
create ports bitmap:port range 0-1000
add ports 80
create in hash:net,iface family inet hashsize 1024 maxelem 65536
add in 172.17.0.0/24,br
create all list:set size 8
add all a
create macs hash:mac hashsize 1024 maxelem 65536
add macs 02:00:00:00:00:01
"""


def asked(match: str, port: int = 80) -> Trace:
    sets = {one.name: one for one in parse_ipsets(SAVED)}
    text = f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {match} -j DROP\nCOMMIT\n"
    return ask(A, "172.17.0.3", parse_tables(text, 4, LEGACY, sets), port=port)


@pytest.mark.parametrize(
    ("match", "verdict"),
    [
        ("-m set --match-set a src", "dropped"),
        ("-m set ! --match-set a src", "dropped"),  # the answer's source is not in it
        ("-m set --match-set wide src", "dropped"),
        ("-p tcp -m set --match-set doors dst,dst", "dropped"),
        ("-p tcp -m set --match-set doors src,dst", "allowed"),
        ("-p tcp -m set --match-set ports dst", "dropped"),
        ("-m set --match-set in src,src", "dropped"),
        ("-m set --match-set all src", "dropped"),
        ("-m set --match-set except src", "undecidable"),
        ("-m set --match-set macs src", "undecidable"),
        ("-m set --match-set nowhere src", "undecidable"),
    ],
)
def test_a_rule_asks_the_set_that_it_names(match: str, verdict: str) -> None:
    assert asked(match).verdict == verdict


def test_what_is_in_a_set_decides() -> None:
    assert asked("-p tcp -m set --match-set doors dst,dst", port=81).verdict == "allowed"
    assert asked("-p tcp -m set --match-set ports dst", port=81).verdict == "allowed"


def test_sets_are_kept_whole_without_what_changes_by_itself() -> None:
    sets = {one.name: one for one in parse_ipsets(SAVED)}
    assert sets["doors"].members == ("172.17.0.3,tcp:80", "172.17.0.3,udp:53")
    assert sets["except"].members == ("172.16.0.0/12", "172.17.0.0/24 nomatch")
    assert from_json([one.to_json() for one in sets.values()]) == sets


def test_a_rule_is_shown_with_the_members_of_its_sets() -> None:
    row = {"flavour": LEGACY, "family": 4, "table": "filter", "chain": "FORWARD", "position": 1}
    texts = (
        "-A FORWARD -m set --match-set a src -j DROP",
        "-A FORWARD -m set --match-set gone src -j DROP",
        "-A FORWARD -j LOG",
    )
    beside = Beside.of({"ipsets": [one.to_json() for one in parse_ipsets(SAVED)]})
    found = join([row | {"text": text} for text in texts], [], None, beside)
    assert [rule["sets"] for rule in found] == [
        [{"name": "a", "type": "hash:ip", "count": 1, "members": ["172.17.0.2"]}],
        [{"name": "gone", "type": "", "count": 0, "members": []}],
        [],
    ]
