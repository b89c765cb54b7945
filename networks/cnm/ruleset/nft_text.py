"""A rule of nft's JSON in words close to nft's own language, to be read; nothing is parsed from it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Json = Mapping[str, Any]
NAMED = frozenset({"counter", "limit", "quota", "ct helper", "ct timeout", "ct expectation", "synproxy", "secmark"})
"""Statements that may stand for an object with a name."""


def rule_text(expressions: Iterable[Json], comment: str = "") -> str:
    """``iifname "br*" tcp dport 80 accept``."""
    parts = [_shown(one) for one in expressions]
    if comment:
        parts.append(f'comment "{comment}"')
    return " ".join(part for part in parts if part)


def _shown(one: Any) -> str:
    """A statement in words; one that is not as expected stays as nft printed it, for nothing is left out."""
    try:
        return _statement(one)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        return json.dumps(one, sort_keys=True, default=str)


def _statement(one: Json) -> str:
    ((kind, value),) = one.items() if len(one) == 1 else (("", one),)
    if kind == "match":
        operator = "" if value["op"] in {"==", "in"} else f"{value['op']} "
        return f"{_expression(value['left'])} {operator}{_expression(value['right'])}"
    if kind in NAMED and isinstance(value, str):
        return f'{kind} name "{value}"'
    if kind == "counter":
        return "counter"
    if kind in {"jump", "goto"}:
        return f"{kind} {value['target']}"
    if kind == "vmap":
        return f"{_expression(value['key'])} vmap {_expression(value['data'])}"
    if kind == "mangle":
        return f"{_expression(value['key'])} set {_expression(value['value'])}"
    if kind == "xt":
        return f"# xt {(value or {}).get('type', '')} {(value or {}).get('name', '')}".rstrip()
    if kind in {"dnat", "snat", "redirect", "masquerade"}:
        return _translation(kind, value or {})
    if kind == "limit":
        return f"limit rate {'over ' if value.get('inv') else ''}{value.get('rate')}/{value.get('per')}"
    if not kind:
        raise ValueError(one)
    if not isinstance(value, dict):
        return kind if value is None else f"{kind} {json.dumps(value, sort_keys=True)}"
    return " ".join([kind, *(f"{name} {_expression(inner)}" for name, inner in value.items())])


def _translation(kind: str, value: Json) -> str:
    family = f" {value['family']}" if value.get("family") else ""
    address = _expression(value["addr"]) if "addr" in value else ""
    port = f":{_expression(value['port'])}" if "port" in value else ""
    flags = value.get("flags", [])
    tail = "".join(f" {flag}" for flag in ([flags] if isinstance(flags, str) else flags))
    return f"{kind}{family}{f' to {address}{port}' if address or port else ''}{tail}"


def _expression(value: Any) -> str:
    if isinstance(value, list):
        return f"{', '.join(_expression(item) for item in value)}"
    if not isinstance(value, dict):
        return "yes" if value is True else "missing" if value is False else str(value)
    ((kind, inner),) = value.items() if len(value) == 1 else (("", value),)
    if kind == "payload":
        return f"{inner.get('protocol', inner.get('base', ''))} {inner.get('field', inner.get('offset', ''))}"
    if kind == "meta":
        plain = {"iifname", "oifname", "iif", "oif"}
        return str(inner["key"]) if inner["key"] in plain else f"meta {inner['key']}"
    if kind == "ct":
        return " ".join(str(inner[name]) for name in ("dir", "key") if name in inner).join(["ct ", ""])
    if kind == "fib":
        flags = inner["flags"] if isinstance(inner["flags"], list) else [inner["flags"]]
        return f"fib {' . '.join(flags)} {inner['result']}"
    if kind == "concat":
        return " . ".join(_expression(part) for part in inner)
    if kind == "set":
        return f"{{ {', '.join(_element(item) for item in (inner if isinstance(inner, list) else [inner]))} }}"
    if kind == "range":
        return f"{_expression(inner[0])}-{_expression(inner[1])}"
    if kind == "prefix":
        return f"{inner['addr']}/{inner['len']}"
    if kind == "map":
        return f"{_expression(inner['key'])} map {_expression(inner['data'])}"
    if kind in {"&", "|", "^", "<<", ">>"}:
        return f" {kind} ".join(_expression(part) for part in inner)
    if kind in {"jump", "goto"}:
        return f"{kind} {inner['target']}"
    if inner is None:
        return kind
    return str(value)


def _element(item: Any) -> str:
    if isinstance(item, list) and len(item) == 2:
        return f"{_expression(item[0])} : {_expression(item[1])}"
    return _expression(item)
