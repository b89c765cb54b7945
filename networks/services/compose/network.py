"""A network of a Compose file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from networks.cnm.options import option_name
from networks.cnm.text import gettext_noop
from worker.drivers import is_plugin

from .notes import Notes
from .read import flag, listed, mapping, pairs, text

_TAKEN = frozenset(
    {"driver", "driver_opts", "ipam", "internal", "attachable", "enable_ipv6", "labels", "name", "external"}
)


def network_name(key: str, value: Mapping[str, Any]) -> str:
    """What the network is called on the host."""
    external = value.get("external")
    named = external.get("name") if isinstance(external, Mapping) else None
    return text(value.get("name") or named or key)


def is_external(value: Mapping[str, Any]) -> bool:
    """Whether the network is there already, made by somebody else."""
    external = value.get("external")
    return isinstance(external, Mapping) or flag(external)


def network(value: Mapping[str, Any], path: str, notes: Notes) -> dict[str, Any]:
    """The body of the network."""
    for key in value:
        if key not in _TAKEN and not key.startswith("x-"):
            notes.left_out(f"{path}.{key}")
    body: dict[str, Any] = {}
    if value.get("driver") and value["driver"] not in {"default", "bridge"}:
        body["driver"] = text(value["driver"])
    body |= {name: True for name in ("internal", "attachable", "enable_ipv6") if flag(value.get(name))}
    options = {}
    for key, item in mapping(value.get("driver_opts"), f"{path}.driver_opts").items():
        if option_name(key) or is_plugin(body.get("driver", "bridge")):
            options[key] = text(item)
        else:
            notes.add(
                f"{path}.driver_opts.{key}", gettext_noop("The option {key} is not known and is left out."), key=key
            )
    subnets = _subnets(mapping(value.get("ipam"), f"{path}.ipam"), f"{path}.ipam", notes)
    labels = {key: item or "" for key, item in pairs(value.get("labels"), f"{path}.labels").items()}
    ipam = mapping(value.get("ipam"), f"{path}.ipam")
    if (driver := text(ipam.get("driver"))) not in {"", "default"}:
        body["ipam_driver"] = driver
        body["ipam_options"] = {
            key: text(item) for key, item in mapping(ipam.get("options"), f"{path}.ipam.options").items()
        }
    for name, found in (("subnets", subnets), ("options", options), ("labels", labels)):
        if found:
            body[name] = found
    return body


def _subnets(ipam: Mapping[str, Any], path: str, notes: Notes) -> list[dict[str, Any]]:
    if ipam.get("options") and text(ipam.get("driver")) in {"", "default"}:
        notes.left_out(f"{path}.options")
    subnets = []
    for number, item in enumerate(listed(ipam.get("config"), f"{path}.config")):
        given = mapping(item, f"{path}.config.{number}")
        if not given.get("subnet"):
            if given:
                notes.add(
                    f"{path}.config.{number}",
                    gettext_noop("Addresses without a subnet are left out: the subnet comes out of the pools."),
                )
            continue
        found: dict[str, Any] = {
            name: text(given[name]) for name in ("subnet", "gateway", "ip_range") if given.get(name)
        }
        reserved = mapping(given.get("aux_addresses"), f"{path}.config.{number}.aux_addresses")
        if reserved:
            found["aux_addresses"] = {name: text(address) for name, address in reserved.items()}
        subnets.append(found)
    return subnets
