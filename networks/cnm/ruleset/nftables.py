"""``nft -j list ruleset``: tables of anybody, with sets, maps, verdict maps and concatenations (libnftables-json(5))."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from networks.cnm.errors import InvalidSpec
from networks.cnm.text import gettext_noop

from .members import Members
from .model import NATIVE, Chain, NamedSet, Rule, Ruleset, Statement
from .nft_expressions import Sets, members_of_map, members_of_set, read_statement
from .nft_text import rule_text

Json = Mapping[str, Any]
KNOWN = frozenset({"metainfo", "table", "chain", "rule", "set", "map", "element"})


def parse_ruleset(text: str, without: Iterable[tuple[str, str]] = ()) -> Ruleset:
    """The tables of an ``nft -j list ruleset``. *without*: (family, table) of those that another reader shows.

    Raises :class:`InvalidSpec` for what is not nft's JSON.
    """
    try:
        items = json.loads(text)["nftables"] if text.strip() else []
        return of_items(items, without)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidSpec(
            gettext_noop("This is not what nft -j list ruleset prints: {cause}."),
            remedy=gettext_noop("Save the output of nft -j list ruleset, with -j, and load that."),
            cause=repr(error)[:200],
        ) from error


def of_items(items: Iterable[Json], without: Iterable[tuple[str, str]] = ()) -> Ruleset:
    """The same of the list that nft prints, already taken out of its JSON."""
    left_out = frozenset(without)
    kept = [
        (kind, value)
        for item in items
        for kind, value in item.items()
        if kind != "metainfo" and _table(kind, value) not in left_out
    ]
    sets = {
        (value["family"], value["table"], value["name"]): _named(kind, value)
        for kind, value in kept
        if kind in {"set", "map"}
    }
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    for kind, value in kept:
        if kind == "rule":
            of_chain = rules.setdefault((value["family"], value["table"], value["chain"]), [])
            of_chain.append(_rule(value, len(of_chain) + 1, sets))
    chains = [_chain(value, rules) for kind, value in kept if kind == "chain"]
    opaque = [json.dumps({kind: value}, sort_keys=True) for kind, value in kept if kind not in KNOWN]
    return Ruleset(tuple(chains), tuple(sets.values()), tuple(opaque))


def _table(kind: str, value: Json) -> tuple[str, str]:
    return (value.get("family", ""), value["name"] if kind == "table" else value.get("table", ""))


def _chain(value: Json, rules: Mapping[tuple[str, str, str], list[Rule]]) -> Chain:
    devices = value.get("dev", ())
    return Chain(
        NATIVE,
        value["family"],
        value["table"],
        value["name"],
        type=value.get("type", "filter"),
        hook=value.get("hook", ""),
        priority=int(value.get("prio", 0)),
        policy=value.get("policy", "accept") if "hook" in value else "",
        devices=(devices,) if isinstance(devices, str) else tuple(devices),
        rules=tuple(rules.get((value["family"], value["table"], value["name"]), ())),
    )


def _rule(value: Json, position: int, sets: Mapping[tuple[str, str, str], NamedSet]) -> Rule:
    family, table = value["family"], value["table"]
    expressions = value.get("expr", [])
    counted = [one["counter"] for one in expressions if isinstance(one, dict) and isinstance(one.get("counter"), dict)]
    counter = next((one for one in counted if "packets" in one and "bytes" in one), None)
    return Rule(
        NATIVE,
        family,
        table,
        value["chain"],
        position,
        rule_text(expressions, value.get("comment", "")),
        _reader(expressions, family, lambda name: sets.get((family, table, name))),
        packets=counter["packets"] if counter else None,
        bytes=counter["bytes"] if counter else None,
        handle=value.get("handle"),
        comment=value.get("comment", ""),
    )


def _reader(expressions: list[Json], family: str, find: Sets) -> Callable[[], tuple[Statement, ...]]:
    return lambda: tuple(statement for one in expressions for statement in read_statement(one, family, find))


def _named(kind: str, value: Json) -> NamedSet:
    types = value.get("type")
    kinds = [types] if isinstance(types, str) else list(types or ())
    members: Members[Any] | None
    try:
        read = members_of_map if kind == "map" else members_of_set
        members = read(value.get("elem", ()), kinds)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        members = None
    if "dynamic" in value.get("flags", ()) or "timeout" in value.get("flags", ()):
        members = None  # packets put its elements in and time takes them out: what it holds next is anybody's guess
    name = f"{' . '.join(kinds)}{' : ' + str(value['map']) if kind == 'map' else ''}"
    return NamedSet(
        NATIVE, value["family"], value["table"], value["name"], name, members, json.dumps({kind: value}, sort_keys=True)
    )
