"""Traces as people ask for them: names instead of addresses, and an answer in which each rule has its owner and reason."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from django.utils.translation import gettext

from networks import audit
from networks.caught_up import is_current
from networks.cnm.addresses import AnyAddress
from networks.cnm.errors import InvalidSpec, NotFound, Unavailable
from networks.cnm.names import sandbox_name
from networks.cnm.ruleset import words
from networks.cnm.text import gettext_noop
from networks.cnm.trace.routing import find_way
from networks.cnm.trace.steps import Step
from networks.cnm.trace.trace import Outcome, Question, Trace, trace
from networks.cnm.trace.walk import CONTAINER, HOST, OUTSIDE, Party
from networks.cnm.trace.world import Sandbox, World
from networks.models import Container, Host
from networks.models.choices import ContainerStatus
from networks.observed import Observed, Rows, load_observed

PROTOCOLS = ("tcp", "udp", "sctp", "icmp")
STATES = ("new", "established")
THIS_HOST = "host"
"""What stands for the host itself where a container or an address is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question in words. *source* and *destination*: a container (name or id), ``host``, or an address."""

    source: str
    destination: str
    protocol: str = "tcp"
    port: int = 0
    interface: str = ""
    """The device by which an outside address comes in; empty: the one that leads to it."""
    source_port: int = 0
    state: str = "new"


@dataclass(frozen=True, slots=True)
class Answer:
    """The trace, and all that is needed to show it."""

    request: Request
    trace: Trace
    observed: Observed
    rows: Rows
    source: Container | None
    destination: Container | None
    address: AnyAddress
    current: bool
    """Whether it rests on what the worker saw after the last change of ours."""

    def rule_of(self, step: Step | None) -> dict[str, Any] | None:
        """The audit's row of the rule of *step*: text, owner, why, whose it is."""
        return self.rows.of(step)

    def _told(self, step: Step | None) -> dict[str, Any] | None:
        row = self.rule_of(step)
        return audit.told(row) if row is not None else None

    def to_json(self) -> dict[str, Any]:
        outcome = self.trace.outcome
        return {
            "verdict": self.trace.verdict,
            "reason": self.trace.reason.translated(gettext),
            "code": outcome.code,
            "address": str(self.address),
            "received": outcome.received,
            "decided_by": self._told(outcome.decider),
            "undecided": [
                {"match": choice.name, "rule": choice.where, "modelled": choice.modelled}
                for choice in self.trace.undecided
            ],
            "steps": self._steps(outcome),
            "others": [
                {
                    "verdict": other.verdict,
                    "reason": other.reason.translated(gettext),
                    "if": _assumed(made),
                    "steps": self._steps(other),
                }
                for other, made in self.trace.others[:4]
            ],
            "rules_at": self.observed.rules_at,
            "network_at": self.observed.world_at,
            "current": self.current,
        }

    def _steps(self, outcome: Outcome) -> list[dict[str, Any]]:
        return [
            {
                "kind": step.kind,
                "phase": step.phase or "packet",
                "hook": step.hook,
                "where": step.where,
                "text": step.text,
                "outcome": step.outcome,
                "packet": step.packet,
                "rule": self._told(step),
            }
            for step in outcome.steps
        ]


def answer(host: Host, request: Request) -> Answer:
    """Trace *request* over what the worker last saw. Raises NotFound, InvalidSpec, and Unavailable before the first look."""
    observed = load_observed(host)
    if observed.at is None:
        raise Unavailable(
            gettext_noop("The worker has not looked at the rules and the network of this host yet."),
            remedy=gettext_noop("Wait until it has started, then ask again."),
        )
    source = _container(host, request.source, "from")
    destination = _container(host, request.destination, "to")
    world = observed.world
    address = _destination(request.destination, destination, source, world)
    party, source_address = _source(request, source, address, world)
    question = Question(
        source=party,
        destination=address,
        protocol=_protocol(request.protocol, address),
        port=request.port,
        source_address=source_address,
        source_port=request.source_port,
        state=request.state,
    )
    rows = Rows(audit.rules(host), observed.ruleset)
    found = trace(question, observed.ruleset, world)
    current = is_current(host, observed.at)
    return Answer(request, found, observed, rows, source, destination, address, current)


def _assumed(made: Any) -> list[str]:
    return [f"{choice.name} ({choice.where})" for choice in made if choice.taken]


def _address(text: str) -> AnyAddress | None:
    try:
        return ip_address(text.strip("[]"))
    except ValueError:
        return None


def _container(host: Host, reference: str, field: str) -> Container | None:
    """The container that *reference* names; None where it stands for the host or an address."""
    if reference == THIS_HOST or _address(reference) is not None:
        return None
    rows = Container.objects.filter(host=host)
    found = rows.filter(name=reference).first()
    if found is None and len(reference) >= 4:
        candidates = list(rows.filter(pk__startswith=reference)[:2])
        found = candidates[0] if len(candidates) == 1 else None
    if found is None:
        raise NotFound(
            gettext_noop("{reference} is no container of this host, and no address."),
            remedy=gettext_noop("Give a container's name, an IP address, or host for the host itself."),
            field=field,
            reference=reference,
        )
    return found


def _sandbox(container: Container, world: World, field: str) -> Sandbox:
    name = sandbox_name(container.shares_id or container.pk)
    found = next((one for one in world.sandboxes if one.name == name), None)
    if found is None and container.status == ContainerStatus.RUNNING and container.network_mode != HOST:
        raise Unavailable(
            gettext_noop("The worker has not seen the network of container {name} yet."),
            remedy=gettext_noop("Ask again in a few seconds."),
            field=field,
            name=container.name,
        )
    if found is None:
        raise InvalidSpec(
            gettext_noop("Container {name} has no network of its own now."),
            remedy=gettext_noop("Start it first; one in host mode is the host itself."),
            field=field,
            name=container.name,
        )
    return found


def _destination(reference: str, container: Container | None, source: Container | None, world: World) -> AnyAddress:
    """The address that *reference* stands for: of a container the one on a network of the source, else its first."""
    given = _address(reference)
    if given is not None:
        return given
    if container is None:
        local = [ip for ip, device in world.local.items() if not ip.is_loopback and not ip.is_link_local]
        outward = find_way(world, ip_address("192.0.2.0")).source
        return outward if outward in local else next(iter(local), ip_address("127.0.0.1"))
    if container.network_mode == "host":
        return _destination(THIS_HOST, None, source, world)
    addresses = [one.ip for device in _sandbox(container, world, "to").devices for one in device.addresses]
    addresses = [one for one in addresses if not one.is_loopback and not one.is_link_local]
    if source is not None and source.network_mode != "host":
        near = [one.network for device in _sandbox(source, world, "from").devices for one in device.addresses]
        addresses.sort(key=lambda ip: not any(ip in network for network in near))
    if not addresses:
        raise InvalidSpec(
            gettext_noop("Container {name} has no address."),
            remedy=gettext_noop("Connect it to a network first."),
            field="to",
            name=container.name,
        )
    return addresses[0]


def _source(
    request: Request, container: Container | None, destination: AnyAddress, world: World
) -> tuple[Party, AnyAddress | None]:
    if container is not None and container.network_mode != "host":
        return Party(CONTAINER, _sandbox(container, world, "from").name), None
    given = _address(request.source)
    if given is None or given in world.local:
        return Party(HOST), given
    if given.version != destination.version:
        raise InvalidSpec(
            gettext_noop("{source} and {destination} are of different IP versions."),
            remedy=gettext_noop("Give two addresses of one version."),
            field="from",
            source=given,
            destination=destination,
        )
    inside = next(
        (one for one in world.sandboxes for device in one.devices for own in device.addresses if own.ip == given), None
    )
    if inside is not None and not request.interface:
        return Party(CONTAINER, inside.name), given
    device = request.interface or find_way(world, given).device
    if device not in world.by_name:
        raise InvalidSpec(
            gettext_noop("This host has no device {device} by which {source} could come in."),
            remedy=gettext_noop("Name one of its devices: {devices}."),
            field="interface",
            device=device or "—",
            source=given,
            devices=", ".join(world.by_name),
        )
    return Party(OUTSIDE, device), given


def _protocol(name: str, address: AnyAddress) -> int:
    if name == "icmp":
        return words.ICMP if address.version == 4 else words.ICMPV6
    return words.PROTOCOLS[name]
