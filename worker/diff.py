"""The difference between two states, as a plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from networks.cnm.plan import Plan, Step
from networks.cnm.resources import (
    Address,
    ForwardingEntry,
    Interface,
    Ipvlan,
    Key,
    Macvlan,
    Neighbour,
    OnParent,
    Resource,
    Route,
    Vxlan,
)

from .order import stage

_BORN_WITH = frozenset({Macvlan.kind, Ipvlan.kind, Interface.kind, Vxlan.kind})
"""Kinds of devices that have something from birth, which no write changes."""


def diff(desired: Iterable[Resource], current: Iterable[Resource]) -> Plan:
    """What takes *current* to *desired*.

    ``diff(x, x)`` is empty; a resource of *current* whose key *desired* does not have is deleted. Steps are ordered by
    stage, then by where their resource stands in its input, so that the same input gives the same plan. A route whose link
    loses an address is written again, for the kernel drops the routes of a link together with its last address; so is what
    stands on a device that is made anew.
    """
    wanted = _by_key(desired)
    present = _by_key(current)
    remade = {
        _device(resource)
        for key, resource in wanted.items()
        if key[0] in _BORN_WITH and _is_made_anew(present.get(key), resource)
    }
    losing = _losing(resource for key, resource in present.items() if key not in wanted)
    steps = [
        Step(present.get(key), resource)
        for key, resource in wanted.items()
        if present.get(key) != resource
        or (losing and _goes_along(resource, losing))
        or (remade and _goes_with(resource, remade))
    ]
    steps += [Step(resource, None) for key, resource in present.items() if key not in wanted]
    return Plan(tuple(sorted(steps, key=stage)))


def patch(current: Iterable[Resource], plan: Plan) -> tuple[Resource, ...]:
    """What *current* becomes when *plan* is carried out: ``patch(a, diff(b, a))`` equals ``b`` up to order."""
    state = _by_key(current)
    for step in plan:
        if step.after is None:
            state.pop(step.key, None)
        else:
            state[step.key] = step.after
    return tuple(state.values())


def _losing(leaving: Iterable[Resource]) -> set[tuple[str, str, int]]:
    """(sandbox, device, IP version) of the links in sandboxes that lose an address."""
    return {
        (resource.sandbox, resource.device, resource.address.version)
        for resource in leaving
        if isinstance(resource, Address) and resource.sandbox
    }


def _goes_along(resource: Resource, losing: set[tuple[str, str, int]]) -> bool:
    return isinstance(resource, Route) and (resource.sandbox, resource.device, resource.destination.version) in losing


def _is_made_anew(before: Resource | None, after: Resource) -> bool:
    """Whether a device changes in what it was born with: another takes its place, without what stood on the old one."""
    if isinstance(before, OnParent) and isinstance(after, OnParent):
        return before.parent != after.parent
    if isinstance(before, Interface) and isinstance(after, Interface):
        return before.source != after.source
    if not isinstance(before, Vxlan) or not isinstance(after, Vxlan):
        return False
    return (before.vni, before.port, _version(before)) != (after.vni, after.port, _version(after))


def _version(device: Vxlan) -> int:
    return device.local.version if device.local is not None else 0


def _device(resource: Resource) -> tuple[str, str]:
    """(sandbox, device) of a device, or of what stands on one; the host's own sandbox has no name."""
    if isinstance(resource, OnParent | Interface):
        return resource.sandbox, resource.ifname
    if isinstance(resource, Address | Route):
        return resource.sandbox, resource.device
    if isinstance(resource, ForwardingEntry | Neighbour):
        return "", resource.device
    return "", resource.name if isinstance(resource, Vxlan) else ""


def _goes_with(resource: Resource, remade: set[tuple[str, str]]) -> bool:
    return isinstance(resource, Address | Route | ForwardingEntry | Neighbour) and _device(resource) in remade


def _by_key(resources: Iterable[Resource]) -> dict[Key, Resource]:
    result: dict[Key, Resource] = {}
    for resource in resources:
        other = result.setdefault(resource.key, resource)
        if other is not resource and other != resource:
            raise ValueError(f"Two different resources have one key: {other.describe()} / {resource.describe()}")
    return result
