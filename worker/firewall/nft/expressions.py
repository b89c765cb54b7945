"""One rule as nft's JSON (libnftables-json(5)) and back, in exact inverse. Pure.

``parse_rule`` also takes rules that are not ours: an expression that has no word here is kept as it stands, as the one value of
``-m nft --expr``, and is rendered as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from networks.cnm.errors import Unsupported
from networks.cnm.iptables_text import quote, unquote
from networks.cnm.rules import Match, Rule, Target
from networks.cnm.text import gettext_noop

Expression = dict[str, Any]

FAMILIES = {4: "ip", 6: "ip6"}
TRANSPORTS = ("tcp", "udp", "sctp")
_VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "RETURN": "return", "MASQUERADE": "masquerade"}
_TARGETS = {word: name for name, word in _VERDICTS.items()}
_STATES = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED")
"""In the order in which iptables prints them (libxt_conntrack)."""
_TABLES = ("raw", "mangle", "nat", "security")
RAW = ("nft", "--expr")


@dataclass(frozen=True, slots=True)
class Parsed:
    """One rule of the kernel's, as data, with its counters."""

    rule: Rule
    packets: int = 0
    bytes: int = 0


def chain_name(table: str, chain: str) -> str:
    """What a chain is called in our table: chains of ``filter`` as they are, others with their table's name (``nat-CNM``)."""
    return chain if table == "filter" else f"{table}-{chain}"


def chain_place(name: str) -> tuple[str, str]:
    """(table, chain) of a chain in our table: the inverse of :func:`chain_name`."""
    table, dash, chain = name.partition("-")
    return (table, chain) if dash and table in _TABLES else ("filter", name)


def render_rule(rule: Rule) -> dict[str, Any]:
    """``expr`` and ``comment`` of *rule*, with a counter before its target. Raises :class:`Unsupported` for words unknown here."""
    expressions: list[Expression] = []
    comment = ""
    for at, match in enumerate(rule.matches):
        following = rule.matches[at + 1] if at + 1 < len(rule.matches) else None
        if (match.module, match.option) == ("comment", "--comment"):
            comment = match.values[0]
        elif not _is_implied(match, following):
            expressions.append(_render_match(match, rule))
    expressions.append({"counter": None})
    expressions += _render_target(rule)
    return {"expr": expressions} | ({"comment": comment} if comment else {})


def parse_rule(expressions: Iterable[Expression], comment: str, family: int, table: str, chain: str) -> Parsed:
    """The rule that the kernel holds in *chain* of *table*."""
    matches: list[Match] = []
    target = Target()
    packets = octets = 0
    rest = list(expressions)
    if rest and (found := _parse_target(rest[-1], table)) is not None:
        target = found
        rest.pop()
    for item in rest:
        counter = item.get("counter")
        if isinstance(counter, dict) and counter.keys() == {"packets", "bytes"}:
            packets, octets = int(counter["packets"]), int(counter["bytes"])
        elif "counter" not in item or counter is not None:
            matches += _parse_match(item, family, matches)
    if comment:
        matches.append(Match("comment", "--comment", (comment,)))
    rule = Rule(family=family, table=table, chain=chain, matches=tuple(matches), target=target)
    return Parsed(rule, packets, octets)


def condition(left: Expression, right: object, *, but: bool = False) -> Expression:
    """``left == right``, or (*but*) ``left != right``."""
    return {"match": {"op": "!=" if but else "==", "left": left, "right": right}}


def meta(key: str) -> Expression:
    return {"meta": {"key": key}}


def payload(protocol: str, field: str) -> Expression:
    return {"payload": {"protocol": protocol, "field": field}}


def _tracked(key: str) -> Expression:
    """What conntrack knows of a connection's first packet."""
    return {"ct": {"key": key, "dir": "original"}}


def _is_implied(match: Match, following: Match | None) -> bool:
    """``-p tcp`` before ``-m tcp --dport``, and ``--dir in`` before ``--pol none``: nft has both in one word."""
    if match.option == "--dir":
        return following is not None and (following.module, following.option) == (match.module, "--pol")
    ports = following is not None and following.option in {"--dport", "--sport"}
    return match.option == "-p" and not match.negated and ports and match.values == (following.module,)  # type: ignore[union-attr]


def _render_match(match: Match, rule: Rule) -> Expression:
    render = _RENDER.get((match.module, match.option))
    if render is None and match.module in TRANSPORTS and match.option in {"--dport", "--sport"}:
        render = _render_port
    policy = (match.module, match.option) == ("policy", "--pol")
    if len(match.values) != 1 or (render is None and not policy):
        raise _untranslatable(rule)
    try:
        return render(match, rule.family) if render is not None else _render_policy(match, rule)
    except (ValueError, KeyError, StopIteration) as error:
        raise _untranslatable(rule) from error


def _render_address(match: Match, family: int) -> Expression:
    network = ip_network(match.values[0])
    whole = network.prefixlen == network.max_prefixlen
    value: object = str(network.network_address)
    if not whole:
        value = {"prefix": {"addr": value, "len": network.prefixlen}}
    field = "saddr" if match.option == "-s" else "daddr"
    return condition(payload(FAMILIES[family], field), value, but=match.negated)


def _render_device(match: Match, family: int) -> Expression:
    name = match.values[0]
    value = f"{name[:-1]}*" if name.endswith("+") else name
    return condition(meta("iifname" if match.option == "-i" else "oifname"), value, but=match.negated)


def _render_protocol(match: Match, family: int) -> Expression:
    return condition(meta("l4proto"), match.values[0], but=match.negated)


def _render_port(match: Match, family: int) -> Expression:
    first, colon, last = match.values[0].partition(":")
    value: object = {"range": [int(first), int(last)]} if colon else int(first)
    return condition(payload(match.module, match.option.removeprefix("--")), value, but=match.negated)


def _render_address_type(match: Match, family: int) -> Expression:
    flag = "daddr" if match.option == "--dst-type" else "saddr"
    return condition({"fib": {"flags": [flag], "result": "type"}}, match.values[0].lower(), but=match.negated)


def _render_state(match: Match, family: int) -> Expression:
    states = [state.lower() for state in match.values[0].split(",")]
    value = states[0] if len(states) == 1 else states
    return {"match": {"op": "!=" if match.negated else "in", "left": {"ct": {"key": "state"}}, "right": value}}


def _render_first_address(match: Match, family: int) -> Expression:
    return condition(_tracked(f"{FAMILIES[family]} daddr"), match.values[0], but=match.negated)


def _render_first_port(match: Match, family: int) -> Expression:
    return condition(_tracked("proto-dst"), int(match.values[0]), but=match.negated)


_PROTECTED = {"in": meta("ipsec"), "out": {"rt": {"key": "ipsec"}}}
"""Whether IPsec has decrypted a packet, and whether it will encrypt it: by the option --dir of iptables' match ``policy``."""


def _render_policy(match: Match, rule: Rule) -> Expression:
    direction = next(one.values[0] for one in rule.matches if (one.module, one.option) == ("policy", "--dir"))
    return condition(_PROTECTED[direction], {"none": False, "ipsec": True}[match.values[0]], but=match.negated)


def _render_raw(match: Match, family: int) -> Expression:
    found: Expression = json.loads(unquote(match.values[0]))
    return found


_RENDER: dict[tuple[str, str], Callable[[Match, int], Expression]] = {
    ("", "-s"): _render_address,
    ("", "-d"): _render_address,
    ("", "-i"): _render_device,
    ("", "-o"): _render_device,
    ("", "-p"): _render_protocol,
    ("addrtype", "--dst-type"): _render_address_type,
    ("addrtype", "--src-type"): _render_address_type,
    ("conntrack", "--ctstate"): _render_state,
    ("conntrack", "--ctorigdst"): _render_first_address,
    ("conntrack", "--ctorigdstport"): _render_first_port,
    RAW: _render_raw,
}


def _render_target(rule: Rule) -> list[Expression]:
    target = rule.target
    options = dict(target.options)
    if target.name in _VERDICTS and not options:
        return [{_VERDICTS[target.name]: None}]
    if target.name == "DNAT" and options.keys() == {"--to-destination"}:
        address, port = split_destination(options["--to-destination"][0])
        return [{"dnat": {"addr": address, "port": port} if port else {"addr": address}}]
    if target.name == "SNAT" and options.keys() == {"--to-source"}:
        return [{"snat": {"addr": options["--to-source"][0]}}]
    if options:
        raise _untranslatable(rule)
    if not target.name:
        return []
    return [{"goto" if target.goto else "jump": {"target": chain_name(rule.table, target.name)}}]


def split_destination(value: str) -> tuple[str, int]:
    """(address, port) of ``10.0.0.2:80`` or ``[fd00::2]:80``; port 0 where it has none."""
    if value.startswith("["):
        address, _, port = value[1:].partition("]")
        return address, int(port.removeprefix(":") or 0)
    if value.count(":") > 1:
        return value, 0
    address, _, port = value.partition(":")
    return address, int(port or 0)


def join_destination(address: str, port: int) -> str:
    """The inverse of :func:`split_destination`."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _parse_target(item: Expression, table: str) -> Target | None:
    ((name, value),) = item.items()
    if name in _TARGETS and value is None:
        return Target(_TARGETS[name])
    if name in {"jump", "goto"}:
        place = chain_place(value["target"])
        return Target(place[1], goto=name == "goto") if place[0] == table else None
    if name not in {"dnat", "snat"} or not isinstance(value, dict):
        return None
    address, port = value.get("addr"), value.get("port", 0)
    if not isinstance(address, str) or not isinstance(port, int) or value.keys() - {"addr", "port", "family"}:
        return None
    if name == "dnat":
        return Target("DNAT", (("--to-destination", (join_destination(address, port),)),))
    return None if port else Target("SNAT", (("--to-source", (address,)),))


def _parse_match(item: Expression, family: int, before: list[Match]) -> list[Match]:
    """What one expression says; as it stands where there is no word for it."""
    found = _parse_condition(item.get("match"), family, before)
    if found:
        return found
    text = json.dumps(item, separators=(",", ":"), sort_keys=True)
    return [Match(*RAW, (quote(text),))]


def _parse_condition(item: object, family: int, before: list[Match]) -> list[Match]:
    if not isinstance(item, dict) or item["op"] not in {"==", "!=", "in"}:
        return []
    left, right, negated = item["left"], item["right"], item["op"] == "!="
    if not isinstance(left, dict):
        return []
    ((kind, what),) = left.items()
    if item["op"] == "in" and (kind, what) != ("ct", {"key": "state"}):
        return []
    if left in _PROTECTED.values():
        return _parse_policy(left, right) if not negated else []
    if kind == "meta":
        return _parse_meta(what.get("key"), right, negated)
    if kind == "payload":
        return _parse_payload(what, right, negated, family, before)
    if kind == "fib" and what.get("result") == "type" and what.get("flags") in (["daddr"], ["saddr"]):
        option = "--dst-type" if what["flags"] == ["daddr"] else "--src-type"
        return [Match("addrtype", option, (right.upper(),), negated)] if isinstance(right, str) else []
    return _parse_tracked(what, right, negated, family, before) if kind == "ct" else []


def _parse_meta(key: str | None, right: object, negated: bool) -> list[Match]:
    option = {"iifname": "-i", "oifname": "-o", "l4proto": "-p"}.get(key or "")
    if option is None or not isinstance(right, str) or right.startswith("@"):
        return []
    value = f"{right[:-1]}+" if option != "-p" and right.endswith("*") else right
    return [Match("", option, (value,), negated)]


def _parse_policy(left: Expression, right: object) -> list[Match]:
    if not isinstance(right, bool):
        return []
    direction = next(name for name, asked in _PROTECTED.items() if asked == left)
    policy = "ipsec" if right else "none"
    return [Match("policy", "--dir", (direction,)), Match("policy", "--pol", (policy,), joined=True)]


def _parse_payload(what: Expression, right: object, negated: bool, family: int, before: list[Match]) -> list[Match]:
    protocol, field = what.get("protocol"), what.get("field")
    if protocol == FAMILIES[family] and field in {"saddr", "daddr"}:
        if isinstance(right, dict) and right.keys() == {"prefix"}:
            right = f"{right['prefix']['addr']}/{right['prefix']['len']}"
        if not isinstance(right, str) or right.startswith("@"):
            return []
        return [Match("", "-s" if field == "saddr" else "-d", (str(ip_network(right)),), negated)]
    if protocol not in TRANSPORTS or field not in {"dport", "sport"}:
        return []
    if isinstance(right, dict) and right.keys() == {"range"}:
        right = f"{right['range'][0]}:{right['range'][1]}"
    if not isinstance(right, str | int) or str(right).startswith("@"):
        return []
    port = Match(protocol, f"--{field}", (str(right),), negated)
    if before and before[-1].module == protocol:
        return [Match(port.module, port.option, port.values, port.negated, joined=True)]
    return [Match("", "-p", (protocol,)), port]


def _parse_tracked(what: Expression, right: object, negated: bool, family: int, before: list[Match]) -> list[Match]:
    if what == {"key": "state"}:
        states = {right} if isinstance(right, str) else set(right) if isinstance(right, list) else set()
        words = [state for state in _STATES if state.lower() in states]
        return [Match("conntrack", "--ctstate", (",".join(words),), negated)] if len(words) == len(states) > 0 else []
    if not isinstance(right, str | int) or str(right).startswith("@"):
        return []
    if what == {"key": f"{FAMILIES[family]} daddr", "dir": "original"}:
        return [Match("conntrack", "--ctorigdst", (str(right),), negated)]
    if what == {"key": "proto-dst", "dir": "original"}:
        joined = bool(before) and before[-1].option == "--ctorigdst"
        return [Match("conntrack", "--ctorigdstport", (str(right),), negated, joined)]
    return []


def _untranslatable(rule: Rule) -> Unsupported:
    return Unsupported(
        gettext_noop("The rule {rule} cannot be written through nftables."),
        remedy=gettext_noop("Set CNM_FIREWALL to iptables."),
        rule=rule.text,
        facts={"line": rule.text},
    )
