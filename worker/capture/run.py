"""Captures as the slow worker's operations: a small process takes the packets, this side starts it, watches it and keeps the file."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings

from networks import captures, feed, settle
from networks.cnm.errors import NotFound, Unavailable
from networks.cnm.text import gettext_noop
from networks.models import Capture, Host, Operation
from worker.kernel.netns import OUR_NAME
from worker.runtime.folders import make_folder

ROOM = Path(__file__).resolve().parents[2]
LOOK_S = 0.5
END_S = 10.0
"""How long the process may take to end when it is asked to, beyond its time."""


def capture(operation: Operation, group: int) -> None:
    """Take what the operation's capture asks for, until it has enough, is stopped, or its interface is gone."""
    row = Capture.objects.select_related("operation").get(pk=operation.args["capture"])
    if row.sandbox and not OUR_NAME.match(row.sandbox):
        raise NotFound(
            gettext_noop("{name} is no sandbox of this host."), remedy=gettext_noop("Start it anew."), name=row.sandbox
        )
    path = captures.file_of(row)
    make_folder(path.parent, 0o750, group)
    with _new_file(path, group) as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.capture.take"],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.PIPE,
            cwd=ROOM,
        )
    try:
        _order(process, row)
        last = _watch(process, row)
    except BaseException:
        process.kill()
        raise
    finally:
        process.wait()
        for stream in filter(None, (process.stdin, process.stderr)):
            stream.close()
    _end(row, process.returncode, last)
    settle.end_only(operation, result={"capture": row.pk, "packets": row.packets, "size": row.size})


def fail(operation: Operation) -> None:
    """The operation did not come to anything: its capture did not either."""
    row = Capture.objects.filter(pk=operation.args["capture"]).first()
    if row is not None:
        captures.note(row, state=Capture.FAILED)


def remove(operation: Operation) -> None:
    """Delete a capture with its file."""
    row = Capture.objects.filter(pk=operation.args["capture"]).first()
    if row is not None:
        _delete(row)
    settle.end_only(operation)


def forget_old(host: Host) -> None:
    """Delete what is kept no longer; cheap where there is nothing."""
    for row in captures.too_old(host):
        _delete(row)


def tidy(host: Host) -> None:
    """At the start: captures of a former process have ended, and files without a row go."""
    captures.end_lost(host)
    forget_old(host)
    known = {captures.file_of(row).name for row in Capture.objects.filter(host=host)}
    folder = Path(settings.STATE_DIR) / "captures"
    for path in folder.glob("*.pcapng"):
        if path.name not in known:
            path.unlink(missing_ok=True)


def _delete(row: Capture) -> None:
    captures.file_of(row).unlink(missing_ok=True)
    with feed.transaction(captures.ACTOR):
        row.delete()


@contextlib.contextmanager
def _new_file(path: Path, group: int) -> Any:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    with os.fdopen(fd, "wb") as file:
        os.fchown(fd, 0, group)
        os.fchmod(fd, 0o640)
        yield file


def _order(process: subprocess.Popen[bytes], row: Capture) -> None:
    place = f"{row.subject_name} on {row.network_name}" if row.network_name else f"the network {row.subject_name}"
    task = {
        "sandbox": row.sandbox,
        "interface": row.interface,
        "filter": row.filter,
        "seconds": row.seconds,
        "size": row.size_limit,
        "snap_length": row.snap_length,
        "description": place,
        "comment": f"{row.subject_kind} {row.subject_name} ({row.subject_id[:12]}), asked for by {row.created_by}",
    }
    assert process.stdin is not None  # noqa: S101  # we gave it a pipe
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(task).encode() + b"\n")
        process.stdin.flush()


def _watch(process: subprocess.Popen[bytes], row: Capture) -> list[str]:
    """Note what it tells until it ends; its last words. It is told to stop by the end of its input."""
    assert process.stderr is not None  # noqa: S101  # we gave it pipes
    assert process.stdin is not None  # noqa: S101
    words: list[str] = []
    rest = b""
    while True:
        ready, _, _ = select.select([process.stderr], [], [], LOOK_S)
        if not process.stdin.closed and Capture.objects.filter(pk=row.pk, stop=True).exists():
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        if not ready:
            continue
        data = os.read(process.stderr.fileno(), 1 << 16)
        if not data:
            return words
        *lines, rest = (rest + data).split(b"\n")
        words = (words + [line.decode(errors="replace") for line in lines])[-5:]
        _note_last(row, words)


def _note_last(row: Capture, words: list[str]) -> None:
    for line in reversed(words):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            told = json.loads(line)
            counts = {name: int(told[name]) for name in ("packets", "size", "dropped")}
            if row.state != Capture.RUNNING:
                captures.note(row, state=Capture.RUNNING, **counts)  # its first word: the socket is open from now on
            elif counts != {name: getattr(row, name) for name in counts}:
                captures.note(row, **counts)
            return


def _end(row: Capture, code: int, words: list[str]) -> None:
    if code:
        raise Unavailable(
            gettext_noop("The packets of {interface} could not be captured: {cause}"),
            remedy=gettext_noop("See that the container runs, then start it again."),
            interface=row.interface,
            cause=(words[-1] if words else "")[-300:] or f"exit code {code}",
        )
    reason = str(json.loads(words[-1]).get("reason", "")) if words else ""
    captures.note(row, state=Capture.ENDED, reason=reason)
