"""Observations: what the worker writes when something came to an end. Desired state is never decided here.

The rows of what was to go are deleted here, when the kernel has let go of it: they were kept only so that its kernel names
stayed known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from . import associations, departure, feed, peers
from .cnm.errors import CnmError
from .composed import composed, update, update_if
from .load import is_live
from .models import Activity, Container, Endpoint, Host, Lease, Link, Network, Operation, PublishedPort
from .models.choices import LEAVES_STATE, ContainerStatus, NetworkStatus, OperationState, RestartPolicy, Wanted
from .wake import tell_end
from .withheld import failed_parts

ACTOR = "worker"
MOST_SEEN = 1 << 16
"""How much of the text of a container's file is kept, in characters: a container may write what it likes."""


def open_operation(host: Host, verb: str, scope: Mapping[str, Any]) -> Operation:
    """An operation that the worker itself begins (a start, a repair), running already."""
    with feed.transaction(ACTOR):
        operation = Operation.objects.create(
            number=Operation.objects.next_number(),
            host=host,
            verb=verb,
            scope=dict(scope),
            created_by=ACTOR,
            state=OperationState.RUNNING,
            started_at=timezone.now(),
            attempts=1,
        )
        feed.put("operation", operation)
    return operation


def settle(
    operation: Operation,
    failed: CnmError | None = None,
    result: Mapping[str, Any] | None = None,
    broken: Collection[str] | None = None,
) -> None:
    """End *operation*: its row, the status of what it was about, the rows of what is gone, and the events of all that.

    *broken*: the ids that an operation on many failed with; the others have arrived. None: what fails, fails with everything.
    """
    with feed.transaction(ACTOR):
        everything = operation.scope.get("all")
        shared = (
            peers.shared_on(operation.host) if everything else peers.shared_by(operation.scope.get("containers", ()))
        )
        if failed is None or broken is not None:
            left = unfinished(operation.host, after=operation.number) | set(broken or ())
            _settle_networks(set(operation.scope.get("networks", [])) - left)
            _settle_containers(set(operation.scope.get("containers", [])) - left)
        else:
            _mark(operation.scope, failed)
        peers.tell_others(operation.host, shared)
        associations.meet(operation.host, shared)
        if operation.verb == departure.VERB and failed is None:
            departure.forget(operation.host, operation)
        _end(operation, failed, result)


_open_scopes = composed(
    lambda host, after: (
        Operation.objects.filter(
            host=host, state__in=[OperationState.PENDING, OperationState.RUNNING], number__gt=after
        )
        .exclude(verb__in=LEAVES_STATE)
        .order_by()
        .values_list("scope", flat=True)
    )
)


def unfinished(host: Host, after: int = 0) -> set[str]:
    """The networks and containers that operations with numbers *after* that have not ended will settle.

    What such an operation asks for was decided after the kernel was compared: to take it for done would lose its kernel names.
    """
    return {
        object_id
        for scope in _open_scopes(host.pk, after)
        for object_id in (*scope.get("networks", []), *scope.get("containers", []))
    }


def _end(operation: Operation, failed: CnmError | None, result: Mapping[str, Any] | None = None) -> None:
    operation.state = OperationState.FAILED if failed else OperationState.DONE
    operation.finished_at = timezone.now()
    operation.error = failed.to_json() if failed else None
    operation.step = ""
    if result is not None:
        operation.result = dict(result)
    update(operation, "state", "finished_at", "error", "result", "plan", "done_steps", "total_steps", "step")
    feed.put("operation", operation)
    transaction.on_commit(lambda: tell_end(operation.pk))


def end_only(operation: Operation, failed: CnmError | None = None, result: Mapping[str, Any] | None = None) -> None:
    """End an operation that changed nothing that a status tells of, such as a command run inside a container."""
    with feed.transaction(ACTOR):
        _end(operation, failed, result)


def end_paused(operation: Operation, run: str) -> None:
    """End an operation after which *run* of its container stands still; empty: none does."""
    with feed.transaction(ACTOR):
        row = Container.objects.filter(pk=operation.subject_id).exclude(paused_run=run).first()
        if row is not None:
            row.paused_run = run
            row.save(update_fields=["paused_run"])
            feed.put("container", row)
        _end(operation, None)


_SETTLED = (ContainerStatus.CREATED, ContainerStatus.RUNNING, ContainerStatus.EXITED)


def settle_everything(host: Host, besides: Collection[str] = ()) -> None:
    """After a full pass: every status that still says "on the way" or "failed" has arrived, *besides* these ids aside."""
    networks = Network.objects.filter(host=host).exclude(status=NetworkStatus.READY)
    containers = Container.objects.filter(host=host).exclude(status__in=_SETTLED, error=None)
    with feed.transaction(ACTOR):
        left = {*besides, *unfinished(host)}
        associations.meet(host, peers.shared_on(host))
        _settle_networks(set(networks.values_list("pk", flat=True)) - left)
        _settle_containers(set(containers.values_list("pk", flat=True)) - left)


def _perhaps_going() -> QuerySet[Container]:
    return Container.objects.filter(Q(wanted=Wanted.REMOVED) | Q(auto_remove=True))


_going_among = composed(lambda ids: _perhaps_going().filter(pk__in=ids))


def going(host: Host, operation: Operation | None = None) -> list[str]:
    """The ids of containers that go for good with *operation*, or (None) with a full pass that found nothing in its way."""
    if operation is None or operation.scope.get("all"):
        rows = list(_perhaps_going().filter(host=host))
    else:
        rows = _going_among(operation.scope.get("containers", []))
    over = [row.pk for row in rows if _goes(row)]
    left = unfinished(host, operation.number if operation is not None else 0) if over else ()
    return [container_id for container_id in over if container_id not in left]


def _goes(row: Container) -> bool:
    """Whether nothing of a container is to be kept once the kernel has let go of it."""
    return row.wanted == Wanted.REMOVED or (row.auto_remove and row.generation > 0 and row.exited_run == row.run)


_networks = composed(lambda ids: Network.objects.filter(pk__in=ids))
_containers = composed(
    lambda ids: Container.objects.filter(pk__in=ids).select_related("host").order_by("created_at", "id")
)
_ways = composed(
    lambda ids: Endpoint.objects.filter(container__pk__in=ids).order_by().values_list("pk", "network_id", "removing")
)
_unpublished = composed(
    lambda ids: (
        PublishedPort.objects.filter(container__pk__in=ids, removing=True).order_by().values_list("pk", flat=True)
    )
)
_linked = composed(
    lambda ids: (
        Link.objects.filter(Q(recipient__pk__in=ids) | Q(source__pk__in=ids))
        .order_by()
        .values_list("source_id", "recipient_id")
    )
)


def _settle_networks(ids: set[str]) -> None:
    for row in _networks(list(ids)):
        if row.removing:
            feed.delete("network", row.pk)
            row.endpoints.all().delete()
            row.delete()
        elif not row.withheld and row.status != NetworkStatus.READY:
            row.status, row.error = NetworkStatus.READY, None
            update(row, "status", "error")
            feed.put("network", row)


def _settle_containers(ids: set[str]) -> None:
    if not ids:
        return
    rows = _containers(list(ids))
    endpoints = _ways(list(ids))
    disconnected = [pk for pk, _, removing in endpoints if removing]
    touched = {network for _, network, _ in endpoints}
    unpublished = _unpublished(list(ids))
    if unpublished:
        PublishedPort.objects.filter(pk__in=unpublished).delete()
    linked = set(_linked(list(ids)))
    _let_go([row for row in rows if row.wanted != Wanted.RUNNING or row.exited_run == row.run], linked)
    _touch_linked(rows, linked)
    gone = [row.pk for row in rows if _goes(row)]
    for row in rows:
        if row.pk in gone:
            feed.delete("container", row.pk)
        else:
            _arrive(row)
            feed.put("container", row)
    if disconnected or gone:
        Endpoint.objects.filter(Q(pk__in=disconnected) | Q(container__in=gone)).delete()
        _free_leases_of_nobody(touched)
        Container.objects.filter(pk__in=gone).exclude(shares=None).update(shares=None)  # both may go at once
        Container.objects.filter(pk__in=gone).delete()
    for network in _networks(list(touched)):
        feed.put("network", network)


def rests(row: Container) -> bool:
    """Whether a kernel has nothing of a container: it is stopped, and no operation about it is under way."""
    return row.status in {ContainerStatus.CREATED, ContainerStatus.EXITED} and row.pk not in unfinished(row.host)


def _free_leases_of_nobody(networks: set[str]) -> None:
    Lease.objects.filter(network__in=networks, endpoint=None, released_at=None).update(released_at=timezone.now())


def _touch_linked(rows: list[Container], linked: set[tuple[str, str]]) -> None:
    """Tell of those that *rows* are linked with (source, recipient): what their files and variables say may be news, or stale now."""
    others = {container for pair in linked for container in pair}
    for row in Container.objects.filter(pk__in=others) if others else ():
        feed.put("container", row)


def _let_go(containers: list[Container], linked: set[tuple[str, str]]) -> None:
    """What ended keeps no address and no ephemeral port. Links to it remember the address that it had."""
    if not containers:
        return
    endpoints = Endpoint.objects.filter(container__in=containers)
    Lease.objects.filter(endpoint__in=endpoints.order_by()).update(endpoint=None, released_at=timezone.now())
    kept = [row for row in containers if not _goes(row)]
    if not kept:
        return
    sources = {source for source, _ in linked}
    held = endpoints.filter(network__predefined=True, container__in=sources).exclude(ipv4="") if sources else ()
    for endpoint in held:
        Link.objects.filter(source=endpoint.container_id).update(last_ipv4=endpoint.ipv4.partition("/")[0])
    endpoints.exclude(ipv4="", ipv6="").update(ipv4="", ipv6="", mac="")
    PublishedPort.objects.filter(container__in=kept, wanted_host_port=0).update(host_port=0)


def _arrive(row: Container) -> None:
    """The status of a container whose operation is done."""
    if row.wanted == Wanted.RUNNING and row.failed_run == row.run:
        return  # it was left out
    if is_live(row):
        if row.status == ContainerStatus.RUNNING:
            if row.error is not None and not failed_parts(row):
                row.error = None
                update(row, "error")
        else:
            row.status, row.error = ContainerStatus.RUNNING, None
            row.started_at, row.finished_at, row.exit_code = timezone.now(), None, None
            update(row, "status", "error", "started_at", "finished_at", "exit_code")
    elif row.status not in {ContainerStatus.CREATED, ContainerStatus.EXITED}:
        row.status, row.pid, row.error = ContainerStatus.EXITED, None, None
        row.finished_at = row.finished_at or timezone.now()
        update(row, "status", "pid", "error", "finished_at")


def _mark(scope: Mapping[str, Any], error: CnmError) -> None:
    """Note *error* with what the scope names. A container that runs on as before keeps its status."""
    for network in Network.objects.filter(pk__in=scope.get("networks", [])):
        network.status, network.error = NetworkStatus.FAILED, error.to_json()
        network.save(update_fields=["status", "error"])
        feed.put("network", network)
    for container in Container.objects.filter(pk__in=scope.get("containers", [])):
        if container.status != ContainerStatus.RUNNING:
            container.status = ContainerStatus.FAILED
        container.error = error.to_json()
        container.save(update_fields=["status", "error"])
        feed.put("container", container)


def mark_failed(host: Host, errors: Mapping[str, CnmError]) -> None:
    """Mark those networks and containers failed that a full pass could not bring up; *errors* is by their id."""
    with feed.transaction(ACTOR):
        for object_id, error in errors.items():
            ids = [object_id]
            _mark({"networks": ids, "containers": ids}, error)


def note_start(host: Host, failed: CnmError | None) -> None:
    """Store why the host's worker could not start, or that it has started."""
    error = failed.to_json() if failed else None
    if host.error == error:
        return
    host.error = error
    with feed.transaction(ACTOR):
        host.save(update_fields=["error"])
        feed.put("host", host)


_SEEN = ("files", "pid", "link_env")
_seen = composed(lambda host, ids: Container.objects.filter(host=host, pk__in=ids).only("host", *_SEEN))


def note(
    host: Host,
    files: Mapping[str, Mapping[str, str]],
    pids: Mapping[str, int] | None = None,
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Store what was seen of containers.

    *files*: container id -> file name -> text; *pids*: container id -> pid on the host; *environments*: container id -> the
    variables that its links gave it at the start that was just made.
    """
    pids, environments = pids or {}, environments or {}
    changed: list[Container] = []
    for row in _seen(host.pk, list({*files, *pids, *environments})):
        texts = {name: kept_text(text) for name, text in files.get(row.pk, {}).items()}
        seen = (row.files | texts, pids.get(row.pk, row.pid), dict(environments.get(row.pk, row.link_env)))
        if seen != (row.files, row.pid, row.link_env):
            row.files, row.pid, row.link_env = seen
            changed.append(row)
    if changed:
        with feed.transaction(ACTOR):
            for row in changed:
                update_if(row, *_SEEN)
                feed.put("container", row)


def kept_text(text: str) -> str:
    """What a database can hold of a text that a container wrote: no half characters, no NUL, no more than MOST_SEEN."""
    clean = text[:MOST_SEEN].encode(errors="surrogateescape").decode(errors="replace")
    return clean.replace("\0", "\ufffd")


def mark_exited(
    host: Host, container_id: str, run: str, exit_code: int, at: datetime, *, oom_killed: bool = False
) -> float | None:
    """Note that a run ended. None: it is over, and an operation takes its network away; a number: seconds until its restart.

    The pause doubles from 100 ms with each restart, up to a minute, as Docker's does.
    """
    with feed.transaction(ACTOR):
        row = Container.objects.select_related("host").filter(host=host, pk=container_id).first()
        if row is None or row.run != run or run in {row.exited_run, row.failed_run}:
            return None
        row.exit_code, row.finished_at, row.pid, row.oom_killed = exit_code, at, None, oom_killed
        again = row.wanted == Wanted.RUNNING and _restarts(row, exit_code)
        if again and row.final_run == run:
            again, row.wanted, row.exited_run, row.status = False, Wanted.STOPPED, run, ContainerStatus.EXITED
            _open_end(row)
        elif again:
            row.status = ContainerStatus.RESTARTING
        elif row.wanted == Wanted.RUNNING:
            row.exited_run, row.status = run, ContainerStatus.EXITED
            _open_end(row)
        row.save(update_fields=["exit_code", "finished_at", "pid", "oom_killed", "status", "wanted", "exited_run"])
        feed.put("container", row)
        return min(0.1 * 2**row.restart_count, 60.0) if again else None


def restart_by_policy(host: Host, container_id: str, run: str) -> None:
    """Open the next run of a container whose restart is due, if nobody has decided otherwise meanwhile."""
    with feed.transaction(ACTOR):
        row = Container.objects.select_related("host").filter(host=host, pk=container_id).first()
        if row is None or row.wanted != Wanted.RUNNING or row.run != run or row.status != ContainerStatus.RESTARTING:
            return
        Container.objects.filter(pk=row.pk).update(restart_count=F("restart_count") + 1)
        feed.put("container", row)
        pending(row, "container.restart")


def _restarts(row: Container, exit_code: int) -> bool:
    if row.restart_policy in {RestartPolicy.ALWAYS, RestartPolicy.UNLESS_STOPPED}:
        return True
    if row.restart_policy != RestartPolicy.ON_FAILURE or exit_code == 0:
        return False
    return row.restart_max == 0 or row.restart_count < row.restart_max


def _open_end(row: Container) -> None:
    """The operation that takes away the network of a container whose process ended by itself."""
    operation = pending(row, "container.exited")
    activity = Activity.objects.create(
        actor=ACTOR,
        via="worker",
        verb="container.exited",
        subject_kind="container",
        subject_id=row.pk,
        subject_name=row.name,
        request={"exit_code": row.exit_code},
        operation=operation,
    )
    feed.put("activity", activity)


def pending(row: Container, verb: str) -> Operation:
    """Open an operation of the worker's own about a container, in the current transaction."""
    operation = Operation.objects.create(
        number=Operation.objects.next_number(),
        host=row.host,
        verb=verb,
        subject_kind="container",
        subject_id=row.pk,
        subject_name=row.name,
        scope={"networks": [], "containers": [row.pk]},
        created_by=ACTOR,
    )
    feed.put("operation", operation)
    return operation
