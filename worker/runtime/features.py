"""What this host can do for containers' processes, and what an admin would do about what it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

from networks.cnm.facts import Feature
from networks.cnm.text import NOTHING, Text, gettext_noop

from .cgroups import probe
from .init import INSTALL_INIT, NO_INIT, find_init

PROGRAMS = {
    "crun": gettext_noop("The OCI runtime. Install the package crun (runc serves too, and is slower)."),
    "conmon": gettext_noop("Holds logs and exit codes of containers. Install the package conmon."),
    "skopeo": gettext_noop("Fetches images. Install the package skopeo."),
    "umoci": gettext_noop("Unpacks images. Install the package umoci."),
}
_NOT_INSTALLED = gettext_noop("{name} is not installed.")
_NO_OVERLAYFS = gettext_noop("This kernel has no overlayfs, which containers' root filesystems need.")
_LOAD_OVERLAYFS = gettext_noop("Load the module (modprobe overlay) or use a kernel with CONFIG_OVERLAY_FS.")
_NO_SECCOMP = gettext_noop("This kernel cannot filter system calls.")
_WITH_SECCOMP = gettext_noop("Use a kernel with CONFIG_SECCOMP_FILTER.")


def features() -> list[Feature]:
    """Probed anew at each call; costs a few reads."""
    return [*_programs(), _init(), _overlay(), _seccomp(), *probe().features()]


def _programs() -> list[Feature]:
    result = []
    for name, remedy in PROGRAMS.items():
        path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
        if path is None and name == "crun":
            path = shutil.which("runc") or shutil.which("runc", path="/usr/sbin:/sbin")
        detail = Text(path) if path else Text.of(_NOT_INSTALLED, name=name)
        result.append(
            Feature(
                key=f"program.{name}", present=path is not None, detail=detail, remedy=NOTHING if path else Text(remedy)
            )
        )
    return result


def _init() -> Feature:
    found = find_init()
    return Feature(
        key="program.init",
        present=found is not None,
        detail=Text(str(found)) if found else Text(NO_INIT),
        remedy=NOTHING if found else Text(INSTALL_INIT),
    )


def _overlay() -> Feature:
    known = any(line.split()[-1:] == ["overlay"] for line in Path("/proc/filesystems").read_text().splitlines())
    return Feature(
        key="overlayfs",
        present=known,
        detail=Text("CONFIG_OVERLAY_FS") if known else Text(_NO_OVERLAYFS),
        remedy=NOTHING if known else Text(_LOAD_OVERLAYFS),
    )


def _seccomp() -> Feature:
    known = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    return Feature(
        key="seccomp",
        present=known,
        detail=Text("CONFIG_SECCOMP_FILTER") if known else Text(_NO_SECCOMP),
        remedy=NOTHING if known else Text(_WITH_SECCOMP),
    )
