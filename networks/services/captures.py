"""Use cases of packet captures: starting one, stopping one, taking its file along, deleting it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import IO, Any

from networks import feed
from networks.captures import MOST_AT_ONCE
from networks.cnm.capture import LARGEST, LONGEST_S, PROTOCOLS, SNAP_LENGTHS, Limits, PacketFilter
from networks.cnm.errors import Conflict, Exhausted, NotFound, Unsupported
from networks.cnm.names import sandbox_name, veth_device
from networks.cnm.text import gettext_noop
from networks.load import load_settings
from networks.models import Capture, Container, Host, Network
from networks.models.choices import ContainerKind
from networks.represent import bridge_of

from . import kept
from .actor import Actor, require
from .body import Body, bad
from .find import find_container, find_network
from .operations import check_alive, enqueue, record
from .outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRequest:
    container: str = ""
    network: str = ""
    """Alone: its bridge. With a container: the endpoint there."""
    filter: PacketFilter
    limits: Limits


def read_capture(value: Mapping[str, Any]) -> CaptureRequest:
    """Raises InvalidSpec naming the field."""
    body = Body(value)
    host = body.text("host", "", most=64)
    try:
        address = ip_address(host) if host else None
    except ValueError:
        raise bad("host", gettext_noop("host is no address."), gettext_noop("Give one such as 10.0.0.3.")) from None
    request = CaptureRequest(
        container=body.text("container", "", most=128),
        network=body.text("network", "", most=128),
        filter=PacketFilter(
            protocol=body.choice("protocol", "", PROTOCOLS), host=address, port=body.integer("port", 0, most=65535)
        ),
        limits=Limits(
            seconds=body.integer("seconds", 60, least=1, most=LONGEST_S),
            size=body.integer("size", 10 << 20, least=4096, most=LARGEST),
            snap_length=body.integer("snap_length", SNAP_LENGTHS[1], least=SNAP_LENGTHS[0], most=SNAP_LENGTHS[1]),
        ),
    )
    body.finish()
    if not request.container and not request.network:
        raise bad(
            "container",
            gettext_noop("Nothing is named whose packets are wanted."),
            gettext_noop("Give a container, a network, or both."),
        )
    if request.filter.port and request.filter.protocol in {"icmp", "arp"}:
        raise bad("port", gettext_noop("This protocol has no ports."), gettext_noop("Leave the port out."))
    return request


def start_capture(actor: Actor, host: Host, request: CaptureRequest) -> Outcome:
    """Begin to write down the packets of an endpoint, or of a network's bridge. The subject is the capture.

    Raises Conflict where there is nothing to listen on, Exhausted where too many are under way.
    """
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        under_way = Capture.objects.filter(host=host, state__in=(Capture.WAITING, Capture.RUNNING)).count()
        if under_way >= MOST_AT_ONCE:
            raise Exhausted(
                gettext_noop("{count} captures are under way, which is as many as there may be."),
                remedy=gettext_noop("Wait, or stop one."),
                count=under_way,
            )
        subject, place = _place(host, request)
        capture = Capture(
            host=host,
            subject_kind="container" if isinstance(subject, Container) else "network",
            subject_id=subject.pk,
            subject_name=subject.name,
            filter=request.filter.to_json(),
            seconds=request.limits.seconds,
            size_limit=request.limits.size,
            snap_length=request.limits.snap_length,
            created_by=actor.name,
            **place,
        )
        operation = enqueue(actor, host, "capture.run", subject, queue="slow", args={"capture": capture.pk})
        capture.operation = operation
        capture.save(force_insert=True)
        told = {"capture": capture.pk[:12], "interface": capture.interface, "filter": str(request.filter)}
        record(actor, "capture.run", subject, told, operation)
    return Outcome(capture)  # nobody waits for its operation: it lasts as long as the capture


def stop_capture(actor: Actor, capture: Capture) -> Outcome:
    """Have a capture end now; what it has is kept."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        Capture.objects.filter(pk=capture.pk).update(stop=True)
        _record(actor, "capture.stop", capture)
    return Outcome(capture)


def remove_capture(actor: Actor, capture: Capture) -> Outcome:
    """Delete a capture that has ended, with its file. Raises Conflict while it is under way."""
    require(actor, "operator")
    check_alive(actor, capture.host)
    if capture.state in {Capture.WAITING, Capture.RUNNING}:
        raise Conflict(gettext_noop("This capture is under way."), remedy=gettext_noop("Stop it first."))
    with feed.transaction(actor.name):
        operation = enqueue(actor, capture.host, "capture.remove", None, queue="slow", args={"capture": capture.pk})
        _record(actor, "capture.remove", capture)
    return Outcome(None, operation)


def take_along(actor: Actor, capture: Capture) -> IO[bytes]:
    """The file of a capture, for whoever may read packets: operators. It is noted who took it. Raises NotFound, Unavailable."""
    file = kept.capture_file(actor, capture)
    with feed.transaction(actor.name):
        _record(actor, "capture.download", capture)
    return file


def find_capture(host: Host, reference: str) -> Capture:
    """The capture with this id, or beginning of one. Raises NotFound, also where several begin so."""
    found = list(host.captures.filter(pk__startswith=reference)[:2]) if len(reference) >= 4 else []
    if len(found) != 1:
        raise NotFound(
            gettext_noop("There is no capture {reference}."),
            remedy=gettext_noop("See the list of captures; they are kept for a while only."),
            reference=reference,
        )
    return found[0]


def _record(actor: Actor, verb: str, capture: Capture) -> None:
    row = record(actor, verb, None, {"capture": capture.pk[:12], "interface": capture.interface})
    row.subject_kind, row.subject_id = capture.subject_kind, capture.subject_id
    row.subject_name = capture.subject_name
    row.save(update_fields=["subject_kind", "subject_id", "subject_name"])


def _place(host: Host, request: CaptureRequest) -> tuple[Container | Network, dict[str, str]]:
    """What it is about, and where its packets are: sandbox, interface, and for an endpoint its network."""
    if request.container:
        return _endpoint(host, request)
    network = find_network(host, request.network, "network")
    bridge = bridge_of(network, load_settings(host).naming.bridge)
    if network.status != "ready" or not bridge:
        raise Unsupported(
            gettext_noop("Network {name} has no bridge whose packets could be captured."),
            remedy=gettext_noop("Name one with the driver bridge that is ready, or a container."),
            field="network",
            name=network.name,
        )
    return network, {"sandbox": "", "interface": bridge, "network_name": ""}


def _endpoint(host: Host, request: CaptureRequest) -> tuple[Container, dict[str, str]]:
    container = find_container(host, request.container, "container")
    owner = container.shares or container
    endpoints = owner.endpoints.filter(removing=False).select_related("network").order_by("position")
    if request.network:
        endpoints = endpoints.filter(network=find_network(host, request.network, "network"))
    endpoint = endpoints.first()
    if owner.wanted != "running" or owner.network_mode == "host" or endpoint is None or not endpoint.ifname:
        raise Conflict(
            gettext_noop("Container {name} has no interface of its own there now."),
            remedy=gettext_noop("Start it, or connect it to a network; on the host's network there is none."),
            field="container",
            name=container.name,
        )
    place = {"sandbox": sandbox_name(owner.pk), "interface": endpoint.ifname, "network_name": endpoint.network.name}
    if owner.kind == ContainerKind.DOCKER:  # the sandbox is the engine's: at the host's end of the link
        place |= {"sandbox": "", "interface": veth_device(endpoint.pk)}
    return container, place
