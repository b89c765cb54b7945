"""The run form, as the body that the service reads."""

from __future__ import annotations

from typing import Any

from .form import Form, whole

ROWS = {
    "ports": ("container_port", "host_port", "host_address", "protocol", "allowed_sources"),
    "env": ("key", "value"),
    "networks": ("network", "ipv4", "ipv6", "aliases"),
    "links": ("source", "alias"),
    "extra_hosts": ("name", "address"),
    "binds": ("host", "container", "mode"),
    "labels": ("key", "value"),
}
PLACES = {"restart_policy.max_retries": "max_retries", "restart_policy.name": "restart_policy"}
"""Fields of the body that have another name in the form."""
DEFAULTS = {
    "kind": "process",
    "image": "host",
    "network": "bridge",
    "restart_policy": "no",
    "stop_timeout": "10",
    "start": "on",
}
_TEXT = (
    "name",
    "kind",
    "image",
    "network",
    "ipv4",
    "ipv6",
    "mac",
    "hostname",
    "domainname",
    "user",
    "working_dir",
    "stop_signal",
)
_LISTS = ("dns", "dns_search", "dns_options", "aliases", "exposed_ports")
_FLAGS = ("publish_all", "tty", "open_stdin", "init", "auto_remove", "start")
_NUMBERS = ("stop_timeout", "pids_limit")
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


def container_body(form: Form) -> dict[str, Any]:
    """The JSON body of ``POST /api/v1/containers`` for what was typed."""
    body: dict[str, Any] = {name: form.value(name).strip() for name in _TEXT if form.value(name).strip()}
    body |= {name: form.listed(name) for name in _LISTS if form.listed(name)}
    body |= {name: form.flag(name) for name in _FLAGS}
    body |= {name: form.integer(name) for name in _NUMBERS if form.value(name).strip()}
    if form.value("command").strip():
        body["command"] = form.words("command")
    if form.value("entrypoint").strip():
        body["entrypoint"] = form.words("entrypoint")
    if form.value("memory").strip():
        body["memory"] = memory(form.value("memory"))
    if form.value("cpus").strip():
        body["cpus"] = _decimal(form.value("cpus"))
    policy = form.value("restart_policy") or "no"
    body["restart_policy"] = {"name": policy}
    if form.value("max_retries").strip():
        body["restart_policy"]["max_retries"] = form.integer("max_retries")
    body["ports"] = port_items(form)
    body["env"] = form.mapping("env")
    body["labels"] = form.mapping("labels")
    body["networks"] = [attachment(row) for row in form.rows("networks")]
    body["links"] = [
        ":".join(filter(None, (row.get("source", ""), row.get("alias", "")))) for row in form.rows("links")
    ]
    body["extra_hosts"] = [f"{row.get('name', '')}:{row.get('address', '')}" for row in form.rows("extra_hosts")]
    body["binds"] = [
        ":".join(filter(None, (row.get("host", ""), row.get("container", ""), row.get("mode", ""))))
        for row in form.rows("binds")
    ]
    if form.value("kind") == "adopted":
        body["adopt"] = _adopted(form)
    return body


def port_items(form: Form) -> list[Any]:
    """One item for each row; a row with a range becomes Docker's short spelling, which alone knows ranges."""
    return [_port(row) for row in form.rows("ports")]


def _port(row: dict[str, str]) -> Any:
    given = {name: row.get(name, "").strip() for name in ROWS["ports"]}
    sources = given["allowed_sources"].replace(",", " ").split()
    protocol = given["protocol"] or "tcp"
    if "-" in given["container_port"] + given["host_port"] and not sources:
        address = f"[{given['host_address']}]" if ":" in given["host_address"] else given["host_address"]
        head = [address] if address else []
        return ":".join((*head, *filter(None, (given["host_port"],)), given["container_port"])) + f"/{protocol}"
    item: dict[str, Any] = {"container_port": whole(given["container_port"]), "protocol": protocol}
    if given["host_port"]:
        item["host_port"] = whole(given["host_port"])
    if given["host_address"]:
        item["host_address"] = given["host_address"]
    if sources:
        item["allowed_sources"] = sources
    return item


def attachment(row: dict[str, str]) -> dict[str, Any]:
    """One attachment to a network."""
    item: dict[str, Any] = {
        name: row[name].strip() for name in ("network", "ipv4", "ipv6", "mac") if row.get(name, "").strip()
    }
    aliases = row.get("aliases", "").replace(",", " ").split()
    return item | ({"aliases": aliases} if aliases else {})


def _adopted(form: Form) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if form.value("adopt.path").strip():
        given["path"] = form.value("adopt.path").strip()
    if form.value("adopt.pid").strip():
        given["pid"] = form.integer("adopt.pid")
    return given


def memory(text: str) -> int | str | None:
    """``256m`` in bytes."""
    text = text.strip().lower().removesuffix("b")
    unit = _UNITS.get(text[-1:], 0)
    number = whole(text[:-1] if unit else text)
    return number * (unit or 1) if isinstance(number, int) else text


def _decimal(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
