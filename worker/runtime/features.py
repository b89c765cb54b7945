"""What this host can do for containers' processes, and what an admin would do about what it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

from networks.cnm.facts import Feature

from .cgroups import probe

PROGRAMS = {
    "crun": "The OCI runtime. Install the package crun (runc serves too, and is slower).",
    "conmon": "Holds logs and exit codes of containers. Install the package conmon.",
    "skopeo": "Fetches images. Install the package skopeo.",
    "umoci": "Unpacks images. Install the package umoci.",
}


def features() -> list[Feature]:
    """Probed anew at each call; costs a few reads."""
    return [*_programs(), _overlay(), _seccomp(), *probe().features()]


def _programs() -> list[Feature]:
    result = []
    for name, remedy in PROGRAMS.items():
        path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
        if path is None and name == "crun":
            path = shutil.which("runc") or shutil.which("runc", path="/usr/sbin:/sbin")
        detail = path or f"{name} is not installed"
        result.append(
            Feature(key=f"program.{name}", present=path is not None, detail=detail, remedy="" if path else remedy)
        )
    return result


def _overlay() -> Feature:
    known = any(line.split()[-1:] == ["overlay"] for line in Path("/proc/filesystems").read_text().splitlines())
    return Feature(
        key="overlayfs",
        present=known,
        detail="CONFIG_OVERLAY_FS"
        if known
        else "this kernel has no overlayfs, which containers' root filesystems need",
        remedy="" if known else "Load the module (modprobe overlay) or use a kernel with CONFIG_OVERLAY_FS.",
    )


def _seccomp() -> Feature:
    known = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    return Feature(
        key="seccomp",
        present=known,
        detail="CONFIG_SECCOMP_FILTER" if known else "this kernel cannot filter system calls",
        remedy="" if known else "Use a kernel with CONFIG_SECCOMP_FILTER.",
    )
