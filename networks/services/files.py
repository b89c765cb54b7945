"""Use cases of containers' files: looking at one, taking some along as a tar archive, putting an archive there.

Nothing desired changes, so there is no operation: the face goes to the process that copies, with a ticket.
"""

from __future__ import annotations

from networks import feed
from networks.exec_sessions import ARCHIVE
from networks.models import Container, Host

from .actor import Actor, require
from .fresh import check_has_files, check_not_removed, refresh
from .operations import record
from .tickets import signed


def look_at_file(actor: Actor, container: Container, path: str) -> str:
    """A ticket to what is known of the thing at *path*. Raises Forbidden, Conflict, NotFound."""
    return _ticket(actor, container, {"verb": "look", "path": path})


def take_files(actor: Actor, container: Container, path: str) -> str:
    """A ticket to an archive of the thing at *path*, and what is below it."""
    return _ticket(actor, container, {"verb": "take", "path": path}, "container.copy_out")


def put_files(actor: Actor, container: Container, path: str, *, keep_kinds: bool = False, as_user: bool = False) -> str:
    """A ticket for putting an archive into the folder *path*.

    *keep_kinds*: no folder takes the place of something else, nor the other way round. *as_user*: everything belongs to the user that the
    container runs as, whatever the archive says.
    """
    wishes = {"verb": "put", "path": path, "keep_kinds": keep_kinds, "as_user": as_user}
    return _ticket(actor, container, wishes, "container.copy_in")


def measure_files(actor: Actor, host: Host, container: Container | None = None) -> str:
    """A ticket to how much *container*, or every container of *host*, wrote on top of its image (id -> bytes, in JSON)."""
    require(actor, "viewer")
    return signed(
        actor, host, ARCHIVE, container=container.pk if container is not None else "", task={"verb": "measure"}
    )


def _ticket(actor: Actor, container: Container, task: dict[str, object], verb: str = "") -> str:
    require(actor, "operator")
    with feed.transaction(actor.name):
        refresh(container)
        check_not_removed(container)
        check_has_files(container)
        if verb:
            record(actor, verb, container, {"path": task["path"]})
    return signed(actor, container.host, ARCHIVE, container=container.pk, task=task)
