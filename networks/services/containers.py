"""Use cases of containers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import IntegrityError

from networks import feed
from networks.cnm.errors import Conflict, Forbidden, InvalidSpec, NotFound, Unsupported
from networks.cnm.names import HOST_GATEWAY
from networks.cnm.text import Text, gettext_noop
from networks.models import Container, Host, Image, Network
from networks.models.choices import ContainerStatus, Wanted

from . import features, ipam, ports
from .actor import Actor, require
from .find import find_container, find_image, find_network
from .fresh import check_not_removed, refresh
from .links import add_link, check_sources
from .networks import add_endpoint, add_network, check_usable, give_addresses
from .operations import check_alive, enqueue, next_activation, record
from .outcome import Outcome
from .spec_container import AttachRequest, ContainerRequest
from .spec_network import NetworkRequest

SHARED_MODES = ("host", "none")
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


def run_container(actor: Actor, host: Host, request: ContainerRequest) -> Outcome:
    """Make a container and, unless ``start`` is false, start it."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        container, warnings = add_container(actor, host, request)
        operation = None
        if request.start:
            prepare_start(container)
            operation = enqueue(actor, host, "container.run", container, containers=[container])
        record(actor, "container.run", container, asdict(request), operation)
    return Outcome(container, operation, warnings)


def add_container(actor: Actor, host: Host, request: ContainerRequest) -> tuple[Container, tuple[Text, ...]]:
    """The rows of a new container, not started, and what its maker should know."""
    _check_policy(actor, request)
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
        restart_policy=request.restart_policy,
        restart_max=request.restart_max,
        auto_remove=request.auto_remove,
        created_by=actor.name,
    )
    container.spec["binds_anywhere"] = actor.may("admin")
    _check_host_gateway(host, request)
    container.spec["exposed_ports"] = _exposed(request, image)
    if Container.objects.filter(host=host, name=container.name).exists():
        raise _name_taken(container.name)
    try:
        container.save(force_insert=True)
    except IntegrityError:
        raise _name_taken(container.name) from None
    for attach in _attachments(request):
        network = find_network(host, attach.network)
        check_usable(network)
        if network.driver not in {"null", "host"}:
            add_endpoint(container, network, attach)
    for reference, alias in request.links:
        source = find_container(host, reference)
        add_link(container, source, alias or source.name)
    check_sources(container)
    warnings = ports.add_ports(container, request)
    feed.put("container", container)
    return container, warnings


def prepare_start(container: Container) -> None:
    """Everything that a start decides: addresses, host ports, the run's number. The caller opens the operation."""
    for part in (container.endpoints, container.ports, container.links):
        part.filter(withheld=True).update(withheld=False)
    for endpoint in container.endpoints.filter(removing=False).select_related("network"):
        check_usable(endpoint.network)
    check_sources(container)
    if container.shares_id and container.shares is not None and container.shares.wanted != Wanted.RUNNING:
        raise Conflict(
            gettext_noop("Container {name} shares the sandbox of {other}, which is not running."),
            remedy=gettext_noop("Start {other} first."),
            name=container.name,
            other=container.shares.name,
        )
    container.wanted = Wanted.RUNNING
    container.status = ContainerStatus.STARTING
    container.generation += 1
    container.restart_count = 0
    container.exited_run = container.failed_run = ""
    container.error = None
    container.activation = next_activation(container.host)
    container.save(
        update_fields=[
            "wanted",
            "status",
            "generation",
            "restart_count",
            "exited_run",
            "failed_run",
            "error",
            "activation",
        ]
    )
    for endpoint in container.endpoints.filter(removing=False).select_related("network__host"):
        if not (endpoint.ipv4 or endpoint.ipv6):
            give_addresses(endpoint)
        feed.put("network", endpoint.network)
    ports.assign_ports(container)
    feed.put("container", container)


def start_container(actor: Actor, container: Container) -> Outcome:
    """Start a container that does not run; nothing happens to one that does."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        if container.wanted == Wanted.RUNNING and container.status in {"running", "starting", "restarting"}:
            return Outcome(container)
        check_not_removed(container)
        prepare_start(container)
        operation = enqueue(actor, container.host, "container.start", container, containers=[container])
        record(actor, "container.start", container, {}, operation)
    return Outcome(container, operation)


def stop_container(actor: Actor, container: Container, timeout: int | None = None) -> Outcome:
    """Ask its process to end, end it when *timeout* seconds are over, and take its network away."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_removed(container)
        if container.wanted != Wanted.RUNNING and container.status != ContainerStatus.FAILED:
            return Outcome(container)
        container.wanted, container.status = Wanted.STOPPED, ContainerStatus.STOPPING
        container.save(update_fields=["wanted", "status"])
        feed.put("container", container)
        operation = _enqueue_end(actor, container, "container.stop", timeout)
        record(actor, "container.stop", container, {"timeout": timeout}, operation)
    return Outcome(container, operation)


def restart_container(actor: Actor, container: Container, timeout: int | None = None) -> Outcome:
    """Stop and start; it keeps its addresses and ports where nobody else has taken them."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_removed(container)
        running = container.wanted == Wanted.RUNNING
        prepare_start(container)
        operation = (
            _enqueue_end(actor, container, "container.restart", timeout)
            if running
            else enqueue(actor, container.host, "container.restart", container, containers=[container])
        )
        record(actor, "container.restart", container, {"timeout": timeout}, operation)
    return Outcome(container, operation)


def kill_container(actor: Actor, container: Container, signal: str = "SIGKILL") -> Outcome:
    """Send *signal* to its process. What follows from the process's end follows as from any other end."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        _check_runs(container, ("running", "restarting", "stopping"))
        operation = enqueue(
            actor,
            container.host,
            "container.kill",
            container,
            containers=[container],
            queue="slow",
            args={"signal": signal},
        )
        record(actor, "container.kill", container, {"signal": signal}, operation)
    return Outcome(container, operation)


def remove_container(actor: Actor, container: Container, force: bool = False) -> Outcome:
    """Take a container away with its sandbox, files and log; a running one only with *force*."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        _check_removable(container, force)
        was_running = container.wanted == Wanted.RUNNING or container.status in {"stopping", "failed"}
        container.wanted, container.status = Wanted.REMOVED, ContainerStatus.REMOVING
        container.save(update_fields=["wanted", "status"])
        feed.put("container", container)
        operation = (
            _enqueue_end(actor, container, "container.remove", 0)
            if was_running and container.kind == "process"
            else enqueue(actor, container.host, "container.remove", container, containers=[container])
        )
        record(actor, "container.remove", container, {"force": force}, operation)
    return Outcome(container, operation)


def rename_container(actor: Actor, container: Container, name: str) -> Outcome:
    """Give a container another name; its neighbours' files follow."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_removed(container)
        if Container.objects.filter(host=container.host, name=name).exclude(pk=container.pk).exists():
            raise _name_taken(name)
        before, container.name = container.name, name
        container.save(update_fields=["name"])
        feed.put("container", container)
        operation = enqueue(actor, container.host, "container.rename", container, containers=[container])
        record(actor, "container.rename", container, {"from": before, "to": name}, operation)
    return Outcome(container, operation)


def exec_in_container(actor: Actor, container: Container, command: Sequence[str], **options: Any) -> Outcome:
    """Run a command inside; the operation's result holds its exit code and the end of what it printed."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        _check_runs(container, ("running",))
        args = {"command": list(command), **options}
        operation = enqueue(
            actor, container.host, "container.exec", container, containers=[container], queue="slow", args=args
        )
        record(actor, "container.exec", container, args, operation)
    return Outcome(container, operation)


def commit_container(actor: Actor, container: Container, image_name: str) -> Outcome:
    """Make an image of a container's files, without the three that CNM Web writes."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_removed(container)
        if container.kind != "process":
            raise Conflict(
                gettext_noop("Container {name} has no files of its own."),
                remedy=gettext_noop("Choose one with a process."),
                name=container.name,
            )
        image, _ = Image.objects.update_or_create(
            host=container.host,
            name=image_name,
            defaults={"kind": "oci", "status": "pending", "source": f"container:{container.id}", "error": None},
        )
        feed.put("image", image)
        operation = enqueue(
            actor,
            container.host,
            "container.commit",
            container,
            containers=[container],
            queue="slow",
            args={"image": image.pk},
        )
        record(actor, "container.commit", container, {"image": image_name}, operation)
    return Outcome(image, operation)


def bulk(
    actor: Actor, host: Host, networks: Sequence[NetworkRequest], containers: Sequence[ContainerRequest]
) -> tuple[list[Network], list[Container], Outcome]:
    """Many networks and containers, all or nothing: one transaction, one operation, one firewall commit."""
    require(actor, "operator")
    check_alive(actor, host)
    made_networks, made_containers, warnings = [], [], []
    with feed.transaction(actor.name):
        for request in networks:
            made_networks.append(add_network(actor, host, request))
        for number, wanted in enumerate(containers):
            try:
                container, said = add_container(actor, host, wanted)
                if wanted.start:
                    prepare_start(container)
            except (InvalidSpec, Conflict, NotFound, Unsupported, Forbidden) as error:
                error.field = f"containers.{number}.{error.field}".rstrip(".")
                raise
            made_containers.append(container)
            warnings += said
        operation = enqueue(actor, host, "host.bulk", None, networks=made_networks, containers=made_containers)
        record(
            actor,
            "host.bulk",
            None,
            {"networks": [row.name for row in made_networks], "containers": [row.name for row in made_containers]},
            operation,
        )
    return made_networks, made_containers, Outcome(None, operation, tuple(warnings))


def _enqueue_end(actor: Actor, container: Container, verb: str, timeout: int | None) -> Any:
    args: Mapping[str, Any] = {
        "timeout": container.spec.get("stop_timeout", 10) if timeout is None else timeout,
        "signal": container.spec.get("stop_signal", "SIGTERM"),
    }
    queue = "slow" if container.kind == "process" else "kernel"
    return enqueue(actor, container.host, verb, container, containers=[container], queue=queue, args=args)


def _attachments(request: ContainerRequest) -> list[AttachRequest]:
    if request.network in SHARED_MODES or request.network.startswith("container:"):
        return []
    first = AttachRequest(
        network=request.network,
        ipv4=request.ipv4,
        ipv6=request.ipv6,
        mac=request.mac,
        aliases=request.aliases,
        driver_opts=request.driver_opts,
    )
    named = [attach for attach in request.networks if attach.network != request.network]
    again = next((attach for attach in request.networks if attach.network == request.network), None)
    # `networks` alone means just those: the default bridge is not added unasked.
    return [*([again or first] if request.network != "bridge" or not named or again else []), *named]


def _shared(host: Host, request: ContainerRequest) -> Container | None:
    if not request.network.startswith("container:"):
        return None
    other = find_container(host, request.network.removeprefix("container:"))
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


def _name_taken(name: str) -> Conflict:
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


def _check_runs(container: Container, states: Sequence[str]) -> None:
    if container.status not in states or container.kind != "process":
        raise Conflict(
            gettext_noop("Container {name} is not running."),
            remedy=gettext_noop("Start it first."),
            name=container.name,
        )


def _check_removable(container: Container, force: bool) -> None:
    if container.status != ContainerStatus.FAILED:  # a removal that failed may be asked for again
        check_not_removed(container)
    sharing = container.shared_by.exclude(wanted=Wanted.REMOVED)
    if sharing:
        raise Conflict(
            gettext_noop("The sandbox of container {name} is shared by {others}."),
            remedy=gettext_noop("Remove these first."),
            name=container.name,
            others=ipam.names_of(sharing),
        )
    recipients = Container.objects.filter(links__source=container).exclude(wanted=Wanted.REMOVED).distinct()
    if recipients and not force:
        raise Conflict(
            gettext_noop("Container {name} is linked to by {others}."),
            remedy=gettext_noop("Remove the links, or remove it with force: the links go with it."),
            name=container.name,
            others=ipam.names_of(recipients),
        )
    if container.wanted == Wanted.RUNNING and container.status != ContainerStatus.FAILED and not force:
        raise Conflict(
            gettext_noop("Container {name} is running."),
            remedy=gettext_noop("Stop it first, or remove it with force."),
            name=container.name,
        )
