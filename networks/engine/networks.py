"""``/networks``: listing, making, removing, connecting."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from networks import feed
from networks.cnm.desired import HostSettings
from networks.models import Container, Network
from networks.services import links as link_services
from networks.services import networks as services
from networks.services.actor import require
from networks.services.find import find_container, find_network
from networks.services.operations import gathered
from networks.services.outcome import Outcome
from networks.services.spec_container import read_attach
from networks.services.spec_network import read_network
from networks.steady import Steady
from networks.steady import gone as removed

from . import filters as filtering
from . import json_types
from .call import Answer, Call, Steps, dockers_words, written
from .errors import EngineError
from .network_shape import attachment, described, links, requested

_FILTERS = ("driver", "id", "label", "name", "scope", "type", "dangling")
_PRUNE_FILTERS = ("until", "label", "label!")


def index(call: Call) -> Answer:
    wanted = filtering.read(call.query.get("filters", ""), _FILTERS)
    kinds = wanted.get("type", ())
    for kind in kinds:
        if kind not in {"custom", "builtin"}:
            raise EngineError(500, f"invalid filter: 'type'='{kind}'")
    dangling = filtering.flag(wanted, "dangling")
    rows = _rows(call).order_by("name")
    return Answer(
        value=[
            described(row, _bridge(call), containers=False)
            for row in rows
            if (not kinds or ("builtin" if row.predefined else "custom") in kinds)
            and (not wanted.get("driver") or row.driver in wanted["driver"])
            and (not wanted.get("scope") or row.scope in wanted["scope"])
            and (not wanted.get("id") or any(row.pk.startswith(item) for item in wanted["id"]))
            and (not wanted.get("name") or filtering.matches_name(wanted["name"], row.name))
            and filtering.matches_labels(wanted.get("label", ()), row.labels)
            and (dangling is None or dangling == (not row.predefined and not row.endpoints.all()))
        ]
    )


def inspect(call: Call, name: str) -> Answer:
    found = find_network(call.host, name)
    if call.query.get("scope") not in {None, "", found.scope}:
        raise EngineError(404, f"network {name} not found")
    row = _rows(call).filter(pk=found.pk).first()
    if row is None:
        raise removed(found)
    return Answer(value=described(row, _bridge(call), containers=True))


def create(call: Call) -> Steps[Answer]:
    body = call.body(json_types.NETWORK)
    if not str(body.get("Name") or "").strip():
        raise EngineError(500, f"invalid name: {body.get('Name') or ''}")
    with dockers_words():
        request = read_network(requested(body))
    outcome = yield from written(call, lambda: services.create_network(call.actor, call.host, request))
    assert outcome.subject is not None  # noqa: S101  # what was made is there
    return Answer(201, {"Id": outcome.subject.pk, "Warning": ""})


def remove(call: Call, name: str) -> Steps[Answer]:
    row = find_network(call.host, name)
    yield from written(call, lambda: services.delete_network(call.actor, row), id=row.pk)
    return Answer(204)


def connect(call: Call, name: str) -> Steps[Answer]:
    body = call.body(json_types.CONNECT)
    with dockers_words():
        network = find_network(call.host, name)
        container = call.container(_container_of(body))
        config = body.get("EndpointConfig")
        attach = read_attach("EndpointConfig", {"network": network.name, **attachment(config)})

    def use_case() -> Outcome:
        named = (_link(call, item) for item in links(config))
        wanted = [(source, alias) for source, alias in named if not _is_linked(container, source, alias)]
        if not wanted:
            return services.connect(call.actor, network, container, attach)
        with feed.transaction(call.actor.name), gathered("network.connect", container):
            outcome = services.connect(call.actor, network, container, attach)
            for source, alias in wanted:
                linked = link_services.link(call.actor, container, source, alias)
                outcome = Outcome(outcome.subject, linked.operation or outcome.operation)
            return outcome

    yield from written(call, use_case, id=network.pk, subject=container.name)
    return Answer(200)


def disconnect(call: Call, name: str) -> Steps[Answer]:
    body = call.body(json_types.CONNECT)
    with dockers_words():
        network = find_network(call.host, name)
        container = call.container(_container_of(body))
    if not container.endpoints.filter(network=network, removing=False).exists():
        where = "network" if container.status == "running" else "the network"
        raise EngineError(500, f"container {container.pk} is not connected to {where} {network.name}")
    yield from written(call, lambda: services.disconnect(call.actor, network, container, bool(body.get("Force"))))
    return Answer(200)


def prune(call: Call) -> Steps[Answer]:
    require(call.actor, "operator")
    wanted = filtering.read(call.query.get("filters", ""), _PRUNE_FILTERS)
    until = _until(wanted)
    gone = []
    for row in _rows(call).filter(predefined=False, removing=False):
        idle = not row.endpoints.all() and (until is None or row.created_at <= until)
        labelled = filtering.matches_labels(wanted.get("label", ()), row.labels)
        meant = idle and labelled and filtering.lacks_labels(wanted.get("label!", ()), row.labels)
        if meant and (yield from _pruned(call, row)):
            gone.append(row.name)
    return Answer(value={"NetworksDeleted": gone or None})


def _pruned(call: Call, row: Network) -> Steps[bool]:
    """Whether it is gone. The list is as old as the removals before it: what is used meanwhile stays."""
    try:
        yield from written(call, lambda: services.delete_network(call.actor, row), id=row.pk)
    except EngineError as error:
        if error.status not in {403, 404, 409}:
            raise
        return False
    return True


def _until(wanted: filtering.Filters) -> datetime | None:
    values = wanted.get("until", ())
    if len(values) > 1:
        raise EngineError(400, "more than one until filter specified")
    return filtering.instant(values[0], timezone.now()) if values else None


def _container_of(body: dict[str, Any]) -> str:
    return str(body.get("Container") or "")


def _link(call: Call, text: str) -> tuple[Container, str]:
    source, _, alias = text.partition(":")
    return find_container(call.host, source.lstrip("/")), alias or source


def _is_linked(container: Container, source: Container, alias: str) -> bool:
    """Whether that very link is there. Clients send a container's links with each of its networks; here they are the container's."""
    return container.links.filter(source=source, alias=alias).exists()


def _rows(call: Call) -> Any:
    return (
        Steady(Network)
        .filter(host=call.host)
        .select_related("host")
        .prefetch_related("subnets", "endpoints__container")
    )


def _bridge(call: Call) -> str:
    return HostSettings(names=call.host.settings.get("names", "cnm")).naming.bridge
