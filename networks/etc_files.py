"""The three files of containers: what was last seen of each, every line with whose it is and why it stands there.

Nothing here touches a file: the texts are the worker's last observation, and the reasons are compile's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from networks.cnm.etc_text import lines_of
from networks.cnm.resources import NOBODY, EtcFile, EtcLine, Resource
from networks.cnm.text import Text, gettext_noop
from networks.load import load_facts, load_host
from networks.models import Container, Host
from networks.settle import MOST_SEEN
from worker.compile import compile_host

NAMES = ("hosts", "hostname", "resolv.conf")
KEPT = frozenset({"resolv.conf"})
"""Files that may be edited inside until the next start: such an edit is shown, and is no drift."""
Wanted = Mapping[tuple[str, str], EtcFile]
"""(container id, file) -> the file as it should be."""

_FOREIGN = gettext_noop("Nobody here wrote this line.")
_EDITED = gettext_noop("Written inside the container; it stays until the container's next start.")


@dataclass(frozen=True, slots=True)
class FileView:
    """One file: as it was seen, or, where nothing was seen yet, as it will be written."""

    name: str
    lines: tuple[EtcLine, ...]
    """Those that the file should not have are of origin ``foreign``, ``edited`` or (nobody knows any more) ``past``."""
    missing: tuple[EtcLine, ...]
    """Lines that should be there and were not seen."""
    seen: bool
    edited: bool
    """Edited inside and left so."""
    cut: bool
    """Only the beginning was kept of what was seen: the file is huge."""

    @property
    def drifted(self) -> bool:
        """Whether it differs from what it should be, and nobody may have made it differ."""
        return (
            self.seen
            and not self.edited
            and (bool(self.missing) or any(line.origin == "foreign" for line in self.lines))
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seen": self.seen,
            "edited": self.edited,
            "drifted": self.drifted,
            "lines": [line_json(line) for line in self.lines],
            "missing": [line_json(line) for line in self.missing],
        }


def line_json(line: EtcLine) -> dict[str, Any]:
    owner = None if line.owner is NOBODY else line.owner.to_json()
    return {"text": line.text, "origin": line.origin, "owner": owner, "why": line.why.to_json()}


def wanted_files(host: Host) -> Wanted:
    """Every file of *host* as it should be."""
    return files_among(compile_host(load_host(host), load_facts(host)))


def files_among(resources: Iterable[Resource]) -> Wanted:
    return {(item.container_id, item.name): item for item in resources if isinstance(item, EtcFile)}


def files_of(container: Container, wanted: Wanted | None = None) -> list[FileView]:
    """The files that one container sees; none for one that has none. One query for each container whose sandbox it shares."""
    wanted = wanted_files(container.host) if wanted is None else wanted
    owner = owner_of(container)
    return [
        view(name, wanted.get((owner.pk, name)), owner.files.get(name))
        for name in NAMES
        if (owner.pk, name) in wanted or name in owner.files
    ]


def owner_of(container: Container) -> Container:
    """The container whose files this one sees: its own, or those of the one whose sandbox it shares."""
    seen = {container.pk}
    while container.shares is not None and container.shares.pk not in seen:
        container = container.shares
        seen.add(container.pk)
    return container


def files_of_all(host: Host) -> Iterator[tuple[Container, list[FileView]]]:
    """Every container that has files of its own, by name, with them."""
    wanted = wanted_files(host)
    for row in Container.objects.filter(host=host, shares=None).select_related("host").order_by("name"):
        if views := files_of(row, wanted):
            yield row, views


def view(name: str, wanted: EtcFile | None, seen: str | None) -> FileView:
    """The file that *wanted* asks for and of which *seen* was seen (None: nothing yet)."""
    should = wanted.lines if wanted else ()
    if seen is None:
        return FileView(name, should, (), seen=False, edited=False, cut=False)
    known: dict[str, list[EtcLine]] = defaultdict(list)
    for line in reversed(should):
        known[line.text].append(line)
    edited = wanted is not None and name in KEPT and seen != wanted.content
    origin, why = ("edited", _EDITED) if edited else ("foreign", _FOREIGN) if wanted else ("past", "")
    lines = [
        known[text].pop() if known[text] else EtcLine(text=text, origin=origin, owner=NOBODY, why=Text(why))
        for text in lines_of(seen)
    ]
    cut = len(seen) >= MOST_SEEN
    left = {id(line) for waiting in known.values() for line in waiting}
    missing = () if cut or edited else tuple(line for line in should if id(line) in left)
    return FileView(name, tuple(lines), missing, seen=True, edited=edited, cut=cut)
