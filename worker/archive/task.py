"""What a copy is told to do. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from worker.runtime.folders import Folders

LOOK, TAKE, PUT, MEASURE, FILL = "look", "take", "put", "measure", "fill"
"""What is at a path; an archive of it; an archive into it; how much was written, by all containers where none is named; what the
container's empty volumes take over of its image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One copy. It travels as a line of JSON."""

    verb: str
    container_id: str
    name: str = ""
    """The container's, for sentences."""
    path: str = ""
    image: str = ""
    user: str = ""
    """Whom its process runs as, as the container was made."""
    files_of: str = ""
    """The container whose /etc files it sees."""
    binds: tuple[str, ...] = ()
    bind_roots: tuple[str, ...] = ()
    """Folders below which bind mounts may lie."""
    keep_kinds: bool = False
    """Of an archive that is put: no folder takes the place of something else, and nothing else that of a folder."""
    as_user: bool = False
    """Of an archive that is put: everything belongs to the container's own user, whatever the archive says."""
    most_bytes: int = 0
    state_dir: str = ""
    run_dir: str = ""
    group: int = 0

    @property
    def folders(self) -> Folders:
        return Folders(state_dir=Path(self.state_dir), run_dir=Path(self.run_dir), group=self.group)

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Self:
        value: dict[str, Any] = json.loads(line)
        return cls(**{name: tuple(item) if isinstance(item, list) else item for name, item in value.items()})
