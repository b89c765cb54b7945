"""What has to happen so that a host is as a file declares: two declarations, compared. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from networks.cnm.text import NOTHING, Text, gettext_noop
from worker.drivers import is_plugin

from .spec_container import AttachRequest, ContainerRequest, attachments_of
from .spec_network import NetworkRequest, SubnetRequest
from .spec_ports import PortRequest
from .spec_topology import Declaration

CREATE, CHANGE, REMAKE, REMOVE, REPAIR = "create", "change", "remake", "remove", "repair"
IN_PLACE = frozenset(
    {
        "name",
        "network",
        "networks",
        "ipv4",
        "ipv6",
        "mac",
        "aliases",
        "driver_opts",
        "ports",
        "links",
        "labels",
        "restart_policy",
        "restart_max",
        "start",
    }
)
"""What a container changes while it runs. Whatever else differs, it is made anew, as Docker's own tools do."""


@dataclass(frozen=True, slots=True)
class Change:
    """What has to happen to one object, and which of its fields are the reason."""

    kind: str
    name: str
    action: str
    """``create``, ``change`` (in place), ``remake`` (removed and made anew under its name), ``remove``, or ``repair`` (it is as declared,
    but could not be made when it was)."""
    fields: tuple[str, ...] = ()
    because: Text = NOTHING

    def to_json(self) -> dict[str, Any]:
        said = {"because": str(self.because)} if self.because else {}
        return {"kind": self.kind, "name": self.name, "action": self.action, "fields": list(self.fields), **said}


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that has to happen; nothing when the host is as the file declares."""

    changes: tuple[Change, ...] = ()
    left_alone: tuple[tuple[str, str], ...] = ()
    """(kind, name) of what is there and not in the file."""

    def __bool__(self) -> bool:
        return bool(self.changes)

    def of(self, kind: str, *actions: str) -> list[str]:
        """The names of objects of *kind* with one of *actions*, in the order of the file."""
        return [change.name for change in self.changes if change.kind == kind and change.action in actions]

    def to_json(self) -> dict[str, Any]:
        alone: dict[str, list[str]] = {"networks": [], "containers": []}
        for kind, name in self.left_alone:
            alone[f"{kind}s"].append(name)
        return {"changes": [change.to_json() for change in self.changes], "left_alone": alone}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What comparing has to know besides the two declarations."""

    images: Mapping[str, Collection[tuple[int, str]]] = field(default_factory=dict)
    """Name of an image -> the ports that it exposes."""
    subnets: Mapping[str, tuple[SubnetRequest, ...]] = field(default_factory=dict)
    """Name of a network -> all subnets that it has, also those out of the pools, with their gateways."""
    without_endpoints: frozenset[str] = frozenset({"host", "none"})
    """Networks that give a container no endpoint."""


def compare(wanted: Declaration, present: Declaration, around: Surroundings, *, prune: bool = False) -> Changes:
    """What takes a host from *present* to *wanted*. With *prune* what the file does not name goes, without it is left alone."""
    networks = _networks(wanted, present, around)
    readdressed = {c.name for c in networks if c.action == CHANGE and {"subnets", "enable_ipv6"} & set(c.fields)}
    containers = _containers(wanted, present, around, readdressed)
    missing = [
        (kind, request.name)
        for kind, named, there in (
            ("network", {one.name for one in wanted.networks}, present.networks),
            ("container", {one.name for one in wanted.containers}, present.containers),
        )
        for request in there
        if request.name not in named
    ]
    removals = [Change(kind, name, REMOVE) for kind, name in missing] if prune else []
    return Changes((*networks, *containers, *removals), () if prune else tuple(missing))


def _networks(wanted: Declaration, present: Declaration, around: Surroundings) -> list[Change]:
    known = {request.name: request for request in present.networks}
    found = []
    for request in wanted.networks:
        if request.name not in known:
            found.append(Change("network", request.name, CREATE))
        elif differing := network_differences(request, known[request.name], around.subnets.get(request.name, ())):
            found.append(Change("network", request.name, CHANGE, differing))
    return found


def network_differences(
    wanted: NetworkRequest, present: NetworkRequest, subnets: Iterable[SubnetRequest]
) -> tuple[str, ...]:
    """The fields in which a network differs. Subnets that the file leaves open may be any."""
    names = ("driver", "ipam_driver", "ipam_options", "internal", "attachable", "enable_ipv6", "labels")
    found = [name for name in names if getattr(wanted, name) != getattr(present, name)]
    if wanted.options != present.options and (
        is_plugin(wanted.driver) or wanted.typed_options != present.typed_options
    ):
        found.append("options")
    if not all(any(_same_subnet(asked, has) for has in subnets) for asked in wanted.subnets):
        found.append("subnets")
    return tuple(found)


def _same_subnet(asked: SubnetRequest, has: SubnetRequest) -> bool:
    same = (asked.subnet, asked.ip_range, asked.aux_addresses) == (has.subnet, has.ip_range, has.aux_addresses)
    return same and asked.gateway in {None, has.gateway}


def _containers(
    wanted: Declaration, present: Declaration, around: Surroundings, readdressed: Collection[str]
) -> list[Change]:
    known = {request.name: request for request in present.containers}
    found: dict[str, Change] = {}
    for request in wanted.containers:
        name = request.name
        if name not in known:
            found[name] = Change("container", name, CREATE)
            continue
        one, other = canonical(request, around), canonical(known[name], around)
        differing = container_differences(one, other)
        if set(differing) - IN_PLACE:
            found[name] = Change("container", name, REMAKE, differing)
        elif moved := sorted(set(attachments(other)) & set(readdressed)):
            found[name] = Change("container", name, REMAKE, differing, _readdressed(moved[0]))
        elif differing:
            found[name] = Change("container", name, CHANGE, differing)
    _follow_sandboxes(wanted, found)
    return [found[request.name] for request in wanted.containers if request.name in found]


def _readdressed(network: str) -> Text:
    return Text.of(gettext_noop("The addresses of network {network} change."), network=network)


def _follow_sandboxes(wanted: Declaration, found: dict[str, Change]) -> None:
    """Who shares the sandbox of a container that is made anew is made anew too."""
    for request in wanted.containers:
        owner = request.network.removeprefix("container:")
        its = found.get(owner) if owner != request.network else None
        mine = found.get(request.name)
        if its is not None and its.action == REMAKE and (mine is None or mine.action == CHANGE):
            because = Text.of(gettext_noop("It shares the sandbox of {owner}, which is made anew."), owner=owner)
            found[request.name] = Change("container", request.name, REMAKE, mine.fields if mine else (), because)


def container_differences(wanted: ContainerRequest, present: ContainerRequest) -> tuple[str, ...]:
    """The fields in which two canonical requests differ."""
    return tuple(item.name for item in fields(wanted) if getattr(wanted, item.name) != getattr(present, item.name))


def canonical(request: ContainerRequest, around: Surroundings) -> ContainerRequest:
    """*request* in the one spelling of all that mean the same."""
    ways = attachments(request)
    ways = {name: way for name, way in ways.items() if name not in around.without_endpoints}
    mode = (
        request.network
        if request.network == "host" or request.network.startswith("container:")
        else "none"
        if not ways
        else ""
    )
    image = request.image
    if request.kind != "process":
        image = "host"
    elif image not in around.images and f"{image}:latest" in around.images:
        image = f"{image}:latest"
    exposed = set(request.exposed_ports) - set(around.images.get(image, ()))
    ports = () if mode in {"host", "none"} else request.ports
    plain = {PortRequest(container_port=number, protocol=protocol) for number, protocol in exposed}
    if request.publish_all:
        ports = tuple(port for port in ports if port not in plain)
    path = request.adopt_path or (f"/proc/{request.adopt_pid}/ns/net" if request.adopt_pid else "")
    return replace(
        request,
        image=image,
        network=mode,
        networks=tuple(sorted(ways.values(), key=lambda way: way.network)),
        **_NO_FIRST,
        ports=tuple(sorted(ports, key=repr)),
        exposed_ports=tuple(sorted(exposed - {(port.container_port, port.protocol) for port in request.ports})),
        links=tuple(sorted((source, "" if alias == source else alias) for source, alias in request.links)),
        adopt_path=path,
        adopt_pid=0,
    )


_NO_FIRST: dict[str, Any] = {"ipv4": None, "ipv6": None, "mac": "", "aliases": (), "driver_opts": {}}
"""What is said of the first network stands with it."""


def attachments(request: ContainerRequest) -> dict[str, AttachRequest]:
    """Name of a network -> how the container is attached to it."""
    return {attach.network: attach for _, attach in attachments_of(request)}
