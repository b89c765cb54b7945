"""A whole Compose file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from networks.cnm.text import gettext_noop

from ..body import bad
from ..spec_topology import VERSION
from .extends import extended
from .interpolate import interpolated
from .network import is_external, network, network_name
from .notes import Note, Notes
from .read import listed, mapping, text
from .service import DEFAULT_NETWORK, Names, container

_KNOWN = frozenset({"version", "name", "services", "networks"})


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a Compose file comes to."""

    document: Mapping[str, Any]
    """A file of the desired state, as ``spec_topology.read_topology`` reads it."""
    notes: tuple[Note, ...]


def convert(value: object, variables: Mapping[str, str]) -> Conversion:
    """The Compose file *value* (parsed) with *variables* as a file of the desired state.

    Raises :class:`InvalidSpec` naming the path in the Compose file where it contradicts itself; what merely has no counterpart is noted.
    """
    notes = Notes()
    whole = mapping(interpolated(value, variables, notes), "")
    for key in whole:
        if key not in _KNOWN and not key.startswith("x-"):
            notes.left_out(key)
    services = {
        key: mapping(item, f"services.{key}") for key, item in mapping(whole.get("services"), "services").items()
    }
    nets = {key: mapping(item, f"networks.{key}") for key, item in mapping(whole.get("networks"), "networks").items()}
    if not services and not nets:
        raise bad(
            "services", gettext_noop("The file has no services."), gettext_noop("Give a Compose file, with services.")
        )
    services = extended(services, notes)
    for key in [key for key, item in services.items() if item.get("profiles")]:
        notes.add(
            f"services.{key}.profiles",
            gettext_noop("The service {name} is left out: it belongs to a profile."),
            name=key,
        )
        del services[key]
    nets.setdefault(DEFAULT_NETWORK, {})
    names = Names(
        containers={key: text(item.get("container_name") or key) for key, item in services.items()},
        networks={key: network_name(key, item) for key, item in nets.items()},
    )
    containers = {}
    for key in _in_order(services, notes):
        body = container(key, services[key], f"services.{key}", names, variables, notes)
        name = names.containers[key]
        if name in containers:
            raise bad(
                f"services.{key}.container_name",
                gettext_noop("Two services have the container name {name}."),
                gettext_noop("Give each its own."),
                name=name,
            )
        containers[name] = body
    return Conversion(
        {"version": VERSION, "networks": _networks(nets, containers, names, notes), "containers": containers},
        notes.all(),
    )


def _networks(
    nets: Mapping[str, Mapping[str, Any]], containers: Mapping[str, Any], names: Names, notes: Notes
) -> dict[str, Any]:
    """Those that a service uses, as Compose makes them."""
    used = {
        way if isinstance(way, str) else way["network"]
        for body in containers.values()
        for way in (*body.get("networks", ()), body.get("network", ""))
    }
    found = {}
    for key, value in nets.items():
        name, path = names.networks[key], f"networks.{key}"
        if is_external(value):
            if name in used:
                notes.add(path, gettext_noop("The network {name} is not made: it has to be there already."), name=name)
        elif name in used:
            found[name] = network(value, path, notes)
        elif key != DEFAULT_NETWORK:
            notes.add(path, gettext_noop("The network {name} is left out: no service is on it."), name=name)
    return found


def _in_order(services: Mapping[str, Mapping[str, Any]], notes: Notes) -> list[str]:
    """The keys of *services*, each after those that it depends on."""
    needs = {key: _depends(key, value, services, notes) for key, value in services.items()}
    done: dict[str, None] = {}
    while len(done) < len(services):
        ready = [key for key in services if key not in done and all(other in done for other in needs[key])]
        if not ready:
            circle = [key for key in services if key not in done]
            raise bad(
                f"services.{circle[0]}.depends_on",
                gettext_noop("These services depend on each other in a circle: {names}."),
                gettext_noop("Take one of depends_on away."),
                names=", ".join(circle),
            )
        done |= dict.fromkeys(ready)
    return list(done)


def _depends(key: str, value: Mapping[str, Any], services: Mapping[str, Any], notes: Notes) -> list[str]:
    path = f"services.{key}.depends_on"
    given = value.get("depends_on")
    found = []
    if isinstance(given, Mapping):
        for other, how in given.items():
            condition = text(mapping(how, f"{path}.{other}").get("condition"))
            if condition not in {"", "service_started"}:
                notes.add(
                    f"{path}.{other}",
                    gettext_noop("{name} is started before, but nobody waits until it is {condition}."),
                    name=other,
                    condition=condition.removeprefix("service_").replace("_", " "),
                )
            found.append(str(other))
    else:
        found = [text(item) for item in listed(given, path)]
    for other in found:
        if other not in services:
            notes.add(path, gettext_noop("There is no service {name} to depend on."), name=other)
    return [other for other in found if other in services]
