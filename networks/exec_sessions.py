"""What the sessions process reads of the database, and writes into it: whether a command may start, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from . import feed
from .cnm.errors import Conflict, Forbidden, NotFound
from .cnm.text import gettext_noop
from .load import is_live
from .models import Activity, Capture, Container, ExecSession, Host, User
from .models.choices import Role, Wanted

ACTOR = "worker"
SALT = "cnm.exec"
"""Of the tickets that a face gets from a service and shows to the sessions process."""
TICKET_S = 30
UNUSED_S = 60
"""How long a session that was asked for waits for the first connection."""
ATTACH, CLOSE, CONSOLE, JOIN, ARCHIVE = "attach", "close", "console", "join", "archive"
"""To a session; to its end; to the terminal of a container's own process, for sizing it; to the streams of that process, from its next
start if it does not run; to a container's files."""
READ_LOG, READ_CAPTURE, TAKE_UPLOAD = "log", "capture", "upload"
"""To what else only the host of a container has: a log, the packets of a capture, the place for an archive that is sent."""
DOCKER = "docker"
"""``via`` of those who came by the Docker API."""


def may_use(session: ExecSession, name: str, role: str) -> bool:
    """Whether a person may type into a session, or end it: operators into their own, admins into everybody's."""
    return role == Role.ADMIN or (role == Role.OPERATOR and session.created_by == name)


def checked(session_id: str, user_name: str, via: str = "") -> ExecSession:
    """The session that a ticket names, with all that the service checked checked again: the root side takes nobody's word.

    *via* ``docker``: the caller was told by the kernel at another socket and is no user of ours; it gets its own sessions of that socket
    alone. Raises NotFound, Forbidden or Conflict.
    """
    session = (
        ExecSession.objects.select_related("container__host")
        .filter(pk=session_id, container__host__name=settings.HOST_NAME)
        .first()
    )
    if session is None:
        raise NotFound(gettext_noop("There is no such terminal on this host."), remedy=gettext_noop("Open a new one."))
    if not _is_theirs(session, user_name, via):
        raise Forbidden(
            gettext_noop("This terminal is that of {owner}."),
            remedy=gettext_noop("Open one of your own, as an operator."),
            owner=session.created_by,
        )
    return session


def _is_theirs(session: ExecSession, name: str, via: str) -> bool:
    if via == DOCKER:
        return session.via == DOCKER and session.created_by == name
    user = User.objects.filter(username=name, is_active=True).first()
    return user is not None and may_use(session, user.username, user.role)


def checked_container(container_id: str, via: str) -> Container:
    """The container whose own terminal a ticket leads to. Raises NotFound, Conflict, Forbidden."""
    row = _container(container_id)
    _check_docker(via)
    if not is_live(row) or row.kind != "process":
        raise _not_running(row)
    return row


def checked_to_join(container_id: str, via: str) -> Container:
    """The container whose own streams a ticket leads to, running or not. Raises NotFound, Forbidden, Conflict."""
    row = _container(container_id)
    _check_docker(via)
    if row.wanted == Wanted.REMOVED or row.kind != "process":
        raise _not_running(row)
    return row


def checked_files(container_id: str, via: str) -> tuple[Container, str]:
    """The container whose files a ticket leads to, running or not, and the id of the one whose /etc files it sees.

    Raises NotFound, Forbidden, Conflict.
    """
    row = _container(container_id)
    _check_docker(via)
    if row.wanted == Wanted.REMOVED or row.kind != "process":
        raise Conflict(
            gettext_noop("Container {name} has no files of its own."),
            remedy=gettext_noop("Choose one with a process."),
            name=row.name,
        )
    home, seen = row, {row.pk}
    while home.shares is not None and home.shares_id not in seen:
        home = home.shares
        seen.add(home.pk)
    return row, home.pk


def _container(container_id: str) -> Container:
    row = Container.objects.filter(pk=container_id, host__name=settings.HOST_NAME).first()
    if row is None:
        raise NotFound(gettext_noop("There is no such terminal on this host."), remedy=gettext_noop("Open a new one."))
    return row


def _check_docker(via: str) -> None:
    if via != DOCKER:
        raise Forbidden(
            gettext_noop("Only the Docker API leads to a container's own input."),
            remedy=gettext_noop("Open a terminal instead."),
        )


def checked_log(container_id: str, user_name: str) -> tuple[Container, User]:
    """The container whose log a ticket lets *user_name* read. Raises NotFound, Forbidden."""
    row = Container.objects.filter(pk=container_id, host__name=settings.HOST_NAME).first()
    if row is None:
        raise _not_here()
    return row, _checked_user(user_name, Role.VIEWER)


def checked_capture(capture_id: str, user_name: str) -> Capture:
    """The capture whose packets a ticket lets *user_name* take along. Raises NotFound, Forbidden."""
    row = Capture.objects.filter(pk=capture_id, host__name=settings.HOST_NAME).first()
    if row is None:
        raise _not_here()
    checked_operator(user_name)
    return row


def checked_operator(user_name: str) -> None:
    """Raises Forbidden where *user_name* is none (any more)."""
    _checked_user(user_name, Role.OPERATOR)


def _checked_user(name: str, role: str) -> User:
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None or (role != Role.VIEWER and user.role == Role.VIEWER):
        raise Forbidden(
            gettext_noop("{name} may not do this (any more)."), remedy=gettext_noop("Ask an admin."), name=name
        )
    return user


def _not_here() -> NotFound:
    return NotFound(
        gettext_noop("There is no such thing on this host."), remedy=gettext_noop("See the lists of what there is.")
    )


def _not_running(container: Container) -> Conflict:
    return Conflict(
        gettext_noop("Container {container} does not run."),
        remedy=gettext_noop("Start it first."),
        container=container.name,
    )


def claim(session: ExecSession) -> None:
    """Take a session that waits, once and for all. Raises Conflict where it ended, or where its container does not run."""
    container = session.container
    if not is_live(container) or container.kind != "process":
        raise _not_running(container)
    now = timezone.now()
    with feed.transaction(ACTOR):
        taken = ExecSession.objects.filter(pk=session.pk, state=ExecSession.PENDING).update(
            state=ExecSession.RUNNING, started_at=now
        )
    if not taken:
        raise Conflict(
            gettext_noop("This terminal has ended."), remedy=gettext_noop("Open a new one."), facts={"ended": True}
        )
    session.state, session.started_at = ExecSession.RUNNING, now


def note_end(
    session_id: str, reason: str, exit_code: int | None = None, error: Mapping[str, Any] | None = None
) -> None:
    """Write down that a session ended, and into the activity log; one that is gone with its container, or ended, is left."""
    with feed.transaction(ACTOR):
        session = ExecSession.objects.select_related("container").filter(pk=session_id).first()
        if session is None or session.state == ExecSession.ENDED:
            return
        session.state, session.ended_at, session.exit_code = ExecSession.ENDED, timezone.now(), exit_code
        session.reason, session.error = reason, dict(error) if error else None
        session.save(update_fields=["state", "ended_at", "exit_code", "reason", "error"])
        _log_end(session)


def _log_end(session: ExecSession) -> None:
    container: Container = session.container
    lasted = (session.ended_at - session.started_at) if session.ended_at and session.started_at else timedelta()
    row = Activity.objects.create(
        actor=ACTOR,
        via="worker",
        verb="terminal.end",
        subject_kind="container",
        subject_id=container.pk,
        subject_name=container.name,
        request={
            "session": session.pk[:12],
            "of": session.created_by,
            "reason": session.reason,
            "exit_code": session.exit_code,
            "seconds": round(lasted.total_seconds()),
        },
    )
    feed.put("activity", row)


def tell_fingerprint(fingerprint: str) -> None:
    """At the start of the sessions process: by which certificate faces on other hosts know it."""
    Host.objects.filter(name=settings.HOST_NAME).update(fingerprint=fingerprint)


def end_lost() -> None:
    """At the start of the sessions process: what a former one held ended with it."""
    for pk in _of_host().filter(state=ExecSession.RUNNING).values_list("pk", flat=True):
        note_end(pk, "lost")


def end_unused() -> None:
    """Of those that were asked for and that nobody connected to."""
    for pk in _of_host().filter(_unused()).values_list("pk", flat=True):
        note_end(pk, "unused")


def open_sessions(host: Host) -> Any:
    """The sessions of *host* that are open, or will be when somebody connects."""
    return ExecSession.objects.filter(container__host=host).exclude(state=ExecSession.ENDED).exclude(_unused())


def _of_host() -> Any:
    return ExecSession.objects.filter(container__host__name=settings.HOST_NAME)


def _unused() -> Q:
    return Q(state=ExecSession.PENDING, created_at__lt=timezone.now() - timedelta(seconds=UNUSED_S))
