"""A host as it would be: what others have there, and what is asked of us in the place of what we have. Pure.

A change is judged by two such hosts, before and after, made in the same way; so what differs between them is the change's doing. Our
rules stand in both as iptables would hold them, whatever the backend: they say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from .resources import Address, Bridge, Ipvlan, OnParent, Resource, Sysctl, Veth, Vlan
from .resources import Route as WantedRoute
from .resources import Sandbox as WantedSandbox
from .rules import Chain as WantedChain
from .rules import Rule as WantedRule
from .ruleset import iptables
from .ruleset.model import IPTABLES_NFT, NATIVE, Chain, Rule, Ruleset
from .trace.world import Device, Route, Sandbox, World

OUR_TABLE = "cnm"
OURS = "cnm:"
"""What our comments begin with."""
FAMILIES = {4: "ip", 6: "ip6"}
FIRST_INDEX = 1 << 20
"""Devices that are not there yet get numbers from here, which no host has."""
_Place = tuple[int, str, str]


def imagined_rules(seen: Ruleset, wanted: Iterable[Resource], flavour: str, others: Iterable[Resource] = ()) -> Ruleset:
    """*seen* with *wanted* in the place of our own rules, in *flavour* (nftables: as iptables over nf_tables).

    Ours are known by their comments and, in Docker naming, by standing in *wanted* or *others* (what is or will be).
    """
    flavour = IPTABLES_NFT if flavour == NATIVE else flavour
    ours: dict[_Place, list[WantedRule]] = {}
    for item in wanted:
        if isinstance(item, WantedChain):
            ours.setdefault((item.family, item.table, item.name), [])
        elif isinstance(item, WantedRule):
            ours.setdefault((item.family, item.table, item.chain), []).append(item)
    known = [
        *(one for rules in ours.values() for one in rules),
        *(one for one in others if isinstance(one, WantedRule)),
    ]
    texts = {(FAMILIES[one.family], one.table, one.chain, one.text) for one in known}
    for item in others:  # a chain that goes away leaves nothing of ours behind
        if isinstance(item, WantedChain):
            ours.setdefault((item.family, item.table, item.name), [])
    theirs: dict[_Place, list[Rule]] = {}
    kept: list[Chain] = []
    for chain in seen.chains:
        place = _place_of(chain, flavour)
        foreign = [rule for rule in chain.rules if not _is_ours(rule, texts)]
        if place in ours:
            theirs.setdefault(place, []).extend(foreign)
        elif not (chain.flavour == NATIVE and chain.table == OUR_TABLE):
            kept.append(chain if len(foreign) == len(chain.rules) else replace(chain, rules=tuple(foreign)))
    policies = {_place_of(chain, flavour): chain.policy for chain in seen.chains if chain.policy}
    made = [
        _chain(flavour, place, ours[place], theirs.get(place, []), policies.get(place, "accept"))
        for place in sorted(ours)
    ]
    return Ruleset((*kept, *made), seen.sets, seen.opaque)


def _place_of(chain: Chain, flavour: str) -> _Place | None:
    """Where a chain of *flavour*, or one in our own table of nftables, stands in iptables' words."""
    family = {name: number for number, name in FAMILIES.items()}.get(chain.family)
    if family is None:
        return None
    if chain.flavour == NATIVE:
        if chain.table != OUR_TABLE:
            return None
        table, dash, name = chain.name.partition("-")
        return (family, table, name) if dash and table in {"raw", "mangle", "nat"} else (family, "filter", chain.name)
    return (family, chain.table, chain.name) if chain.flavour == flavour else None


def _is_ours(rule: Rule, texts: set[tuple[str, str, str, str]]) -> bool:
    if rule.flavour == NATIVE and rule.table == OUR_TABLE and "USER" not in rule.chain:
        return True
    return rule.comment.startswith(OURS) or (rule.family, rule.table, rule.chain, rule.text) in texts


def _chain(flavour: str, place: _Place, ours: list[WantedRule], foreign: list[Rule], policy: str) -> Chain:
    family, table, name = place
    ordered = sorted(ours, key=lambda rule: rule.rank)
    texts = [(rule.text, None) for rule in ordered if rule.anchor == "top"]
    below = [(rule.text, None) for rule in ordered if rule.anchor != "top"]
    rules: list[Rule] = []
    for text, known in (*texts, *((one.text, one) for one in foreign), *below):
        position = len(rules) + 1
        rules.append(
            replace(known, flavour=flavour, table=table, chain=name, position=position)
            if known is not None
            else iptables.make_rule(flavour, family, table, name, position, text)
        )
    return iptables.make_chain(flavour, family, table, name, policy if name in iptables.HOOKS else "-", rules)


def imagined_world(seen: World, wanted: Iterable[Resource], ours: Iterable[Resource]) -> World:
    """*seen* with *wanted* in the place of *ours*: all that is or will be of us, by its names."""
    listed = list(wanted)
    names = {item.name for item in (*listed, *ours) if isinstance(item, Bridge | Veth | Vlan)}
    sandboxes = {item.name for item in (*listed, *ours) if isinstance(item, WantedSandbox)}
    sysctls = {item.name: item.value for item in listed if isinstance(item, Sysctl)}
    addresses: dict[tuple[str, str], list[Address]] = {}
    for item in listed:
        if isinstance(item, Address):
            addresses.setdefault((item.sandbox, item.device), []).append(item)
    here = [device for device in seen.devices if device.name not in names]
    forwards = {
        "forwarding": sysctls.get("net.ipv4.ip_forward") == "1" or any(device.forwarding for device in here),
        "forwarding6": sysctls.get("net.ipv6.conf.all.forwarding") == "1" or any(device.forwarding6 for device in here),
        "rp_filter": next((d.rp_filter for d in seen.devices if d.kind in {"bridge", "veth"}), 0),
    }
    bridges = list(_bridges(listed, addresses, forwards))
    veths, insides = _veths(listed, addresses, forwards)
    vlans = list(_vlans(listed))
    for item, device in _on_parents(listed, addresses, {device.name: device.index for device in (*here, *vlans)}):
        insides.setdefault(item.sandbox, []).append(device)
    return replace(
        seen,
        devices=(
            *(replace(d, forwarding=d.forwarding or forwards["forwarding"] == 1) for d in here),
            *bridges,
            *vlans,
            *veths,
        ),
        routes=(
            *(route for route in seen.routes if route.device not in names),
            *(Route(destination=one.network, device=bridge.name) for bridge in bridges for one in bridge.addresses),
        ),
        sandboxes=(
            *(one for one in seen.sandboxes if one.name not in sandboxes),
            *(_sandbox(item, insides.get(item.name, []), listed) for item in listed if isinstance(item, WantedSandbox)),
        ),
        bridge_nf=seen.bridge_nf or sysctls.get("net.bridge.bridge-nf-call-iptables") == "1",
        bridge_nf6=seen.bridge_nf6 or sysctls.get("net.bridge.bridge-nf-call-ip6tables") == "1",
    )


def _bridges(
    listed: Iterable[Resource], addresses: Mapping[tuple[str, str], list[Address]], forwards: Mapping[str, int]
) -> Iterator[Device]:
    for number, item in enumerate(one for one in listed if isinstance(one, Bridge)):
        yield Device(
            name=item.name,
            index=FIRST_INDEX + number,
            kind="bridge",
            mtu=item.mtu,
            route_localnet=item.route_localnet,
            addresses=tuple(one.address for one in addresses.get(("", item.name), ())),
            **forwards,  # type: ignore[arg-type]  # flags and a number, as Device has them
        )


def _veths(
    listed: Iterable[Resource], addresses: Mapping[tuple[str, str], list[Address]], forwards: Mapping[str, int]
) -> tuple[list[Device], dict[str, list[Device]]]:
    """(the host's ends, sandbox -> its ends)."""
    outer: list[Device] = []
    inner: dict[str, list[Device]] = {}
    for number, item in enumerate(one for one in listed if isinstance(one, Veth)):
        here, there = 2 * FIRST_INDEX + number, 3 * FIRST_INDEX + number
        common = {"kind": "veth", "mtu": item.mtu}
        outer.append(
            Device(
                name=item.name,
                index=here,
                peer=there,
                master=item.bridge,
                hairpin=item.hairpin,
                **common,  # type: ignore[arg-type]
                **forwards,  # type: ignore[arg-type]
            )
        )
        own = tuple(one.address for one in addresses.get((item.sandbox, item.ifname), ()))
        inside = Device(name=item.ifname, index=there, peer=here, addresses=own, **common)  # type: ignore[arg-type]
        inner.setdefault(item.sandbox, []).append(inside)
    return outer, inner


def _vlans(listed: Iterable[Resource]) -> Iterator[Device]:
    for number, item in enumerate(one for one in listed if isinstance(one, Vlan)):
        yield Device(name=item.name, index=5 * FIRST_INDEX + number, kind="vlan", mtu=item.mtu)


def _on_parents(
    listed: Iterable[Resource], addresses: Mapping[tuple[str, str], list[Address]], here: Mapping[str, int]
) -> Iterator[tuple[OnParent, Device]]:
    for number, item in enumerate(one for one in listed if isinstance(one, OnParent)):
        own = tuple(one.address for one in addresses.get((item.sandbox, item.ifname), ()))
        yield (
            item,
            Device(
                name=item.ifname,
                index=4 * FIRST_INDEX + number,
                kind=item.kind,
                peer=here.get(item.parent, 0),
                mode=item.flag if isinstance(item, Ipvlan) and item.mode == "l2" else item.mode,
                mtu=item.mtu,
                addresses=own,
            ),
        )


def _sandbox(item: WantedSandbox, devices: list[Device], listed: Iterable[Resource]) -> Sandbox:
    near = [Route(destination=own.network, device=device.name) for device in devices for own in device.addresses]
    far = [
        Route(destination=one.destination, device=one.device, gateway=one.gateway)
        for one in listed
        if isinstance(one, WantedRoute) and one.sandbox == item.name
    ]
    return Sandbox(name=item.name, devices=tuple(devices), routes=(*near, *far))
