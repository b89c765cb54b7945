"""The three files of a container, each line with whose it is and why it stands there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from networks.cnm.resources import EtcFile
from networks.load import load_facts, load_host
from networks.models import Container, Host
from networks.represent import prepared
from worker.compile import compile_host

NAMES = ("hosts", "hostname", "resolv.conf")
_STANDARD = ("127.0.0.1", "::1", "fe00::0", "ff00::0", "ff02::1", "ff02::2")


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    origin: str
    """``own``, ``neighbour``, ``link``, ``given``, ``standard``, ``host`` or ``foreign``: a class of the style sheet."""
    why: str
    wanted: bool
    """Whether the desired file has it too; a line that it has not was written by somebody else."""


@dataclass(frozen=True, slots=True)
class FileView:
    name: str
    lines: tuple[Line, ...]
    missing: tuple[str, ...]
    """Lines that should be there and were not seen."""
    seen: bool
    """False: what is shown is what will be written, for nothing was seen yet."""

    @property
    def drifted(self) -> bool:
        return self.seen and (bool(self.missing) or any(not line.wanted for line in self.lines))


def wanted_files(host: Host) -> dict[tuple[str, str], EtcFile]:
    """(container id, file) -> the file as it should be."""
    found = compile_host(load_host(host), load_facts(host))
    return {(item.container_id, item.name): item for item in found if isinstance(item, EtcFile)}


def files_of(container: Container, wanted: dict[tuple[str, str], EtcFile] | None = None) -> list[FileView]:
    """The files of one container. Its related rows are best fetched by ``represent.prepared``."""
    known = wanted_files(container.host) if wanted is None else wanted
    addresses = _addresses(container.host) if wanted is None else {}
    return [_file(container, name, known.get((container.pk, name)), addresses) for name in NAMES]


def files_of_all(host: Host) -> list[tuple[Container, list[FileView]]]:
    """Every container that has files, with them."""
    known = wanted_files(host)
    rows: list[Container] = list(prepared(Container).filter(host=host).order_by("name"))
    addresses = _addresses_of(rows)
    result = []
    for row in rows:
        if not row.files and not any((row.pk, name) in known for name in NAMES):
            continue
        result.append((row, [_file(row, name, known.get((row.pk, name)), addresses) for name in NAMES]))
    return result


def _addresses(host: Host) -> dict[str, str]:
    return _addresses_of(prepared(Container).filter(host=host))


def _addresses_of(rows: Iterable[Container]) -> dict[str, str]:
    """address -> the container that has it."""
    return {
        text.partition("/")[0]: row.name
        for row in rows
        for endpoint in row.endpoints.all()
        for text in (endpoint.ipv4, endpoint.ipv6)
        if text
    }


def _file(container: Container, name: str, wanted: EtcFile | None, addresses: dict[str, str]) -> FileView:
    seen = container.files.get(name)
    should = (wanted.content if wanted else "").splitlines()
    shown = should if seen is None else str(seen).splitlines()
    explain = {"hosts": _hosts_line, "hostname": _hostname_line, "resolv.conf": _resolv_line}[name]
    lines = []
    for text in shown:
        origin, why = explain(container, text, addresses)
        known = text in should or wanted is None
        if not known:
            origin, why = "foreign", _("Nobody here wrote this line.")
        lines.append(Line(text, origin, why, known))
    missing = tuple(text for text in should if text not in shown)
    return FileView(name, tuple(lines), missing, seen is not None)


def _hosts_line(container: Container, text: str, addresses: dict[str, str]) -> tuple[str, str]:
    address, *names = text.split() or [""]
    if address in _STANDARD:
        return "standard", _("In every container's file.")
    given = {tuple(pair) for pair in _pairs(container.spec.get("extra_hosts", []))}
    if any((name, address) in given for name in names):
        return "given", _("Given as an extra host when the container was made.")
    owner = addresses.get(address)
    if owner == container.name:
        return "own", _("The container's own address and names.")
    link = next((link for link in container.links.all() if owner == link.source.name and link.alias in names), None)
    if link is not None:
        return "link", _("Link to {source} as {alias}.").format(source=link.source.name, alias=link.alias)
    if owner:
        return "neighbour", _("{container} is on a network with this one.").format(container=owner)
    return "host", _("As on the host.")


def _pairs(values: Iterable[Any]) -> Iterable[tuple[str, str]]:
    return ((str(name), str(address)) for name, address in values)


def _hostname_line(container: Container, _text: str, _addresses: dict[str, str]) -> tuple[str, str]:
    if container.spec.get("hostname"):
        return "given", _("Chosen when the container was made.")
    return "own", _("The container's short id, for no name was chosen.")


def _resolv_line(container: Container, text: str, _addresses: dict[str, str]) -> tuple[str, str]:
    word = text.split()[0] if text.split() else ""
    chosen = {"nameserver": "dns", "search": "dns_search", "options": "dns_options"}.get(word)
    if chosen and container.spec.get(chosen):
        return "given", _("Chosen when the container was made.")
    return "host", _("From the host's resolv.conf, without servers that a sandbox cannot reach.")
