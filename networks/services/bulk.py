"""Many objects in one request: one transaction, one operation, one commit of the rules.

What can be seen beforehand is all or nothing: whatever is refused is refused with everything, and each refusal is told. When the
kernel refuses something later, what was being made is undone as a whole; of what is started, stopped or removed the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from networks import feed
from networks.cnm.errors import CnmError, Conflict, Forbidden, InvalidSpec, NotFound, Unsupported
from networks.cnm.text import Text, gettext_noop
from networks.models import Container, Host, Network, Operation
from networks.models.choices import ContainerStatus, Wanted

from .actor import Actor, require
from .find import find_container, find_network
from .fresh import check_not_dockers, check_not_removed
from .lifecycle import check_removable, ends_of, is_up, prepare_removal, prepare_start, prepare_stop
from .networks import check_deletable, prepare_deletion
from .new_container import add_container
from .new_network import add_network
from .operations import check_alive, enqueue, record
from .outcome import Outcome
from .second_look import with_second_look
from .spec_container import ContainerRequest
from .spec_network import NetworkRequest
from .volumes import filled_first

MOST_NETWORKS = 1000
MOST_CONTAINERS = 5000
REFUSALS = (InvalidSpec, Conflict, NotFound, Unsupported, Forbidden)

Row = TypeVar("Row", Network, Container)


@dataclass(frozen=True, slots=True)
class Handled:
    """What a request on many objects was about, by name, and what came of it."""

    outcome: Outcome
    networks: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()


@with_second_look
def create_many(
    actor: Actor, host: Host, networks: Sequence[NetworkRequest], containers: Sequence[ContainerRequest]
) -> Handled:
    """Make networks, then containers on them, and start those that ask for it. All or nothing, in the kernel too."""
    require(actor, "operator")
    check_alive(actor, host)
    made_networks: list[Network] = []
    made_containers: list[Container] = []
    warnings: list[Text] = []
    with feed.transaction(actor.name):
        for number, request in enumerate(networks):
            with _under(f"networks.{number}"):
                made_networks.append(add_network(actor, host, request))
        for number, wanted in enumerate(containers):
            with _under(f"containers.{number}"):
                container, said = add_container(actor, host, wanted)
                if wanted.start:
                    prepare_start(container)
            made_containers.append(container)
            warnings += said
        operation = enqueue(
            actor,
            host,
            "bulk.create",
            None,
            networks=made_networks,
            containers=made_containers,
            **filled_first(made_containers),
        )
        return _handled(actor, operation, made_networks, made_containers, Outcome(None, operation, tuple(warnings)))


@with_second_look
def start_many(actor: Actor, host: Host, references: Sequence[str]) -> Handled:
    """Start containers; nothing happens to those that run. In any order: one may share another's sandbox, or be linked to it."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        refused = _Refused()
        found = _containers(host, references, refused)
        resting = [(field, row) for field, row in found if not is_up(row)]
        # What another of them needs counts as running from here on.
        ids = [row.pk for _, row in resting]
        Container.objects.filter(pk__in=ids).update(wanted=Wanted.RUNNING, status=ContainerStatus.STARTING)
        for field, row in resting:
            with refused.at(field):
                prepare_start(row)
        refused.check()
        rows = [row for _, row in resting]
        operation = enqueue(actor, host, "bulk.start", None, containers=rows, **filled_first(rows)) if rows else None
        return _handled(actor, operation, [], [row for _, row in found], Outcome(None, operation))


def stop_many(actor: Actor, host: Host, references: Sequence[str], timeout: int | None = None) -> Handled:
    """Stop containers, all at the same time: it takes as long as the one that needs longest."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        refused = _Refused()
        found = _containers(host, references, refused)
        rows = [row for _, row in found if prepare_stop(row)]
        ends = ends_of(rows, timeout)
        queue = "slow" if ends else "kernel"
        operation = None
        if rows:
            operation = enqueue(actor, host, "bulk.stop", None, containers=rows, queue=queue, args={"ends": ends})
        return _handled(actor, operation, [], [row for _, row in found], Outcome(None, operation))


def remove_many(
    actor: Actor, host: Host, containers: Sequence[str], networks: Sequence[str] = (), *, force: bool = False
) -> Handled:
    """Take containers and networks away: running ones, and those that others are linked to, only with *force*.

    What goes together does not stand in one another's way: a network goes with its last containers, a sandbox with those who share it.
    """
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        refused = _Refused()
        boxes = _found(containers, "containers", lambda name: find_container(host, name), refused)
        nets = _found(networks, "networks", lambda name: find_network(host, name), refused)
        refused.check()
        going = {row.pk for _, row in boxes}
        Container.objects.filter(pk__in=going).update(wanted=Wanted.REMOVED)
        for field, row in boxes:
            with refused.at(field):
                check_removable(row, force)
        for field, network in nets:
            with refused.at(field):
                check_deletable(network, without=going)
        refused.check()
        ends = ends_of([row for _, row in boxes if prepare_removal(row)], 0)
        for _, network in nets:
            prepare_deletion(network)
        gone, gone_networks = [row for _, row in boxes], [row for _, row in nets]
        operation = None
        if gone or gone_networks:
            operation = enqueue(
                actor,
                host,
                "bulk.remove",
                None,
                networks=gone_networks,
                containers=gone,
                queue="slow" if ends else "kernel",
                args={"ends": ends},
            )
        return _handled(actor, operation, gone_networks, gone, Outcome(None, operation))


def _handled(
    actor: Actor,
    operation: Operation | None,
    networks: Sequence[Network],
    containers: Sequence[Container],
    outcome: Outcome,
) -> Handled:
    """Note it in the activity log, if anything was to be done."""
    named = tuple(row.name for row in networks), tuple(row.name for row in containers)
    if operation is not None:
        record(actor, operation.verb, None, {"networks": list(named[0]), "containers": list(named[1])}, operation)
    return Handled(outcome, *named)


def _containers(host: Host, references: Sequence[str], refused: _Refused) -> list[tuple[str, Container]]:
    """(field, row) of each container that is named; all of them are there, and none is being removed."""
    found = _found(references, "containers", lambda name: find_container(host, name), refused)
    for field, row in found:
        with refused.at(field):
            check_not_removed(row)
            check_not_dockers(row)
    refused.check()
    return found


def _found(
    references: Sequence[str], field: str, find: Callable[[str], Row], refused: _Refused
) -> list[tuple[str, Row]]:
    """(field, row) of each object that is named; one that is named twice counts once."""
    found: dict[str, tuple[str, Row]] = {}
    for number, reference in enumerate(references):
        with refused.at(f"{field}.{number}"):
            row = find(reference)
            found.setdefault(row.pk, (f"{field}.{number}", row))
    return list(found.values())


@contextmanager
def _under(field: str) -> Iterator[None]:
    """A refusal within names its field below *field*."""
    try:
        yield
    except REFUSALS as error:
        error.field = f"{field}.{error.field}".rstrip(".")
        raise


class _Refused:
    """Gathers refusals, so that all of them are told at once."""

    def __init__(self) -> None:
        self._errors: list[CnmError] = []

    @contextmanager
    def at(self, field: str) -> Iterator[None]:
        try:
            with _under(field):
                yield
        except REFUSALS as error:
            self._errors.append(error)

    def check(self) -> None:
        """Raises when anything was refused: the one refusal, or one that lists them (``facts["refused"]``)."""
        if not self._errors:
            return
        first = self._errors[0]
        if len(self._errors) == 1:
            raise first
        raise type(first)(
            gettext_noop("{count} of the objects are refused, so nothing was changed. The first: {first}"),
            remedy="{help}",
            field=first.field,
            count=len(self._errors),
            first=first.sentence,
            help=first.remedy,
            facts={"refused": [error.to_json() for error in self._errors]},
        )
