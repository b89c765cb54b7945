"""Pausing a container: every process of it stands still until it is let go on, by the kernel's freezer (cgroup v2, ``cgroup.freeze``).

A container has no control group of its own unless it has limits, for a move into one waits for the whole kernel; so it gets one now.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from networks.cnm.errors import KernelRefused, Unsupported
from networks.cnm.names import short
from networks.cnm.text import gettext_noop

from .cgroups import GET_FREEZER, NO_FREEZER, Cgroups

FREEZES_S = 5.0
"""How long the kernel may take to stop everything: what hangs in it cannot be frozen."""
_PAUSE_S = 0.005


def pause(cgroups: Cgroups, container_id: str, first: int) -> None:
    """Freeze every process in the pid namespace of *first*, the container's first one. Raises Unsupported, KernelRefused."""
    group = _group(cgroups, container_id)
    if group is None:
        raise Unsupported(NO_FREEZER, remedy=GET_FREEZER)
    deadline = time.monotonic() + FREEZES_S
    try:
        group.mkdir(parents=True, exist_ok=True)
        # What is in the group has its children there; those of what was outside are found by the next look.
        while outside := [number for number in _processes(first) if number not in _members(group)]:
            for number in outside:
                with contextlib.suppress(ProcessLookupError):
                    (group / "cgroup.procs").write_text(str(number))
            _check(deadline, container_id, group)
        (group / "cgroup.freeze").write_text("1")
        while not _is_frozen(group):
            _check(deadline, container_id, group)
            time.sleep(_PAUSE_S)
    except OSError as error:
        resume(cgroups, container_id)
        raise KernelRefused(
            gettext_noop("Container {container} could not be paused: {cause}."),
            remedy=gettext_noop("See whether something else on this host rules its control groups."),
            container=short(container_id),
            cause=error.strerror or error,
            facts={"errno": error.errno},
        ) from error


def resume(cgroups: Cgroups, container_id: str) -> bool:
    """Let it go on; whether it stood still."""
    group = _group(cgroups, container_id)
    if group is None:
        return False
    try:
        frozen = (group / "cgroup.freeze").read_text().strip() == "1"
        if frozen:
            (group / "cgroup.freeze").write_text("0")
    except OSError:  # it has no group
        return False
    return frozen


def _group(cgroups: Cgroups, container_id: str) -> Path | None:
    return cgroups.v2 / cgroups.group / container_id if cgroups.v2 is not None else None


def _check(deadline: float, container_id: str, group: Path) -> None:
    if time.monotonic() > deadline:
        with contextlib.suppress(OSError):
            (group / "cgroup.freeze").write_text("0")
        raise KernelRefused(
            gettext_noop(
                "Container {container} does not stand still: a process of it hangs in the kernel, or starts others endlessly."
            ),
            remedy=gettext_noop("Try again, or stop it."),
            container=short(container_id),
        )


def _processes(first: int) -> list[int]:
    """Every process in the pid namespace of *first*."""
    namespace = os.readlink(f"/proc/{first}/ns/pid")
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{name}/ns/pid") == namespace:
                    found.append(int(name))
    return found


def _members(group: Path) -> set[int]:
    return set(map(int, (group / "cgroup.procs").read_text().split()))


def _is_frozen(group: Path) -> bool:
    return "frozen 1" in (group / "cgroup.events").read_text()
