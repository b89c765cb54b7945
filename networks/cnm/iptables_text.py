"""The text of ``iptables-save``: rules and chains rendered to it and parsed from it, in exact inverse.

``parse_rule(render_rule(rule))`` gives the rule again, and ``render_rule(parse_rule(line))`` the line, for every line that iptables
prints, also with modules that are not known here: what is not known is kept as it stands, token by token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from . import rules

if TYPE_CHECKING:
    from .rules import Match, Rule, Target

PLAIN_STRING = re.compile(r"[A-Za-z0-9_-]+\Z")
"""What iptables prints without quotes (``xtables_save_string`` in libxtables)."""
STRING_OPTIONS = frozenset({"--comment", "--log-prefix", "--nflog-prefix"})
"""Options whose one value is free text, printed through ``xtables_save_string``. Other values are kept with their quotes."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')
_ESCAPED = re.compile(r"""(["'\\])""")
_UNESCAPED = re.compile(r"\\(.)")
_COUNTERS = re.compile(r"\[(\d+):(\d+)\] ?")
_NUMBER = re.compile(r"-\d")
_CACHED_BODIES = 1 << 16


@dataclass(frozen=True, slots=True)
class SavedChain:
    """A chain as the head of a table lists it."""

    table: str
    name: str
    policy: str
    """``ACCEPT`` or ``DROP``; a dash for a user-defined chain."""
    packets: int = 0
    bytes: int = 0

    @property
    def builtin(self) -> bool:
        return self.policy != "-"


@dataclass(frozen=True, slots=True)
class SavedRule:
    """One line of a table, not taken apart."""

    table: str
    chain: str
    text: str
    packets: int = 0
    bytes: int = 0
    via: str = ""
    """Where a backend keeps it in a set or map: the text of the rule that asks for it. Then it has no order among others."""
    slot: tuple[str | int, ...] = ()
    """Its key there."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A whole ``iptables-save``, in its order. Rules of one chain keep their positions."""

    family: int
    chains: tuple[SavedChain, ...] = ()
    lines: tuple[SavedRule, ...] = ()

    def rules(self) -> tuple[Rule, ...]:
        """The lines as rules."""
        return tuple(parse_rule(line.text, self.family, line.table) for line in self.lines)


def render_rule(rule: Rule) -> str:
    """The line that iptables-save prints for *rule*, from ``-A`` on, without counters."""
    matches = _render_matches(rule.matches)
    target = _render_target(rule.target)
    return f"-A {rule.chain}{matches}{target}"


def parse_rule(line: str, family: int, table: str) -> Rule:
    """The rule of one line; counters before it are left out. Raises :class:`ValueError` for what is no rule."""
    counters = _COUNTERS.match(line)
    text = line[counters.end() :] if counters else line
    head, _, rest = text.partition(" ")
    chain, _, body = rest.partition(" ")
    if head != "-A" or not chain:
        raise ValueError(f"Not a rule: {line!r}")
    matches, target = _parse_body(body.rstrip())
    return rules.Rule(family=family, table=table, chain=chain, matches=matches, target=target)


def parse_save(text: str, family: int) -> Saved:
    """The chains and rules of an iptables-save, with or without counters. Comments and other lines are passed over."""
    chains: list[SavedChain] = []
    lines: list[SavedRule] = []
    table = ""
    for line in text.splitlines():
        first = line[:1]
        if first == "-" and line.startswith("-A "):
            lines.append(SavedRule(table, line[3:].partition(" ")[0], line.rstrip()))
        elif first == "[":
            lines.append(_counted(line, table))
        elif first == ":":
            chains.append(_chain(line, table))
        elif first == "*":
            table = line[1:].strip()
    return Saved(family, tuple(chains), tuple(lines))


def render_save(saved: Saved, *, counters: bool = False) -> str:
    """The text that ``iptables-save`` (with ``-c`` if *counters*) prints for *saved*, without its lines of comment: the inverse of
    :func:`parse_save`."""
    rules: dict[str, list[str]] = {}
    for line in saved.lines:
        counted = f"[{line.packets}:{line.bytes}] " if counters else ""
        rules.setdefault(line.table, []).append(f"{counted}{line.text}\n")
    parts = []
    for table in dict.fromkeys(chain.table for chain in saved.chains):
        parts.append(f"*{table}\n")
        parts += [
            f":{chain.name} {chain.policy} [{chain.packets}:{chain.bytes}]\n"
            for chain in saved.chains
            if chain.table == table
        ]
        parts += rules.get(table, ())
        parts.append("COMMIT\n")
    return "".join(parts)


def quote(value: str) -> str:
    """*value* as iptables-save prints free text."""
    return value if PLAIN_STRING.match(value) else '"' + _ESCAPED.sub(r"\\\1", value) + '"'


def _render_matches(matches: tuple[Match, ...]) -> str:
    return "".join(map(_render_match, matches))


@lru_cache(maxsize=_CACHED_BODIES)
def _render_match(match: Match) -> str:
    module = f" -m {match.module}" if match.module and not match.joined else ""
    if not match.option:
        return module
    negation = " !" if match.negated else ""
    return f"{module}{negation} {match.option}{_render_values(match.option, match.values)}"


@lru_cache(maxsize=_CACHED_BODIES)
def _render_target(target: Target) -> str:
    if not target.name:
        return ""
    options = "".join(f" {option}{_render_values(option, values)}" for option, values in target.options)
    return f" {'-g' if target.goto else '-j'} {target.name}{options}"


def _render_values(option: str, values: tuple[str, ...]) -> str:
    if option in STRING_OPTIONS:
        return "".join(f" {quote(value)}" for value in values)
    return "".join(f" {value}" for value in values)


def _counted(line: str, table: str) -> SavedRule:
    counters = _COUNTERS.match(line)
    if counters is None:
        raise ValueError(f"Not a rule: {line!r}")
    text = line[counters.end() :].rstrip()
    return SavedRule(table, text[3:].partition(" ")[0], text, int(counters[1]), int(counters[2]))


def _chain(line: str, table: str) -> SavedChain:
    name, policy, *rest = line[1:].split()
    counters = _COUNTERS.match(rest[0]) if rest else None
    packets, octets = (int(counters[1]), int(counters[2])) if counters else (0, 0)
    return SavedChain(table, name, policy, packets, octets)


@lru_cache(maxsize=_CACHED_BODIES)
def _parse_body(body: str) -> tuple[tuple[Match, ...], Target]:
    tokens = _TOKEN.findall(body) if '"' in body else body.split()
    reader = _Tokens(tokens)
    matches = tuple(_read_matches(reader))
    return matches, _read_target(reader)


class _Tokens:
    """The words of a rule, and how far they were read."""

    __slots__ = ("at", "words")

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self) -> str:
        word = self.peek()
        self.at += 1
        return word

    def values(self, option: str) -> tuple[str, ...]:
        """The values of *option*: up to the next word that can only be an option."""
        if option in STRING_OPTIONS:
            return (unquote(self.take()),)
        start = self.at
        while (
            (word := self.peek()) and word != "!" and not (word[0] == "-" and word != "-" and not _NUMBER.match(word))
        ):
            self.at += 1
        return tuple(self.words[start : self.at])


def unquote(token: str) -> str:
    """The free text that :func:`quote` printed as *token*."""
    return _UNESCAPED.sub(r"\1", token[1:-1]) if token[:1] == '"' else token


def _read_matches(reader: _Tokens) -> Iterator[Match]:
    """Matches up to the target. An option that starts with one dash is iptables' own; two dashes are the last module's."""
    module, joined = "", False
    while (word := reader.peek()) and word not in {"-j", "-g"}:
        reader.take()
        if word == "-m":
            module, joined = reader.take(), False
            following = reader.peek()
            if not (following.startswith("--") or (following == "!" and reader.words[reader.at + 1].startswith("--"))):
                yield rules.Match(module, "")
            continue
        negated = word == "!"
        option = reader.take() if negated else word
        if option.startswith("--"):
            yield rules.Match(module, option, reader.values(option), negated, joined)
            joined = True
        else:
            yield rules.Match("", option, reader.values(option), negated)


def _read_target(reader: _Tokens) -> Target:
    if not reader.peek():
        return rules.Target()
    goto = reader.take() == "-g"
    name = reader.take()
    options = []
    while word := reader.take():
        # The few targets that negate an option keep the mark as a part of its name.
        option = f"! {reader.take()}" if word == "!" else word
        options.append((option, reader.values(option)))
    return rules.Target(name, tuple(options), goto)
