"""Sysctls of the current network namespace, by name.

Names are spelled as sysctl(8) takes them: ``net.ipv4.conf.eth0.forwarding``; a dot that belongs to an interface's name
is written as a slash (``net.ipv4.conf.br/100.forwarding``), or the whole name with slashes for separators
(``net/ipv4/conf/br.100/forwarding``).
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/proc/sys")
_SWAP = str.maketrans("./", "/.")


def path(name: str) -> Path:
    """The file of the sysctl *name*. Raises ValueError for a name that leads elsewhere."""
    dot, slash = name.find("."), name.find("/")
    parts = (name if slash != -1 and (dot == -1 or slash < dot) else name.translate(_SWAP)).split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"{name!r} is not the name of a sysctl")
    return ROOT.joinpath(*parts)


def of_link(family: str, link: str, key: str) -> str:
    """The name of a link's own setting: ``of_link("ipv4", "br.100", "route_localnet")``."""
    return f"net/{family}/conf/{link}/{key}"


def read(name: str) -> str | None:
    """The value, blanks between numbers as single spaces; None where this kernel does not have it."""
    try:
        return " ".join(path(name).read_text().split())
    except FileNotFoundError:
        return None


def write(name: str, value: str) -> None:
    """Set it. Raises OSError where this kernel does not have it or refuses the value."""
    with path(name).open("wb", buffering=0) as file:
        file.write(value.encode() + b"\n")


def write_where_present(name: str, value: str) -> None:
    """Set it unless this kernel does not have it (IPv6 may be switched off at boot)."""
    try:
        write(name, value)
    except FileNotFoundError:
        return
