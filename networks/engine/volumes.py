"""``/volumes``: named folders that outlive containers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from networks.cnm.names import OBJECT_NAME
from networks.models import Host, Volume
from networks.services import volumes as services
from networks.services.actor import require

from . import filters as filtering
from . import json_types
from .call import Answer, Call, Steps, dockers_words, written
from .errors import EngineError, not_supported
from .times import rfc3339

ANONYMOUS = "com.docker.volume.anonymous"
"""The label of those that nobody named; newer versions prune them alone."""
_FILTERS = ("name", "label", "driver", "dangling")
_PRUNE_FILTERS = ("label", "label!", "all")


def index(call: Call) -> Answer:
    wanted = filtering.read(call.query.get("filters", ""), _FILTERS)
    dangling = filtering.flag(wanted, "dangling")
    rows = [
        row
        for row in Volume.objects.filter(host=call.host, removing=False)
        if (not wanted.get("name") or filtering.matches_name(wanted["name"], row.name))
        and filtering.matches_labels(wanted.get("label", ()), row.labels)
        and (not wanted.get("driver") or "local" in wanted["driver"])
        and (dangling is None or dangling != bool(services.users_of(call.host, row.name)))
    ]
    return Answer(value={"Volumes": [shown(row) for row in rows], "Warnings": None})


def create(call: Call) -> Answer:
    body = call.body(json_types.VOLUME)
    name, driver = body.get("Name") or secrets.token_hex(32), body.get("Driver") or "local"
    if driver != "local":
        words = f'error looking up volume plugin {driver}: plugin "{driver}" not found'
        raise EngineError(404, f"create {name}: {words}")
    if body.get("DriverOpts"):
        raise not_supported("an option of the volume driver")
    if not OBJECT_NAME.match(name):
        words = 'includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed.'
        raise EngineError(
            400, f'create {name}: "{name}" {words} If you intended to pass a host directory, use absolute path'
        )
    labels = dict(body.get("Labels") or {})
    if not body.get("Name"):
        labels[ANONYMOUS] = ""
    with dockers_words():
        return Answer(201, shown(services.create_volume(call.actor, call.host, name, labels)))


def inspect(call: Call, name: str) -> Answer:
    return Answer(value=shown(_found(call, name)))


def remove(call: Call, name: str) -> Steps[Answer]:
    if call.flag("force") and not Volume.objects.filter(host=call.host, name=name).exists():
        return Answer(204)
    row = _found(call, name)
    users = services.users_of(call.host, row.name)
    if users:
        ids = ", ".join(user.pk for user in users)
        raise EngineError(409, f"remove {name}: volume is in use - [{ids}]")
    yield from written(call, lambda: services.remove_volume(call.actor, row))
    return Answer(204)


def prune(call: Call) -> Steps[Answer]:
    require(call.actor, "operator")
    wanted = filtering.read(call.query.get("filters", ""), _PRUNE_FILTERS)
    every = call.version < (1, 42) or filtering.flag(wanted, "all")
    gone = []
    for row in Volume.objects.filter(host=call.host, removing=False):
        chosen = every or ANONYMOUS in row.labels
        labelled = filtering.matches_labels(wanted.get("label", ()), row.labels)
        kept = not filtering.lacks_labels(wanted.get("label!", ()), row.labels) or services.users_of(
            call.host, row.name
        )
        if chosen and labelled and not kept and (yield from _pruned(call, row)):
            gone.append(row.name)
    return Answer(value={"VolumesDeleted": gone or None, "SpaceReclaimed": 0})


def _pruned(call: Call, row: Volume) -> Steps[bool]:
    """Whether it is gone. The list is as old as the removals before it: what is used meanwhile stays."""
    try:
        yield from written(call, lambda: services.remove_volume(call.actor, row))
    except EngineError as error:
        if error.status not in {404, 409}:
            raise
        return False
    return True


def used(host: Host) -> list[dict[str, Any]]:
    """All of them for ``docker system df``: how many containers use each; what is in them is not measured."""
    return [
        shown(row) | {"UsageData": {"RefCount": len(services.users_of(host, row.name)), "Size": -1}}
        for row in Volume.objects.filter(host=host, removing=False)
    ]


def shown(row: Volume) -> dict[str, Any]:
    return {
        "CreatedAt": rfc3339(row.created_at or timezone.now()),
        "Driver": "local",
        "Labels": row.labels or None,
        "Mountpoint": mount_point(row.name),
        "Name": row.name,
        "Options": None,
        "Scope": "local",
    }


def mount_point(name: str) -> str:
    return str(Path(settings.STATE_DIR) / "volumes" / name / "_data")


def mounted(bind: str) -> Mapping[str, Any]:
    """An item of a container's ``Mounts`` for a volume."""
    name, target, *mode = bind.split(":")
    return {
        "Type": "volume",
        "Name": name,
        "Source": mount_point(name),
        "Destination": target,
        "Driver": "local",
        "Mode": mode[0] if mode else "z",
        "RW": mode != ["ro"],
        "Propagation": "",
    }


def _found(call: Call, name: str) -> Volume:
    row = Volume.objects.filter(host=call.host, name=name).first()
    if row is None:
        raise EngineError(404, f"get {name}: no such volume")
    return row
