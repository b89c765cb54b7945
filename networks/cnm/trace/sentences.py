"""Why a packet goes no further, in words."""

from __future__ import annotations

from networks.cnm.text import Text, gettext_noop

from .steps import ANSWER, REST, Step
from .world import World

DEPENDS = gettext_noop("It depends on more than the packet: {names}.")
UNKNOWN = gettext_noop("It cannot be decided: {names} is not modelled here.")
_RULE = gettext_noop("The rule {rule} in {where} ends it ({outcome}).")
_POLICY = gettext_noop("No rule of {where} speaks of it, and its policy is drop.")
_ANSWER = gettext_noop("The packet arrives, but its answer does not: {reason}")
_REST = gettext_noop("The connection is begun, but what follows does not arrive: {reason}")
_ARRIVES = {
    "host": gettext_noop("It arrives at this host, and the answer comes back."),
    "container": gettext_noop("It arrives at container {name}, and the answer comes back."),
    "outside": gettext_noop("It leaves by {name} for the outside; an answer from there would come back."),
}
_REASONS = {
    "no_device": gettext_noop("There is no device {where} on this host."),
    "no_sandbox": gettext_noop("There is no sandbox {where}: the container does not run."),
    "no_source": gettext_noop("The sender has no address to send it from."),
    "sandbox_route": gettext_noop("{where} has no route to it."),
    "plug": gettext_noop("It leaves by {where}, which is not plugged into this host in a way that is modelled."),
    "wire_host": gettext_noop(
        "The kernel carries nothing between {where} itself and the macvlan and ipvlan devices on it: only others on that wire reach them."
    ),
    "wire_private": gettext_noop("Macvlan and ipvlan devices in private mode do not hear one another: {where}."),
    "link_down": gettext_noop("The device {where} is down."),
    "localnet": gettext_noop("{where} does not carry 127.0.0.0/8: route_localnet is off."),
    "loopback": gettext_noop("::1 never leaves a machine: the kernel takes no packet for it that comes in by {where}."),
    "martian": gettext_noop(
        "It came in by {where} from an address of this host itself: the kernel drops such martians."
    ),
    "rp_filter": gettext_noop("rp_filter of {where}: the way back to its sender does not lead through there."),
    "forwarding": gettext_noop("Forwarding is off for {where}: this host passes nothing on."),
    "no_route": gettext_noop("This host has no route for it ({where})."),
    "nobody": gettext_noop("Nobody has that address: {where}."),
    "neighbour": gettext_noop("Whether somebody has that address is not known here: {where}."),
    "hairpin": gettext_noop("It would leave by the bridge port that it came in by, {where}, which has hairpin off."),
    "isolated": gettext_noop("Both bridge ports are isolated: {where}."),
    "not_its_address": gettext_noop("{where} does not have the address that it goes to."),
    "own_source": gettext_noop("{where} gets it from an address of its own, or from 127.0.0.0/8, and drops it."),
    "foreign_answer": gettext_noop(
        "the answer comes from another address than the one that was called, or goes elsewhere"
    ),
    "policy_rule": gettext_noop("A policy rule decides that is not modelled: {where}."),
    "depth": gettext_noop("The chains call each other more deeply than the kernel allows."),
    "target": gettext_noop("The rule {rule} hands it to something that is not modelled."),
}


def why(code: str, step: Step | None, phase: str) -> Text:
    """The reason as one sentence."""
    where = step.where if step is not None else ""
    if code == "rule" and step is not None:
        reason = Text.of(_RULE, rule=step.text, where=where, outcome=step.outcome)
    elif code == "policy":
        reason = Text.of(_POLICY, where=where)
    else:
        reason = Text.of(_REASONS[code], where=where, rule=step.text if step is not None else "")
    about = {ANSWER: _ANSWER, REST: _REST}.get(phase)
    return Text.of(about, reason=str(reason)) if about else reason


def arrived(party: object, world: World) -> Text:
    """Where it arrives."""
    kind, name = getattr(party, "kind", "host"), getattr(party, "name", "")
    sandbox = world.sandbox(name) if kind == "container" else None
    return Text.of(_ARRIVES[kind], name=(sandbox.container or name) if sandbox is not None else name)
