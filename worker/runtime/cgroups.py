"""Control groups: what this host's hierarchies can do, and our own small part of them.

The runtime manages none (``--cgroup-manager=disabled``): a container that has limits gets a group of ours between
create and start, in whatever hierarchy has the controller, v1 or v2 alike. Paths: ``<hierarchy>/cnm/<container id>``,
and ``cnm/conmon`` for supervisors that would else belong to the worker's systemd unit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from networks.cnm.desired import ProcessSpec
from networks.cnm.errors import Unsupported
from networks.cnm.facts import Feature
from networks.cnm.text import NOTHING, Text, gettext_noop

CGROUP_MAGIC = 0x27E0EB
CGROUP2_MAGIC = 0x63677270
TMPFS_MAGIC = 0x01021994
CPU_PERIOD_US = 100_000
_UNITS = (".service", ".scope")
CONTROLLERS = ("memory", "cpu", "pids")
_MODE_AT = gettext_noop("{mode} at /sys/fs/cgroup")
_IN = gettext_noop("The controller {name} is in {where}.")
NO_FREEZER = gettext_noop(
    "This host cannot pause containers: it has no unified hierarchy of control groups (cgroup v2)."
)
GET_FREEZER = gettext_noop("Mount cgroup2, or boot with systemd.unified_cgroup_hierarchy=1.")
_NOWHERE = gettext_noop("No hierarchy has the controller {name}.")
_BOOT_OR_MOUNT = gettext_noop("Boot with systemd.unified_cgroup_hierarchy=1, or mount the {name} controller.")


class Mode(StrEnum):
    """What stands at /sys/fs/cgroup."""

    V2 = "v2"
    HYBRID = "hybrid"
    V1 = "v1"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """0 means: no limit."""

    memory_bytes: int = 0
    cpus: float = 0.0
    pids: int = 0

    @classmethod
    def of(cls, spec: ProcessSpec) -> Limits:
        return cls(spec.memory_bytes, spec.cpus, spec.pids)

    def __bool__(self) -> bool:
        return bool(self.memory_bytes or self.cpus or self.pids)

    @property
    def controllers(self) -> tuple[str, ...]:
        wanted = {"memory": self.memory_bytes, "cpu": self.cpus, "pids": self.pids}
        return tuple(name for name, value in wanted.items() if value)


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The hierarchies of this host as they were when we looked; see :func:`probe`."""

    mode: Mode
    v2: Path | None = None
    """The unified hierarchy."""
    v1: dict[str, Path] = field(default_factory=dict)
    """Controller (or ``name=systemd``) -> its hierarchy."""
    v2_controllers: frozenset[str] = frozenset()
    group: str = "cnm"

    def has(self, controller: str) -> bool:
        return controller in self.v1 or controller in self.v2_controllers

    def adopt(self, pid: int) -> None:
        """Move a supervisor out of the worker's systemd unit, so that what befalls the unit does not befall it.

        Outside a unit nothing is moved: a move waits for the whole kernel (some 10 ms). A host that does not allow it
        keeps the supervisor where it is.
        """
        for hierarchy in self._unit_hierarchies():
            with contextlib.suppress(OSError):
                _join(hierarchy / self.group / "conmon", pid)

    def limit(self, container_id: str, pid: int, limits: Limits) -> None:
        """Put a process that has not started yet under *limits*. Raises Unsupported when a controller is missing."""
        for controller in limits.controllers:
            if not self.has(controller):
                raise Unsupported(
                    gettext_noop("This host cannot limit {controller}: no cgroup hierarchy has that controller."),
                    remedy=gettext_noop("Leave the limit out, or enable the controller on the host."),
                    field={"memory": "memory", "cpu": "cpus", "pids": "pids_limit"}[controller],
                    controller=controller,
                )
        for controller in limits.controllers:
            if controller in self.v1:
                group = self.v1[controller] / self.group / container_id
                group.mkdir(parents=True, exist_ok=True)
                _write_v1(group, controller, limits)
                (group / "cgroup.procs").write_text(str(pid))
        if self.v2 is not None and any(controller in self.v2_controllers for controller in limits.controllers):
            self._limit_v2(self.v2, container_id, pid, limits)

    def join(self, container_id: str, pid: int) -> None:
        """Put another process (an exec) under the limits of a container; nothing happens where it has none."""
        for group in self._groups(container_id):
            if group.is_dir():
                (group / "cgroup.procs").write_text(str(pid))

    def oom_killed(self, container_id: str) -> bool:
        """Whether the kernel killed something of the container for want of memory."""
        for group in self._groups(container_id):
            for name in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError, ValueError):
                    counts = dict(line.split() for line in (group / name).read_text().splitlines())
                    if int(counts.get("oom_kill", 0)):
                        return True
        return False

    def remove(self, container_id: str) -> None:
        """Remove the groups of a container whose processes have ended."""
        for group in self._groups(container_id):
            with contextlib.suppress(OSError):
                group.rmdir()

    def remove_all(self) -> None:
        """Remove our own top groups; those that still hold something stay."""
        for hierarchy in filter(None, {self.v2, *self.v1.values()}):
            for path in (hierarchy / self.group / "conmon", hierarchy / self.group):
                with contextlib.suppress(OSError):
                    path.rmdir()

    def features(self) -> list[Feature]:
        """What people should know of this host's limits."""
        result = [
            Feature(key="cgroup", present=self.mode is not Mode.NONE, detail=Text.of(_MODE_AT, mode=self.mode)),
        ]
        for name in CONTROLLERS:
            where = self.v1.get(name) or (self.v2 if name in self.v2_controllers else None)
            result.append(
                Feature(
                    key=f"limit.{name}",
                    present=where is not None,
                    detail=Text.of(_IN if where else _NOWHERE, name=name, where=where or ""),
                    remedy=NOTHING if where else Text.of(_BOOT_OR_MOUNT, name=name),
                )
            )
        result.append(
            Feature(
                key="freezer",
                present=self.v2 is not None,
                detail=Text.of(_IN, name="freezer", where=self.v2) if self.v2 else Text(NO_FREEZER),
                remedy=NOTHING if self.v2 else Text(GET_FREEZER),
            )
        )
        return result

    def _unit_hierarchies(self) -> list[Path]:
        """The hierarchies in which this process belongs to a service of systemd, or to a container of Docker."""
        named = {"": self.v2, "name=systemd": self.v1.get("name=systemd")}
        result = []
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, name, path = line.split(":", 2)
            hierarchy = named.get(name)
            if hierarchy is not None and any(part == "docker" or part.endswith(_UNITS) for part in path.split("/")):
                result.append(hierarchy)
        return result

    def _groups(self, container_id: str) -> list[Path]:
        hierarchies = [self.v1.get(name) for name in CONTROLLERS] + [self.v2]
        return [hierarchy / self.group / container_id for hierarchy in dict.fromkeys(filter(None, hierarchies))]

    def _limit_v2(self, unified: Path, container_id: str, pid: int, limits: Limits) -> None:
        group = unified / self.group / container_id
        group.mkdir(parents=True, exist_ok=True)
        wanted = " ".join(f"+{name}" for name in limits.controllers if name in self.v2_controllers)
        for parent in (unified, unified / self.group):
            (parent / "cgroup.subtree_control").write_text(wanted)
        if limits.memory_bytes and "memory" in self.v2_controllers:
            (group / "memory.max").write_text(str(limits.memory_bytes))
            with contextlib.suppress(OSError):  # absent where the kernel has no swap accounting
                (group / "memory.swap.max").write_text(str(limits.memory_bytes))
        if limits.cpus and "cpu" in self.v2_controllers:
            (group / "cpu.max").write_text(f"{_quota(limits.cpus)} {CPU_PERIOD_US}")
        if limits.pids and "pids" in self.v2_controllers:
            (group / "pids.max").write_text(str(limits.pids))
        (group / "cgroup.procs").write_text(str(pid))


def probe(root: Path = Path("/sys/fs/cgroup"), group: str = "cnm") -> Cgroups:
    """Look at what is mounted at *root*."""
    magic = _filesystem(root)
    if magic == CGROUP2_MAGIC:
        return Cgroups(Mode.V2, root, {}, _v2_controllers(root), group)
    v1 = _v1_hierarchies(root)
    unified = root / "unified"
    if magic == TMPFS_MAGIC and _filesystem(unified) == CGROUP2_MAGIC:
        return Cgroups(Mode.HYBRID, unified, v1, _v2_controllers(unified), group)
    return Cgroups(Mode.V1 if v1 else Mode.NONE, None, v1, frozenset(), group)


def _v2_controllers(root: Path) -> frozenset[str]:
    return frozenset((root / "cgroup.controllers").read_text().split())


def _v1_hierarchies(root: Path) -> dict[str, Path]:
    result = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, options, *_ = line.split()
        # A hierarchy that another mount lies over is listed too.
        if kind == "cgroup" and target.startswith(f"{root}/") and _filesystem(Path(target)) == CGROUP_MAGIC:
            for name in options.split(","):
                if name in CONTROLLERS or name == "name=systemd":
                    result[name] = Path(target)
    return result


def _write_v1(group: Path, controller: str, limits: Limits) -> None:
    if controller == "memory":
        (group / "memory.limit_in_bytes").write_text(str(limits.memory_bytes))
        with contextlib.suppress(OSError):  # absent where the kernel has no swap accounting
            (group / "memory.memsw.limit_in_bytes").write_text(str(limits.memory_bytes * 2))
    elif controller == "cpu":
        (group / "cpu.cfs_period_us").write_text(str(CPU_PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(_quota(limits.cpus)))
    elif controller == "pids":
        (group / "pids.max").write_text(str(limits.pids))


def _quota(cpus: float) -> int:
    return max(1000, int(cpus * CPU_PERIOD_US))  # the kernel takes no quota below a millisecond


def _join(group: Path, pid: int) -> None:
    group.mkdir(parents=True, exist_ok=True)
    (group / "cgroup.procs").write_text(str(pid))


class _Statfs(ctypes.Structure):
    # Only the first member is read; the rest is room for the largest layout there is.
    _fields_ = (("type", ctypes.c_long), ("rest", ctypes.c_char * 248))


def _filesystem(path: Path) -> int:
    """The magic number of the filesystem at *path* (linux/magic.h); 0 when there is no such path."""
    found = _Statfs()
    if ctypes.CDLL(None).statfs(os.fsencode(path), ctypes.byref(found)):
        return 0
    return int(found.type) & 0xFFFFFFFF
