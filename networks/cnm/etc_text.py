"""The texts of /etc files: lines, and the hosts file as hosts(5) and nsswitch's ``files`` read it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from networks.cnm.addresses import AnyAddress


def lines_of(text: str) -> list[str]:
    """The lines of *text* without their line ends. Only ``\\n`` ends a line, as everywhere in /etc."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def parse(text: str) -> tuple[AnyAddress, tuple[str, ...]] | None:
    """(address, names) of one line; None for a comment, an empty line, and what begins with no address."""
    address, *names = text.partition("#")[0].split() or [""]
    try:
        return ip_address(address.partition("%")[0]), tuple(names)
    except ValueError:
        return None


def addresses_for(name: str, lines: Iterable[str]) -> Iterator[tuple[int, AnyAddress]]:
    """(position of the line, address) of each line that *name* stands in, whole and whatever its case, first line first."""
    wanted = name.lower().rstrip(".")
    for position, text in enumerate(lines):
        found = parse(text)
        if found is not None and wanted in {one.lower() for one in found[1]}:
            yield position, found[0]
