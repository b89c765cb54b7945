"""The declarative file: the whole desired state of a host, read into requests and written from them. Pure.

Networks and containers stand by name; what is said of each is the body of ``POST /api/v1/networks`` and ``POST /api/v1/containers``
without the name. What is as by default is left out, so that writing what was read gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from networks.cnm.errors import CnmError
from networks.cnm.text import gettext_noop

from .body import Body, bad
from .spec_container import AttachRequest, ContainerRequest, read_container
from .spec_network import NetworkRequest, SubnetRequest, read_network
from .spec_ports import PortRequest

VERSION = 1
MOST_NETWORKS = 1000
MOST_CONTAINERS = 5000
_PATH = re.compile(r"(networks|containers)\.(\d+)(?=\.|\Z)", re.ASCII)
R = TypeVar("R", NetworkRequest, ContainerRequest)


@dataclass(frozen=True, slots=True)
class Declaration:
    """The desired state of a host."""

    networks: tuple[NetworkRequest, ...] = ()
    containers: tuple[ContainerRequest, ...] = ()

    def field_of(self, field: str) -> str:
        """``containers.3.ports`` of a list of requests as ``containers.web.ports``, as the file has it."""
        found = _PATH.match(field)
        items = getattr(self, found[1]) if found else ()
        if not found or int(found[2]) >= len(items):
            return field
        rest = field[found.end() :]
        return f"{found[1]}.{items[int(found[2])].name}{rest if rest != '.name' else ''}"


def read_topology(value: object) -> Declaration:
    """The desired state that *value* (a parsed file) declares. Raises :class:`InvalidSpec` whose field is a path in the file."""
    body = Body(value)
    if not value:  # what a lost file or a failed command hands on must not take everything away
        raise bad(
            "version",
            gettext_noop("The file is empty."),
            gettext_noop("Write version: {known} where nothing at all is wanted."),
            known=VERSION,
        )
    version = body.integer("version", VERSION, least=0)
    if version != VERSION:
        raise bad(
            "version",
            gettext_noop("Version {version} of the file is not known here."),
            gettext_noop("Write version: {known}; a Compose file is imported instead."),
            version=version,
            known=VERSION,
        )
    networks = _named(body, "networks", read_network, MOST_NETWORKS)
    containers = _named(body, "containers", read_container, MOST_CONTAINERS)
    body.finish()
    return Declaration(networks, containers)


def _named(body: Body, name: str, read: Callable[[object, str], R], most: int) -> tuple[R, ...]:
    value = body.take(name, {})
    if not isinstance(value, Mapping):
        raise bad(
            name,
            gettext_noop("{name} maps names to what is wanted of each."),
            gettext_noop("Write a name, a colon, and below it what is wanted."),
            name=name,
        )
    if len(value) > most:
        raise bad(
            name, gettext_noop("{name} has more than {most} items."), gettext_noop("Give fewer."), name=name, most=most
        )
    return tuple(_one(f"{name}.{key}", str(key), item, read) for key, item in value.items())


def _one(path: str, name: str, item: object, read: Callable[[object, str], R]) -> R:
    spec = Body(item if item is not None else {}, path)
    if spec.given("name"):
        raise bad(
            f"{path}.name",
            gettext_noop("The name stands before the colon already."),
            gettext_noop("Leave name out here."),
        )
    try:
        return read({**(item or {}), "name": name}, path)  # type: ignore[dict-item]  # Body has seen that it is a mapping
    except CnmError as error:
        if not error.field.startswith(path):  # a check of the whole names its field alone
            error.field = f"{path}.{error.field}".rstrip(".")
        if error.field == f"{path}.name":
            error.field = path
        raise


def to_document(declaration: Declaration) -> dict[str, Any]:
    """*declaration* as the file says it."""
    return {
        "version": VERSION,
        "networks": {request.name: network_document(request) for request in declaration.networks},
        "containers": {request.name: container_document(request) for request in declaration.containers},
    }


def network_document(request: NetworkRequest) -> dict[str, Any]:
    """A network without its name: what differs from the defaults."""
    given = dict(_given(request))
    if request.subnets:
        given["subnets"] = [_subnet(subnet) for subnet in request.subnets]
    return given


def _subnet(request: SubnetRequest) -> dict[str, Any]:
    given = {name: str(value) for name in ("subnet", "gateway", "ip_range") if (value := getattr(request, name))}
    if request.aux_addresses:
        return given | {"aux_addresses": {name: str(address) for name, address in request.aux_addresses.items()}}
    return given


def container_document(request: ContainerRequest) -> dict[str, Any]:
    """A container without its name: what differs from the defaults, in the spelling that people use."""
    given = dict(_given(request))
    for name in ("restart_policy", "restart_max", "adopt_path", "adopt_pid"):
        given.pop(name, None)
    if request.networks:
        given["networks"] = [_attachment(attach) for attach in request.networks]
    if request.ports:
        given["ports"] = [_port(port) for port in request.ports]
    if request.exposed_ports:
        given["exposed_ports"] = [f"{number}/{protocol}" for number, protocol in request.exposed_ports]
    if request.links:
        given["links"] = [
            f"{source}:{alias}" if alias not in {"", source} else source for source, alias in request.links
        ]
    if request.extra_hosts:
        given["extra_hosts"] = [":".join(pair) for pair in request.extra_hosts]
    if request.restart_policy != "no":
        most = {"max_retries": request.restart_max} if request.restart_max else {}
        given["restart_policy"] = {"name": request.restart_policy, **most}
    if request.adopt_path or request.adopt_pid:
        given["adopt"] = {"path": request.adopt_path} if request.adopt_path else {"pid": request.adopt_pid}
    return given


def _given(request: NetworkRequest | ContainerRequest) -> Iterator[tuple[str, Any]]:
    """The fields of *request* that differ from their defaults, as JSON has them; the name aside."""
    plain = type(request)(name=request.name)
    for item in fields(request):
        value = getattr(request, item.name)
        if item.name == "name" or value == getattr(plain, item.name):
            continue
        if isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        elif not isinstance(value, str | bool | int | float):
            value = str(value)
        yield item.name, value


def _attachment(request: AttachRequest) -> str | dict[str, Any]:
    given: dict[str, Any] = {name: str(value) for name in ("ipv4", "ipv6", "mac") if (value := getattr(request, name))}
    if request.aliases:
        given["aliases"] = list(request.aliases)
    if request.driver_opts:
        given["driver_opts"] = dict(request.driver_opts)
    if request.gw_priority:
        given["gw_priority"] = request.gw_priority
    return {"network": request.network, **given} if given else request.network


def _port(request: PortRequest) -> str | dict[str, Any]:
    """In Docker's short spelling, which has no word for who may come in."""
    if request.allowed_sources:
        given: dict[str, Any] = {"container_port": request.container_port}
        given |= {"host_port": request.host_port} if request.host_port else {}
        given |= {"host_port_end": request.host_port_end} if request.host_port_end else {}
        given |= {"host_address": str(request.host_address)} if request.host_address else {}
        given |= {"protocol": request.protocol} if request.protocol != "tcp" else {}
        return given | {"allowed_sources": [str(source) for source in request.allowed_sources]}
    return short_port(request)


def short_port(request: PortRequest) -> str:
    """``127.0.0.1:8080:80/udp``; of no host port in particular ``80`` or ``127.0.0.1::80``."""
    outer = str(request.host_port or "")
    if request.host_port_end:
        outer = f"{outer}-{request.host_port_end}"
    address = str(request.host_address or "")
    address = f"[{address}]" if ":" in address else address
    head = f"{address}:{outer}:" if address else f"{outer}:" if outer else ""
    return f"{head}{request.container_port}" + (f"/{request.protocol}" if request.protocol != "tcp" else "")
