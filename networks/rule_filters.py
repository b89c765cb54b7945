"""Finding rules among many: by what they name, whose they are, and whether anything was ever met by them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_network
from typing import Any

from django.utils.translation import gettext

from networks.cnm.addresses import AnyNetwork

Row = dict[str, Any]

FILTERS = ("family", "flavour", "table", "chain", "owner", "port", "address", "interface", "hits")
SORTS = ("family", "table", "chain", "position", "packets", "bytes")
NEVER, SOME = "never", "some"
"""What ``hits`` asks for: rules that nothing was met by, or the others."""
_PORTS = re.compile(
    r"--(?:[ds]ports?|to-ports?|ctorigdstport) (\S+)|--to-destination \S*:(\d+(?:-\d+)?)\b|[ds]port (\d+(?:-\d+)?)\b"
)
_WORD = re.compile(r"[0-9a-fA-F:.]*[.:][0-9a-fA-F:.]*(?:/\d+)?")
_DEVICE = re.compile(
    r"(?:(?<!\S)-[io]|--physdev-(?:in|out)) (\S+)|\b(?:[io]if(?:name)?|[io]brname) (?:!= )?(\{[^}]*\}|\S+)"
)


def filtered(found: Iterable[Row], **wanted: str) -> list[Row]:
    """Those of *found* for which everything holds that is asked: table, chain, family, flavour; ``owner`` (id, name, kind or class),
    ``port``, ``address`` (or network: what the rule names lies in it, or holds it), ``interface``, ``hits``; ``q`` in text or why."""
    checks = [_CHECKS[name](text) for name, text in wanted.items() if text]
    return [rule for rule in found if all(check(rule) for check in checks)]


def ordered(found: list[Row], sort: str) -> list[Row]:
    """*found* by one of :data:`SORTS`, a dash before it for the other way round; anything else leaves the kernel's order."""
    name = sort.removeprefix("-")
    if name not in SORTS:
        return found
    return sorted(found, key=lambda rule: (rule[name] is not None, rule[name]), reverse=sort.startswith("-"))


def ports_of(text: str) -> list[tuple[int, int]]:
    """(first, last) of each port or range that a rule names, on either side."""
    found = []
    for ports, destination, native in _PORTS.findall(text):
        for part in (ports or destination or native).split(","):
            low, _, high = part.replace("-", ":").partition(":")
            if low.isdigit() and (high or low).isdigit():
                found.append((int(low), int(high or low)))
    return found


def networks_of(text: str) -> Iterator[AnyNetwork]:
    """Every address and network that a rule names."""
    for word in _WORD.findall(text):
        network = _network(word) or _network(word.rpartition(":")[0])  # 10.0.0.1:80
        if network is not None:
            yield network


def devices_of(text: str) -> Iterator[str]:
    """Every device that a rule names, as it is written there (``br-+``)."""
    for classic, native in _DEVICE.findall(text):
        yield from re.findall(r'[^\s{},"]+', classic or native)


def _network(text: str) -> AnyNetwork | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _same(name: str) -> Callable[[str], Callable[[Row], bool]]:
    return lambda text: lambda rule: rule.get(name) == text


def _family(text: str) -> Callable[[Row], bool]:
    return lambda rule: str(rule["family"] or text) == text


def _owner(text: str) -> Callable[[Row], bool]:
    def fits(rule: Row) -> bool:
        owner = rule["owner"] or {}
        whose = {owner.get("id", ""), owner.get("name", ""), owner.get("kind", ""), rule["foreign_class"]}
        return text in whose or (len(text) >= 4 and owner.get("id", "").startswith(text))

    return fits


def _port(text: str) -> Callable[[Row], bool]:
    if not (text.isascii() and text.isdigit()):
        return lambda rule: False
    port = int(text)
    return lambda rule: any(low <= port <= high for low, high in ports_of(rule["text"]))


def _address(text: str) -> Callable[[Row], bool]:
    asked = _network(text)
    if asked is None:
        return lambda rule: False
    return lambda rule: any(_meet(asked, network) for network in networks_of(rule["text"]))


def _meet(one: AnyNetwork, other: AnyNetwork) -> bool:
    return one.version == other.version and one.overlaps(other)


def _interface(text: str) -> Callable[[Row], bool]:
    def fits(rule: Row) -> bool:
        return any(
            text.startswith(device[:-1]) if device[-1] in "+*" else text == device
            for device in devices_of(rule["text"])
        )

    return fits


def _hits(text: str) -> Callable[[Row], bool]:
    """A rule whose counter was not read is neither."""
    return lambda rule: rule["packets"] is not None and bool(rule["packets"]) == (text == SOME)


def _words(text: str) -> Callable[[Row], bool]:
    """A reason is looked through as its reader sees it."""
    return lambda rule: text.lower() in f"{rule['text']} {rule['why'].translated(gettext)}".lower()


_CHECKS: dict[str, Callable[[str], Callable[[Row], bool]]] = {
    "family": _family,
    "flavour": _same("flavour"),
    "table": _same("table"),
    "chain": _same("chain"),
    "owner": _owner,
    "port": _port,
    "address": _address,
    "interface": _interface,
    "hits": _hits,
    "q": _words,
}
