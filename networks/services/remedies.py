"""The smallest change that would let a refused packet through: as a use case where there is one, with its plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from networks.cnm.errors import CnmError
from networks.cnm.text import Text, gettext_noop
from networks.cnm.trace.trace import ALLOWED, UNDECIDABLE
from networks.models import Container, Network, PublishedPort
from networks.tracing import THIS_HOST, Answer

from .actor import Actor
from .links import link
from .networks import connect
from .outcome import Outcome
from .ports import publish
from .preview import preview
from .spec_container import AttachRequest
from .spec_ports import PortRequest

_CONNECT = gettext_noop("Connect container {source} to network {network}, where {destination} is.")
_LINK = gettext_noop(
    "Link {source} to {destination}: network {network} keeps its containers apart (icc=false) save by links."
)
_ICC = gettext_noop("Network {network} keeps its containers apart (icc=false): put both on a network with icc=true.")
_PUBLISH = gettext_noop(
    "Publish port {port}/{protocol} of container {destination}: others reach it through the host alone."
)
_ALLOW = gettext_noop("Add {source} to the allowed sources of port {port}: publish it anew with them.")
_FORWARDING = gettext_noop("Switch forwarding on: sysctl net.ipv4.ip_forward=1 (CNM_IP_FORWARD=true does it at start).")
_HAIRPIN = gettext_noop("Let the port holder carry it (CNM_USERLAND_PROXY), or call the container by its name.")
_RP_FILTER = gettext_noop("Set net.ipv4.conf.{where}.rp_filter=2, or give this host a route back by that device.")
_FOREIGN = gettext_noop("Accept it above the rule that ends it, in {where}; the rule is {whose}.")
_POLICY = gettext_noop("Accept it in {where} before its policy is asked, or set that policy to ACCEPT.")
_REPAIR = gettext_noop("The rule belongs to nothing that is there any more: repair the drift.")


@dataclass(frozen=True, slots=True)
class Remedy:
    """One proposal. *request* is the REST call that would carry it out; *plan* what that would change in the kernel."""

    text: Text
    page: tuple[str, str] = ("", "")
    """The page on which a person does it: its name and the object."""
    request: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {"text": str(self.text), "request": self.request or None, "plan": self.plan}


def remedies(actor: Actor, answer: Answer) -> list[Remedy]:
    """What would help, the smallest change first; nothing where the packet is let through or nobody can say."""
    if answer.trace.verdict in {ALLOWED, UNDECIDABLE}:
        return []
    return list(_remedies(actor, answer))


def _remedies(actor: Actor, answer: Answer) -> Iterator[Remedy]:
    outcome = answer.trace.outcome
    row = answer.rule_of(outcome.decider)
    where = outcome.decider.where if outcome.decider is not None else ""
    source, destination = answer.source, answer.destination or _holder_of(answer)
    by_code = {"forwarding": _FORWARDING, "hairpin": _HAIRPIN, "rp_filter": _RP_FILTER}
    if outcome.code in by_code:
        yield Remedy(Text.of(by_code[outcome.code], where=where))
    elif outcome.code == "policy":
        yield Remedy(Text.of(_POLICY, where=where))
    elif row is not None and not row["ours"]:
        yield Remedy(Text.of(_FOREIGN, where=where, whose=row["foreign_class"]))
    elif row is not None and row["owner"] is not None and row["owner"]["kind"] == "port":
        port = PublishedPort.objects.filter(pk__startswith=row["owner"]["id"]).select_related("container").first()
        if port is not None:
            sender = outcome.decider.packet.split(" ")[0] if outcome.decider is not None else answer.request.source
            yield Remedy(Text.of(_ALLOW, source=sender, port=port), ("container", port.container.name))
    elif row is not None and not row["why"]:
        yield Remedy(Text.of(_REPAIR), ("drift", ""))
    elif destination is not None and source is not None and source.pk != destination.pk:
        yield from _between(actor, answer, source, destination)
    elif destination is not None:
        yield from _publish(actor, answer, destination)


def _holder_of(answer: Answer) -> Container | None:
    """The container whose address was asked for by number."""
    sandbox = next(
        (
            one
            for one in answer.observed.world.sandboxes
            for device in one.devices
            for own in device.addresses
            if own.ip == answer.address
        ),
        None,
    )
    return Container.objects.filter(pk=sandbox.container_id).first() if sandbox and sandbox.container_id else None


def _between(actor: Actor, answer: Answer, source: Container, destination: Container) -> Iterator[Remedy]:
    shared = Network.objects.filter(endpoints__container=source).filter(endpoints__container=destination).distinct()
    apart = shared.first()
    if apart is not None:
        said = {"source": source.name, "destination": destination.name, "network": apart.name}
        if apart.predefined:
            call = {
                "method": "POST",
                "path": "/api/v1/links",
                "body": {"recipient": source.name, "source": destination.name},
            }
            text = Text.of(_LINK, **said)
            yield _planned(
                source, text, ("container-link", source.name), call, lambda: link(actor, source, destination)
            )
        else:
            yield Remedy(Text.of(_ICC, **said), ("networks", ""))
        return
    for network in Network.objects.filter(endpoints__container=destination, predefined=False).distinct()[:1]:
        call = {
            "method": "POST",
            "path": f"/api/v1/networks/{network.name}/connect",
            "body": {"container": source.name},
        }
        text = Text.of(_CONNECT, source=source.name, destination=destination.name, network=network.name)
        yield _planned(
            source,
            text,
            ("container-connect", source.name),
            call,
            lambda network=network: connect(actor, network, source, AttachRequest(network=network.name)),  # type: ignore[misc]
        )
    yield from _publish(actor, answer, destination)


def _publish(actor: Actor, answer: Answer, destination: Container) -> Iterator[Remedy]:
    request = answer.request
    known = destination.ports.filter(container_port=request.port, protocol=request.protocol, removing=False).exists()
    if known or not request.port or request.protocol not in {"tcp", "udp", "sctp"} or request.destination == THIS_HOST:
        return
    port = {"container_port": request.port, "protocol": request.protocol}
    call = {"method": "POST", "path": f"/api/v1/containers/{destination.name}/ports", "body": {"ports": [port]}}
    text = Text.of(_PUBLISH, port=request.port, protocol=request.protocol, destination=destination.name)
    wanted = PortRequest(container_port=request.port, protocol=request.protocol)
    yield _planned(
        destination,
        text,
        ("container-publish", destination.name),
        call,
        lambda: publish(actor, destination, [wanted]),
    )


def _planned(
    subject: Container, text: Text, page: tuple[str, str], request: dict[str, Any], use_case: Callable[[], Outcome]
) -> Remedy:
    """A remedy with its plan; one that would be refused is proposed without (the refusal says the rest when it is tried)."""
    try:
        plan = preview(subject.host, use_case, judge=False).plan.to_json()
    except CnmError:
        plan = None
    return Remedy(text, page, request, plan)
