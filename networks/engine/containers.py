"""``/containers``: making, listing, showing, and what changes their state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from networks.cnm.errors import CnmError, Conflict, NotFound
from networks.cnm.names import OBJECT_NAME
from networks.models import Container, Image, Network, Operation
from networks.services import containers as services
from networks.services import links as link_services
from networks.services.actor import require
from networks.services.find import find_container, find_network
from networks.services.spec_container import LONGEST_STOP_S, read_container, read_signal
from networks.steady import Steady
from networks.steady import gone as removed

from . import filters as filtering
from . import health_shape, image_shape, json_types, volumes
from .call import Answer, Call, NotThere, NotUp, Steps, dockers_words, done, written
from .container_body import check_unset, requested
from .container_shape import RUNNING, inspected, listed, state_of
from .errors import EngineError, not_supported, translated
from .images import images_of
from .usage import Sizes, sizes_of

_FILTERS = (
    "id",
    "name",
    "label",
    "status",
    "network",
    "ancestor",
    "exited",
    "publish",
    "expose",
    "before",
    "since",
    "health",
    "is-task",
    "volume",
)
_PRUNE_FILTERS = ("until", "label", "label!")
_STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
_NO_ANSWER = ("forbidden", "unavailable")
"""Refusals of a start that say nothing of whether the container could be started."""
_ALONG_S = 5
"""How long those that share a container's sandbox, and do not run, are waited for when it is removed."""
_KILLED_S = 10
"""How long Docker waits for a container to be seen to end after SIGKILL."""


def create(call: Call) -> Steps[Answer]:
    name = call.query.get("name", "").lstrip("/")
    if name and not OBJECT_NAME.match(name):
        raise EngineError(400, f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    body = call.body(json_types.CONTAINER)
    if not body.get("Image"):
        raise EngineError(
            400, "no command specified" if not body else "Config cannot be empty in order to create a container"
        )
    value = requested(body, name, call.version, lambda reference: _network_name(call, reference))
    image_shape.check_platform(call.query.get("platform", ""))
    image = image_shape.needed(call.host, value["image"])
    check_unset(body, image.config or {})
    probed = health_shape.with_default(body.get("Healthcheck") or {}, (image.config or {}).get("Healthcheck"))
    value["healthcheck"] = health_shape.requested(probed)
    value["image"] = image.name
    for link in value["links"]:
        _check_link(call, link.partition(":")[0])
    _check_name(call, name)
    with dockers_words():
        request = read_container(value)
    with dockers_words(subject=name):
        outcome = services.run_container(call.actor, call.host, request)
    row = outcome.subject
    assert isinstance(row, Container)  # noqa: S101  # what was made is there
    try:
        yield from done(outcome, subject=name)
    except EngineError:
        yield from written(call, lambda: services.remove_container(call.actor, row), id=row.pk)
        raise
    return Answer(201, {"Id": row.pk, "Warnings": [str(warning) for warning in outcome.warnings]})


def index(call: Call) -> Steps[Answer]:
    wanted = filtering.read(call.query.get("filters", ""), _FILTERS)
    for state in wanted.get("status", ()):
        if state not in _STATES:
            raise EngineError(400, f"invalid filter 'status={state}'")
    limit = max(0, call.integer("limit", 0) or 0)  # docker-py says -1 for all
    everything = (
        call.flag("all") or limit > 0 or any(name in wanted for name in ("status", "exited", "before", "since"))
    )
    sizes = (yield Sizes(call.actor, call.host)) if call.flag("size") else None
    rows = sorted(_rows(call), key=lambda row: row.created_at, reverse=True)
    bounds = {name: call.container(wanted[name][0]).created_at for name in ("before", "since") if wanted.get(name)}
    images, others, now = _images(call), _others(call), timezone.now()
    chosen = [
        row
        for row in rows
        if (everything or state_of(row) in {"running", "paused", "restarting"})
        and _matches(call, row, wanted)
        and ("before" not in bounds or row.created_at < bounds["before"])
        and ("since" not in bounds or row.created_at > bounds["since"])
    ]
    return Answer(value=[_listed(row, images, others, now, sizes) for row in chosen[: limit or None]])


def _listed(
    row: Container,
    images: Mapping[str, Image],
    others: Mapping[str, str],
    now: datetime,
    sizes: Mapping[str, int] | None,
) -> dict[str, Any]:
    image = image_shape.facts(images.get(row.image))
    more = sizes_of(row, sizes, image.size) if sizes is not None else {}
    return listed(row, image, others, now) | more


def usage(call: Call) -> Steps[Answer]:
    """``docker system df``: there are no builds."""
    sizes = yield Sizes(call.actor, call.host)
    images, others, now = _images(call), _others(call), timezone.now()
    kept = images_of(call.host)
    return Answer(
        value={
            "LayersSize": sum(item["Size"] for item in kept),
            "Images": [item | {"SharedSize": 0} for item in kept],
            "Containers": [_listed(row, images, others, now, sizes) for row in _rows(call)],
            "Volumes": volumes.used(call.host),
            "BuildCache": None,
            "BuilderSize": 0,
        }
    )


def inspect(call: Call, name: str) -> Steps[Answer]:
    found = call.container(name)
    row = _rows(call).filter(pk=found.pk).first()
    if row is None:
        raise removed(found)
    folder = str(Path(settings.STATE_DIR) / "containers" / row.pk)
    facts = image_shape.facts(_images(call).get(row.image))
    value = inspected(row, facts, _others(call), folder)
    if call.flag("size"):
        value |= sizes_of(row, (yield Sizes(call.actor, call.host, row)), facts.size)
    return Answer(value=value)


def start(call: Call, name: str) -> Steps[Answer]:
    row = call.container(name)
    if row.status in {*RUNNING, "restarting"} and row.wanted == "running":
        return Answer(304)
    for word in ("checkpoint", "checkpoint-dir"):
        if call.query.get(word):
            raise not_supported("starting from a checkpoint")
    facts: dict[str, Any] = {"id": row.pk, "subject": row.name, "endpoint": _first_endpoint(row)}
    facts["shared"] = row.shares_id or ""
    try:
        outcome = services.start_container(call.actor, row)
    except CnmError as error:
        if error.code not in _NO_ANSWER:
            yield from _forget_unstarted(call, row)
        raise translated(error, facts) from error
    try:
        yield from done(outcome, **facts)
    except EngineError:
        if outcome.operation is not None and _failed(outcome.operation):
            yield from _forget_unstarted(call, row)
        raise
    return Answer(204)


def _failed(operation: Operation) -> bool:
    """Whether it ended so: one that takes too long goes on."""
    operation.refresh_from_db()
    return operation.state == "failed"


def _forget_unstarted(call: Call, row: Container) -> Steps[None]:
    """Remove a container whose start failed, if that was to be done at its end; Docker does so too: nobody could start it any more."""
    found = Container.objects.filter(pk=row.pk).first()
    if found is not None and found.auto_remove and found.status not in {*RUNNING, "starting", "restarting", "removing"}:
        yield from written(call, lambda: services.remove_container(call.actor, found, True))


def stop(call: Call, name: str) -> Steps[Answer]:
    row = call.container(name)
    timeout, signal = _timeout(call), _signal(call)
    if state_of(row) not in {"running", "paused", "restarting"}:
        return Answer(304)
    yield from written(
        call, lambda: services.stop_container(call.actor, row, timeout, signal), timeout_s=timeout or LONGEST_STOP_S
    )
    return Answer(204)


def restart(call: Call, name: str) -> Steps[Answer]:
    row = call.container(name)
    timeout, signal = _timeout(call), _signal(call)
    facts = {"id": row.pk, "subject": row.name, "endpoint": _first_endpoint(row)}
    yield from written(
        call,
        lambda: services.restart_container(call.actor, row, timeout, signal),
        timeout_s=timeout or LONGEST_STOP_S,
        **facts,
    )
    return Answer(204)


def kill(call: Call, name: str) -> Steps[Answer]:
    row = call.container(name)
    signal = _signal(call) or "SIGKILL"
    try:
        yield from written(call, lambda: services.kill_container(call.actor, row, signal), id=row.pk)
    except EngineError as error:
        if error.status != 409:
            raise
        words = f"Cannot kill container: {row.name}: Container {row.pk} is not running"
        raise EngineError(409, words) from error
    if signal == "SIGKILL":
        yield NotUp(row.pk, row.run, _KILLED_S)
    return Answer(204)


def pause(call: Call, name: str) -> Steps[Answer]:
    row = call.container(name)
    yield from written(call, lambda: services.pause_container(call.actor, row), id=row.pk, pausing="1")
    return Answer(204)


def unpause(call: Call, name: str) -> Steps[Answer]:
    row = call.container(name)
    yield from written(call, lambda: services.unpause_container(call.actor, row), id=row.pk)
    return Answer(204)


def rename(call: Call, name: str) -> Steps[Answer]:
    row = call.container(name)
    wanted = call.query.get("name", "").lstrip("/")
    if not wanted:
        raise EngineError(400, "Neither old nor new names may be empty")
    if not OBJECT_NAME.match(wanted):
        raise EngineError(400, f"Invalid container name ({wanted}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if wanted == row.name:
        raise EngineError(400, "Renaming a container with the same name as its current name")
    _check_name(call, wanted, "Error when allocating new name: ")
    yield from written(call, lambda: services.rename_container(call.actor, row, wanted))
    return Answer(204)


def update(call: Call, name: str) -> Steps[Answer]:
    """Only the restart policy: limits of a container that is there are not changed."""
    row = call.container(name)
    body = call.body(json_types.UPDATE)
    policy = body.pop("RestartPolicy", None) or {}
    if any(value not in (None, "", 0, [], {}, False) for value in body.values()):
        raise not_supported("changing the limits of a container that is there")
    if policy.get("Name"):
        most = int(policy.get("MaximumRetryCount") or 0)
        yield from written(call, lambda: services.update_container(call.actor, row, row.labels, policy["Name"], most))
    return Answer(value={"Warnings": []})


def remove(call: Call, name: str) -> Steps[Answer]:
    force = call.flag("force")
    if call.flag("link"):
        return (yield from _remove_link(call, name))
    row = call.container(name)
    if row.status == "removing":
        raise EngineError(409, f"removal of container {row.name} is already in progress")
    if state_of(row) == "paused" and not force:
        words = "You cannot remove a paused container {}. Unpause and then stop the container before attempting removal or force remove"
        raise EngineError(409, words.format(row.pk))
    if state_of(row) == "running" and not force:
        words = "You cannot remove a running container {}. Stop the container before attempting removal or force remove"
        raise EngineError(409, words.format(row.pk))
    # Compose removes those that share a sandbox at the same time as the one whose it is.
    for sharing in Container.objects.filter(shares=row, status__in=("created", "exited", "failed", "removing")):
        yield NotThere(sharing.pk, _ALONG_S)
    yield from written(call, lambda: services.remove_container(call.actor, row, force, links=True), id=row.pk)
    return Answer(204)


def prune(call: Call) -> Steps[Answer]:
    require(call.actor, "operator")
    wanted = filtering.read(call.query.get("filters", ""), _PRUNE_FILTERS)
    until = filtering.instant(wanted["until"][0], timezone.now()) if wanted.get("until") else None
    gone = []
    for row in _rows(call):
        idle = state_of(row) in {"created", "exited"} and (until is None or row.created_at <= until)
        labelled = filtering.matches_labels(wanted.get("label", ()), row.labels)
        meant = idle and labelled and filtering.lacks_labels(wanted.get("label!", ()), row.labels)
        if meant and (yield from _pruned(call, row)):
            gone.append(row.pk)
    return Answer(value={"ContainersDeleted": gone or None, "SpaceReclaimed": 0})


def _pruned(call: Call, row: Container) -> Steps[bool]:
    """Whether it is gone. The list is as old as the removals before it: who was started meanwhile, or is needed, stays."""
    try:
        yield from written(call, lambda: services.remove_container(call.actor, row, links=True), id=row.pk)
    except EngineError as error:
        if error.status not in {404, 409}:
            raise
        return False
    return True


def _remove_link(call: Call, name: str) -> Steps[Answer]:
    recipient, _, alias = name.strip("/").partition("/")
    row = find_container(call.host, recipient).links.filter(alias=alias).first()
    if row is None:
        raise EngineError(404, f"No such container: {name}")
    yield from written(call, lambda: link_services.unlink(call.actor, row))
    return Answer(204)


def _timeout(call: Call) -> int | None:
    """Seconds until SIGKILL; None: as the container was made; a negative one means for ever, which is an hour here."""
    value = call.integer("t")
    return value if value is None else LONGEST_STOP_S if value < 0 else min(value, LONGEST_STOP_S)


def _signal(call: Call) -> str:
    """The signal in the query; empty: none is named. Raises EngineError 400."""
    given = call.query.get("signal", "")
    if not given:
        return ""
    try:
        return read_signal("signal", given)
    except CnmError:
        raise EngineError(400, f"Invalid signal: {given}") from None


def _network_name(call: Call, reference: str) -> str:
    """The name of the network that is meant; of one that is not there, what was said: the start tells, as in Docker."""
    try:
        return find_network(call.host, reference).name
    except (NotFound, Conflict):
        return reference


def _check_link(call: Call, source: str) -> None:
    try:
        find_container(call.host, source)
    except NotFound:
        raise EngineError(400, f"could not get container for {source}: No such container: {source}") from None


def _check_name(call: Call, name: str, before: str = "") -> None:
    holder = Container.objects.filter(host=call.host, name=name).first() if name else None
    if holder is not None:
        raise EngineError(
            409,
            f'{before}Conflict. The container name "/{name}" is already in use by container "{holder.pk}". '
            "You have to remove (or rename) that container to be able to reuse that name.",
        )


def _first_endpoint(row: Container) -> str:
    found = row.endpoints.filter(removing=False).first()
    return found.pk if found is not None else ""


def _rows(call: Call) -> Any:
    return (
        Steady(Container)
        .filter(host=call.host)
        .select_related("host", "shares")
        .prefetch_related("endpoints__network__subnets", "ports", "links__source", "linked_by__recipient")
    )


def _images(call: Call) -> dict[str, Image]:
    return {row.name: row for row in Image.objects.filter(host=call.host)}


def _others(call: Call) -> dict[str, str]:
    rows = Network.objects.filter(host=call.host, name__in=["host", "none"])
    return dict(rows.values_list("name", "pk"))


def _matches(call: Call, row: Container, wanted: filtering.Filters) -> bool:
    networks = {value for item in row.endpoints.all() for value in (item.network.name, item.network_id)}
    if row.network_mode in {"host", "none"}:
        networks.add(row.network_mode)
    code = str(row.exit_code if row.exit_code is not None else "")
    return all(
        (
            not wanted.get("id") or any(row.pk.startswith(item) for item in wanted["id"]),
            not wanted.get("name") or _named(row, wanted["name"]),
            filtering.matches_labels(wanted.get("label", ()), row.labels),
            not wanted.get("status") or state_of(row) in wanted["status"],
            not wanted.get("network") or networks.intersection(wanted["network"]),
            not wanted.get("exited") or (state_of(row) == "exited" and code in wanted["exited"]),
            not wanted.get("ancestor") or any(_made_of(call, row, item) for item in wanted["ancestor"]),
            not wanted.get("publish") or _has_port(row, wanted["publish"], published=True),
            not wanted.get("expose") or _has_port(row, wanted["expose"], published=False),
            not wanted.get("health") or (row.health_status or "none") in wanted["health"],
            not wanted.get("is-task") or wanted["is-task"][0].lower() in {"0", "false"},
            not wanted.get("volume")
            or any(item in bind for item in wanted["volume"] for bind in row.spec.get("binds", ())),
        )
    )


def _named(row: Container, wanted: tuple[str, ...]) -> bool:
    """``name`` looks at the name with its slash and without, so that ``^/web$`` and ``^web$`` both find it."""
    return filtering.matches_name(wanted, row.name, f"/{row.name}")


def _made_of(call: Call, row: Container, reference: str) -> bool:
    image = image_shape.find(call.host, reference)
    return image is not None and row.image == image.name


_PORTS = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?\Z")


def _has_port(row: Container, wanted: tuple[str, ...], *, published: bool) -> bool:
    ports = [(int(number), protocol) for number, protocol in row.spec.get("exposed_ports", ())]
    if published:
        ports = [(port.container_port, port.protocol) for port in row.ports.all()]
        ports += [(port.host_port, port.protocol) for port in row.ports.all()]
    for item in wanted:
        found = _PORTS.match(item)
        if found is None:
            raise EngineError(400, f"invalid filter 'publish={item}'")
        first, last = int(found[1]), int(found[2] or found[1])
        if any(first <= number <= last and protocol == (found[3] or "tcp") for number, protocol in ports):
            return True
    return False
