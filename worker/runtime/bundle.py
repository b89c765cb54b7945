"""The OCI runtime configuration (``config.json``) of a container, as Docker would write it. Pure.

Source: OCI runtime-spec 1.0.2 ``config.md``; the values are Docker Engine's defaults.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from networks.cnm.desired import ProcessSpec
from networks.cnm.errors import InvalidSpec
from networks.cnm.names import OBJECT_NAME
from networks.cnm.resources import Process
from networks.cnm.text import gettext_noop

from . import seccomp

CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
"""Docker's default set: the mask 00000000a80425fb."""
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
MOUNTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=67108864")),  # noqa: S108
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
)
ETC_FILES = ("hosts", "hostname", "resolv.conf")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SANDBOX_SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
"""Docker's: low ports and ping without a capability, for this is no shared network stack."""
INIT = "/sbin/docker-init"
"""Where an init is found in containers that have one, as with Docker."""
UMASK = 0o022
OPEN_FILES = (1024, 524288)
"""Soft and hard limit, systemd's default, which Docker's containers get too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The part of an OCI image configuration that starts a process (image-spec ``config.md``)."""

    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""

    @classmethod
    def from_oci(cls, config: Mapping[str, Any]) -> ImageConfig:
        """Reads the ``config`` member of an image configuration; what is absent or null is empty."""
        return cls(
            env=tuple(map(str, config.get("Env") or ())),
            entrypoint=_words(config.get("Entrypoint")),
            cmd=_words(config.get("Cmd")),
            user=str(config.get("User") or ""),
            working_dir=str(config.get("WorkingDir") or ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Whom a process runs as, resolved in its own root filesystem."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """What the worker itself has and therefore cannot exceed; see :func:`worker.runtime.rights.host_limits`."""

    open_files: int = OPEN_FILES[1]
    """Our own hard limit of RLIMIT_NOFILE."""
    may_set_oom_score: bool = True
    """Whether 0 is reached from our own score without CAP_SYS_RESOURCE."""


def config(
    process: Process,
    image: ImageConfig,
    user: User,
    *,
    rootfs: Path,
    files: Path,
    limits: HostLimits,
    binds: Sequence[str] = (),
    cgroups_path: str = "",
    init: Path | None = None,
) -> dict[str, Any]:
    """The whole ``config.json``.

    *files* is the folder with the three /etc files; *binds* are the bind mounts, their sources checked; *cgroups_path* is for
    runtimes that insist on a cgroup of their own; *init* is the host's program that is to be the first process. Raises InvalidSpec for a
    command that is missing.
    """
    namespaces: list[dict[str, str]] = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]
    if process.sandbox:
        namespaces.append({"type": "network", "path": f"/run/netns/{process.sandbox}"})
    linux: dict[str, Any] = {
        "namespaces": namespaces,
        "sysctl": _sysctls(process),
        "maskedPaths": list(MASKED_PATHS),
        "readonlyPaths": list(READONLY_PATHS),
        "seccomp": seccomp.profile(CAPABILITIES),
    }
    if cgroups_path:
        linux["cgroupsPath"] = cgroups_path
    result: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "root": {"path": str(rootfs), "readonly": False},
        "process": _process(process, image, user, limits),
        "mounts": _mounts(files, binds, process.process.tmpfs),
        "linux": linux,
    }
    if init is not None:
        result["process"]["args"] = [INIT, "--", *result["process"]["args"]]
        result["mounts"].append(_bind(str(init), INIT, "ro"))
    if process.hostname:
        result["hostname"] = process.hostname
    return result


def _process(process: Process, image: ImageConfig, user: User, limits: HostLimits) -> dict[str, Any]:
    spec = process.process
    hard = min(limits.open_files, OPEN_FILES[1])
    value: dict[str, Any] = {
        "terminal": spec.tty,
        "user": oci_user(user),
        "args": list(command_line(spec, image)),
        "cwd": working_dir(spec, image),
        "env": environment(process, image, user),
        "capabilities": oci_capabilities(user),
        "noNewPrivileges": True,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": min(OPEN_FILES[0], hard), "hard": hard}],
    }
    if limits.may_set_oom_score:
        value["oomScoreAdj"] = 0
    return value


def oci_user(user: User) -> dict[str, Any]:
    return {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups), "umask": UMASK}


def oci_capabilities(user: User) -> dict[str, list[str]]:
    """Docker's set for root; for everybody else only as the bounds of what a program could gain."""
    held = list(CAPABILITIES) if user.uid == 0 else []
    return {"bounding": list(CAPABILITIES), "permitted": held, "effective": held, "inheritable": [], "ambient": []}


def command_line(spec: ProcessSpec, image: ImageConfig) -> tuple[str, ...]:
    """What is executed: Docker's combination of entrypoint and command.

    A container's own entrypoint makes the image's command void, for it belonged to the image's entrypoint.
    """
    entrypoint = image.entrypoint if spec.entrypoint is None else spec.entrypoint
    command = spec.args or (image.cmd if spec.entrypoint is None else ())
    line = (*entrypoint, *command)
    if not line:
        raise InvalidSpec(
            gettext_noop("The image {image} names no command, and the container names none either."),
            remedy=gettext_noop("Give the container a command."),
            field="command",
            image=spec.image,
        )
    return line


def working_dir(spec: ProcessSpec, image: ImageConfig) -> str:
    """An absolute, normalised path; ``/`` when nobody names one. A container's relative path is below the image's."""
    return posixpath.normpath(posixpath.join("/", image.working_dir, spec.working_dir)).replace("//", "/")


def environment(process: Process, image: ImageConfig, user: User) -> list[str]:
    """The environment in Docker's order of precedence: defaults, links, image, container; HOME when nobody sets it."""
    values = {"PATH": DEFAULT_PATH, "HOSTNAME": process.hostname}
    if process.process.tty:
        values["TERM"] = "xterm"
    values.update(process.link_env)
    for entry in image.env:
        name, _, value = entry.partition("=")
        values[name] = value
    values.update(process.process.env)
    values.setdefault("HOME", user.home)
    return [f"{name}={value}" for name, value in values.items()]


def _mounts(files: Path, binds: Sequence[str], tmpfs: Sequence[str]) -> list[dict[str, Any]]:
    result = [
        {"destination": destination, "type": kind, "source": source, "options": list(options)}
        for destination, kind, source, options in MOUNTS
    ]
    # Read-write, as Docker: root in the container may edit them, and what it sees is the file on the host.
    result += [_bind(str(files / name), f"/etc/{name}", "rw") for name in ETC_FILES]
    chosen = [*(_bind(*parse_bind(bind)) for bind in binds), *map(_in_memory, tmpfs)]
    return result + sorted(
        chosen, key=lambda mount: mount["destination"].rstrip("/").count("/")
    )  # a folder before what is in it


def _in_memory(text: str) -> dict[str, Any]:
    destination, _, options = text.partition(":")
    given = [option for option in options.split(",") if option not in {"", "defaults"}]
    return {
        "destination": destination,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["noexec", "nosuid", "nodev", *given],
    }


def _bind(source: str, destination: str, access: str) -> dict[str, Any]:
    return {
        "destination": destination,
        "type": "bind",
        "source": source,
        "options": ["rbind", "rprivate", access],
    }


def _sound(paths: Sequence[str]) -> bool:
    return (_plain_path(paths[0]) or bool(OBJECT_NAME.match(paths[0]))) and all(map(_plain_path, paths[1:]))


def parse_bind(text: str) -> tuple[str, str, str]:
    """``host-path:container-path[:ro|rw]``, or the name of a volume in place of the path, as (source, destination, access)."""
    parts = text.split(":")
    access = parts[2] if len(parts) == 3 else "rw"
    paths = parts[:2]
    if len(parts) not in {2, 3} or access not in {"ro", "rw"} or not _sound(paths) or parts[1] == "/":
        raise InvalidSpec(
            gettext_noop("The bind mount {bind} is not of the form host-path:container-path[:ro]."),
            remedy=gettext_noop("Give two absolute paths without “..”, and :ro behind them for a read-only mount."),
            field="binds",
            bind=text,
        )
    return parts[0], parts[1], access


def _plain_path(path: str) -> bool:
    return path.startswith("/") and "\0" not in path and ".." not in path.split("/")


def _sysctls(process: Process) -> dict[str, str]:
    values = dict(SANDBOX_SYSCTLS) if process.sandbox else {}
    if process.domainname:
        values["kernel.domainname"] = process.domainname
    return values


def _words(value: object) -> tuple[str, ...]:
    """A command of an image configuration: a list, or (in old images) one string."""
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, Iterable) else ()
