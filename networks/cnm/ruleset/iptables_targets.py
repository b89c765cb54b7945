"""What the targets of iptables do (iptables-extensions(8))."""

from __future__ import annotations

from collections.abc import Iterator

from networks.cnm.rules import Target

from . import words
from .members import parse_network
from .model import Note, SetMark, Statement, Translation, Unknown, Untrack, Verdict

VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject", "RETURN": "return", "STOLEN": "stolen"}
TRANSLATIONS = {"DNAT": "dnat", "SNAT": "snat", "MASQUERADE": "masquerade", "REDIRECT": "redirect", "NETMAP": "netmap"}
HARMLESS = frozenset(
    {
        "LOG", "NFLOG", "ULOG", "TRACE", "CHECKSUM", "TCPMSS", "TCPOPTSTRIP", "TTL", "HL", "TOS", "DSCP", "ECN", "CLASSIFY",
        "SET", "AUDIT", "LED", "IDLETIMER", "RATEEST", "SECMARK", "CONNSECMARK", "TEE", "HMARK",
    }
)  # fmt: skip
"""They change nothing that decides where the packet goes; the rules after them are asked."""
ENDING = frozenset({"NFQUEUE", "QUEUE", "TPROXY", "CLUSTERIP", "SYNPROXY", "DNPT", "SNPT"})
"""Targets that decide a packet's fate by means that are not in the rules."""
TARGETS = frozenset({*VERDICTS, *TRANSLATIONS, *HARMLESS, *ENDING, "MARK", "CONNMARK", "CT", "NOTRACK"})


def statements_of_target(target: Target, family: int, to_chain: bool) -> tuple[Statement, ...]:
    """The end of a rule; a rule with no target only counts."""
    if not target.name:
        return ()
    options = {option: " ".join(values) for option, values in target.options}
    text = " ".join([target.name, *(f"{name} {value}".strip() for name, value in options.items())])
    if to_chain:
        return (Verdict("goto" if target.goto else "jump", target.name),)
    if target.name in ENDING:
        return (Unknown(target.name, text, ends=True),)
    if target.name in VERDICTS:
        return (Verdict(VERDICTS[target.name], detail=options.get("--reject-with", "")),)
    try:
        return tuple(_statements(target.name, options, text, family))
    except (ValueError, KeyError):
        return (Unknown(target.name, text, ends=True),)


def _statements(name: str, options: dict[str, str], text: str, family: int) -> Iterator[Statement]:
    if name in TRANSLATIONS:
        yield _translation(TRANSLATIONS[name], options, family)
    elif name in {"MARK", "CONNMARK"}:
        yield _mark(name, options)
    elif name == "NOTRACK" or (name == "CT" and "--notrack" in options):
        yield Untrack()
    elif name in HARMLESS or name == "CT":
        yield Note(name)
    else:
        yield Unknown(name, text, ends=True)


def _translation(kind: str, options: dict[str, str], family: int) -> Translation:
    if kind == "netmap":
        return Translation("netmap", family, parse_network(options["--to"])[1])
    if kind in {"masquerade", "redirect"}:
        ports = options.get("--to-ports", "")
        return Translation(kind, family, ports=words.port_span(ports, "-") if ports else None)
    where = options["--to-destination" if kind == "dnat" else "--to-source"]
    address, port = _split(where)
    if "/" in port:  # a shifted range: --to-destination 10.0.0.2:80-90/8080
        raise ValueError(where)
    return Translation(
        kind,
        family,
        parse_network(address)[1] if address else None,
        words.port_span(port, "-") if port else None,
    )


def _split(where: str) -> tuple[str, str]:
    """``10.0.0.2:80``, ``[fd00::2]:80``, ``10.0.0.2-10.0.0.5`` or ``:80`` -> (address, port)."""
    if where.startswith("["):
        address, _, rest = where[1:].partition("]")
        return address, rest.removeprefix(":")
    if where.count(":") > 1:
        return where, ""
    address, _, port = where.partition(":")
    return address, port


def _mark(name: str, options: dict[str, str]) -> SetMark:
    which = "mark" if name == "MARK" else "ct.mark"
    if "--restore-mark" in options:
        return SetMark("mark", mask=_mask(options), copy="ct.mark")
    if "--save-mark" in options:
        return SetMark("ct.mark", mask=_mask(options), copy="mark")
    for option, value in options.items():
        span, mask = words.mask_span(value)
        if option == "--set-xmark":
            return SetMark(which, span.low, 0xFFFFFFFF if mask is None else mask)
        if option == "--set-mark":
            bits = 0xFFFFFFFF if mask is None else mask | span.low
            return SetMark(which, span.low, bits)
        if option == "--and-mark":
            return SetMark(which, 0, ~span.low & 0xFFFFFFFF)
        if option == "--or-mark":
            return SetMark(which, span.low, span.low)
    raise ValueError(name)


def _mask(options: dict[str, str]) -> int:
    for option in ("--mask", "--nfmask", "--ctmask"):
        if option in options:
            return words.number(options[option])
    return 0xFFFFFFFF
