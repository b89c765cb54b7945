"""Use cases of terminals in containers: opening one, connecting to it, ending it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from networks import feed
from networks.cnm.errors import CnmError, Conflict, Exhausted, Forbidden, NotFound
from networks.cnm.text import gettext_noop
from networks.exec_client import ask_to_close
from networks.exec_sessions import ATTACH, CLOSE, CONSOLE, DOCKER, JOIN, may_use, note_end, open_sessions
from networks.models import Container, ExecSession, Host

from .actor import Actor, require
from .fresh import check_not_paused, check_not_removed, refresh
from .operations import check_alive, record
from .outcome import Outcome
from .tickets import signed

log = logging.getLogger(__name__)

SHELL = ("/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi")
"""What is run where nobody names a command."""


def open_terminal(
    actor: Actor,
    container: Container,
    command: Sequence[str] = (),
    *,
    user: str = "",
    working_dir: str = "",
    env: Mapping[str, str] | None = None,
    tty: bool = True,
    open_stdin: bool = True,
) -> Outcome:
    """Ask for a terminal in a running container; its command starts when somebody connects. The subject is the session.

    *tty* false: three pipes in its place; *open_stdin* false: nobody will type.

    Raises Conflict where the container has no process that runs, Exhausted where too many are open.
    """
    require(actor, "operator")
    check_alive(actor, container.host)
    with feed.transaction(actor.name):
        refresh(container)
        check_not_removed(container)
        if container.kind != "process" or container.status != "running":
            raise Conflict(
                gettext_noop("Container {name} has no process that runs."),
                remedy=gettext_noop("Start it first."),
                name=container.name,
            )
        check_not_paused(container)
        _check_limits(actor, container.host)
        session = ExecSession.objects.create(
            container=container,
            command=list(command or SHELL),
            user=user,
            working_dir=working_dir,
            env=dict(env or {}),
            tty=tty,
            open_stdin=open_stdin,
            created_by=actor.name,
            via=actor.via,
        )
        told = {"session": session.pk[:12], "command": list(command), "user": user, "working_dir": working_dir}
        record(actor, "terminal.open", container, told)
    return Outcome(session)


def ticket(actor: Actor, session: ExecSession, verb: str = ATTACH) -> str:
    """What lets *actor* connect to a session (or end it) once, for half a minute. Raises Forbidden, Conflict."""
    check_may_use(actor, session)
    if session.state == ExecSession.ENDED:
        raise Conflict(gettext_noop("This terminal has ended."), remedy=gettext_noop("Open a new one."))
    if verb == ATTACH and actor.name != session.created_by:
        with feed.transaction(actor.name):
            record(actor, "terminal.attach", session.container, {"session": session.pk[:12], "of": session.created_by})
    return signed(actor, session.container.host, verb, session=session.pk)


def check_may_use(actor: Actor, session: ExecSession) -> None:
    """Raises Forbidden where *actor* may neither type into the session nor size its terminal."""
    require(actor, "operator")
    if not may_use(session, actor.name, actor.role):
        raise Forbidden(
            gettext_noop("This terminal is that of {owner}."),
            remedy=gettext_noop("Open one of your own; admins may use everybody's."),
            owner=session.created_by,
        )


def join(actor: Actor, container: Container) -> str:
    """A ticket to the streams of a container's own process, from its next start if it does not run.

    Raises Forbidden, Conflict, NotFound.
    """
    require(actor, "operator")
    with feed.transaction(actor.name):
        refresh(container)
        check_not_removed(container)
        _check_has_process(container)
        record(actor, "container.attach", container, {})
    return signed(actor, container.host, JOIN, container=container.pk)


def console_ticket(actor: Actor, container: Container) -> str:
    """What lets *actor* size the terminal of a container's own process, for half a minute. Raises Forbidden, Conflict."""
    require(actor, "operator")
    _check_has_process(container)
    return signed(actor, container.host, CONSOLE, container=container.pk)


def _check_has_process(container: Container) -> None:
    if container.kind != "process":
        raise Conflict(
            gettext_noop("Container {name} has no process that runs."),
            remedy=gettext_noop("Start it first."),
            name=container.name,
        )


def close_terminal(actor: Actor, session: ExecSession) -> Outcome:
    """End a session: its command gets SIGHUP as from a terminal that is hung up, and is killed if it stays.

    The subject is the session as it was."""
    require(actor, "operator")
    allowed = ticket(actor, session, CLOSE)
    with feed.transaction(actor.name):
        record(actor, "terminal.close", session.container, {"session": session.pk[:12], "of": session.created_by})
        transaction.on_commit(lambda: _close(session, allowed))
    return Outcome(session)


def find_terminal(host: Host | None, reference: str) -> ExecSession:
    """The session of *host* (None: of any) with this id, or beginning of one. Raises NotFound, also where several begin so."""
    found = list(sessions_of(host).filter(pk__startswith=reference)[:2]) if len(reference) >= 4 else []
    if len(found) != 1:
        raise NotFound(
            gettext_noop("There is no terminal {reference}."),
            remedy=gettext_noop("See the list of open terminals."),
            reference=reference,
        )
    return found[0]


def sessions_of(host: Host | None, container: Container | None = None) -> QuerySet[ExecSession]:
    """The sessions of a host (None: of all), or of one container, the newest first."""
    rows = ExecSession.objects.select_related("container__host")
    rows = rows.filter(container__host=host) if host is not None else rows
    return rows.filter(container=container) if container is not None else rows


def _close(session: ExecSession, allowed: str) -> None:
    try:
        ask_to_close(allowed, session.container.host.name)
    except CnmError as error:
        log.warning("terminal %s: %s", session.pk[:12], error)
        note_end(session.pk, "lost")  # who held it is not there, and so is it


def _check_limits(actor: Actor, host: Host) -> None:
    rows = open_sessions(host)
    mine = rows.filter(created_by=actor.name).count()
    if mine >= settings.TERMINALS_PER_USER and actor.via != DOCKER:  # scripts run many for a moment each
        raise Exhausted(
            gettext_noop("You have {count} terminals open, which is as many as anybody may have."),
            remedy=gettext_noop("Close one that you do not need, or raise CNM_TERMINALS_PER_USER."),
            count=mine,
        )
    if rows.count() >= settings.TERMINALS_MOST:
        raise Exhausted(
            gettext_noop("{count} terminals are open on this host, which is as many as it holds."),
            remedy=gettext_noop("Have some closed, or raise CNM_TERMINALS_MOST."),
            count=settings.TERMINALS_MOST,
        )
