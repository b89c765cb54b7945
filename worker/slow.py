"""Work that waits: ending processes, filling volumes, fetching images, running commands. It never stands in the kernel's way.

Each verb is one function. What it leaves to the kernel process is passed on there; what it finishes itself it settles.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from django.conf import settings

from networks import feed, settle
from networks.cnm.errors import CnmError, NotFound
from networks.cnm.text import gettext_noop
from networks.load import process_value
from networks.models import Container, Host, Image, Operation, Volume
from networks.models.choices import OperationState
from networks.wake import wake

from .capture import run as captures
from .claim import pass_on
from .defect import defect
from .filling import fill, fill_before_start, still_there
from .runtime.runtime import Runtime
from .runtime.uploads import taken
from .runtime.volumes import remove as remove_folder
from .verify import look_up, verify

log = logging.getLogger(__name__)

UPLOAD = "upload:"
"""Begins the source of an image that was sent with a browser."""

Work = Callable[[Operation, Runtime], None]


ONCE = ("container.exec", "container.kill", "trace.verify", "name.look_up", "capture.run")
"""Verbs that do something anew each time: a worker that died may have done them, so nobody does them again unasked."""


def end_interrupted(host: Host) -> None:
    """End as failed what a worker that died had begun and what must not happen twice."""
    for operation in Operation.objects.filter(host=host, queue="slow", state=OperationState.RUNNING, verb__in=ONCE):
        error = CnmError(
            gettext_noop(
                "The worker ended while this was under way: it may have happened in full, in part or not at all."
            ),
            remedy=gettext_noop("Look into the container, then send it again if it is still wanted."),
        )
        settle.end_only(operation, failed=error)


def carry_out(operation: Operation, runtime: Runtime) -> None:
    """Carry out one claimed operation of the slow queue; whatever happens, it ends or is passed on."""
    try:
        VERBS[operation.verb](operation, runtime)
    except CnmError as error:
        _fail(operation, error)
    except Exception as error:
        log.exception("operation %s ended in a defect of ours", operation.number)
        _fail(operation, defect(error))


def prepare(operation: Operation, runtime: Runtime) -> None:
    """Ask the processes to end, end each when its time is over, fill volumes, then let the kernel process do the rest.

    All processes at the same time, so it takes as long as the one that needs longest.
    """
    ends: Mapping[str, tuple[str, float]] = operation.args.get("ends", {})
    if len(ends) > 1:
        _progress(operation)(f"Ending {len(ends)} processes")
    runtime.stop_all({name: (signal, float(timeout_s)) for name, (signal, timeout_s) in ends.items()})
    fill_before_start(runtime, operation.args.get("fills", ()), _progress(operation))
    pass_on(operation, "kernel")
    wake(operation.host, "kernel")


def create(operation: Operation, runtime: Runtime) -> None:
    """Fill the volumes of a container that is not to start yet."""
    for row in still_there(operation.args["fills"]):
        fill(runtime, row, _progress(operation))
    settle.end_only(operation)


def kill(operation: Operation, runtime: Runtime) -> None:
    """Send a signal to a container's process."""
    if not runtime.kill(operation.subject_id, str(operation.args["signal"])):
        raise NotFound(
            gettext_noop("Container {name} has no process any more."),
            remedy=gettext_noop("Start it first."),
            name=operation.subject_name,
        )
    settle.end_paused(operation, "")  # one that stood still goes on, to hear it


def pause(operation: Operation, runtime: Runtime) -> None:
    """Have a container's processes stand still."""
    run = Container.objects.only("generation", "restart_count").get(pk=operation.subject_id).run
    runtime.pause(operation.subject_id)
    settle.end_paused(operation, run)


def unpause(operation: Operation, runtime: Runtime) -> None:
    """Let them go on."""
    runtime.resume(operation.subject_id)
    settle.end_paused(operation, "")


def execute(operation: Operation, runtime: Runtime) -> None:
    """Run a command inside a container; its result holds what it printed."""
    args = operation.args
    result = runtime.exec(
        operation.subject_id,
        list(args["command"]),
        env=list(dict(args.get("env") or {}).items()),
        user=str(args.get("user") or ""),
        working_dir=str(args.get("working_dir") or ""),
        timeout_s=float(args.get("timeout") or 60),
    )
    settle.end_only(
        operation,
        result={
            "exit_code": result.exit_code,
            "stdout": result.stdout,
            "stderr": result.stderr,
            "truncated": result.truncated,
            "timed_out": result.timed_out,
        },
    )


def import_image(operation: Operation, runtime: Runtime) -> None:
    """Fetch an image, or unpack an archive."""
    row = Image.objects.get(pk=operation.args["image"])

    progress = _progress(operation)
    if row.source.startswith(UPLOAD):
        with taken(settings.UPLOAD_DIR, runtime.folders.images, row.source.removeprefix(UPLOAD)) as path:
            made = runtime.images.import_tar(row.name, path, progress, operation.args.get("changes"))
    elif row.source.startswith("/"):
        made = runtime.images.import_tar(row.name, Path(row.source), progress)
    else:
        made = runtime.images.fetch(row.name, row.source, progress)
    _note_image(operation, row, made.id, made.size, made.config)


def tag_image(operation: Operation, runtime: Runtime) -> None:
    """Give an image another name."""
    row = Image.objects.get(pk=operation.args["image"])
    made = runtime.images.tag(str(operation.args["of"]), row.name)
    _note_image(operation, row, made.id, made.size, made.config)


def remove_image(operation: Operation, runtime: Runtime) -> None:
    """Delete the files of an image, then its row."""
    row = Image.objects.get(pk=operation.args["image"])
    runtime.images.remove(row.name)
    with feed.transaction(settle.ACTOR):
        feed.delete("image", str(row.pk))
        row.delete()
    settle.end_only(operation)


def remove_volume(operation: Operation, runtime: Runtime) -> None:
    """Delete a volume's folder, then its row. Without the row the folder is that of a later volume of the same name."""
    row = Volume.objects.filter(pk=operation.subject_id).first()
    if row is not None:
        remove_folder(runtime.folders, row.name)
        with feed.transaction(settle.ACTOR):
            row.delete()
    settle.end_only(operation)


def commit(operation: Operation, runtime: Runtime) -> None:
    """Make an image of a container's files."""
    row = Image.objects.get(pk=operation.args["image"])
    container = Container.objects.get(pk=operation.subject_id)
    _progress(operation)("Packing the changed files")
    changes = operation.args.get("changes")
    made = runtime.images.commit(container.id, row.name, process_value(container), changes)
    _note_image(operation, row, made.id, made.size, made.config)


def _progress(operation: Operation) -> Callable[[str], None]:
    """Tells the operation's row, and with it open pages, what is being done; each line at once, but not the same one twice."""

    def report(line: str) -> None:
        if line[:500] == operation.step:
            return
        operation.step = line[:500]
        with feed.transaction(settle.ACTOR):
            operation.save(update_fields=["step"])
            feed.put("operation", operation)

    return report


def _note_image(operation: Operation, row: Image, digest: str, size: int, config: Mapping[str, object]) -> None:
    row.status, row.digest, row.size, row.config, row.error = "ready", digest[:80], size, dict(config), None
    with feed.transaction(settle.ACTOR):
        row.save()
        feed.put("image", row)
    settle.end_only(operation)


def _fail(operation: Operation, error: CnmError) -> None:
    if operation.verb == "capture.run":
        captures.fail(operation)
    image = Image.objects.filter(pk=operation.args.get("image", 0)).first()
    if image is not None:
        image.status, image.error = "failed", error.to_json()
        with feed.transaction(settle.ACTOR):
            image.save(update_fields=["status", "error"])
            feed.put("image", image)
    if operation.verb in CHANGES_STATE:
        settle.settle(operation, failed=error)
    else:
        settle.end_only(operation, failed=error)


CHANGES_STATE = (
    "container.run",
    "container.start",
    "container.stop",
    "container.restart",
    "container.remove",
    "bulk.create",
    "bulk.start",
    "bulk.stop",
    "bulk.remove",
    "topology.apply",
    "host.activate",
    "host.drain",
    "host.remove",
)
"""Verbs whose failure is a failure of the containers themselves."""
VERBS: Mapping[str, Work] = {
    **dict.fromkeys(CHANGES_STATE, prepare),
    "container.create": create,
    "container.kill": kill,
    "container.pause": pause,
    "container.unpause": unpause,
    "container.exec": execute,
    "container.commit": commit,
    "trace.verify": lambda operation, _runtime: verify(operation),
    "name.look_up": lambda operation, _runtime: look_up(operation),
    "capture.run": lambda operation, runtime: captures.capture(operation, runtime.folders.group),
    "capture.remove": lambda operation, _runtime: captures.remove(operation),
    "image.import": import_image,
    "image.tag": tag_image,
    "image.remove": remove_image,
    "volume.remove": remove_volume,
}
