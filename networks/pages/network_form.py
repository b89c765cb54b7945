"""The form of a network, as the body that the service reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from networks.cnm.options import option_name
from networks.services.network_changes import FIXED_OPTIONS
from worker.drivers import driver as find_driver

from .form import Form

BRIDGE = "com.docker.network.bridge."
DRIVER = "com.docker.network.driver."

OPTION_FIELDS = {
    # field of the form: option; all text, an empty one is left out
    "options." + BRIDGE + "name": BRIDGE + "name",
    "options." + DRIVER + "mtu": DRIVER + "mtu",
    "options.parent": "parent",
    "options.macvlan_mode": "macvlan_mode",
    "options.ipvlan_mode": "ipvlan_mode",
    "options.ipvlan_flag": "ipvlan_flag",
    "options." + BRIDGE + "host_binding_ipv4": BRIDGE + "host_binding_ipv4",
    "options." + BRIDGE + "gateway_mode_ipv4": BRIDGE + "gateway_mode_ipv4",
    "options." + BRIDGE + "gateway_mode_ipv6": BRIDGE + "gateway_mode_ipv6",
}
SWITCHES = {
    # a tick that is on unless taken away
    "icc": BRIDGE + "enable_icc",
    "masquerade": BRIDGE + "enable_ip_masquerade",
}
TICKS = {
    # a tick that is off unless set
    "encrypted": "encrypted",
}
ALL_FIELDS = OPTION_FIELDS | SWITCHES | TICKS
ROWS = {
    "subnets": ("subnet", "gateway", "ip_range", "aux_addresses"),
    "options": ("key", "value"),
    "labels": ("key", "value"),
}
DEFAULTS = {"driver": "bridge", "icc": "on", "masquerade": "on"}


def step_of(field: str) -> int:
    """The step of the form at which *field* stands: 1 name, 2 addressing, 3 behaviour."""
    head = field.partition(".")[0]
    return 1 if head in {"", "name", "driver"} else 2 if head in {"subnets", "enable_ipv6", "ipam_driver"} else 3


def taken(driver: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Those of *fields* whose option a network of *driver* takes: the others are not in the form."""
    known = find_driver(driver).options
    return {name: option for name, option in fields.items() if option_name(option) in known}


def network_body(form: Form) -> dict[str, Any]:
    """The JSON body of ``POST /api/v1/networks`` for what was typed."""
    typed = taken(form.value("driver") or "bridge", OPTION_FIELDS)
    options = {option: form.value(name).strip() for name, option in typed.items() if form.value(name).strip()}
    switches = taken(form.value("driver") or "bridge", SWITCHES)
    options |= {option: "false" for name, option in switches.items() if not form.flag(name)}
    ticks = taken(form.value("driver") or "bridge", TICKS)
    options |= {option: "true" for name, option in ticks.items() if form.flag(name)}
    options |= form.mapping("options")
    body: dict[str, Any] = {
        "name": form.value("name").strip() or None,
        "driver": form.value("driver") or "bridge",
        "internal": form.flag("internal"),
        "attachable": form.flag("attachable"),
        "enable_ipv6": form.flag("enable_ipv6"),
        "subnets": [_subnet(row) for row in form.rows("subnets")],
        "options": options,
        "ipam_driver": form.value("ipam_driver") or "default",
        "labels": form.mapping("labels"),
    }
    return body


CHANGEABLE = {name: option for name, option in OPTION_FIELDS.items() if option_name(option) not in FIXED_OPTIONS}


def change_values(network: Mapping[str, Any]) -> dict[str, str]:
    """What the form of a network that is there holds at first; *network* is its representation."""
    options = network["options"]
    values = {name: options.get(option, "") for name, option in CHANGEABLE.items()}
    values |= {name: "on" for name, option in SWITCHES.items() if _is_on(options.get(option, "true"))}
    values |= {"internal": "on"} if network["internal"] else {}
    for number, pair in enumerate(network["labels"].items()):
        values |= {f"labels.{number}.{part}": text for part, text in zip(("key", "value"), pair, strict=True)}
    return values


def change_body(form: Form, network: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON body of ``PATCH /api/v1/networks/{id}`` for what was typed: only what is otherwise than it is."""
    body: dict[str, Any] = {"labels": form.mapping("labels")}
    if network["predefined"] or not find_driver(network["driver"]).options:
        return body
    present = network["options"]
    changeable = taken(network["driver"], CHANGEABLE)
    options = {option: form.value(name).strip() or None for name, option in changeable.items()}
    for name, option in taken(network["driver"], SWITCHES).items():
        if form.flag(name) != _is_on(present.get(option, "true")):
            options[option] = str(form.flag(name)).lower()
    body["options"] = {key: value for key, value in options.items() if value != present.get(key)}
    if form.flag("internal") != network["internal"]:
        body["internal"] = form.flag("internal")
    return body


def _is_on(text: str) -> bool:
    return text in {"1", "t", "T", "true", "TRUE", "True"}


def _subnet(row: dict[str, str]) -> dict[str, Any]:
    given = {name: row[name].strip() for name in ("subnet", "gateway", "ip_range") if row.get(name, "").strip()}
    reserved = row.get("aux_addresses", "").replace(",", " ").split()
    if not reserved:
        return given
    pairs = [word.partition("=") for word in reserved]
    return given | {
        "aux_addresses": {
            (name if equals else f"reserved-{number}"): (address if equals else name)
            for number, (name, equals, address) in enumerate(pairs, 1)
        }
    }
