"""The queue of truth: opening operations, waking the worker, waiting for the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model

from networks import feed
from networks.cnm.errors import Unavailable, from_json
from networks.cnm.text import gettext_noop
from networks.composed import composed, insert
from networks.models import Activity, Container, Host, Network, Operation
from networks.represent import is_alive
from networks.steady import gone
from networks.wake import await_end, wake

from .actor import Actor

_LOOK_INTERVAL_S = 0.25
"""How long at most a hint that was lost delays an answer."""
_STATE = f"SELECT state FROM {Operation._meta.db_table} WHERE id = %s"  # noqa: S608  # our own table's name
_ACTIVATE = f"""
    UPDATE {Host._meta.db_table} SET activation_counter = activation_counter + %s WHERE id = %s RETURNING activation_counter, drained
"""  # noqa: S608
_without_plan = composed(lambda pk: Operation.objects.defer("plan").filter(pk=pk))
"""A plan may have thousands of steps, and few want it: it is read when it is asked for."""
SECRET_WORDS = ("pass", "secret", "token", "key", "credential")


def check_alive(actor: Actor, host: Host) -> None:
    """Raises :class:`Unavailable` when *host* does not answer and *actor* would not wait. Nothing is written by then.

    Judged by the row as the face has just read it."""
    if not is_alive(host) and not actor.queue_anyway:
        if host.error:
            failed = from_json(host.error)
            raise Unavailable(
                gettext_noop("The worker of host {host} cannot start: {cause}"),
                remedy=str(failed.remedy),
                host=host.name,
                cause=str(failed.sentence),
            )
        raise Unavailable(
            gettext_noop("The worker of host {host} does not answer."),
            remedy=gettext_noop(
                "Start it with make up, or send the request with ?wait=0: it is then carried out when it is back."
            ),
            host=host.name,
        )


def next_activation(host: Host, count: int = 1) -> int:
    """The first of *count* new activation numbers of *host*; larger than every number before. *host* learns whether it is drained."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTIVATE, [count, host.pk])
        host.activation_counter, host.drained = cursor.fetchone()
    return host.activation_counter - count + 1


def enqueue(
    actor: Actor,
    host: Host,
    verb: str,
    subject: Model | None,
    *,
    networks: Iterable[Network] = (),
    containers: Iterable[Container] = (),
    everything: bool = False,
    queue: str = "kernel",
    args: Mapping[str, Any] | None = None,
) -> Operation:
    """Open an operation in the current transaction, and wake the worker when it commits. Inside :func:`gathered`: add to the one."""
    gathering = _gathering.get()
    if gathering is not None:
        subject = gathering.subject
        if gathering.operation is not None:
            return _add(gathering.operation, networks, containers, everything, queue, args or {})
    scope: dict[str, Any] = {"networks": [n.pk for n in networks], "containers": [c.pk for c in containers]}
    if everything:
        scope["all"] = True
    operation = insert(
        Operation(
            number=Operation.objects.next_number(),
            host=host,
            verb=gathering.verb if gathering is not None else verb,
            subject_kind=kind_of(subject),
            subject_id=str(subject.pk) if subject is not None else "",
            subject_name=getattr(subject, "name", ""),
            scope=scope,
            args=dict(args or {}),
            queue=queue,
            created_by=actor.name,
            request_id=actor.request_id,
        )
    )
    if gathering is not None:
        gathering.operation = operation
    feed.put("operation", operation)
    transaction.on_commit(lambda: wake(host, operation.queue))
    return operation


@dataclass(slots=True)
class Gathering:
    """What several use cases ask of the worker, as one operation."""

    verb: str
    subject: Model | None = None
    operation: Operation | None = None
    """None: nothing was asked yet."""


_gathering: ContextVar[Gathering | None] = ContextVar("operations_gathering", default=None)


@contextmanager
def gathered(verb: str, subject: Model | None = None) -> Iterator[Gathering]:
    """Inside, whatever use cases ask of the worker is one operation *verb* (on *subject*, or on many): one plan, one commit of the
    rules, one thing to follow.

    Goes around them inside one ``feed.transaction``. Processes that are to end do so before the rest, each as its first asker said.
    """
    gathering = Gathering(verb, subject)
    token = _gathering.set(gathering)
    try:
        yield gathering
    finally:
        _gathering.reset(token)


def _add(
    operation: Operation,
    networks: Iterable[Network],
    containers: Iterable[Container],
    everything: bool,
    queue: str,
    args: Mapping[str, Any],
) -> Operation:
    scope = operation.scope
    for name, rows in (("networks", networks), ("containers", containers)):
        scope[name] = list(dict.fromkeys([*scope[name], *(row.pk for row in rows)]))
    if everything:
        scope["all"] = True
    if "ends" in args:
        operation.args["ends"] = {**args["ends"], **operation.args.get("ends", {})}
    if "fills" in args:
        operation.args["fills"] = list(dict.fromkeys([*operation.args.get("fills", ()), *args["fills"]]))
    if queue == "slow":
        operation.queue = queue
    operation.save(update_fields=["scope", "args", "queue"])
    return operation


def record(
    actor: Actor, verb: str, subject: Model | None, request: Mapping[str, Any], operation: Operation | None = None
) -> Activity:
    """Note in the activity log who did what; secrets of the request are left out."""
    row = insert(
        Activity(
            actor=actor.name,
            via=actor.via,
            verb=verb,
            subject_kind=kind_of(subject),
            subject_id=str(subject.pk) if subject is not None else "",
            subject_name=getattr(subject, "name", ""),
            host=_host_name(subject, operation),
            request=_without_secrets(request),
            request_id=actor.request_id,
            operation=operation,
        )
    )
    feed.put("activity", row)
    return row


def _host_name(subject: Model | None, operation: Operation | None) -> str:
    """The host that works on it, else the one that the subject is of."""
    host = operation.host if operation is not None else subject if isinstance(subject, Host) else None
    host = host or getattr(subject, "host", None)
    return host.name if isinstance(host, Host) else ""


def kind_of(subject: Model | None) -> str:
    """The word for the kind of object that *subject* is; empty for none."""
    return type(subject).__name__.lower() if subject is not None else ""


def wait(operation: Operation, timeout_s: float | None = None) -> Operation:
    """The operation when it has ended, or as it is when *timeout_s* (default ``CNM_WRITE_WAIT_SECONDS``) runs out."""
    deadline = time.monotonic() + (settings.WRITE_WAIT_S if timeout_s is None else timeout_s)
    while _state(operation) in {"pending", "running"} and (left := deadline - time.monotonic()) > 0:
        await_end(operation.pk, min(left, _LOOK_INTERVAL_S))
    now = _without_plan.first(operation.pk)
    if now is None:
        raise gone(operation)
    operation.__dict__ = {**now.__dict__, "_state": operation._state}
    return operation


def _state(operation: Operation) -> str | None:
    """The state of its row now. Asked in SQL: composing the query anew would cost ten times what the answer does."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, [operation.pk])
        row = cursor.fetchone()
    return row[0] if row else None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): "…" if any(word in str(name).lower() for word in SECRET_WORDS) else _without_secrets(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
