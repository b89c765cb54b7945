"""Use cases of volumes: named folders of a host's that outlive the containers that use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from networks import feed
from networks.cnm.errors import Conflict
from networks.cnm.text import gettext_noop
from networks.models import Container, Host, Volume

from .actor import Actor, require
from .fresh import refresh
from .operations import check_alive, enqueue, record
from .outcome import Outcome


def volume_of(bind: str) -> str:
    """The name of the volume that a container's bind uses; empty for a folder of the host's."""
    source = bind.partition(":")[0]
    return "" if source.startswith("/") else source


def users_of(host: Host, name: str) -> list[Container]:
    """The containers that use a volume, running or not."""
    rows = Container.objects.filter(host=host).only("name", "spec")
    return [row for row in rows if any(volume_of(bind) == name for bind in row.spec.get("binds", ()))]


def create_volume(actor: Actor, host: Host, name: str, labels: Mapping[str, str]) -> Volume:
    """The volume *name*, made where it is not there. Its folder is made when a container first uses it. Raises Conflict."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        found = Volume.objects.filter(host=host, name=name).first()
        if found is not None:
            _check_stays(found)
            return found
        row = Volume.objects.create(host=host, name=name, labels=dict(labels), created_by=actor.name)
        record(actor, "volume.create", row, {"labels": dict(labels)})
    return row


def need_volumes(actor: Actor, host: Host, binds: Iterable[str]) -> None:
    """Inside a transaction: the volumes that *binds* name are there, made where they are not. Raises Conflict."""
    for name in dict.fromkeys(filter(None, map(volume_of, binds))):
        row, made = Volume.objects.get_or_create(host=host, name=name, defaults={"created_by": actor.name})
        _check_stays(row)
        if made:
            record(actor, "volume.create", row, {})


def filled_first(containers: Iterable[Container]) -> dict[str, Any]:
    """How an operation is enqueued that makes or starts *containers*: what their volumes take over of their images is copied before, in
    the slow process."""
    ids = [row.pk for row in containers if any(map(volume_of, row.spec.get("binds", ())))]
    return {"queue": "slow", "args": {"fills": ids}} if ids else {}


def remove_volume(actor: Actor, volume: Volume) -> Outcome:
    """Delete a volume with what is in it. Raises Conflict while a container uses it, NotFound where it is gone."""
    require(actor, "operator")
    check_alive(actor, volume.host)
    with feed.transaction(actor.name):
        refresh(volume)
        users = users_of(volume.host, volume.name)
        if users:
            raise Conflict(
                gettext_noop("Volume {name} is used by {containers}."),
                remedy=gettext_noop("Remove these first."),
                name=volume.name,
                containers=", ".join(row.name for row in users),
            )
        Volume.objects.filter(pk=volume.pk).update(removing=True)
        operation = enqueue(actor, volume.host, "volume.remove", volume, queue="slow")
        record(actor, "volume.remove", volume, {}, operation)
    return Outcome(volume, operation)


def _check_stays(volume: Volume) -> None:
    if volume.removing:
        raise Conflict(
            gettext_noop("Volume {name} is being removed."),
            remedy=gettext_noop("Try again in a moment, or remove it again where that failed."),
            name=volume.name,
        )
