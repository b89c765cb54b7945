"""Use cases of trying out what a container reaches: a name asked from within it. Packets are sent by ``verify``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from networks import feed, name_lookup
from networks.cnm.errors import Conflict
from networks.cnm.text import gettext_noop
from networks.etc_files import files_of
from networks.load import is_live
from networks.models import Container, Host, Operation
from networks.represent import sandbox_of
from worker.compile.names import Resolv

from .actor import Actor, require
from .operations import check_alive, enqueue, record
from .outcome import Outcome


@dataclass(frozen=True, slots=True)
class Compared:
    """What name servers said, beside what was expected."""

    predicted: tuple[str, ...]
    """The addresses that our own server would give; empty where another answers."""
    asks: tuple[str, ...]
    answer: str
    addresses: tuple[str, ...]
    server: str
    ms: float | None
    detail: str

    @property
    def agrees(self) -> bool | None:
        """None: nothing was predicted."""
        return set(self.predicted) == set(self.addresses) if self.predicted else None


def look_up_inside(actor: Actor, container: Container, name: str) -> Outcome:
    """Ask the name servers of *container*, from within its sandbox, for both families of *name*."""
    require(actor, "operator")
    check_alive(actor, container.host)
    bare = name_lookup.checked_name(name)
    if not is_live(container):
        raise Conflict(
            gettext_noop("Container {name} does not run."), remedy=gettext_noop("Start it first."), name=container.name
        )
    servers = servers_of(container)
    if not servers:
        raise Conflict(
            gettext_noop("Container {name} asks no name server: its /etc/resolv.conf names none."),
            remedy=gettext_noop("Give it one (dns), or CNM_DNS."),
            name=container.name,
        )
    args = {"sandbox": sandbox_of(container), "name": bare, "servers": list(servers)}
    with feed.transaction(actor.name):
        operation = enqueue(actor, container.host, "name.look_up", container, queue="slow", args=args)
        record(actor, "name.look_up", container, args, operation)
    return Outcome(None, operation)


def servers_of(container: Container) -> tuple[str, ...]:
    """The name servers in a container's ``/etc/resolv.conf``, as it is."""
    lines = {view.name: view.lines for view in files_of(container)}
    return Resolv("".join(f"{line.text}\n" for line in lines.get("resolv.conf", ()))).nameservers


def compared(host: Host, container: Container, operation: Operation) -> Compared:
    """The result of a look-up beside what the compiled names say of it."""
    result: dict[str, Any] = operation.result or {}
    found = [one for one in name_lookup.look_up(host, operation.args["name"]) if one.container.pk == container.pk]
    answers = [str(answer.address) for one in found for answer in one.answers if answer.source == "dns"]
    return Compared(
        predicted=tuple(answers),
        asks=tuple(operation.args["servers"]),
        answer=str(result.get("answer", "")),
        addresses=tuple(result.get("addresses", ())),
        server=str(result.get("server", "")),
        ms=result.get("ms"),
        detail=str(result.get("detail", "")),
    )
