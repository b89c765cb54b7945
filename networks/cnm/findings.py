"""What admins of container hosts miss in their own rules and network. Pure; also for dumps of other hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from networks.cnm.addresses import AnyAddress
from networks.cnm.desired import Host, PublishedPort
from networks.cnm.guards import calls_closed, guard_of, guarded
from networks.cnm.names import inner_device
from networks.cnm.ruleset.members import Members, Span
from networks.cnm.ruleset.model import (
    IPTABLES_NFT,
    LEGACY,
    NATIVE,
    Chain,
    Condition,
    Field,
    Rule,
    Ruleset,
    Translation,
    Verdict,
)
from networks.cnm.ruleset.words import PROTOCOLS
from networks.cnm.text import Text, gettext_noop
from networks.cnm.trace.routing import find_way
from networks.cnm.trace.trace import Question
from networks.cnm.trace.walk import OUTSIDE, Party
from networks.cnm.trace.world import World

DANGER, WARNING, NOTICE = "danger", "warning", "notice"
OVERLAY_OVERHEAD = 50
OUTSIDE_ADDRESS = ip_address("203.0.113.7")
"""Of the internet at large, and nobody's (RFC 5737)."""
_BOTH = gettext_noop(
    "Rules stand in more than one flavour: {flavours}. The kernel asks all of them, and a drop in either wins."
)
_BOTH_REMEDY = gettext_noop("Move what stands in the other flavour, so that one program shows everything.")
_NO_BRIDGE_NF = gettext_noop(
    "Network {network} keeps its containers apart (icc=false), but {sysctl} is 0: the bridge shows iptables nothing, and they"
    " reach each other."
)
_NO_BRIDGE_NF_REMEDY = gettext_noop("Set {sysctl}=1; repair does it.")
_LINK_PAIR = gettext_noop("The reply rule of a link lets any port in from port {port}: {text}")
_LINK_PAIR_REMEDY = gettext_noop("Add --ctstate ESTABLISHED to it; CNM_HARDENING=true writes links so.")
_MTU = gettext_noop(
    "Device {device} has MTU {mtu}, more than {least} that its underlay {underlay} leaves: full packets vanish without a word."
)
_MTU_REMEDY = gettext_noop("Set the MTU of its network to {least} or less.")
_LOCALNET = gettext_noop(
    "route_localnet is on for {device}: its neighbours may reach what listens on 127.0.0.1 of this host."
)
_LOCALNET_REMEDY = gettext_noop(
    "Use the port holder (CNM_USERLAND_PROXY=true), or drop packets to 127.0.0.0/8 that do not come from lo."
)
_POLICY = gettext_noop("The policy of {where} is drop: what no rule accepts does not pass, of whatever program it is.")
_POLICY_REMEDY = gettext_noop("Accept what should pass, or set the policy back: iptables -P FORWARD ACCEPT.")
_UFW = gettext_noop(
    "{guard} guards INPUT and calls port {port}/{protocol} of {address} closed, but it is published: what comes to it is"
    " forwarded and never passes INPUT."
)
_UFW_REMEDY = gettext_noop("Publish it on one address, or with allowed_sources.")
_DUPLICATE = gettext_noop("{where} translates {called} to {first}; the later rule to {second} is never asked.")
_DUPLICATE_REMEDY = gettext_noop("Delete the rule that is stale.")
_DEAD = gettext_noop("{where} translates {called} to {address}, which nobody has.")
_DEAD_REMEDY = gettext_noop("Delete the rule, or start what should have the address.")
_UNTAKEN = gettext_noop(
    "A Docker Engine has not taken the link of its container {container} to network {network}: nobody reaches it there."
)
_UNTAKEN_REMEDY = gettext_noop("Restart {container} in Docker, if it is not just starting.")
_SHADOWED = gettext_noop("A rule that is not ours decides before one of ours: {text}")
_SHADOWED_REMEDY = gettext_noop("Move it below, or take it away; rules of ours after it are not asked.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that an admin should know."""

    code: str
    severity: str
    sentence: Text
    remedy: Text
    rules: tuple[tuple[str, str, str, str, int], ...] = ()
    """Keys of the rules that it is about."""
    subject: str = ""
    """What it is about (a network, a port, a device)."""

    def to_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "severity": self.severity,
            "sentence": str(self.sentence),
            "remedy": str(self.remedy),
            "rules": [list(key) for key in self.rules],
            "subject": self.subject,
        }


def find_all(
    ruleset: Ruleset,
    world: World | None = None,
    desired: Host | None = None,
    ours: frozenset[tuple[str, ...]] = frozenset(),
) -> list[Finding]:
    """Everything that can be said. *world* and *desired* are None for a dump of a host that is not here; *ours* are (flavour,
    family, table, chain, text) of our rules."""
    found = [*_both_flavours(ruleset), *_policies(ruleset), *_link_pairs(ruleset), *_duplicates(ruleset)]
    if world is not None:
        found += [*_dead(ruleset, world), *_localnet(world), *_mtu(world)]
    if world is not None and desired is not None:
        found += [*_bridge_nf(world, desired), *_guarded(ruleset, world, desired), *_untaken(world, desired)]
    if desired is not None:
        found += _shadowed(ruleset, ours)
    order = {DANGER: 0, WARNING: 1, NOTICE: 2}
    return sorted(found, key=lambda one: (order[one.severity], one.code, one.subject))


def _both_flavours(ruleset: Ruleset) -> Iterator[Finding]:
    flavours = [flavour for flavour in ruleset.flavours() if flavour != NATIVE]
    if {LEGACY, IPTABLES_NFT} <= set(flavours):
        yield Finding(
            code="both_flavours",
            severity=WARNING,
            sentence=Text.of(_BOTH, flavours=", ".join(flavours)),
            remedy=Text.of(_BOTH_REMEDY),
            subject="host",
        )


def _policies(ruleset: Ruleset) -> Iterator[Finding]:
    for chain in ruleset.chains:
        if chain.hook == "forward" and chain.policy == "drop":
            where = f"{chain.family} {chain.table} {chain.name} ({chain.flavour})"
            yield Finding(
                code="forward_policy_drop",
                severity=NOTICE,
                sentence=Text.of(_POLICY, where=where),
                remedy=Text.of(_POLICY_REMEDY),
                subject=where,
            )


def _link_pairs(ruleset: Ruleset) -> Iterator[Finding]:
    """Docker's stateless pair: ``-s A -d B --sport P -j ACCEPT`` within one bridge, with no connection state asked."""
    for chain in ruleset.chains:
        if chain.table != "filter":
            continue
        for rule in chain.rules:
            if "--sport" not in rule.text or " -s " not in rule.text or " -d " not in rule.text:
                continue
            fields = {one.name: condition for condition in _conditions(rule) for one in condition.fields}
            accepts = any(isinstance(one, Verdict) and one.name == "accept" for one in rule.statements)
            within = {"iifname", "oifname", "saddr", "daddr", "sport"} <= set(fields)
            if accepts and within and "ct.state" not in fields and _one(fields["iifname"]) == _one(fields["oifname"]):
                port = _one(fields["sport"])
                yield Finding(
                    code="stateless_link",
                    severity=WARNING,
                    sentence=Text.of(_LINK_PAIR, port=port.low if isinstance(port, Span) else port, text=rule.text),
                    remedy=Text.of(_LINK_PAIR_REMEDY),
                    rules=(rule.key,),
                    subject=rule.text,
                )


def _conditions(rule: Rule) -> Iterable[Condition]:
    return (one for one in rule.statements if isinstance(one, Condition))


def _one(condition: Condition) -> object:
    entries = condition.members.entries
    return entries[0][0][0] if len(entries) == 1 else None


def _translations(ruleset: Ruleset) -> Iterator[tuple[Rule, Translation, str]]:
    """(rule, translation, what it translates) of every DNAT to one address, those that a map gives among them."""
    for chain in ruleset.chains:
        if not _is_nat(chain):
            continue
        for rule in chain.rules:
            if "DNAT" not in rule.text and "dnat" not in rule.text:
                continue
            for one in rule.statements:
                if not isinstance(one, Translation) or one.kind != "dnat":
                    continue
                if one.addresses is not None:
                    yield rule, one, _called(rule)
                elif one.lookup is not None and one.port_lookup is None:
                    yield from _mapped(rule, one, one.lookup)


def _mapped(rule: Rule, change: Translation, lookup: Members[Any]) -> Iterator[tuple[Rule, Translation, str]]:
    """The translations that a map gives: by what key, and whereto."""
    for key, value in lookup.entries:
        if isinstance(value, tuple) and all(isinstance(part, Span) for part in value):
            said = ", ".join(
                f"{field.name} {_shown(part, field, change.family)}"
                for field, part in zip(change.fields, key, strict=False)
            )
            to = Translation(change.kind, change.family, value[0], value[1] if len(value) > 1 else None)
            yield rule, to, f"{_called(rule)} [{said}]"


def _shown(part: object, field: Field, family: int) -> str:
    """A part of a key, as a person writes it."""
    if not isinstance(part, Span) or part.low != part.high:
        return str(part)
    if field.name in {"saddr", "daddr"}:
        return str(ip_address(part.low.to_bytes(4 if family != 6 else 16, "big")))
    return _PROTOCOL_NAMES.get(part.low, str(part.low)) if field.name == "protocol" else str(part.low)


_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}


def _is_nat(chain: Chain) -> bool:
    return chain.table == "nat" or chain.type == "nat" or chain.flavour == NATIVE


def _called(rule: Rule) -> str:
    """The conditions of a translation in one line: rules with the same line are asked about the same packets."""
    return (
        rule.text.partition(" -j ")[0]
        .partition(" -m comment")[0]
        .removeprefix(f"-A {rule.chain} ")
        .partition(" dnat ")[0]
    )


def _duplicates(ruleset: Ruleset) -> Iterator[Finding]:
    first: dict[tuple[str, str, str, str, str], tuple[Rule, Translation]] = {}
    for rule, change, called in _translations(ruleset):
        key = (rule.flavour, rule.family, rule.table, rule.chain, called)
        if key not in first:
            first[key] = (rule, change)
            continue
        earlier, target = first[key]
        yield Finding(
            code="duplicate_translation",
            severity=DANGER if _target(target) != _target(change) else WARNING,
            sentence=Text.of(
                _DUPLICATE,
                where=f"{rule.table} {rule.chain}",
                called=called,
                first=_target(target),
                second=_target(change),
            ),
            remedy=Text.of(_DUPLICATE_REMEDY),
            rules=(earlier.key, rule.key),
            subject=called,
        )


def _address(change: Translation) -> AnyAddress | None:
    if change.addresses is None or change.addresses.low != change.addresses.high:
        return None
    return ip_address(change.addresses.low.to_bytes(4 if change.family != 6 else 16, "big"))


def _target(change: Translation) -> str:
    port = f":{change.ports.low}" if change.ports is not None else ""
    address = _address(change)
    host = f"[{address}]" if port and address is not None and address.version == 6 else str(address)
    return f"{host}{port}"


def _dead(ruleset: Ruleset, world: World) -> Iterator[Finding]:
    """A translation to an address behind a bridge of which every port is known, and which nobody has."""
    known = {own.ip for plug in (*world.plugs, *world.wires) for own in plug.inner.addresses}
    seen = {plug.outer.index for plug in world.plugs}
    strange = {device.master for device in world.devices if device.master and device.index not in seen}
    for rule, change, called in _translations(ruleset):
        address = _address(change)
        if address is None or address in known or address in world.local:
            continue
        way = find_way(world, address)
        device = world.by_name.get(way.device)
        behind = (
            device is not None and device.kind == "bridge" and way.next_hop == address and device.name not in strange
        )
        if way.kind == "none" or behind:
            yield Finding(
                code="dead_translation",
                severity=WARNING,
                sentence=Text.of(_DEAD, where=f"{rule.table} {rule.chain}", called=called, address=address),
                remedy=Text.of(_DEAD_REMEDY),
                rules=(rule.key,),
                subject=called,
            )


def _localnet(world: World) -> Iterator[Finding]:
    for device in world.devices:
        if device.route_localnet and device.name != "lo":
            yield Finding(
                code="route_localnet",
                severity=NOTICE,
                sentence=Text.of(_LOCALNET, device=device.name),
                remedy=Text.of(_LOCALNET_REMEDY),
                subject=device.name,
            )


def _mtu(world: World) -> Iterator[Finding]:
    """A bridge over a tunnel, or a bridge wider than the device that leads outside."""
    way = find_way(world, ip_address("192.0.2.0"))
    underlay = world.by_name.get(way.device)
    if way.kind != "unicast" or underlay is None:
        return
    tunnels = {device.master for device in world.devices if device.kind == "vxlan" and device.master}
    for device in world.devices:
        if device.kind != "bridge" or device.name == underlay.name or device.name == underlay.master:
            continue
        least = underlay.mtu - (OVERLAY_OVERHEAD if device.name in tunnels else 0)
        if device.mtu > least:
            said = {"device": device.name, "mtu": device.mtu, "least": least, "underlay": underlay.name}
            yield Finding(
                code="mtu_above_underlay",
                severity=WARNING,
                sentence=Text.of(_MTU, **said),
                remedy=Text.of(_MTU_REMEDY, **said),
                subject=device.name,
            )


def _bridge_nf(world: World, desired: Host) -> Iterator[Finding]:
    for network in desired.networks:
        if network.driver != "bridge" or network.options.icc:
            continue
        for family, on in ((4, world.bridge_nf), (6, world.bridge_nf6)):
            if not on and any(subnet.subnet.version == family for subnet in network.subnets):
                sysctl = f"net.bridge.bridge-nf-call-ip{'6' if family == 6 else ''}tables"
                yield Finding(
                    code="icc_without_bridge_nf",
                    severity=DANGER,
                    sentence=Text.of(_NO_BRIDGE_NF, network=network.name, sysctl=sysctl),
                    remedy=Text.of(_NO_BRIDGE_NF_REMEDY, sysctl=sysctl),
                    subject=f"network {network.name}",
                )


def _untaken(world: World, desired: Host) -> Iterator[Finding]:
    """Links that stand on the host for a Docker Engine that thinks it has them: those that it took are gone, and these are their
    successors (a reboot without the engine, ``make down``)."""
    here = {device.name for device in world.devices}
    names = {network.id: network.name for network in desired.networks}
    for container in desired.containers:
        for endpoint in container.endpoints if container.of_docker and container.live else ():
            if inner_device(endpoint.id) in here:
                network = names.get(endpoint.network_id, endpoint.network_id)
                yield Finding(
                    code="untaken_link",
                    severity=WARNING,
                    sentence=Text.of(_UNTAKEN, container=container.name, network=network),
                    remedy=Text.of(_UNTAKEN_REMEDY, container=container.name),
                    subject=f"container {container.name}",
                )


def _guarded(ruleset: Ruleset, world: World, desired: Host) -> Iterator[Finding]:
    """Published ports that a program which guards INPUT calls closed: forwarded packets never pass there."""
    guard = guard_of(ruleset)
    if not guard:
        return
    seen = guarded(ruleset)
    for container in desired.containers:
        for port in container.ports if container.live else ():
            loopback = port.host_address is not None and port.host_address.is_loopback
            if not port.host_port or loopback or port.allowed_sources or not _called_closed(seen, world, port):
                continue
            address = port.host_address or "0.0.0.0"  # noqa: S104  # words, not a socket
            yield Finding(
                code="published_behind_ufw",
                severity=DANGER,
                sentence=Text.of(_UFW, guard=guard, port=port.host_port, protocol=port.protocol, address=address),
                remedy=Text.of(_UFW_REMEDY),
                subject=f"port {port.host_port}/{port.protocol} of {container.name}",
            )


def _called_closed(guard: Ruleset, world: World, port: PublishedPort) -> bool:
    """Whether the guard closes *port* to somebody beyond the device that leads outside."""
    outward = find_way(world, OUTSIDE_ADDRESS)
    own = port.host_address if port.host_address is not None and port.host_address.version == 4 else outward.source
    if own is None or outward.device not in world.by_name:
        return True  # nobody can tell: better said once too often
    question = Question(
        source=Party(OUTSIDE, outward.device),
        destination=own,
        protocol=PROTOCOLS[port.protocol],
        port=port.host_port,
        source_address=OUTSIDE_ADDRESS,
    )
    return calls_closed(guard, world, question)


def _shadowed(ruleset: Ruleset, ours: frozenset[tuple[str, ...]]) -> Iterator[Finding]:
    for rule, _ in shadowing(ruleset, ours):
        yield Finding(
            code="shadowed",
            severity=DANGER,
            sentence=Text.of(_SHADOWED, text=rule.text),
            remedy=Text.of(_SHADOWED_REMEDY),
            rules=(rule.key,),
            subject=f"{rule.table} {rule.chain}",
        )


def shadowing(ruleset: Ruleset, ours: frozenset[tuple[str, ...]]) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    """(a foreign rule, the first of *ours* behind it of which it takes every packet). *ours* are (flavour, family, table, chain, text).

    Rules of ours are looked into only where a foreign one that decides stands before them.
    """
    for chain in ruleset.chains:
        mine = [rule for rule in chain.rules if _identity(rule) in ours]
        if not mine or len(mine) == len(chain.rules):
            continue
        last = mine[-1].position
        for rule in chain.rules:
            if rule.position >= last:
                break
            if _identity(rule) not in ours:
                hidden = _first_hidden(rule, mine)
                if hidden is not None:
                    yield rule, _identity(hidden)


def _identity(rule: Rule) -> tuple[str, ...]:
    return (rule.flavour, rule.family, rule.table, rule.chain, rule.text)


def _first_hidden(rule: Rule, mine: Iterable[Rule]) -> Rule | None:
    """The first of *mine* behind *rule* that asks for all that *rule* asks for, where *rule* decides."""
    verdicts = [one for one in rule.statements if isinstance(one, Verdict | Translation)]
    final = verdicts and (isinstance(verdicts[-1], Translation) or verdicts[-1].name in {"accept", "drop", "reject"})
    if not final or any(not isinstance(one, Condition | Verdict | Translation) for one in rule.statements):
        return None
    asked = [_shape(one) for one in _conditions(rule)]
    return next((later for later in mine if later.position > rule.position and _covers(asked, later)), None)


def _covers(asked: list[tuple[object, ...]], later: Rule) -> bool:
    there = Counter(_shape(one) for one in _conditions(later))
    return all(there[shape] for shape in asked)


def _shape(condition: Condition) -> tuple[object, ...]:
    fields = tuple((one.name, one.family, one.mask) for one in condition.fields)
    return (fields, tuple(key for key, _ in condition.members.entries), condition.negated, condition.bits)
