"""Where the runtime keeps its things. Every path is made from an id, so nothing typed becomes part of a path."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

CONTAINER_ID = re.compile(r"[0-9a-f]{12,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The two trees: *state_dir* survives a reboot, *run_dir* does not (a tmpfs)."""

    state_dir: Path
    run_dir: Path
    group: int = 0
    """The group (gid) that may read the containers' logs: the web server's."""

    def __post_init__(self) -> None:
        if ":" in f"{self.state_dir}{self.run_dir}":
            raise ValueError(
                "The state and run folders may have no colon in their names: conmon could not find its log."
            )

    @property
    def containers(self) -> Path:
        return self.state_dir / "containers"

    @property
    def images(self) -> Path:
        return self.state_dir / "images"

    @property
    def volumes(self) -> Path:
        return self.state_dir / "volumes"

    @property
    def exits(self) -> Path:
        """One file for each process that ended and was not yet consumed: named by container, holding the exit code."""
        return self.run_dir / "exits"

    @property
    def runs(self) -> Path:
        """One folder for each container that has, or had, a process since the host started."""
        return self.run_dir / "runs"

    @property
    def runtime_root(self) -> Path:
        """The OCI runtime's own state, apart from that of other users of the same runtime."""
        return self.run_dir / "runtime"

    def container(self, container_id: str) -> Path:
        if not CONTAINER_ID.match(container_id):
            raise ValueError(f"{container_id!r} is no container id.")
        return self.containers / container_id

    def bundle(self, container_id: str) -> Path:
        return self.container(container_id) / "bundle"

    def rootfs(self, container_id: str) -> Path:
        """The mount point of its root filesystem."""
        return self.container(container_id) / "rootfs"

    def upper(self, container_id: str) -> Path:
        """What the container wrote: a folder for each overlay of its root filesystem."""
        return self.container(container_id) / "upper"

    def work(self, container_id: str) -> Path:
        return self.container(container_id) / "work"

    def binds(self, container_id: str) -> Path:
        """Where the sources of its bind mounts are put, by their number."""
        return self.container(container_id) / "binds"

    def filled(self, container_id: str) -> Path:
        """A file that is there once its volumes were offered what its image has at their places."""
        return self.container(container_id) / "filled"

    def unfilled(self, container_id: str) -> Path:
        """Why they could not take it over, until its start has told."""
        return self.container(container_id) / "unfilled"

    def log(self, container_id: str) -> Path:
        return self.container(container_id) / "log"

    def exit_file(self, container_id: str) -> Path:
        return self.exits / self.container(container_id).name

    def run(self, container_id: str) -> Path:
        return self.runs / self.container(container_id).name

    def copies(self, container_id: str) -> Path:
        """One file for each process that copies files of the container: see :mod:`worker.runtime.copies`."""
        return self.run_dir / "copies" / self.container(container_id).name

    def joining(self, container_id: str) -> Path:
        """One file for each face that is connected to the container's streams, or will be: see :mod:`worker.runtime.joining`."""
        return self.run_dir / "joining" / self.container(container_id).name

    def make(self) -> None:
        """Make the folders that all containers share. The group may pass through to the logs, and list nothing."""
        for folder in (self.exits, self.runs, self.runtime_root, self.images):
            make_folder(folder, 0o700)
        make_folder(self.containers, 0o710, self.group)
        self.exits.chmod(0o755)  # the monitor and the curious may look: a file holds an exit code

    def make_container(self, container_id: str) -> Path:
        """Make a container's own folder.."""
        return make_folder(self.container(container_id), 0o710, self.group)


def make_folder(path: Path, mode: int, group: int = 0) -> Path:
    """Make *path* (and what leads to it) with *mode*, root's, for *group*; a folder that is there gets them too."""
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        pass
    except FileNotFoundError:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.mkdir(mode=mode, exist_ok=True)
    found = path.stat()
    if found.st_gid != group or found.st_uid != 0:
        os.chown(path, 0, group)
    if found.st_mode & 0o7777 != mode:
        path.chmod(mode)
    return path
