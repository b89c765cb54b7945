"""Who asked for the object that a rule belongs to, when and by which request: what the activity log knows of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from networks.cnm import desired
from networks.models import Activity, Container, Host, Network

MADE = "network.create"
RUN = "container.run"
_VERBS = (MADE, RUN, "network.connect", "port.publish", "link.create")

Maker = dict[str, str]
"""``by`` (the user), ``at``, ``verb``, ``request_id``; the last two are empty where the log has forgotten, or knows only of a bulk."""


def makers(host: Host, kept: desired.Host) -> dict[str, Maker]:
    """The maker of every object of *host*, by the object's id. Three queries.

    *kept* is its desired state as if nothing were being removed: it tells what belongs to which container.
    An endpoint, a port or a link was made by the request that added it, else with its container.
    """
    log = _log(host)
    found: dict[str, Maker] = {}
    for model, verb in ((Network, MADE), (Container, RUN)):
        for pk, by, at in model.objects.filter(host=host).values_list("pk", "created_by", "created_at"):
            found[pk] = next((_maker(row) for row in log[pk] if row["verb"] == verb), _plain(by, at))
    for pk, container, asked in _parts(kept):
        later = [row for row in log[container] if all(_has(row, name, value) for name, value in asked.items())]
        found[pk] = _maker(later[-1]) if later else found[container]
    return found


def _log(host: Host) -> defaultdict[str, list[dict[str, Any]]]:
    """Subject -> its rows of the log, the oldest first. Objects of other hosts have other ids."""
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    names = ("subject_id", "verb", "actor", "at", "request", "request_id")
    for row in Activity.objects.filter(verb__in=_VERBS).order_by("pk").values(*names):
        rows[row["subject_id"]].append(row)
    return rows


def _parts(host: desired.Host) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(id, container's id, what the request that added it says) of everything that belongs to a container."""
    names = {network.id: network.name for network in host.networks}
    for container in host.containers:
        for endpoint in container.endpoints:
            yield endpoint.id, container.id, {"verb": "network.connect", "network": names[endpoint.network_id]}
        for port in container.ports:
            yield port.id, container.id, {"verb": "port.publish", "ports": (port.container_port, port.protocol)}
        for link in container.links:
            yield link.id, container.id, {"verb": "link.create", "alias": link.alias}


def _has(row: dict[str, Any], name: str, value: Any) -> bool:
    if name == "verb":
        return bool(row["verb"] == value)
    said = row["request"].get(name)
    if name == "ports":
        return any((port.get("container_port"), port.get("protocol")) == value for port in _mappings(said))
    return bool(said == value)


def _mappings(value: Any) -> Iterable[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _maker(row: dict[str, Any]) -> Maker:
    return {
        "by": row["actor"],
        "at": row["at"].isoformat(),
        "verb": row["verb"],
        "request_id": row["request_id"],
    }


def _plain(by: str, at: datetime) -> Maker:
    return {"by": by, "at": at.isoformat(), "verb": "", "request_id": ""}
