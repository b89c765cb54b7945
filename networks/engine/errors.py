"""Refusals in Docker's form: a status and a message, in Docker's own words where its clients look for them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping

from networks.cnm.errors import CnmError
from networks.cnm.text import Text, gettext_noop


class EngineError(Exception):
    """What a Docker client is told: ``{"message": …}`` with a status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def not_supported(what: str) -> EngineError:
    """What CNM Web does not do: never a wrong success."""
    return EngineError(
        501, f"{what} is not supported by CNM Web's Docker API (docs/docker-compatibility.md lists what is)"
    )


STATUSES: Mapping[str, int] = {
    "invalid": 400,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "exhausted": 500,
    "unsupported": 501,
    "unavailable": 503,
    "plugin_refused": 500,
}
"""Of errors that Docker has no words of its own for. Codes that are not here: 500."""

Values = Mapping[str, str]
_Words = tuple[int, str | Callable[[Values], str]]


def _missing(values: Values) -> str:
    kind, reference = values["kind"], values["reference"]
    return f"network {reference} not found" if kind == "network" else f"No such {kind}: {reference}"


def _ambiguous(values: Values) -> str:
    return f"{values['kind']} {values['reference']} is ambiguous (2 matches found on ID)"


def _no_image(values: Values) -> str:
    name = values["name"]
    return f"No such image: {name}" + ("" if ":" in name.rpartition("/")[2] else ":latest")


def _port(values: Values) -> str:
    where = f"{values.get('address') or '0.0.0.0'}:{values['port']}"  # noqa: S104  # Docker's word for every address
    return (
        f"driver failed programming external connectivity on endpoint {values.get('subject', '')} ({values.get('endpoint', '')}): "
        f"Bind for {where} failed: port is already allocated"
    )


def _paused(values: Values) -> str:
    if values.get("pausing"):
        return f"Container {values['id']} is already paused"
    return f"Container {values['name']} is paused, unpause the container before exec"


def _astray(values: Values) -> str:
    """Docker says it with the path on the host, which is no client's business."""
    if values["cause"] == os.strerror(errno.ELOOP):
        return f"evalSymlinksInScope: too many links in {values['path']}"
    return f"lstat {values['path']}: {values['cause'].lower()}"


def _not_found_command(values: Values) -> str:
    return (
        "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: "
        f'exec: "{values["command"]}": executable file not found in $PATH: unknown'
    )


WORDS: Mapping[str, _Words] = {
    gettext_noop("A network with the name {name} exists already."): (409, "network with name {name} already exists"),
    gettext_noop("{name} is a predefined network and cannot be created."): (
        403,
        "operation is not permitted on predefined {name} network ",
    ),
    gettext_noop("{name} is a predefined network and cannot be removed."): (
        403,
        "{name} is a pre-defined network and cannot be removed",
    ),
    gettext_noop("Network {name} has active endpoints: {containers}."): (
        403,
        "error while removing network: network {name} id {id} has active endpoints",
    ),
    gettext_noop("The subnet {subnet} overlaps {taken}, which belongs to {whose}."): (
        403,
        "Pool overlaps with other one on this address space",
    ),
    gettext_noop("All of the address pools are in use: there is no free IPv{version} subnet."): (
        500,
        "could not find an available, non-overlapping IPv{version} address pool among the defaults to assign to the network",
    ),
    gettext_noop("There is no network driver called {name}."): (404, 'plugin "{name}" not found'),
    gettext_noop("There is no IPAM driver called {name}."): (404, 'plugin "{name}" not found'),
    gettext_noop("Container {container} is on network {network} already."): (
        403,
        "endpoint with name {container} already exists in network {network}",
    ),
    gettext_noop("Container {container} cannot be connected to network {network}: {mode} excludes other networks."): (
        400,
        "container sharing network namespace with another container or host cannot be connected to any other network",
    ),
    gettext_noop("There is no {kind} {reference}."): (404, _missing),
    gettext_noop("More than one {kind} has an id that begins with {reference}."): (400, _ambiguous),
    gettext_noop("There is no image {name} on this host."): (404, _no_image),
    gettext_noop("Container {name} is running."): (
        409,
        "You cannot remove a running container {id}. Stop the container before attempting removal or force remove",
    ),
    gettext_noop("Container {name} is not running."): (409, "Container {id} is not running"),
    gettext_noop("Container {name} has no process that runs."): (409, "Container {id} is not running"),
    gettext_noop("Container {name} is paused."): (409, _paused),
    gettext_noop("Container {name} is not paused."): (500, "Container {id} is not paused"),
    gettext_noop("The host port {port}/{protocol} is held by {holder}."): (500, _port),
    gettext_noop("The address {address} is in use by container {holder}."): (403, "Address already in use"),
    gettext_noop("Network {network} has no free address left in {pool}."): (
        500,
        "no available IPv4 addresses on this network's address pools: {network} ({id})",
    ),
    gettext_noop("An address of one's own choice is supported on user-defined networks only."): (
        400,
        "user specified IP address is supported on user defined networks only",
    ),
    gettext_noop("An address of one's own choice is supported only on networks with a subnet of one's own choice."): (
        400,
        "user specified IP address is supported only when connecting to networks with user configured subnets",
    ),
    gettext_noop("Network-scoped aliases are supported on user-defined networks only."): (
        400,
        "network-scoped alias is supported only for containers in user defined networks",
    ),
    gettext_noop("Cannot link to container {source}: it is not running."): (
        500,
        "Cannot link to a non running container: /{source} AS /{subject}/{alias}",
    ),
    gettext_noop("Container {name} shares the sandbox of {other}, which is not running."): (
        409,
        "cannot join network of a non running container: {shared}",
    ),
    gettext_noop("The command {command} does not exist in image {image}."): (400, _not_found_command),
    gettext_noop("There is no {path} in container {container}."): (
        404,
        "Could not find the file {path} in container {reference}",
    ),
    gettext_noop("The path {path} in container {container} leads nowhere: {cause}."): (500, _astray),
    gettext_noop("Something on the way to {path} in container {container} is no folder."): (
        500,
        "lstat {path}: not a directory",
    ),
    gettext_noop("{path} in container {container} is no folder, so no archive can be put into it."): (
        500,
        "extraction point is not a directory",
    ),
    gettext_noop("{path} in container {container} is on a mount that is read-only."): (
        500,
        "mounted volume is marked read-only",
    ),
    gettext_noop("The archive could not be put into {path} whole: {cause}."): (
        500,
        "Error processing tar file(exit status 1): {cause}",
    ),
}
"""Our sentence -> Docker's status and message, filled with the same values and with what the handler adds."""


def translated(error: CnmError, more: Mapping[str, str] | None = None) -> EngineError:
    """*error* for a Docker client. *more*: values that Docker's words have and our sentence has not (``id``, ``subject``)."""
    known = WORDS.get(error.sentence.template)
    if known is None:
        return EngineError(STATUSES.get(error.code, 500), str(error))
    values = _Known({**(more or {}), **{name: _plain(value) for name, value in error.sentence.params}})
    status, words = known
    return EngineError(status, words(values) if callable(words) else words.format_map(values))


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def _plain(value: str | Text) -> str:
    return str(value)
