"""Volumes take over what an image has at their places: in a process of its own, so that neither the kernel process nor another
container waits for the copy."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator

from networks.cnm.errors import CnmError, Unavailable, from_json
from networks.cnm.text import gettext_noop
from networks.load import process_value
from networks.models import Container
from networks.models.choices import Wanted

from .archive.task import FILL, Task
from .runtime.bundle import parse_bind
from .runtime.copies import noted
from .runtime.runtime import Runtime
from .runtime.volumes import has_content, is_filled, note_filled, note_refusal

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "worker.archive")


class CutOff(Unavailable):
    """The process that copied was killed: by whoever starts or removes the container, or by the kernel."""


def still_there(ids: Iterable[str]) -> Iterator[Container]:
    """Those of the containers that are to stay, each as it is when its turn comes: those before it may take minutes."""
    for one in ids:
        yield from Container.objects.filter(pk=one).exclude(wanted=Wanted.REMOVED)


def fill_before_start(runtime: Runtime, ids: Iterable[str], report: Callable[[str], None]) -> None:
    """Fill the volumes of containers that are to start next. Where that fails the start tells why, of that container alone."""
    for row in still_there(ids):
        try:
            fill(runtime, row, report)
        except CutOff:
            log.info("the start of container %s fills its volumes itself", row.short_id)
        except CnmError as error:
            note_refusal(runtime.folders, row.pk, error)


def fill(runtime: Runtime, row: Container, report: Callable[[str], None]) -> None:
    """Let the volumes of a container have what its image has at their places, once in its life. Raises a CnmError."""
    folders, spec = runtime.folders, process_value(row)
    if is_filled(folders, row.pk, spec.binds):
        return
    folders.make_container(row.pk)
    note_refusal(folders, row.pk, None)
    names = [source for source, _, _ in map(parse_bind, spec.binds) if not source.startswith("/")]
    if all(has_content(folders, name) for name in names):
        note_filled(folders, row.pk)
        return
    report(f"Filling the volumes of {row.name}")
    task = Task(
        verb=FILL,
        container_id=row.pk,
        name=row.name,
        image=spec.image,
        binds=spec.binds,
        state_dir=str(folders.state_dir),
        run_dir=str(folders.run_dir),
        group=folders.group,
    )
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        with noted(folders, row.pk, process.pid):
            _, said = process.communicate(task.line())
        if process.returncode:
            raise _refusal(row, process.returncode, said)


def _refusal(row: Container, code: int, said: bytes) -> CnmError:
    try:
        return from_json(json.loads(said.splitlines()[-1]))
    except (ValueError, KeyError, IndexError, TypeError):
        log.warning("filling the volumes of %s ended with %s: %s", row.short_id, code, said.decode(errors="replace"))
    return CutOff(
        gettext_noop("The volumes of container {name} could not be filled: that was cut off."),
        remedy=gettext_noop("Start it again."),
        name=row.name,
    )
