"""Reads the IPv4 tables of the legacy flavour through python-iptables, for the audit.

python-iptables takes no lock of its own, is bound to the network namespace in which a table was first opened, and must not be used
from two threads: so every read holds ``/run/xtables.lock``, refreshes, and runs in the kernel worker's one thread. It makes an object
of every rule (about 0.1 ms each), so large tables are read through iptables-legacy-save, and changes are written through
iptables-legacy-restore: one commit for each table either way.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from ipaddress import ip_network
from typing import Any

from networks.cnm.errors import KernelRefused, Unavailable
from networks.cnm.iptables_text import Saved, SavedChain, SavedRule, render_rule
from networks.cnm.rules import Match, Rule, Target
from networks.cnm.text import gettext_noop

from .generation import legacy_tables

LOCK = "/run/xtables.lock"
LOCK_WAIT_S = 10.0
FEW_RULES = 300
"""Up to here the objects of python-iptables cost no more than they are worth."""

_LOCK_RETRY_S = 0.01
_GET_INFO = 64
"""IPT_SO_GET_INFO and IP6T_SO_GET_INFO (linux/netfilter_ipv4/ip_tables.h)."""
_INFO = struct.Struct("=32s13I")
_ENTRIES_AT, _SIZE_AT = 12, 13
_FRAGMENT, _NO_FRAGMENT = 0x01, 0x20
"""IPT_F_FRAG and IPT_INV_FRAG (linux/netfilter_ipv4/ip_tables.h)."""


@contextmanager
def xtables_lock() -> Iterator[None]:
    """Hold the lock that all iptables programs of the legacy flavour take. Raises :class:`Unavailable` when another keeps it."""
    handle = os.open(LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        give_up = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise Unavailable(
                        gettext_noop("Another program has held {lock} for {seconds} seconds."),
                        remedy=gettext_noop("End that program (fuser {lock} names it), then try again."),
                        lock=LOCK,
                        seconds=LOCK_WAIT_S,
                    ) from None
                time.sleep(_LOCK_RETRY_S)
        yield
    finally:
        os.close(handle)


def count_entries() -> int:
    """How many entries the registered IPv4 tables hold, policies included (6 µs a table). It makes no table."""
    return sum(entries for _table, entries, _size in sizes(4))


def sizes(family: int) -> tuple[tuple[str, int, int], ...]:
    """(table, entries, bytes) of each registered table of *family*: nearly every change shows in them. It makes no table."""
    tables = legacy_tables(family)
    if not tables:
        return ()
    libc = ctypes.CDLL(None, use_errno=True)
    kind, level = (socket.AF_INET, socket.IPPROTO_IP) if family == 4 else (socket.AF_INET6, socket.IPPROTO_IPV6)
    found = []
    with socket.socket(kind, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as handle:
        for table in tables:
            info = ctypes.create_string_buffer(table.encode().ljust(32, b"\0"), _INFO.size)
            length = ctypes.c_uint32(_INFO.size)
            if libc.getsockopt(handle.fileno(), level, _GET_INFO, info, ctypes.byref(length)) == 0:
                fields = _INFO.unpack(info.raw)
                found.append((table, int(fields[_ENTRIES_AT]), int(fields[_SIZE_AT])))
    return tuple(found)


def read() -> Saved:
    """All chains and rules of the registered IPv4 tables, with counters.

    IPv4 alone: a process in which libxtables has loaded IPv4's extensions does not find those of IPv6. Raises
    :class:`KernelRefused` where python-iptables cannot read a table, be it for an extension that it does not know.
    """
    iptc: Any = import_module("iptc")  # half a second: only hosts of the legacy flavour pay for it

    chains: list[SavedChain] = []
    lines: list[SavedRule] = []
    with xtables_lock():
        for name in legacy_tables(4):
            try:
                table = iptc.Table(name)
                table.refresh()
                for chain in table.chains:
                    chains.append(_chain(name, chain))
                    # A rule is a view into the table's own memory, good until the next one is asked for.
                    lines += [_line(name, chain.name, rule) for rule in chain.rules]
            except (iptc.IPTCError, iptc.XTablesError, UnicodeDecodeError) as error:
                raise KernelRefused(
                    gettext_noop("The table {table} could not be read: {cause}"),
                    remedy=gettext_noop("See whether iptables-legacy-save prints it."),
                    table=name,
                    cause=error,
                ) from error
    return Saved(4, tuple(chains), tuple(lines))


def _chain(table: str, chain: Any) -> SavedChain:
    if not chain.is_builtin():
        return SavedChain(table, chain.name, "-")
    packets, octets = chain.get_counters()
    return SavedChain(table, chain.name, chain.get_policy().name, packets, octets)


def _line(table: str, chain: str, rule: Any) -> SavedRule:
    packets, octets = rule.get_counters()
    made = Rule(family=4, table=table, chain=chain, matches=tuple(_matches(rule)), target=_target(rule))
    return SavedRule(table, chain, render_rule(made), packets, octets)


def _matches(rule: Any) -> Iterator[Match]:
    for option, value in (("-s", _network(rule.src)), ("-d", _network(rule.dst))):
        if value:
            yield _negatable("", option, value)
    protocol = "" if rule.protocol in {"ip", 0, "0", None} else str(rule.protocol)
    for option, value in (("-i", rule.in_interface), ("-o", rule.out_interface), ("-p", protocol)):
        if value:
            yield _negatable("", option, value)
    header = rule.entry.ip
    if header.flags & _FRAGMENT or header.invflags & _NO_FRAGMENT:
        yield Match("", "-f", (), bool(header.invflags & _NO_FRAGMENT))
    for match in rule.matches:
        parameters = match.get_all_parameters()
        if not parameters:
            yield Match(match.name, "")
        for number, (option, values) in enumerate(parameters.items()):
            negated = bool(values) and values[0] == "!"
            words = tuple(_word(option, value) for value in values[negated:])
            yield Match(match.name, f"--{option}", words, negated, joined=number > 0)


def _target(rule: Any) -> Target:
    target = rule.target
    if target is None or not target.name:
        return Target()
    options = tuple(
        (f"--{option}", tuple(_word(option, value) for value in values))
        for option, values in target.get_all_parameters().items()
    )
    return Target(target.name, options, bool(target.goto))


def _negatable(module: str, option: str, value: str) -> Match:
    return Match(module, option, (value.removeprefix("!"),), value.startswith("!"))


def _network(value: str | None) -> str:
    """``!10.0.0.0/255.0.0.0`` as iptables-save has it, and nothing for everywhere."""
    if not value:
        return ""
    negation = "!" if value.startswith("!") else ""
    network = ip_network(value.removeprefix("!"), strict=False)
    return "" if network.prefixlen == 0 and not negation else f"{negation}{network}"


def _word(option: str, value: str) -> str:
    """A value with the quotes that python-iptables has taken off; free text gets its own when it is printed."""
    quoted = " " in value and f"--{option}" not in {"--comment", "--log-prefix", "--nflog-prefix"}
    return f'"{value}"' if quoted else value
