"""What an iptables rule means: its matches and target as statements of the model; and whole tables as chains.

Sources: iptables(8), iptables-extensions(8), and net/netfilter/xt_*.c for what those leave open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from networks.cnm.iptables_text import Saved, parse_rule, parse_save
from networks.cnm.rules import Match, Target

from . import words
from .ipsets import IpSet, match_set
from .iptables_targets import TARGETS, statements_of_target
from .members import Item, Key, Members, Span, parse_network
from .model import Chain, Condition, Depends, Field, Rule, Ruleset, Statement, Unknown

PRIORITIES = {
    ("raw", ""): -300,
    ("mangle", ""): -150,
    ("nat", "prerouting"): -100,
    ("nat", "output"): -100,
    ("nat", "input"): 100,
    ("nat", "postrouting"): 100,
    ("filter", ""): 0,
    ("security", ""): 50,
}
"""``enum nf_ip_hook_priorities``, linux/netfilter_ipv4.h."""
HOOKS = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})
MORE_THAN_THE_PACKET = frozenset(
    {
        "limit", "hashlimit", "recent", "statistic", "time", "owner", "quota", "connlimit", "connbytes", "cgroup",
        "nfacct", "length", "ttl", "hl", "tos", "dscp", "ecn", "string", "u32", "bpf", "mac", "socket", "tcpmss", "rateest",
        "cpu", "helper", "policy", "frag", "rt", "ipv6header", "hbh", "dst", "mh", "esp", "ah", "realm", "connlabel", "cluster",
    }
)  # fmt: skip
"""Matches whose outcome is in something that a question does not say."""
SILENT = frozenset({"comment"})
CACHED = 1 << 15
NO_SETS: Mapping[str, IpSet] = {}

Reader = Callable[[Match, int], Statement]


def parse_tables(text: str, family: int, flavour: str, sets: Mapping[str, IpSet] = NO_SETS) -> Ruleset:
    """The chains of an ``iptables-save`` (*family* 4) or ``ip6tables-save`` (6); *sets*: what ``--match-set`` asks of."""
    return of_saved(parse_save(text, family), flavour, sets)


def of_saved(saved: Saved, flavour: str, sets: Mapping[str, IpSet] = NO_SETS) -> Ruleset:
    rules: dict[tuple[str, str], list[Rule]] = {(chain.table, chain.name): [] for chain in saved.chains}
    for line in saved.lines:
        of_chain = rules.setdefault((line.table, line.chain), [])
        of_chain.append(
            make_rule(
                flavour,
                saved.family,
                line.table,
                line.chain,
                len(of_chain) + 1,
                line.text,
                line.packets,
                line.bytes,
                sets,
            )
        )
    chains = []
    policies = {(chain.table, chain.name): chain for chain in saved.chains}
    for (table, name), found in rules.items():
        known = policies.get((table, name))
        builtin = known is not None and known.builtin
        chains.append(
            make_chain(
                flavour,
                saved.family,
                table,
                name,
                known.policy if known is not None and builtin else "",
                found,
                known.packets if known is not None else 0,
                known.bytes if known is not None else 0,
            )
        )
    return Ruleset(tuple(chains))


def make_chain(
    flavour: str,
    family: int,
    table: str,
    name: str,
    policy: str,
    rules: Iterable[Rule],
    packets: int = 0,
    octets: int = 0,
) -> Chain:
    """A chain; an empty *policy* (or a dash) means a user-defined one."""
    builtin = policy not in {"", "-"} and name in HOOKS
    hook = name.lower() if builtin else ""
    return Chain(
        flavour,
        "ip" if family == 4 else "ip6",
        table,
        name,
        type="nat" if table == "nat" else "route" if table == "mangle" and hook == "output" else "filter",
        hook=hook,
        priority=PRIORITIES.get((table, hook), PRIORITIES.get((table, ""), 0)) if builtin else 0,
        policy=policy.lower() if builtin else "",
        rules=tuple(rules),
        packets=packets,
        bytes=octets,
    )


def make_rule(
    flavour: str,
    family: int,
    table: str,
    chain: str,
    position: int,
    text: str,
    packets: int = 0,
    octets: int = 0,
    sets: Mapping[str, IpSet] = NO_SETS,
) -> Rule:
    """*sets*: what ``--match-set`` asks of."""

    def read() -> tuple[Statement, ...]:
        if sets and "--match-set" in text:
            return _statements(text, family, table, sets)
        return statements(text, family, table)

    return Rule(
        flavour,
        "ip" if family == 4 else "ip6",
        table,
        chain,
        position,
        text,
        read,
        packets,
        octets,
        comment=_comment(text),
    )


def native_names(saved: Saved) -> frozenset[tuple[str, str]]:
    """(family, table) of the nf_tables tables that iptables-nft shows: the native reader leaves them to it."""
    return frozenset({("ip" if saved.family == 4 else "ip6", chain.table) for chain in saved.chains})


@lru_cache(maxsize=CACHED)
def statements(text: str, family: int, table: str) -> tuple[Statement, ...]:
    """What the rule does, condition by condition, then its target."""
    return _statements(text, family, table, NO_SETS)


def _statements(text: str, family: int, table: str, sets: Mapping[str, IpSet]) -> tuple[Statement, ...]:
    rule = parse_rule(text, family, table)
    protocol = next((m.values[0] for m in rule.matches if m.option in {"-p", "--protocol"} and not m.negated), "")
    number = words.protocol_number(protocol) or 0
    found = list(_conditions(rule.matches, family, number, sets))
    return (*found, *statements_of_target(rule.target, family, is_chain(rule.target)))


def is_chain(target: Target) -> bool:
    """Whether a jump to *target* goes to a chain. User-defined chains may not bear the names of targets, which are known here or,
    where they carry options, can be no chain."""
    return bool(target.name) and target.name not in TARGETS and not target.options


def _comment(text: str) -> str:
    _, found, rest = text.partition(' --comment "')
    return rest.partition('"')[0] if found else ""


def _conditions(
    matches: tuple[Match, ...], family: int, protocol: int, sets: Mapping[str, IpSet]
) -> Iterator[Statement]:
    for match in matches:
        if match.module in SILENT or not match.option:
            # A module with no option of its own asks for nothing, save those that are a condition by themselves.
            if match.module in {"socket", "rpfilter", *MORE_THAN_THE_PACKET}:
                yield Depends(match.module)
            continue
        yield match_set(match, sets) if match.module == "set" else _condition(match, family, protocol)


def _condition(match: Match, family: int, protocol: int) -> Statement:
    if match.module in MORE_THAN_THE_PACKET:
        return Depends(match.module)
    reader = _READERS.get((match.module, match.option)) or _READERS.get(("*", match.option))
    text = f"{'! ' if match.negated else ''}{match.option} {' '.join(match.values)}".strip()
    if reader is None:
        return Unknown(match.module or match.option, text)
    try:
        return reader(match, family, protocol)
    except (ValueError, IndexError, KeyError):
        return Unknown(match.module or match.option, text)


def _test(
    name: str, items: Iterable[Item], match: Match, family: int = 0, protocol: int = 0, mask: int | None = None
) -> Condition:
    field = Field(name, family, protocol, mask)
    keys: list[Key] = [(item,) for item in items]
    return Condition((field,), Members.of(keys), match.negated)


def _address(name: str) -> Callable[[Match, int, int], Statement]:
    def read(match: Match, family: int, _protocol: int) -> Statement:
        address, slash, mask = match.values[0].partition("/")
        if slash and not mask.isdigit():
            # A mask that is no prefix: compared bit by bit.
            bits = parse_network(mask)[1].low
            return _test(name, [Span.one(parse_network(address)[1].low & bits)], match, family, mask=bits)
        version, span = parse_network(match.values[0])
        return _test(name, [span], match, version)

    return read


def _device(name: str) -> Callable[[Match, int, int], Statement]:
    def read(match: Match, _family: int, _protocol: int) -> Statement:
        device = match.values[0]
        return _test(name, [f"{device[:-1]}*" if device.endswith("+") else device], match)

    return read


def _protocol(match: Match, _family: int, _number: int) -> Statement:
    number = words.protocol_number(match.values[0])
    if number is None:
        raise ValueError(match.values[0])
    return _test("protocol", [Span.one(number) if number else Span(0, 255)], match)


def _ports(*names: str) -> Callable[[Match, int, int], Statement]:
    def read(match: Match, _family: int, protocol: int) -> Statement:
        spans = [words.port_span(part) for part in match.values[0].split(",")]
        if len(names) == 1:
            return _test(names[0], spans, match, protocol=protocol)
        # --ports: one of the two; a key of two fields with "any" for the other says that.
        anything = Span(0, 65535)
        keys = [key for span in spans for key in ((span, anything), (anything, span))]
        return Condition(tuple(Field(name, protocol=protocol) for name in names), Members.of(keys), match.negated)

    return read


def _range(name: str) -> Callable[[Match, int, int], Statement]:
    def read(match: Match, _family: int, _protocol: int) -> Statement:
        version, span = parse_network(match.values[0])
        return _test(name, [span], match, version)

    return read


def _flags(field: str, table: dict[str, int]) -> Callable[[Match, int, int], Statement]:
    def read(match: Match, _family: int, _protocol: int) -> Statement:
        bits = sum(table[name.lower().replace("_", "-")] for name in match.values[0].split(","))
        return Condition((Field(field),), Members.of(()), match.negated, bits)

    return read


def _ct_status(match: Match, _family: int, _protocol: int) -> Statement:
    names = {"seen_reply": "seen-reply"}
    bits = 0
    for name in match.values[0].lower().split(","):
        if name == "none":
            raise ValueError(name)
        bits |= words.CT_STATUS[names.get(name, name)]
    return Condition((Field("ct.status"),), Members.of(()), match.negated, bits)


def _tcp_flags(match: Match, _family: int, _protocol: int) -> Statement:
    mask, wanted = (_flag_bits(text) for text in match.values)
    return _test("tcp.flags", [Span.one(wanted)], match, protocol=words.TCP, mask=mask)


def _flag_bits(text: str) -> int:
    if text in {"ALL", "NONE"}:
        return 0x3F if text == "ALL" else 0
    return sum(words.TCP_FLAGS[name.lower()] for name in text.split(","))


def _syn(match: Match, _family: int, _protocol: int) -> Statement:
    mask = words.TCP_FLAGS["syn"] | words.TCP_FLAGS["rst"] | words.TCP_FLAGS["ack"] | words.TCP_FLAGS["fin"]
    return _test("tcp.flags", [Span.one(words.TCP_FLAGS["syn"])], match, protocol=words.TCP, mask=mask)


def _icmp(match: Match, family: int, _protocol: int) -> Statement:
    names, number = (words.ICMP_TYPES, words.ICMP) if family == 4 else (words.ICMPV6_TYPES, words.ICMPV6)
    text = match.values[0]
    if text in {"any", "255", "255/255"} and family == 4:
        return _test("icmp.type", [Span(0, 255)], match, protocol=number)
    if text in names:
        kind, code = names[text]
    else:
        first, slash, second = text.partition("/")
        kind, code = int(first), int(second) if slash else None
    fields = (Field("icmp.type", protocol=number), Field("icmp.code", protocol=number))
    key: Key = (Span.one(kind), Span(0, 255) if code is None else Span.one(code))
    return Condition(fields, Members.of([key]), match.negated)


def _mark(field: str) -> Callable[[Match, int, int], Statement]:
    def read(match: Match, _family: int, _protocol: int) -> Statement:
        span, mask = words.mask_span(match.values[0])
        return _test(field, [span], match, mask=mask)

    return read


def _kind(field: str, names: dict[str, int]) -> Callable[[Match, int, int], Statement]:
    def read(match: Match, _family: int, _protocol: int) -> Statement:
        return _test(field, [Span.one(names[name.lower()]) for name in match.values[0].split(",")], match)

    return read


def _ct_protocol(match: Match, _family: int, _number: int) -> Statement:
    number = words.protocol_number(match.values[0])
    if number is None:
        raise ValueError(match.values[0])
    return _test("ct.protocol", [Span.one(number)], match)


def _ct_port(name: str) -> Callable[[Match, int, int], Statement]:
    def read(match: Match, _family: int, _protocol: int) -> Statement:
        return _test(name, [words.port_span(match.values[0])], match)

    return read


def _direction(match: Match, _family: int, _protocol: int) -> Statement:
    return _test("ct.direction", [Span.one(0 if match.values[0] == "ORIGINAL" else 1)], match)


def _bridged(match: Match, _family: int, _protocol: int) -> Statement:
    names = {"--physdev-is-in": "physin", "--physdev-is-out": "physout", "--physdev-is-bridged": "physout"}
    return _test(names[match.option], ["*"], match)


def _fragment(match: Match, _family: int, _protocol: int) -> Statement:
    return _test("fragment", [Span.one(1)], match)


_READERS: dict[tuple[str, str], Callable[[Match, int, int], Statement]] = {
    ("", "-s"): _address("saddr"),
    ("", "-d"): _address("daddr"),
    ("", "-i"): _device("iifname"),
    ("", "-o"): _device("oifname"),
    ("", "-p"): _protocol,
    ("", "-f"): _fragment,
    ("*", "--dport"): _ports("dport"),
    ("*", "--sport"): _ports("sport"),
    ("multiport", "--dports"): _ports("dport"),
    ("multiport", "--sports"): _ports("sport"),
    ("multiport", "--ports"): _ports("sport", "dport"),
    ("iprange", "--src-range"): _range("saddr"),
    ("iprange", "--dst-range"): _range("daddr"),
    ("conntrack", "--ctstate"): _flags("ct.state", words.CT_STATES),
    ("state", "--state"): _flags("ct.state", words.CT_STATES),
    ("conntrack", "--ctstatus"): _ct_status,
    ("conntrack", "--ctproto"): _ct_protocol,
    ("conntrack", "--ctdir"): _direction,
    ("conntrack", "--ctorigsrc"): _address("ct.original.saddr"),
    ("conntrack", "--ctorigdst"): _address("ct.original.daddr"),
    ("conntrack", "--ctreplsrc"): _address("ct.reply.saddr"),
    ("conntrack", "--ctrepldst"): _address("ct.reply.daddr"),
    ("conntrack", "--ctorigsrcport"): _ct_port("ct.original.sport"),
    ("conntrack", "--ctorigdstport"): _ct_port("ct.original.dport"),
    ("conntrack", "--ctreplsrcport"): _ct_port("ct.reply.sport"),
    ("conntrack", "--ctrepldstport"): _ct_port("ct.reply.dport"),
    ("tcp", "--tcp-flags"): _tcp_flags,
    ("tcp", "--syn"): _syn,
    ("icmp", "--icmp-type"): _icmp,
    ("icmp6", "--icmpv6-type"): _icmp,
    ("ipv6-icmp", "--icmpv6-type"): _icmp,
    ("mark", "--mark"): _mark("mark"),
    ("connmark", "--mark"): _mark("ct.mark"),
    ("addrtype", "--src-type"): _kind("fib.saddr.type", words.ADDRESS_TYPES),
    ("addrtype", "--dst-type"): _kind("fib.daddr.type", words.ADDRESS_TYPES),
    ("pkttype", "--pkt-type"): _kind("pkttype", words.PACKET_TYPES),
    ("physdev", "--physdev-in"): _device("physin"),
    ("physdev", "--physdev-out"): _device("physout"),
    ("physdev", "--physdev-is-in"): _bridged,
    ("physdev", "--physdev-is-out"): _bridged,
    ("physdev", "--physdev-is-bridged"): _bridged,
}
