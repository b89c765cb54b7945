"""Whatever nft lists is shown and read: named objects, dynamic sets, tables of every family, and statements that nobody has heard of."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from networks.cnm.ruleset.nftables import of_items
from networks.cnm.trace.trace import Question, trace
from tests.unit.test_trace import WORLD, A, ask
from worker.firewall.nft import listing

PLACE = {"family": "inet", "table": "odd", "chain": "pass"}
ODD: list[Any] = [
    {"limit": "l1"},
    {"counter": "c1"},
    {"quota": "q1"},
    {"ct helper": "ftp"},
    {"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@neg"}},
    {"match": {"op": "==", "left": {"numgen": {"mode": "random", "mod": 3, "offset": 0}}, "right": 0}},
    {"mangle": {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": {"rt": {"key": "mtu"}}}},
    {"queue": {"num": 3, "flags": "bypass"}},
    {"flow": {"op": "add", "flowtable": "@f"}},
    {"brand new": [1, {"deep": None}]},
    "not even an object",
    {"two": 1, "things": 2},
]


def items(expressions: list[Any], hook: str = "forward") -> list[dict[str, Any]]:
    chain = {
        "family": "inet",
        "table": "odd",
        "name": "pass",
        "type": "filter",
        "hook": hook,
        "prio": 5,
        "policy": "accept",
    }
    rules = [{"rule": {**PLACE, "handle": at, "expr": [one], "comment": "☃ <b>"}} for at, one in enumerate(expressions)]
    return [
        {"table": {"family": "inet", "name": "odd"}},
        {"chain": chain},
        *rules,
        {"flowtable": {"family": "inet", "name": "f"}},
    ]


def test_nothing_that_nft_lists_is_left_out() -> None:
    _, rules = listing.foreign(items(ODD))
    texts = [rule["text"] for rule in rules]
    assert len(texts) == len(ODD)
    assert texts[:4] == [
        'limit name "l1" comment "☃ <b>"',
        'counter name "c1" comment "☃ <b>"',
        'quota name "q1" comment "☃ <b>"',
        'ct helper name "ftp" comment "☃ <b>"',
    ]
    assert "brand new" in texts[9]
    assert "not even an object" in texts[10]
    assert '"things": 2' in texts[11]
    ruleset = of_items(items(ODD))
    assert [rule for rule in ruleset.rules() if rule.opaque]
    assert any("flowtable" in text for text in ruleset.opaque)
    assert ask(A, "172.17.0.3", ruleset).verdict == "undecidable"  # it never guesses


WORDS = (
    "match",
    "limit",
    "vmap",
    "xt",
    "mangle",
    "dnat",
    "jump",
    "set",
    "counter",
    "op",
    "left",
    "right",
    "key",
    "data",
    "x",
)
SCALARS = st.none() | st.booleans() | st.integers() | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(WORDS), inner))


@given(st.lists(JSON, max_size=4))
def test_any_json_at_all_in_a_rule_is_kept_and_traced(expressions: list[Any]) -> None:
    ruleset = of_items(items(expressions))
    assert len(list(ruleset.rules())) == len(expressions)
    for rule in ruleset.rules():
        assert rule.statements is not None
        assert rule.text
    question = Question(source=A, destination=next(iter(WORLD.local)), port=80)
    assert trace(question, ruleset, WORLD).verdict
