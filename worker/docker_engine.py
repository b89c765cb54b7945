"""A Docker Engine beside us, whose containers are on networks of ours: what is seen of them goes with what is seen of our own.

Only ever read: of the engine's sandboxes what is in them, of the engine itself what its containers are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from networks import feed, settle
from networks.cnm.names import OBJECT_NAME, sandbox_name
from networks.cnm.trace.world import Sandbox, World
from networks.models import Container, Endpoint, Host
from networks.models.choices import ContainerKind, Wanted

OTHERWISE = "{name}.docker"
"""What a container is called here whose name is somebody else's already."""


def with_theirs(host: Host, world: World, found: Sequence[Sandbox]) -> World:
    """*world* with those of an engine's sandboxes *found* that are of containers on our networks, by the names that ours have."""
    if not found:
        return world
    rows = Container.objects.filter(host=host, kind=ContainerKind.DOCKER, wanted=Wanted.RUNNING)
    known = {PurePath(path).name: sandbox_name(pk) for pk, path in rows.values_list("pk", "adopted_path")}
    theirs = tuple(replace(one, name=known[one.name]) for one in found if one.name in known)
    return replace(world, sandboxes=(*world.sandboxes, *theirs)) if theirs else world


def note_names(host: Host, said: Iterable[Mapping[str, Any]]) -> bool:
    """Call the engine's containers what it calls them; whether any is called otherwise now. The operations that have their neighbours
    know of it are opened."""
    told = {endpoint: one["name"] for one in said for endpoint in one.get("endpoints", ())}
    if not told:
        return False
    rows = Endpoint.objects.filter(pk__in=told, container__host=host, container__kind=ContainerKind.DOCKER)
    wanted = {row.container_id: told[row.pk] for row in rows if OBJECT_NAME.match(told[row.pk])}
    called = dict(Container.objects.filter(pk__in=wanted).values_list("pk", "name"))
    news = {pk: name for pk, name in wanted.items() if called.get(pk) not in {name, OTHERWISE.format(name=name)}}
    if not news:
        return False
    with feed.transaction(settle.ACTOR):
        return sum(_rename(host, pk, name) for pk, name in news.items()) > 0


def _rename(host: Host, pk: str, name: str) -> bool:
    row = Container.objects.select_related("host").filter(pk=pk).exclude(wanted=Wanted.REMOVED).first()
    others = set(Container.objects.filter(host=host).exclude(pk=pk).values_list("name", flat=True))
    free = next((one for one in (name, OTHERWISE.format(name=name)) if one not in others), None)
    if row is None or free is None or row.name == free:
        return False
    row.name = free
    row.save(update_fields=["name"])
    feed.put("container", row)
    settle.pending(row, "container.rename")
    return True
