"""The sessions process and the database, from its event loop: each call in one thread of its own, which no loop waits in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.core import signing
from django.db import close_old_connections

from networks import exec_sessions, probed
from networks.cnm.errors import CnmError, Forbidden
from networks.cnm.health import Health
from networks.cnm.text import gettext_noop
from networks.models import Capture, Container, ExecSession, User

log = logging.getLogger("worker.sessions")

P = ParamSpec("P")
T = TypeVar("T")


class Tickets:
    """Tells a ticket that a service has made a short while ago, and that nobody has shown yet."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def take(self, text: object, host: str, now: float) -> dict[str, Any]:
        """What it says. Raises Forbidden."""
        self._seen = {once: at for once, at in self._seen.items() if now - at < 2 * exec_sessions.TICKET_S}
        try:
            value = signing.loads(str(text), salt=exec_sessions.SALT, max_age=exec_sessions.TICKET_S)
        except signing.BadSignature:
            value = None
        if not isinstance(value, dict) or value.get("host") != host or value.get("once") in self._seen:
            raise Forbidden(
                gettext_noop("The ticket to this terminal is not good (any more)."),
                remedy=gettext_noop("Connect again."),
            )
        self._seen[str(value["once"])] = now
        return value


async def checked(session_id: str, user: str, via: str) -> ExecSession:
    """As :func:`networks.exec_sessions.checked`."""
    return await _asked(exec_sessions.checked, session_id, user, via)


async def checked_container(container_id: str, via: str) -> Container:
    """As :func:`networks.exec_sessions.checked_container`."""
    return await _asked(exec_sessions.checked_container, container_id, via)


async def checked_to_join(container_id: str, via: str) -> Container:
    """As :func:`networks.exec_sessions.checked_to_join`."""
    return await _asked(exec_sessions.checked_to_join, container_id, via)


async def checked_files(container_id: str, via: str) -> tuple[Container, str]:
    """As :func:`networks.exec_sessions.checked_files`."""
    return await _asked(exec_sessions.checked_files, container_id, via)


async def checked_log(container_id: str, user: str) -> tuple[Container, User]:
    """As :func:`networks.exec_sessions.checked_log`."""
    return await _asked(exec_sessions.checked_log, container_id, user)


async def checked_capture(capture_id: str, user: str) -> Capture:
    """As :func:`networks.exec_sessions.checked_capture`."""
    return await _asked(exec_sessions.checked_capture, capture_id, user)


async def checked_operator(user: str) -> None:
    """As :func:`networks.exec_sessions.checked_operator`."""
    await _asked(exec_sessions.checked_operator, user)


async def tell_fingerprint(fingerprint: str) -> None:
    """Say by which certificate faces on other hosts know this process."""
    await _asked(exec_sessions.tell_fingerprint, fingerprint)


async def claim(session: ExecSession) -> None:
    await _asked(exec_sessions.claim, session)


async def note_end(
    session_id: str, reason: str, exit_code: int | None = None, error: Mapping[str, Any] | None = None
) -> None:
    """Write it down; a database that is away costs the entry, and nothing else."""
    try:
        await _asked(exec_sessions.note_end, session_id, reason, exit_code, error)
    except CnmError:
        raise
    except Exception:
        log.exception("the end of terminal %s could not be written down", session_id[:12])


async def end_lost() -> None:
    await _asked(exec_sessions.end_lost)


async def end_unused() -> None:
    await _asked(exec_sessions.end_unused)


async def to_probe(host_name: str) -> list[Container]:
    """As :func:`networks.probed.to_probe`."""
    return await _asked(probed.to_probe, host_name)


async def note_health(container_id: str, health: Health) -> bool:
    """As :func:`networks.probed.note`."""
    return await _asked(probed.note, container_id, health)


async def _asked(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    def work() -> T:
        close_old_connections()
        return call(*args, **kwargs)

    return await sync_to_async(work)()
