"""What of a host's network is not ours: other programs' bridges, and the namespaces and devices that are plugged into them. Pure.

Only what was observed; names are those that a program gave, where it says so, else the kernel's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from networks.cnm.trace.world import LOOPBACK, Device, Plug, Sandbox, World

PROGRAMS = (
    ("docker", re.compile(r"docker\d*$|docker_gwbridge$|br-[0-9a-f]{12}$")),
    ("podman", re.compile(r"podman\d+$|cni-podman\d+$|netns-[0-9a-f-]{36}$")),
    ("libvirt", re.compile(r"virbr\d+$")),
    ("lxc", re.compile(r"(?:lxc|lxd|incus)br\d+$")),
    ("kube", re.compile(r"(?:cni|cbr)\d+$|cni-[0-9a-f-]{36}$")),
)
"""Whose a bridge or a namespace probably is, by its name."""
OUR_SANDBOX = re.compile(r"cnm-[0-9a-f]{12}$")
MOST = 2000
"""Bridges, and things beside or in them, that are told of; what more there are is counted."""

Json = dict[str, Any]
Said = Mapping[str, Any]
"""What a Docker Engine says of a container or network of its own: kind, name, bridge, addresses."""


def foreign(
    world: World,
    ours: Collection[str],
    others: Sequence[Sandbox] = (),
    engine: Iterable[Said] = (),
    named: Mapping[str, str] = MappingProxyType({}),
) -> Json:
    """``bridges`` and ``strangers`` of a host.

    *ours*: names of our devices. *others*: namespaces that stand elsewhere than where ``ip netns`` looks. *named*: containers by their
    namespace, where there is no engine that says it. A stranger is a namespace, or a device that is a port of a bridge and has no known
    namespace behind it; ``bridge`` is the foreign one that it is plugged into.
    """
    known = list(engine)
    networks = {one["bridge"]: one["name"] for one in known if one["kind"] == "network"}
    containers = {address: one["name"] for one in known if one["kind"] == "container" for address in one["addresses"]}
    behind = {plug.outer.index: plug for plug in _plugs(world, others)}
    bridges = [device for device in world.devices if device.kind == "bridge" and device.name not in ours]
    strangers = list(
        _strangers(world, others, ours, behind, {device.name for device in bridges}, _Names(containers, named))
    )
    return {
        "bridges": [
            {
                "name": device.name,
                "network": networks.get(device.name, ""),
                "program": "docker" if device.name in networks else program(device.name),
                "addresses": _told(device),
                "up": device.up,
            }
            for device in bridges[:MOST]
        ],
        "strangers": strangers[:MOST],
        "left_out": max(0, len(bridges) - MOST) + max(0, len(strangers) - MOST),
    }


@dataclass(frozen=True, slots=True)
class _Names:
    """What containers are called."""

    by_address: Mapping[str, str]
    by_namespace: Mapping[str, str]


def program(name: str) -> str:
    """Whose a bridge or namespace of this name probably is; empty: nobody's that we know."""
    return next((known for known, pattern in PROGRAMS if pattern.match(name)), "")


def _plugs(world: World, others: Sequence[Sandbox]) -> Iterator[Plug]:
    yield from world.plugs
    for sandbox in others:
        for inner in sandbox.devices:
            outer = world.by_index.get(inner.peer)
            if outer is not None and outer.peer == inner.index and outer.kind == "veth":
                yield Plug(sandbox, inner, outer)


def _strangers(
    world: World,
    others: Sequence[Sandbox],
    ours: Collection[str],
    behind: Mapping[int, Plug],
    bridges: Collection[str],
    names: _Names,
) -> Iterator[Json]:
    plugged: dict[str, list[Plug]] = {}
    for plug in behind.values():
        plugged.setdefault(plug.sandbox.name, []).append(plug)
    for sandbox in (*world.sandboxes, *others):
        plugs = plugged.get(sandbox.name, [])
        if OUR_SANDBOX.match(sandbox.name) or any(plug.outer.name in ours for plug in plugs):
            continue
        yield _namespace(sandbox, plugs, bridges, names)
    for device in world.devices:
        if device.master in bridges and device.index not in behind:
            yield {
                "id": f"device:{device.name}",
                "kind": "device",
                "name": device.name,
                "program": program(device.master),
                "endpoints": [_endpoint(device.name, device.master, device, told=False)],
            }


def _namespace(sandbox: Sandbox, plugs: Sequence[Plug], bridges: Collection[str], names: _Names) -> Json:
    addresses = [address for device in sandbox.devices if device.name != LOOPBACK for address in device.addresses]
    of_engine = next((names.by_address[str(one.ip)] for one in addresses if str(one.ip) in names.by_address), "")
    name = of_engine or names.by_namespace.get(sandbox.name, "")
    masters = [plug.outer.master for plug in plugs if plug.outer.master in bridges]
    return {
        "id": f"netns:{sandbox.name}",
        "kind": "namespace",
        "name": name or sandbox.name,
        "program": "docker" if of_engine else program(sandbox.name) or next((program(one) for one in masters), ""),
        "endpoints": [
            _endpoint(plug.outer.name, plug.outer.master if plug.outer.master in bridges else "", plug.inner)
            for plug in plugs
        ],
    }


def _told(device: Device) -> list[str]:
    """The addresses of a device by which others reach it."""
    return [str(address) for address in device.addresses if not address.ip.is_link_local]


def _endpoint(device: str, bridge: str, inner: Device, *, told: bool = True) -> Json:
    """*device* is the host's; interface and addresses are those of the other end, where it is known."""
    return {
        "device": device,
        "bridge": bridge,
        "interface": inner.name if told else "",
        "addresses": _told(inner) if told else [],
    }
