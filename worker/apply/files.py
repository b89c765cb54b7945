"""The handler of the containers' /etc files. They are bind-mounted, so they are written in place."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from networks.cnm.plan import Step
from networks.cnm.resources import EtcFile, Key, Resource
from worker.handler import Done
from worker.kernel import files
from worker.observe.files import (
    KEPT_WHEN_EDITED,
    NAMES,
    Written,
    observe_files,
    read_written,
    seen_files,
    was_edited,
    written_copy,
)

from .batch import refused

_ID = re.compile(r"[0-9a-f]{12,64}\Z")


class FilesHandler:
    """Reads and writes ``containers/<id>/{hosts,hostname,resolv.conf}`` below *state_dir*."""

    kinds = frozenset({"file"})

    def __init__(self, state_dir: str | Path = "/var/lib/cnm") -> None:
        self._folder = Path(state_dir) / "containers"

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """The files of *keys* that exist; None: all. See :func:`worker.observe.files.observe_file` for edited ones."""
        return tuple(observe_files(self._folder, keys))

    def seen(self) -> dict[str, dict[str, str]]:
        """What every file really holds, also where it was edited by hand: container id -> file name -> text."""
        return seen_files(self._folder)

    def seen_one(self, file: EtcFile) -> str:
        """What *file* really holds."""
        return files.read(self._folder / file.container_id / file.name) or ""

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Carry out *steps*. Raises KernelRefused where the file system refuses (it is full, read-only …)."""
        for step in steps:
            resource = step.resource
            assert isinstance(resource, EtcFile)  # noqa: S101  # the only kind of this handler
            if resource.name not in NAMES or not _ID.match(resource.container_id):
                raise refused(step, errno.EINVAL)  # never a path of somebody else's making
            try:
                if step.after is None:
                    self._remove(resource)
                else:
                    self._write(resource)
            except OSError as error:
                raise refused(step, error.errno or 0) from error
            done(step)

    def _write(self, resource: EtcFile) -> None:
        path = self._folder / resource.container_id / resource.name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        before = read_written(path)
        starts_anew = before is None or before.run != resource.run
        if starts_anew or not was_edited(path):
            files.write_in_place(path, resource.content)
        if resource.name in KEPT_WHEN_EDITED:
            # The copy last: should the worker die in between, the file seems edited, is kept as it is, and is right.
            files.write_in_place(written_copy(path), Written(resource.run, resource.content).dump())

    def _remove(self, resource: EtcFile) -> None:
        path = self._folder / resource.container_id / resource.name
        files.remove(path)
        files.remove(written_copy(path))
        with contextlib.suppress(OSError):  # the folder holds more than our files, or is gone
            os.rmdir(path.parent)
