"""Use cases of hosts: draining one, taking it up again, and letting it go."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.conf import settings
from django.db import transaction

from networks import departure, feed, peers
from networks.cnm.errors import CnmError, Conflict
from networks.cnm.text import Text, gettext_noop
from networks.models import Container, Endpoint, Host, Network, Operation
from networks.models.choices import ContainerKind, Wanted
from networks.models.network import LOCAL
from networks.represent import is_alive

from . import ipam
from .actor import Actor, require
from .availability import check_takes_containers, read_availability
from .fresh import refresh
from .lifecycle import ends_of, prepare_removal, prepare_start, prepare_stop
from .networks import prepare_deletion
from .operations import check_alive, enqueue, record
from .outcome import Outcome
from .preview import Preview, preview
from .volumes import filled_first

DRAIN, ACTIVATE = "host.drain", "host.activate"


def drain_host(actor: Actor, host: Host) -> Outcome:
    """Stop all containers of *host* and let it start none, until it is taken up again. Nothing is removed, and a Docker Engine's containers
    go on: it is not for us to stop them.

    Raises Conflict where it is drained already.
    """
    require(actor, "admin")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        read_availability(host)
        check_takes_containers(host)
        host.drained = True
        host.save(update_fields=["drained"])
        rows = [row for row in _containers(host) if row.kind != ContainerKind.DOCKER and prepare_stop(row)]
        ends = ends_of(rows)
        queue = "slow" if ends else "kernel"
        operation = enqueue(actor, host, DRAIN, host, containers=rows, queue=queue, args={"ends": ends})
        feed.put("host", host)
        record(actor, DRAIN, host, {"containers": [row.name for row in rows]}, operation)
    return Outcome(host, operation)


def activate_host(actor: Actor, host: Host, *, start: bool = False) -> Outcome:
    """Let a drained host have containers again. *start*: with those that were stopped when it was drained.

    What of them cannot be started is told as a warning. Raises Conflict where it is not drained.
    """
    require(actor, "admin")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        read_availability(host)
        if not host.drained or host.removing:
            check_takes_containers(host)
            raise Conflict(
                gettext_noop("Host {host} is not drained."),
                remedy=gettext_noop("Nothing needs to be done: it takes containers."),
                subject=f"host {host.name}",
                host=host.name,
            )
        host.drained = False
        host.save(update_fields=["drained"])
        started, warnings = _start_again(host) if start else ([], [])
        operation = (
            enqueue(actor, host, ACTIVATE, host, containers=started, **filled_first(started)) if started else None
        )
        feed.put("host", host)
        record(actor, ACTIVATE, host, {"containers": [row.name for row in started]}, operation)
    return Outcome(host, operation, tuple(warnings))


def remove_host(actor: Actor, host: Host, *, force: bool = False) -> Outcome:
    """Let *host* go, with its containers and its own networks.

    One that answers has to be drained; its worker takes everything of ours out of its kernel, and then its rows go. Of one that does not
    answer the rows go at once, and what its kernel has stays behind: with *force*, unless it was drained or has no containers.
    """
    require(actor, "admin")
    with feed.transaction(actor.name):
        refresh(host)
        _check_removable(host, force)
        told = {"name": host.name, "force": force}
        if not is_alive(host):
            departure.forget(host)
            record(actor, departure.VERB, None, told)
            return Outcome(None)
        operation = _leave(actor, host)
        record(actor, departure.VERB, host, told, operation)
    return Outcome(None, operation)


def looking_at(host: Host, *, reached: bool = True) -> partial[Preview]:
    """How the plan of a use case of *host* is found: there, and on the other hosts that it concerns."""
    return partial(preview, host, others=concerned(host), reached=reached)


def concerned(host: Host) -> Sequence[Host]:
    """The hosts that a drain or the end of *host* concerns: those with live containers on its networks that span hosts."""
    there = Endpoint.objects.filter(network__in=peers.shared_on(host), container__wanted=Wanted.RUNNING)
    return list(Host.objects.filter(pk__in=there.order_by().values("container__host")).exclude(pk=host.pk))


def _containers(host: Host) -> list[Container]:
    return list(Container.objects.filter(host=host).exclude(wanted=Wanted.REMOVED).order_by("activation"))


def _start_again(host: Host) -> tuple[list[Container], list[Text]]:
    """Those that the last drain stopped and nobody has decided about since; and why others of them stay as they are."""
    drains = Operation.objects.filter(host=host, verb=DRAIN).order_by("-number")
    stopped = (drains.values_list("scope", flat=True).first() or {}).get("containers", ())
    started: list[Container] = []
    warnings: list[Text] = []
    for row in Container.objects.filter(pk__in=stopped, wanted=Wanted.STOPPED).order_by("activation"):
        try:
            with transaction.atomic():
                prepare_start(row)
        except CnmError as error:
            warnings.append(
                Text.of(gettext_noop("Container {name} was not started: {cause}"), name=row.name, cause=error.sentence)
            )
        else:
            started.append(row)
    return started, warnings


def _leave(actor: Actor, host: Host) -> Operation:
    """Have the worker of *host* take away everything of ours."""
    host.removing = True
    host.save(update_fields=["removing"])
    boxes = _containers(host)
    ends = ends_of([row for row in boxes if prepare_removal(row)])
    nets = list(Network.objects.filter(host=host, scope=LOCAL))
    for network in nets:
        prepare_deletion(network)
    feed.put("host", host)
    return enqueue(
        actor,
        host,
        departure.VERB,
        host,
        networks=nets,
        containers=boxes,
        everything=True,
        queue="slow" if ends else "kernel",
        args={"ends": ends},
    )


def _check_removable(host: Host, force: bool) -> None:
    subject = f"host {host.name}"
    if not Host.objects.exclude(pk=host.pk).exists():
        raise Conflict(
            gettext_noop("{host} is the only host."),
            remedy=gettext_noop("Leave it; make purge there takes everything away."),
            subject=subject,
            host=host.name,
        )
    if host.name == settings.HOST_NAME:
        raise Conflict(
            gettext_noop("This console runs on host {host}."),
            remedy=gettext_noop("Ask a console on another host."),
            subject=subject,
            host=host.name,
        )
    if is_alive(host) and host.removing:
        raise Conflict(
            gettext_noop("Host {host} is being removed."),
            remedy=gettext_noop("See the list of operations."),
            subject=subject,
            host=host.name,
        )
    if is_alive(host) and not host.drained:
        raise Conflict(
            gettext_noop("Host {host} is in use: it answers and is not drained."),
            remedy=gettext_noop("Drain it first: POST /hosts/{host}/drain shows and stops what runs there."),
            subject=subject,
            host=host.name,
        )
    there = Container.objects.filter(host=host)
    if there and not (force or host.drained):
        raise Conflict(
            gettext_noop("Host {host} does not answer and has containers: {containers}."),
            remedy=gettext_noop("Wait for it, or remove it with force, if it is lost."),
            subject=subject,
            host=host.name,
            containers=ipam.names_of(there),
        )
