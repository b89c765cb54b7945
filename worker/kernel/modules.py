"""Kernel modules: loaded where a distribution ships them and nobody has loaded them yet."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from . import sysctl

WANTED = ("overlay", "nf_conntrack")
"""Loaded at start: links, ESP and tables of rules load theirs by themselves when they are asked for, these do not. ``br_netfilter``
waits until a network needs it: from then on the packets of *every* bridge of the host may meet its rules."""
BRIDGE_FILTERING = "br_netfilter"
_BRIDGE_SYSCTLS = "net.bridge."
_CALLS = ("iptables", "ip6tables", "arptables")
TIMEOUT_S = 20
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def load(*names: str) -> bool:
    """Load each module; whether all of them are there now, as one that the kernel has built in always is."""
    found = [_modprobe(name) for name in names]
    return all(found)


def can_be_loaded(name: str) -> bool:
    """Whether the module is there, or would be after :func:`load`. Loads nothing and needs no right."""
    return _would_load(name, fingerprint())


def load_for_sysctl(name: str) -> None:
    """Load the module that brings the sysctl *name*, where it is missing and we know one.

    ``br_netfilter`` shows iptables the packets of every bridge from the moment it is loaded; that is switched off at once, so that the
    value "from before us" is the one that the host's other bridges lived with.
    """
    if name.startswith(_BRIDGE_SYSCTLS) and sysctl.read(name) is None and load(BRIDGE_FILTERING):
        for rules in _CALLS:
            sysctl.write_where_present(f"{_BRIDGE_SYSCTLS}bridge-nf-call-{rules}", "0")


def fingerprint() -> str:
    """Changes when a module is loaded or a package of modules is installed: what was found missing may be there now."""
    release = os.uname().release
    try:
        loaded = Path("/proc/modules").read_text()
    except OSError:
        loaded = ""
    try:
        shipped = Path(f"/lib/modules/{release}/modules.dep").stat().st_mtime_ns
    except OSError:
        shipped = 0
    names = sorted(line.split(" ", 1)[0] for line in loaded.splitlines())
    return f"{shipped} {' '.join(names)}"


@lru_cache(maxsize=16)
def _would_load(name: str, fingerprint: str) -> bool:
    return _modprobe("--dry-run", name)


def _modprobe(*words: str) -> bool:
    program = shutil.which("modprobe", path=_PATH)
    if program is None:
        return False
    try:
        done = subprocess.run([program, "-q", *words], capture_output=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
