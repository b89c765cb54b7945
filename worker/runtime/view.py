"""A mount namespace for the supervisor and the runtime where the host's cgroup layout stops crun.

crun refuses to start on a *hybrid* layout (v1 hierarchies with a unified one beside them), whatever manager it is told.
In the view the same host has a plain cgroup2 mount at /sys/fs/cgroup. Only conmon and the runtime enter it; the
containers' mounts are made in the host's own namespace and arrive there by propagation.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from networks.cnm.errors import KernelRefused
from networks.cnm.text import gettext_noop

from .cgroups import Mode
from .folders import Folders, make_folder
from .kernel_calls import MS_BIND, MS_PRIVATE, MS_REC, MS_SHARED, is_mount_point, mount, unmount

NETNS_FOLDER = Path("/run/netns")
TIMEOUT_S = 20


def command_prefix(folders: Folders, mode: Mode) -> tuple[str, ...]:
    """What stands before a command of the runtime; makes the view when the host needs one and it is not there."""
    if mode not in {Mode.HYBRID, Mode.NONE}:
        return ()
    place = folders.run_dir / "view" / "mnt"
    if not os.path.ismount(place):
        _make(folders, place)
    return ("nsenter", f"--mount={place}", "--")


def _make(folders: Folders, place: Path) -> None:
    # Mounts that come later must be seen in the view: by propagation, which a mount must be shared for.
    make_folder(NETNS_FOLDER, 0o755)
    for shared in (folders.containers, NETNS_FOLDER):
        if not is_mount_point(shared):
            mount(str(shared), shared, flags=MS_BIND | MS_REC)
        mount("none", shared, flags=MS_SHARED)
    make_folder(place.parent, 0o700)
    if not is_mount_point(place.parent):
        mount(str(place.parent), place.parent, flags=MS_BIND)
    mount("none", place.parent, flags=MS_PRIVATE)  # a namespace may not be mounted where it would see itself
    place.touch()
    complaints = ""
    # On a kernel without cgroup2 an empty folder does: with its manager disabled the runtime looks no further.
    for kind in ("cgroup2", "tmpfs"):
        for processor in sorted(os.sched_getaffinity(0)):
            complaints = _make_namespace(place, kind, processor)
            if not complaints:
                return
    raise KernelRefused(
        gettext_noop("No view of the cgroups could be made for the container runtime: {cause}."),
        remedy=gettext_noop("Mount cgroup2 at /sys/fs/cgroup, or boot with systemd.unified_cgroup_hierarchy=1."),
        cause=complaints,
    )


def _make_namespace(place: Path, kind: str, processor: int) -> str:
    """Make a mount namespace with a *kind* at /sys/fs/cgroup and bind it at *place*; what went wrong, or nothing.

    A namespace can be bound only where an older one rules, and the kernel tells older from newer by numbers that each processor
    hands out from a stock of its own. So another *processor* may succeed where one failed (EINVAL); ours, for one, does.
    """
    command = ["unshare", f"--mount={place}", "--propagation", "slave", "mount", "-t", kind, kind, "/sys/fs/cgroup"]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    finally:
        os.sched_setaffinity(0, before)
    if done.returncode == 0 and os.path.ismount(place):
        return ""
    if os.path.ismount(place):
        unmount(place)
    return done.stderr.strip() or f"unshare gave {done.returncode}"


def tear_down(folders: Folders) -> None:
    """Take the view away, with the mounts that were made for it; for the end of the product, when no container runs."""
    for place in (folders.run_dir / "view" / "mnt", folders.run_dir / "view", folders.containers):
        if is_mount_point(place):
            unmount(place)
