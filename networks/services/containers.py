"""Use cases of containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from networks import feed
from networks.cnm.errors import Conflict
from networks.cnm.text import gettext_noop
from networks.composed import update
from networks.load import load_facts
from networks.models import Container, Host, Image, Operation
from networks.models.choices import Wanted
from networks.models.container import IMAGE_STOP_SIGNAL

from .actor import Actor, require
from .features import require_feature
from .fresh import PAUSED, UNPAUSE, check_has_files, check_not_dockers, check_not_paused, check_not_removed, refresh
from .lifecycle import check_removable, ends_of, is_up, prepare_removal, prepare_start, prepare_stop
from .new_container import add_container, name_taken
from .operations import check_alive, enqueue, record
from .outcome import Outcome
from .second_look import with_second_look
from .spec_container import ContainerRequest
from .volumes import filled_first


@with_second_look
def run_container(actor: Actor, host: Host, request: ContainerRequest) -> Outcome:
    """Make a container and, unless ``start`` is false, start it. Its volumes are filled either way, as with Docker."""
    require(actor, "operator")
    check_alive(actor, host)
    with feed.transaction(actor.name):
        container, warnings = add_container(actor, host, request)
        operation = None
        if request.start:
            prepare_start(container)
            filled = filled_first([container])
            operation = enqueue(actor, host, "container.run", container, containers=[container], **filled)
        elif filled := filled_first([container]):
            operation = enqueue(actor, host, "container.create", container, containers=[container], **filled)
        record(actor, "container.run", container, asdict(request), operation)
    return Outcome(container, operation, warnings)


@with_second_look
def start_container(actor: Actor, container: Container) -> Outcome:
    """Start a container that does not run; nothing happens to one that does."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_dockers(container)
        if is_up(container):
            return Outcome(container)
        check_not_removed(container)
        prepare_start(container)
        filled = filled_first([container])
        operation = enqueue(actor, container.host, "container.start", container, containers=[container], **filled)
        record(actor, "container.start", container, {}, operation)
    return Outcome(container, operation)


def stop_container(actor: Actor, container: Container, timeout: int | None = None, signal: str = "") -> Outcome:
    """Ask its process to end (by *signal*; empty: its own), end it when *timeout* seconds are over, and take its network away."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_dockers(container)
        check_not_removed(container)
        if not prepare_stop(container):
            return Outcome(container)
        operation = _enqueue_end(actor, container, "container.stop", timeout, signal)
        record(actor, "container.stop", container, _stopping(timeout, signal), operation)
    return Outcome(container, operation)


@with_second_look
def restart_container(actor: Actor, container: Container, timeout: int | None = None, signal: str = "") -> Outcome:
    """Stop (as :func:`stop_container` does) and start; it keeps its addresses and ports where nobody else has taken them."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_dockers(container)
        check_not_removed(container)
        running = container.wanted == Wanted.RUNNING
        prepare_start(container)
        operation = (
            _enqueue_end(actor, container, "container.restart", timeout, signal)
            if running
            else enqueue(
                actor,
                container.host,
                "container.restart",
                container,
                containers=[container],
                **filled_first([container]),
            )
        )
        record(actor, "container.restart", container, _stopping(timeout, signal), operation)
    return Outcome(container, operation)


def kill_container(actor: Actor, container: Container, signal: str = "SIGKILL") -> Outcome:
    """Send *signal* to its process. Where it means that the process is to end, no restart policy starts another after that."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        _check_runs(container, ("running", "restarting", "stopping"))
        final = _is_final(container, signal)
        if (
            final and container.status == "restarting"
        ):  # there is no process to signal, but its restart to be called off
            prepare_stop(container)
            operation = _enqueue_end(actor, container, "container.stop", 0)
        else:
            if final:
                container.final_run = container.run
                update(container, "final_run")
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


def _is_final(container: Container, signal: str) -> bool:
    """Whether *signal* is to end it, so that its restart policy is over (moby, ``killWithSignal``: of a container without a stop signal
    of its own every signal is; here only those whose meaning it is, for HUP or USR1 ask a process for something else)."""
    own = container.spec.get("stop_signal") or container.spec.get(IMAGE_STOP_SIGNAL)
    if own and signal != "SIGKILL":
        return signal == own
    return signal in {"SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT"}


def pause_container(actor: Actor, container: Container) -> Outcome:
    """Have all of its processes stand still, where they are. Raises Conflict, Unsupported."""
    return _pausing(actor, container, "container.pause")


def unpause_container(actor: Actor, container: Container) -> Outcome:
    """Let a paused container go on. Raises Conflict."""
    return _pausing(actor, container, "container.unpause")


def _pausing(actor: Actor, container: Container, verb: str) -> Outcome:
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        if verb == "container.pause" or container.paused:
            _check_runs(container, ("running",))
        if container.paused == (verb == "container.pause"):
            raise Conflict(
                PAUSED if container.paused else gettext_noop("Container {name} is not paused."),
                remedy=gettext_noop("Nothing is to be done.") if not container.paused else UNPAUSE,
                name=container.name,
            )
        if verb == "container.pause":
            require_feature(container.host, load_facts(container.host), "freezer", "")
        operation = enqueue(actor, container.host, verb, container, containers=[container], queue="slow")
        record(actor, verb, container, {}, operation)
    return Outcome(container, operation)


def remove_container(actor: Actor, container: Container, force: bool = False, links: bool = False) -> Outcome:
    """Take a container away with its sandbox, files and log; a running one only with *force*, one that others are linked to with that,
    too, or with *links*."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_removable(container, force, links)
        operation = (
            _enqueue_end(actor, container, "container.remove", 0)
            if prepare_removal(container)
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
        check_not_dockers(container)
        check_not_removed(container)
        if Container.objects.filter(host=container.host, name=name).exclude(pk=container.pk).exists():
            raise name_taken(name)
        before, container.name = container.name, name
        container.save(update_fields=["name"])
        feed.put("container", container)
        operation = enqueue(actor, container.host, "container.rename", container, containers=[container])
        record(actor, "container.rename", container, {"from": before, "to": name}, operation)
    return Outcome(container, operation)


def update_container(actor: Actor, container: Container, labels: Mapping[str, str], policy: str, most: int) -> Outcome:
    """Give a container other labels and another restart policy (with *most* tries, 0: without end). No kernel knows of either."""
    require(actor, "operator")
    with feed.transaction(actor.name):
        refresh(container)
        check_not_dockers(container)
        check_not_removed(container)
        container.labels, container.restart_policy, container.restart_max = dict(labels), policy, most
        container.save(update_fields=["labels", "restart_policy", "restart_max"])
        feed.put("container", container)
        said = {"labels": dict(labels), "restart_policy": policy, "restart_max": most}
        record(actor, "container.update", container, said)
    return Outcome(container)


def exec_in_container(actor: Actor, container: Container, command: Sequence[str], **options: Any) -> Outcome:
    """Run a command inside; the operation's result holds its exit code and the end of what it printed."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        _check_runs(container, ("running",))
        check_not_paused(container)
        args = {"command": list(command), **options}
        operation = enqueue(
            actor, container.host, "container.exec", container, containers=[container], queue="slow", args=args
        )
        record(actor, "container.exec", container, args, operation)
    return Outcome(container, operation)


def commit_container(
    actor: Actor, container: Container, image_name: str, changes: Mapping[str, Any] | None = None
) -> Outcome:
    """Make an image of a container's files, without the three that CNM Web writes. *changes*, in the spelling of an OCI image
    configuration, go over its own."""
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_removed(container)
        check_has_files(container)
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
            args={"image": image.pk, "changes": dict(changes or {})},
        )
        record(actor, "container.commit", container, {"image": image_name}, operation)
    return Outcome(image, operation)


def _stopping(timeout: int | None, signal: str) -> dict[str, Any]:
    return {"timeout": timeout, **({"signal": signal} if signal else {})}


def _enqueue_end(actor: Actor, container: Container, verb: str, timeout: int | None, signal: str = "") -> Operation:
    ends = ends_of([container], timeout, signal)
    filled = filled_first([container]) if verb == "container.restart" else {}
    queue = "slow" if ends or filled else "kernel"
    args = {"ends": ends, **filled.get("args", {})}
    return enqueue(actor, container.host, verb, container, containers=[container], queue=queue, args=args)


def _check_runs(container: Container, states: Sequence[str]) -> None:
    if container.status not in states or container.kind != "process":
        raise Conflict(
            gettext_noop("Container {name} is not running."),
            remedy=gettext_noop("Start it first."),
            name=container.name,
        )
