"""What other programs write is read whole, and said whose it is; what is no dump is refused in words."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.errors import InvalidSpec
from networks.cnm.imagined import imagined_world
from networks.cnm.iptables_text import parse_save, render_save
from networks.cnm.ruleset.iptables import parse_tables
from networks.cnm.ruleset.model import LEGACY
from networks.cnm.trace.trace import UNDECIDABLE, Question, trace
from networks.cnm.trace.walk import OUTSIDE, Party
from networks.services.dumps import TEXTS, audit_of, make_dump, texts_of
from tests.unit.test_reach import BARE, FACTS, TCP, compile_host, host_of

DUMPS = Path(__file__).parent / "dumps"
"""As the programs write them: ufw, libvirt, Podman (netavark, both ways), Docker 28 and firewalld, the last two native."""
OWNERS = {"ufw": "ufw", "libvirt": "libvirt", "podman": "podman", "netavark": "podman", "firewalld": "firewalld"}
NATIVE = [path for path in sorted(DUMPS.iterdir()) if path.suffix == ".json"]
SAVED = [path for path in sorted(DUMPS.iterdir()) if path.suffix == ".rules"]


def audit(**texts: str) -> dict[str, Any]:
    return audit_of(make_dump(dict.fromkeys(TEXTS, "") | texts, LEGACY))


@pytest.mark.parametrize("path", [*NATIVE, *SAVED], ids=lambda path: path.name)
def test_no_rule_of_another_program_is_lost_or_nobodys(path: Path) -> None:
    text = path.read_text()
    found = audit_of(make_dump(texts_of([text]), LEGACY))
    if path.suffix == ".json":
        standing = sum("rule" in item for item in json.loads(text)["nftables"])
    else:
        standing = sum(line.startswith("-A ") for line in text.splitlines())
        assert render_save(parse_save(text, 4)) == text
    assert len(found["rules"]) == standing > 15
    classes = Counter(rule["foreign_class"] for rule in found["rules"])
    assert classes[OWNERS.get(path.stem, "docker")] >= standing - 1
    opaque = [rule["text"] for rule in found["rules"] if rule["opaque"]]
    assert all("--match-set" in text for text in opaque)  # sets of ipset, which this dump has not with it


def test_what_the_model_does_not_know_is_kept_whole_and_marked() -> None:
    (helper,) = audit(nft=(DUMPS / "firewalld.json").read_text())["opaque"]
    assert "netbios-ns" in helper
    for expression in (
        {"future": {"a": 1}},
        "notrack",
        None,
        5,
        {"match": {"left": 1}},
        {"tproxy": {"port": 1}},
        {"vmap": {}},
    ):
        (rule,) = audit(nft=native([expression]))["rules"]
        assert rule["opaque"], expression
        assert rule["text"]


def native(expressions: list[Any]) -> str:
    chain = {"family": "inet", "table": "t", "name": "c", "type": "filter", "hook": "forward", "prio": 0}
    rule = {"family": "inet", "table": "t", "chain": "c", "handle": 2, "expr": expressions}
    items = [{"table": {"family": "inet", "name": "t"}}, {"chain": chain | {"policy": "accept"}}, {"rule": rule}]
    return json.dumps({"nftables": items})


def chained(*lines: str, chains: int = 0) -> str:
    heads = "".join(f":c{number} - [0:0]\n" for number in range(chains))
    return f"*filter\n:FORWARD ACCEPT [0:0]\n{heads}" + "".join(f"{line}\n" for line in lines) + "COMMIT\n"


@pytest.mark.parametrize(
    "text",
    [
        chained("-A FORWARD -j c0", *(f"-A c{n} -j c{n + 1}" for n in range(1000)), chains=1001),
        chained("-A FORWARD -j c0", "-A c0 -j c1", "-A c1 -j c0", chains=2),
        chained("-A FORWARD -g c0", "-A c0 -g c0", chains=1),
        chained("-A FORWARD -j c0", *(f"-A c{n} -j c{n + 1}" for n in range(30) for _ in range(3)), chains=31),
        chained("-A FORWARD -j nowhere"),
    ],
    ids=["a thousand deep", "a circle", "to itself", "three to the thirtieth", "to no chain"],
)
def test_chains_that_no_kernel_would_hold_end(text: str) -> None:
    assert audit(iptables_save=text)["rules"]
    world = imagined_world(BARE, compile_host(host_of(1, 2), FACTS), ())
    question = Question(
        source=Party(OUTSIDE, "eth0"),
        destination=ip_address("10.1.0.10"),
        protocol=TCP,
        port=80,
        source_address=ip_address("192.0.2.9"),
    )
    found = trace(question, parse_tables(text, 4, LEGACY), world)
    assert found.verdict == UNDECIDABLE


ODD = (
    '"', "\\", "\0", " -m ", " ! ", " --dport ", " -j ", "\n", "*", "[", "é", "-A ", " 99999999999999999999 ", ":",
    " --set-xmark 0xzz/", " -s 999.1.1.1/99 ", " -p 300 ", " --dport 70000:1 ",
)  # fmt: skip
WRONG = (
    None,
    1,
    -1,
    "x",
    [],
    {},
    True,
    1e308,
    [[[]]],
    {"set": [1]},
    {"prefix": {}},
    {"range": [9, 1]},
    10**40,
    "@nobody",
)


def spoil_text(text: str, dice: random.Random) -> str:
    at = dice.randrange(len(text) + 1)
    to = min(len(text), at + dice.randint(0, 40))
    ways: tuple[Callable[[], str], ...] = (
        lambda: text[:at] + text[to:],
        lambda: text[:at] + dice.choice(ODD) + text[at:],
        lambda: text[:at] + text[at:to] * 3 + text[to:],
        lambda: text[:at],
        lambda: "\n".join(dice.sample(lines := text.split("\n"), len(lines))),
    )
    return dice.choice(ways)()


def spoil_json(value: Any, dice: random.Random) -> Any:
    if dice.random() < 0.004:
        return dice.choice(WRONG)
    if isinstance(value, dict):
        return {name: spoil_json(item, dice) for name, item in value.items() if dice.random() > 0.002}
    if isinstance(value, list):
        return [spoil_json(item, dice) for item in value if dice.random() > 0.005]
    return value


@pytest.mark.parametrize("seed", range(6))
def test_spoiled_dumps_are_read_or_refused_and_nothing_else(seed: int) -> None:
    dice = random.Random(seed)
    read = refused = 0
    for number in range(40):
        if number % 2:
            texts = {"nft": json.dumps(spoil_json(json.loads(dice.choice(NATIVE).read_text()), dice))}
        else:
            text = dice.choice(SAVED).read_text()
            for _ in range(dice.randint(1, 6)):
                text = spoil_text(text, dice)
            texts = {"iptables_save": text or "*"}
        try:
            audit(**texts)
            read += 1
        except InvalidSpec:
            refused += 1
    assert read > 5
    assert refused
