"""Reading which containers' processes run."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from networks.cnm.resources import Key, Process
from worker.runtime.folders import Folders
from worker.runtime.records import container_ids, read_record

UNKNOWN_RUN = ""
"""The run of something half made: no desired process has it, so it is made anew or taken away."""


def observe_processes(folders: Folders, keys: Collection[Key] | None) -> Iterator[Process]:
    """The processes that are alive now; of *keys*, or of every container.

    Costs two small reads for each. A run that was cut off while it was made is reported too, with an unknown run. One
    that ended is not: what it left is for :mod:`worker.runtime.exits`.
    """
    names = container_ids(folders) if keys is None else sorted({key[1] for key in keys if key[0] == Process.kind})
    for name in names:
        found = _observe(folders, name)
        if found is not None:
            yield found


def _observe(folders: Folders, container_id: str) -> Process | None:
    record = read_record(folders, container_id)
    if record is None:
        half_made = folders.run(container_id).is_dir()
        return Process(container_id=container_id, run=UNKNOWN_RUN) if half_made else None
    if record.running:
        return Process(container_id=container_id, run=record.run)
    return None if record.started else Process(container_id=container_id, run=UNKNOWN_RUN)
