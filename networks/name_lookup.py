"""Who resolves a name, and to what: every container of a host at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from networks.cnm.errors import InvalidSpec
from networks.cnm.names import HOST_LABEL
from networks.cnm.resources import NOBODY
from networks.cnm.text import gettext_noop
from networks.models import Container, Host
from worker.compile import compile_host
from worker.compile.lookup import Answer, Lookup
from worker.compile.names import Resolv

from .etc_files import files_among, files_of
from .load import is_live, load_facts, load_host
from .represent import sandbox_of

LONGEST_NAME = 253
"""RFC 1035 section 2.3.4, as written without the root's dot."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one running container would be told about a name."""

    container: Container
    answers: tuple[Answer, ...]
    asks: tuple[str, ...]
    """The name servers that are asked where nothing here answers."""

    def to_json(self) -> dict[str, Any]:
        return {
            "container": {"id": self.container.pk, "name": self.container.name},
            "answers": [_answer_json(answer) for answer in self.answers],
            "asks": list(self.asks),
        }


def look_up(host: Host, name: str) -> list[Found]:
    """What each running container of *host*, by name, is told about *name*. Raises InvalidSpec for what is no name."""
    bare = checked_name(name)
    resources = compile_host(load_host(host), load_facts(host))
    names, wanted = Lookup(resources), files_among(resources)
    rows = Container.objects.filter(host=host).exclude(kind__in=("adopted", "docker")).select_related("host", "shares")
    found = []
    for row in rows.order_by("name"):
        if is_live(row):
            lines = {view.name: view.lines for view in files_of(row, wanted)}
            asked = Resolv("".join(f"{line.text}\n" for line in lines.get("resolv.conf", ()))).nameservers
            found.append(Found(row, *names.resolve(bare, sandbox_of(row), lines.get("hosts", ()), asked)))
    return found


def checked_name(name: str) -> str:
    """*name* without blanks around it and a dot at its end. Raises InvalidSpec where no hosts file or DNS server can have it."""
    bare = name.strip().removesuffix(".")
    # Container names may have an underscore, which host names may not: Docker answers for them too.
    labels = bare.replace("_", "a").split(".")
    if len(bare) > LONGEST_NAME or not all(HOST_LABEL.match(label) for label in labels):
        raise InvalidSpec(
            gettext_noop("{name} is not a name that could be resolved."),
            remedy=gettext_noop("Give a host name, such as db or db.example."),
            field="name",
            name=repr(name[:80]),
        )
    return bare


def _answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "address": str(answer.address),
        "source": answer.source,
        "text": answer.text,
        "owner": None if answer.owner is NOBODY else answer.owner.to_json(),
        "why": answer.why.to_json(),
    }
