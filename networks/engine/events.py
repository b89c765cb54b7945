"""``/events``: Docker's events, read out of the numbered events that every page of the console gets too.

Each event of ours tells the whole object as it is from then on. What Docker would say follows from the object before and after; the
activity log adds what leaves no trace in a state (signals, commands). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from networks.cnm.signals import NUMBERS

from . import filters as filtering
from .times import nanoseconds

Json = dict[str, Any]
_UP = ("running", "paused", "stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One numbered event: an object of a kind before and after; None: it was not there, or is gone."""

    kind: str
    id: str
    before: Json | None
    after: Json | None
    at: datetime


def said(change: Change) -> list[Json]:
    """What Docker says of a change, in Docker's order."""
    speaker = {"container": _container, "network": _network, "image": _image, "activity": _activity}.get(change.kind)
    return [_event(change, *words) for words in (speaker(change) if speaker is not None else ())]


_Words = tuple[str, str, str, dict[str, str]]
"""Type, action, the actor's id and its attributes."""


def _event(change: Change, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> Json:
    event: Json = {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": actor, "Attributes": dict(attributes)},
        "scope": "local",
        "time": int(change.at.timestamp()),
        "timeNano": nanoseconds(change.at),
    }
    if kind == "container":
        event = {"status": action, "id": actor, "from": attributes.get("image", ""), **event}
    return event


def _container(change: Change) -> Iterator[_Words]:
    before, after = change.before, change.after
    attributes = _attributes(after or before or {})

    def words(action: str, **more: str) -> _Words:
        return "container", action, change.id, {**attributes, **more}

    if after is None:
        yield words("destroy")
        return
    if before is None:
        yield words("create")
        before = {**after, "state": "created", "endpoints": [], "started_at": None}
    if before["name"] != after["name"]:
        yield words("rename", oldName=f"/{before['name']}")
    ran, runs = before["state"] in _UP, after["state"] in _UP
    again = runs and ran and before["started_at"] != after["started_at"]
    if after["state"] == "stopping" and before["state"] != "stopping":
        yield words("kill", signal=str(_number(after.get("stop_signal", "SIGTERM"))))
    if (ran and not runs) or again:
        yield from _ways("disconnect", change.id, _plugged(before), set())
        forced = after["state"] == "removing" and after.get("exit_code") is None
        if forced:
            yield words("kill", signal="9")
        yield words("die", exitCode="137" if forced else str(after.get("exit_code") or 0))
        if after["wanted"] == "stopped":
            yield words("stop")
    known = set() if (not ran or again) else set(_plugged(before))
    if runs:
        yield from _ways("connect", change.id, _plugged(after), known)
        if not ran or again:
            yield words("start")
    health = after.get("health", "")
    if runs and health not in {"", "starting", before.get("health", "")}:
        yield words(f"health_status: {health}")
    if ran and runs and not again:
        yield from _ways("disconnect", change.id, _plugged(before), set(_plugged(after)))


def _attributes(value: Json) -> dict[str, str]:
    labels = {str(name): str(item) for name, item in (value.get("labels") or {}).items()}
    return {**labels, "image": str(value.get("image", "")).removesuffix(":latest"), "name": str(value.get("name", ""))}


def _plugged(value: Json) -> dict[str, str]:
    """The networks that it is on with an address: id -> name."""
    return {
        item["network"]["id"]: item["network"]["name"]
        for item in value.get("endpoints", ())
        if item["ipv4"] or item["ipv6"]
    }


def _ways(action: str, container: str, networks: Mapping[str, str], without: set[str]) -> Iterator[_Words]:
    for network_id, name in networks.items():
        if network_id not in without:
            yield "network", action, network_id, {"container": container, "name": name, "type": "bridge"}


def _network(change: Change) -> Iterator[_Words]:
    value = change.after or change.before or {}
    attributes = {"name": str(value.get("name", "")), "type": str(value.get("driver", ""))}
    if change.before is None and change.after is not None:
        yield "network", "create", change.id, attributes
    elif change.after is None:
        yield "network", "destroy", change.id, attributes


def _image(change: Change) -> Iterator[_Words]:
    before, after = change.before, change.after
    name = str((after or before or {}).get("name", ""))
    if after is None:
        yield "image", "untag", name, {"name": name}
        yield "image", "delete", name, {"name": name}
    elif after.get("status") == "ready" and (before or {}).get("status") != "ready":
        source = str(after.get("source", ""))
        action = "pull" if source.startswith("docker://") else "import"
        yield "image", action, name, {"name": name}


def _activity(change: Change) -> Iterator[_Words]:
    value = change.after or {}
    subject, request = value.get("subject", {}), value.get("request") or {}
    if subject.get("kind") != "container":
        return
    attributes = {"name": str(subject.get("name", ""))}

    def words(action: str, **more: str) -> _Words:
        return "container", action, str(subject["id"]), {**attributes, **more}

    verb = value.get("verb")
    if verb == "container.kill":
        yield words("kill", signal=str(_number(request.get("signal", "SIGKILL"))))
    elif verb in {"container.pause", "container.unpause"}:
        yield words(verb.removeprefix("container."))
    elif verb == "container.attach":
        yield words("attach")
    elif verb == "container.copy_out":
        yield words("archive-path", path=str(request.get("path", "")))
    elif verb == "container.copy_in":
        yield words("extract-to-dir", path=str(request.get("path", "")))
    elif verb == "container.restart":
        yield words("restart")
    elif verb == "container.commit":
        yield words("commit", comment="", imageRef=str(request.get("image", "")))
    elif verb == "terminal.open":
        command = " ".join(map(str, request.get("command", ())))
        yield words(f"exec_create: {command}", execID=str(request.get("session", "")))
        yield words(f"exec_start: {command}", execID=str(request.get("session", "")))
    elif verb == "terminal.end":
        code = str(request.get("exit_code") or 0)
        yield words("exec_die", execID=str(request.get("session", "")), exitCode=code)


def _number(signal: str) -> int:
    return NUMBERS.get(signal, NUMBERS["SIGTERM"])


KNOWN = (
    "type",
    "event",
    "container",
    "image",
    "network",
    "label",
    "scope",
    "volume",
    "daemon",
    "plugin",
    "node",
    "service",
)


def matches(event: Json, wanted: filtering.Filters) -> bool:
    """Whether *event* is one that the filters ask for."""
    actor = event["Actor"]
    attributes = actor["Attributes"]
    if wanted.get("type") and event["Type"] not in wanted["type"]:
        return False
    if wanted.get("event") and not any(
        event["Action"].partition(":")[0] == item.partition(":")[0] for item in wanted["event"]
    ):
        return False
    if wanted.get("scope") and event["scope"] not in wanted["scope"]:
        return False
    if not filtering.matches_labels(wanted.get("label", ()), attributes):
        return False
    for kind in ("container", "network", "image"):
        if wanted.get(kind) and not any(_about(event, kind, item) for item in wanted[kind]):
            return False
    return not any(wanted.get(kind) for kind in ("volume", "daemon", "plugin", "node", "service"))


def _about(event: Json, kind: str, reference: str) -> bool:
    actor = event["Actor"]
    if event["Type"] == kind:
        name = actor["Attributes"].get("name", "")
        return bool(actor["ID"].startswith(reference) or reference in {name, f"{name}:latest"})
    if kind == "image" and event["Type"] == "container":
        return reference.removesuffix(":latest") == actor["Attributes"].get("image")
    return False
