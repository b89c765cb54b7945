"""Doing again what failed: the repair of what it left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from networks import feed, withheld
from networks.cnm.errors import Conflict
from networks.cnm.text import gettext_noop
from networks.models import Container, Image, Network, Operation

from .actor import Actor, require
from .endpoints import check_usable
from .fresh import refresh
from .operations import check_alive, enqueue, record

WANTED = {
    "container.run": "running",
    "container.start": "running",
    "container.restart": "running",
    "container.stop": "stopped",
    "container.remove": "removed",
    "bulk.start": "running",
    "bulk.stop": "stopped",
    "bulk.remove": "removed",
    "host.drain": "stopped",
    "host.activate": "running",
}
"""Verb -> what its containers must still be wanted to be."""
IMAGE_STATES = {
    "image.import": "pending",
    "image.tag": "pending",
    "image.remove": "removing",
    "container.commit": "pending",
}
"""Verb of work on an image -> the image's status meanwhile."""
SUBJECTS = {"network": Network, "container": Container, "image": Image}


def retry(actor: Actor, operation: Operation) -> Operation:
    """Do what a failed operation was to do, again and in full: the same verb with the same words in the same queue."""
    require(actor, "operator")
    check_alive(actor, operation.host)
    with feed.transaction(actor.name):
        refresh(operation)
        networks, containers = to_do_again(operation)
        withheld.take_up(networks, containers)
        for container in containers:
            for endpoint in container.endpoints.filter(removing=False).select_related("network"):
                if not endpoint.network.removing:
                    check_usable(endpoint.network)
        _take_up_image(operation)
        again = enqueue(
            actor,
            operation.host,
            operation.verb,
            None,
            networks=networks,
            containers=containers,
            everything=bool(operation.scope.get("all")),
            queue="slow" if operation.args.get("fills") else operation.queue,
            args=_args_for(operation, containers),
        )
        again.subject_kind, again.subject_id = operation.subject_kind, operation.subject_id
        again.subject_name = operation.subject_name
        again.save(update_fields=["subject_kind", "subject_id", "subject_name"])
        record(actor, "operation.retry", operation, {"number": operation.number}, again)
    return again


def to_do_again(operation: Operation) -> tuple[QuerySet[Network], QuerySet[Container]]:
    """What a repair of *operation* would be about. Raises :class:`Conflict` where there is nothing left to repair."""
    if operation.state != "failed":
        raise Conflict(
            gettext_noop("Operation {number} has not failed."),
            remedy=gettext_noop("Only a failed operation is repaired."),
            number=operation.number,
        )
    networks = Network.objects.filter(pk__in=operation.scope.get("networks", []))
    containers = Container.objects.filter(pk__in=operation.scope.get("containers", []))
    _check_still_wanted(operation)
    if operation.verb.startswith(("bulk.", "host.")) and operation.verb in WANTED:
        containers = containers.filter(wanted=WANTED[operation.verb])
        if not (networks.exists() or containers.exists()):
            raise Conflict(
                gettext_noop("All that operation {number} was about is gone, or was decided otherwise since."),
                remedy=gettext_noop("There is nothing left to repair."),
                number=operation.number,
            )
    return networks, containers


def _args_for(operation: Operation, containers: Iterable[Container]) -> dict[str, Any]:
    """The same words, without the end of processes that are not to end any more."""
    args = dict(operation.args)
    if "ends" in args:
        ending = [row for row in containers if row.pk in args["ends"]]
        if operation.verb == "topology.apply":  # those that it was to stop or remove, if nobody has started them since
            ending = [row for row in ending if row.wanted != "running"]
        args["ends"] = {row.pk: args["ends"][row.pk] for row in ending}
    return args


def to_repair(subject: Network | Container) -> int | None:
    """The number of the operation whose repair would be that of *subject*: its last one, where that failed."""
    if not subject.error:
        return None
    last = Operation.objects.filter(subject_id=subject.pk).order_by("-number").first()
    return last.number if last is not None and last.state == "failed" else None


def _check_still_wanted(operation: Operation) -> None:
    """Refuse what nobody wants any more: what it was about is gone, or was decided otherwise since."""
    model = SUBJECTS.get(operation.subject_kind)
    if model is None:
        return
    subject = model._default_manager.filter(pk=operation.subject_id).first()
    if subject is None:
        raise Conflict(
            gettext_noop("What operation {number} was about is gone: {name}."),
            remedy=gettext_noop("There is nothing left to repair."),
            number=operation.number,
            name=operation.subject_name,
        )
    wanted = WANTED.get(operation.verb)
    if wanted is not None and isinstance(subject, Container) and subject.wanted != wanted:
        raise Conflict(
            gettext_noop("Container {name} is to be {wanted} by now, which operation {number} was not about."),
            remedy=gettext_noop("Start, stop or remove the container instead."),
            name=subject.name,
            wanted=subject.wanted,
            number=operation.number,
        )


def _take_up_image(operation: Operation) -> None:
    state = IMAGE_STATES.get(operation.verb)
    image = Image.objects.filter(pk=operation.args.get("image", 0)).first() if state else None
    if image is not None and state is not None:
        image.status, image.error = state, None
        image.save(update_fields=["status", "error"])
        feed.put("image", image)
