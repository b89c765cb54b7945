"""The rows of a new container: what may be asked for, by whom, and what follows from it."""

from __future__ import annotations

import random
from typing import Any

from django.conf import settings
from django.db import IntegrityError

from networks import feed
from networks.cnm.errors import CnmError, Conflict, Forbidden, InvalidSpec
from networks.cnm.names import HOST_GATEWAY
from networks.cnm.text import Text, gettext_noop
from networks.composed import insert
from networks.models import Container, Endpoint, Host, Image, Network
from networks.models.container import IMAGE_STOP_SIGNAL
from networks.models.network import GLOBAL

from . import features, ports
from .actor import Actor
from .availability import check_takes_containers, read_availability
from .endpoints import add_endpoint, check_usable
from .find import container_named, find_container, find_image, find_network
from .fresh import check_not_dockers, know_parts
from .gateway import settle_gateway
from .links import add_link, check_sources
from .spec_container import ContainerRequest, attachments_of, read_signal
from .volumes import need_volumes, volume_of

_ADJECTIVES = (
    "amber",
    "bold",
    "brisk",
    "calm",
    "clever",
    "eager",
    "fair",
    "gentle",
    "keen",
    "lively",
    "merry",
    "quiet",
    "swift",
)
_NOUNS = (
    "badger",
    "bridge",
    "comet",
    "ember",
    "falcon",
    "harbor",
    "heron",
    "lantern",
    "maple",
    "otter",
    "pebble",
    "reef",
    "wren",
)


def add_container(actor: Actor, host: Host, request: ContainerRequest) -> tuple[Container, tuple[Text, ...]]:
    """The rows of a new container, not started, and what its maker should know."""
    _check_policy(actor, request)
    read_availability(host)
    check_takes_containers(host)
    features.check_container(host, request)
    image = _image(host, request)
    shares = _shared(host, request)
    container = Container(
        host=host,
        name=request.name or _free_name(host),
        kind=request.kind,
        network_mode=f"container:{shares.id}" if shares else request.network,
        shares=shares,
        adopted_path=request.adopt_path or (f"/proc/{request.adopt_pid}/ns/net" if request.adopt_pid else ""),
        image=(image.name if image is not None else request.image) if request.kind == "process" else "",
        spec=request.stored(),
        labels=dict(request.labels),
        has_health_check=bool(request.healthcheck) and request.kind == "process",
        restart_policy=request.restart_policy,
        restart_max=request.restart_max,
        auto_remove=request.auto_remove,
        created_by=actor.name,
    )
    need_volumes(actor, host, request.binds)
    container.spec["binds_anywhere"] = actor.may("admin")
    _check_host_gateway(host, request)
    container.spec["exposed_ports"] = _exposed(request, image)
    if not request.stop_signal and (signal := _stop_signal(image)):
        container.spec[IMAGE_STOP_SIGNAL] = signal
    if container_named(host.pk, container.name):
        raise name_taken(container.name)
    try:
        insert(container)
    except IntegrityError:
        raise name_taken(container.name) from None
    if _add_endpoints(host, container, request):
        settle_gateway(actor, container)
    for number, (reference, alias) in enumerate(request.links):
        source = find_container(host, reference, f"links.{number}")
        add_link(container, source, alias or source.name)
        container._prefetched_objects_cache.clear()
    check_sources(container)
    warnings = ports.add_ports(container, request)
    feed.put("container", container)
    return container, warnings


def _add_endpoints(host: Host, container: Container, request: ContainerRequest) -> bool:
    """The rows of its attachments; whether any of them is to a network that spans hosts."""
    endpoints: list[Endpoint] = []
    know_parts(container, endpoints=(), ports=(), links=())
    for path, attach in attachments_of(request):
        try:
            network = find_network(host, attach.network, "network")
            check_usable(network)
            if network.driver not in {"null", "host"}:
                endpoints.append(add_endpoint(container, network, attach, starts=request.start))
                know_parts(container, endpoints=endpoints)
        except CnmError as error:
            error.field = f"{path}{error.field}" if error.field else ""
            raise
    return any(endpoint.network.scope == GLOBAL for endpoint in endpoints)


def _shared(host: Host, request: ContainerRequest) -> Container | None:
    if not request.network.startswith("container:"):
        return None
    other = find_container(host, request.network.removeprefix("container:"), "network")
    check_not_dockers(other)
    if other.network_mode == "host" or other.shares_id:
        raise Conflict(
            gettext_noop("Container {name} has no sandbox of its own that could be shared."),
            remedy=gettext_noop("Choose a container on a network of its own."),
            field="network",
            name=other.name,
        )
    return other


def _image(host: Host, request: ContainerRequest) -> Image | None:
    if request.kind != "process" or request.image == "host":
        return None
    image = find_image(host, request.image)
    if image.status != "ready":
        raise Conflict(
            gettext_noop("Image {name} is not ready: it is {status}."),
            remedy=gettext_noop("Wait until it is imported, or import it again."),
            field="image",
            name=image.name,
            status=image.status,
        )
    return image


def _exposed(request: ContainerRequest, image: Image | None) -> list[list[Any]]:
    exposed = set(request.exposed_ports) | {(port.container_port, port.protocol) for port in request.ports}
    for text in (image.config if image else {}).get("ExposedPorts") or {}:
        number, _, protocol = text.partition("/")
        exposed.add((int(number), protocol or "tcp"))
    return [list(pair) for pair in sorted(exposed)]


def _stop_signal(image: Image | None) -> str:
    """What an image is to be stopped by; empty where it says nothing, or nothing that is a signal."""
    given = (image.config if image else {}).get("StopSignal") or ""
    try:
        return read_signal("image", given) if given else ""
    except InvalidSpec:
        return ""


def _check_host_gateway(host: Host, request: ContainerRequest) -> None:
    """``host-gateway`` is the host's address on the default bridge: without one it means nothing, in Docker too."""
    for number, (_, address) in enumerate(request.extra_hosts):
        if address == HOST_GATEWAY and not Network.objects.filter(host=host, name="bridge").exists():
            raise Conflict(
                gettext_noop("There is no default bridge whose gateway {address} could stand for."),
                remedy=gettext_noop("Give the host's address instead."),
                field=f"extra_hosts.{number}",
                address=address,
            )


def _free_name(host: Host) -> str:
    taken = set(Container.objects.filter(host=host).values_list("name", flat=True))
    chooser = random.SystemRandom()
    while True:
        name = f"{chooser.choice(_ADJECTIVES)}_{chooser.choice(_NOUNS)}"
        if name in taken:
            name = f"{name}{chooser.randrange(10, 1000)}"
        if name not in taken:
            return name


def name_taken(name: str) -> Conflict:
    """The refusal of a name that another container of the host has."""
    return Conflict(
        gettext_noop("The container name {name} is in use."),
        remedy=gettext_noop("Choose another name, or remove or rename that container."),
        field="name",
        name=name,
    )


def _check_policy(actor: Actor, request: ContainerRequest) -> None:
    """Refuse what the role may not do. Names alone are judged here; the worker judges what is really mounted."""
    if request.kind == "adopted" and not actor.may("admin"):
        raise Forbidden(
            gettext_noop("Only an admin may adopt a namespace that somebody else made."),
            remedy=gettext_noop("Ask an admin."),
            field="adopt",
        )
    allowed = settings.BIND_ALLOWLIST
    for number, bind in enumerate(request.binds):
        source = bind.partition(":")[0]
        if volume_of(bind):
            continue
        inside = any(source == root.rstrip("/") or source.startswith(root.rstrip("/") + "/") for root in allowed)
        if not inside and not actor.may("admin"):
            raise Forbidden(
                gettext_noop("The host folder {source} may not be mounted by the role {role}."),
                remedy=gettext_noop("Folders below {allowed} may; an admin may mount any."),
                field=f"binds.{number}",
                source=source,
                role=actor.role,
                allowed=", ".join(allowed) or "(none)",
            )
