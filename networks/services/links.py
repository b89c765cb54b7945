"""Use cases of links: the default bridge's way of naming another container."""

from __future__ import annotations

from networks import feed
from networks.cnm.errors import Conflict, InvalidSpec
from networks.cnm.text import gettext_noop
from networks.models import Container, Link
from networks.models.choices import Wanted

from .actor import Actor, require
from .fresh import check_not_dockers, check_not_removed, refresh
from .operations import check_alive, enqueue, next_activation, record
from .outcome import Outcome


def link(actor: Actor, recipient: Container, source: Container, alias: str = "") -> Outcome:
    """Let *recipient* know *source* by *alias*: its files and rules at once, its environment at its next start."""
    require(actor, "operator")
    check_alive(actor, recipient.host)
    with feed.transaction(actor.name):
        refresh(recipient, source)
        row = add_link(recipient, source, alias or source.name)
        check_sources(recipient)
        operation = enqueue(actor, recipient.host, "link.create", recipient, containers=[recipient, source])
        feed.put("container", recipient)
        feed.put("container", source)
        record(actor, "link.create", recipient, {"source": source.name, "alias": row.alias}, operation)
    return Outcome(row, operation)


def unlink(actor: Actor, row: Link) -> Outcome:
    """Take a link away: its files and rules at once; the environment keeps what it was told at the start."""
    require(actor, "operator")
    check_alive(actor, row.recipient.host)
    with feed.transaction(actor.name):
        refresh(row)
        recipient, source = row.recipient, row.source
        row.delete()
        operation = enqueue(actor, recipient.host, "link.delete", recipient, containers=[recipient, source])
        feed.put("container", recipient)
        feed.put("container", source)
        record(actor, "link.delete", recipient, {"source": source.name, "alias": row.alias}, operation)
    return Outcome(None, operation)


def add_link(recipient: Container, source: Container, alias: str) -> Link:
    """The row of a link, checked."""
    if recipient.pk == source.pk:
        raise InvalidSpec(
            gettext_noop("Container {name} cannot be linked to itself."),
            remedy=gettext_noop("Choose another source."),
            field="links",
            name=source.name,
        )
    if recipient.links.filter(alias=alias).exists():
        raise Conflict(
            gettext_noop("Container {name} has a link with the alias {alias} already."),
            remedy=gettext_noop("Choose another alias."),
            field="links",
            name=recipient.name,
            alias=alias,
        )
    for container in (recipient, source):
        check_not_removed(container)
        check_not_dockers(container)
        if not container.endpoints.filter(removing=False).exists():
            raise Conflict(
                gettext_noop("Container {name} is on no network, so it cannot be linked."),
                remedy=gettext_noop("Use a container on the default bridge or on a network of your own."),
                field="links",
                name=container.name,
            )
    return Link.objects.create(
        recipient=recipient, source=source, alias=alias, activation=next_activation(recipient.host)
    )


def check_sources(recipient: Container) -> None:
    """Docker's rule for the default bridge: a source runs, and is on the default bridge too.

    Of containers that are linked in a circle one has to start first: a source that needs the recipient itself may start later.
    """
    links = list(recipient.links.all())
    if not links or not recipient.endpoints.filter(network__predefined=True, removing=False).exists():
        return
    for row in links:
        source = row.source
        if not source.endpoints.filter(network__predefined=True, removing=False).exists():
            raise Conflict(
                gettext_noop("Cannot link to container {source}: it does not belong to the default network."),
                remedy=gettext_noop("Use a network of your own for both: names resolve there without links."),
                field="links",
                source=source.name,
            )
        runs = source.wanted == Wanted.RUNNING and source.status not in {"exited", "failed"}
        if not runs and not _needs(source, recipient):
            raise Conflict(
                gettext_noop("Cannot link to container {source}: it is not running."),
                remedy=gettext_noop("Start {source} first, or remove the link."),
                field="links",
                source=source.name,
            )


def _needs(container: Container, other: Container) -> bool:
    """Whether *container* is linked to *other*, over however many links."""
    seen: set[str] = set()
    ahead = {container.pk}
    while ahead and other.pk not in ahead:
        seen |= ahead
        found = Link.objects.filter(recipient__in=ahead).values_list("source_id", flat=True)
        ahead = set(found) - seen
    return other.pk in ahead
