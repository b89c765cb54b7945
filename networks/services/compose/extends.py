"""Services that are made from other services (``extends``), merged as the Compose specification says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from networks.cnm.text import gettext_noop

from ..body import bad
from .notes import Notes
from .read import listed, mapping, pairs, text

_PAIRS = frozenset({"environment", "labels", "annotations", "sysctls"})
"""Written as a list of ``A=b`` or as a mapping: merged by name."""
_JOINED = frozenset(
    {"ports", "expose", "links", "external_links", "dns", "dns_search", "dns_opt", "tmpfs", "extra_hosts", "cap_add"}
    | {"cap_drop", "devices", "env_file", "security_opt", "group_add", "secrets", "configs"}
)
"""Lists: what the service says comes after what it has from the other."""
_MAPPINGS = frozenset({"deploy", "build", "healthcheck", "logging", "ulimits"})
_OWN = frozenset({"depends_on", "container_name", "profiles"})
"""What a service does not have from another."""


def extended(services: Mapping[str, Mapping[str, Any]], notes: Notes) -> dict[str, dict[str, Any]]:
    """*services* with all that they have from others of the file. Raises :class:`InvalidSpec` for a circle or a missing service."""
    done: dict[str, dict[str, Any]] = {}
    for key in services:
        _one(key, services, notes, done, ())
    return {key: done[key] for key in services}


def _one(
    key: str,
    services: Mapping[str, Mapping[str, Any]],
    notes: Notes,
    done: dict[str, dict[str, Any]],
    above: tuple[str, ...],
) -> dict[str, Any]:
    if key in done:
        return done[key]
    path = f"services.{key}.extends"
    own = dict(services[key])
    given = own.pop("extends", None)
    result = own
    if given is not None:
        asked = mapping(given, path) if isinstance(given, Mapping) else {"service": text(given)}
        other = text(asked.get("service"))
        if asked.get("file"):
            notes.add(
                path,
                gettext_noop("The file {file} is not at hand: what is said there of {name} is left out."),
                file=text(asked["file"]),
                name=other,
            )
        else:
            if other not in services or other in (*above, key):
                raise bad(
                    path,
                    gettext_noop("Service {name} cannot be made from {other}."),
                    gettext_noop("Name another service of the file, without a circle."),
                    name=key,
                    other=other,
                )
            result = _merged(_one(other, services, notes, done, (*above, key)), own, f"services.{key}")
    done[key] = result
    return result


def _merged(base: Mapping[str, Any], own: Mapping[str, Any], path: str) -> dict[str, Any]:
    result = {key: value for key, value in base.items() if key not in _OWN}
    for key, value in own.items():
        at, before = f"{path}.{key}", result.get(key)
        if before is None or value is None:
            result[key] = value if value is not None else before
        elif key in _PAIRS:
            result[key] = pairs(before, at) | pairs(value, at)
        elif key in _JOINED and not (isinstance(before, Mapping) or isinstance(value, Mapping)):
            result[key] = _joined(listed(before, at), listed(value, at))
        elif key == "volumes":
            result[key] = _by_target(listed(before, at), listed(value, at))
        elif key == "networks":
            result[key] = _networks(before, at) | _networks(value, at)
        elif key in _MAPPINGS | _JOINED and isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = _deep(before, value)
        else:
            result[key] = value
    return result


def _joined(before: list[Any], own: list[Any]) -> list[Any]:
    return [*before, *(item for item in own if item not in before)]


def _by_target(before: list[Any], own: list[Any]) -> list[Any]:
    """Mounts: one of the service stands in place of one at the same folder."""
    places = {_target(item): item for item in before} | {_target(item): item for item in own}
    return list(places.values())


def _target(item: Any) -> str:
    if isinstance(item, Mapping):
        return text(item.get("target"))
    parts = text(item).split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def _networks(value: Any, path: str) -> dict[str, Any]:
    return {text(name): None for name in value} if isinstance(value, list) else mapping(value, path)


def _deep(before: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(before)
    for key, value in own.items():
        inner = result.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        result[key] = _deep(inner, value) if both else value  # type: ignore[arg-type]
    return result
