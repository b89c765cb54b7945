"""Use cases of images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from networks import feed
from networks.cnm.errors import Conflict, Forbidden, InvalidSpec
from networks.cnm.text import gettext_noop
from networks.models import Container, Host, Image

from .actor import Actor, require
from .fresh import refresh
from .operations import check_alive, enqueue, record
from .outcome import Outcome
from .uploads import PREFIX

LOCAL_SOURCES = ("oci:", "oci-archive:", "docker-archive:", "dir:", "/")
"""Sources that read files of the host."""
LONGEST_NAME = 255
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
"""A repository, with its registry where it has one, and a tag."""


def ensure_host_image(host: Host) -> None:
    """The image that is always there: a copy-on-write view of the host's own programs."""
    Image.objects.get_or_create(host=host, name="host", defaults={"kind": "host", "status": "ready"})


def full_name(name: str) -> str:
    """*name* with its tag: ``latest`` where none is given, as Docker does. Raises InvalidSpec for what is no name."""
    full = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    if len(full) > LONGEST_NAME or not _NAME.match(full):
        raise InvalidSpec(
            gettext_noop("{name} is not the name of an image."),
            remedy=gettext_noop("Give a name such as team/app:1.2, in lower case."),
            field="name",
            name=repr(name),
        )
    return full


def import_image(actor: Actor, host: Host, name: str, source: str, changes: Mapping[str, Any] | None = None) -> Outcome:
    """Fetch an image; the operation shows how far it is.

    *changes*, in the spelling of an OCI image configuration, go over that of an archive of a root filesystem, which has none of its own.
    """
    require(actor, "operator")
    check_alive(actor, host)
    if source.startswith(LOCAL_SOURCES):
        require(actor, "admin")
    full = full_name(name)
    if full.partition(":")[0] == "host":
        raise Forbidden(
            gettext_noop("The image host is always there and is not imported."),
            remedy=gettext_noop("Choose another name."),
            field="name",
        )
    with feed.transaction(actor.name):
        image, _ = Image.objects.update_or_create(
            host=host,
            name=full,
            defaults={
                "source": source,
                "status": "pending",
                "kind": "tar" if source.startswith(("/", PREFIX)) else "oci",
                "error": None,
            },
        )
        feed.put("image", image)
        operation = enqueue(
            actor, host, "image.import", image, queue="slow", args={"image": image.pk, "changes": dict(changes or {})}
        )
        record(actor, "image.import", image, {"name": full, "source": source}, operation)
    return Outcome(image, operation)


def tag_image(actor: Actor, image: Image, name: str) -> Outcome:
    """Give an image another name beside its own; a name that stood for another image stands for this one from now on."""
    require(actor, "operator")
    check_alive(actor, image.host)
    full = full_name(name)
    if image.kind == "host" or full.partition(":")[0] == "host":
        raise Forbidden(
            gettext_noop("The image host is built in: it has no other name, and no other image has its."),
            remedy=gettext_noop("Choose another image or name."),
            field="name",
        )
    with feed.transaction(actor.name):
        refresh(image)
        if image.status != "ready":
            raise Conflict(
                gettext_noop("Image {name} is not ready: it is {status}."),
                remedy=gettext_noop("Wait until it is imported, or import it again."),
                name=image.name,
                status=image.status,
            )
        named, _ = Image.objects.update_or_create(
            host=image.host,
            name=full,
            defaults={"source": image.source, "status": "pending", "kind": image.kind, "error": None},
        )
        feed.put("image", named)
        args = {"image": named.pk, "of": image.name}
        operation = enqueue(actor, image.host, "image.tag", named, queue="slow", args=args)
        record(actor, "image.tag", named, {"name": full, "of": image.name}, operation)
    return Outcome(named, operation)


def remove_image(actor: Actor, image: Image) -> Outcome:
    """Take an image away; refused while a container is made of it."""
    require(actor, "operator")
    check_alive(actor, image.host)
    if image.kind == "host":
        raise Forbidden(
            gettext_noop("The image host is always there and is not removed."),
            remedy=gettext_noop("Leave it; it holds nothing of its own."),
        )
    with feed.transaction(actor.name):
        refresh(image)
        _check_unused(image)
        image.status = "removing"
        image.save(update_fields=["status"])
        feed.put("image", image)
        operation = enqueue(actor, image.host, "image.remove", image, queue="slow", args={"image": image.pk})
        record(actor, "image.remove", image, {}, operation)
    return Outcome(image, operation)


def _check_unused(image: Image) -> None:
    users = Container.objects.filter(host=image.host, image__in=[image.name, image.name.removesuffix(":latest")])
    if users:
        raise Conflict(
            gettext_noop("Image {name} is used by {containers}."),
            remedy=gettext_noop("Remove these first."),
            name=image.name,
            containers=", ".join(users.values_list("name", flat=True)),
        )
