"""The distribution's packages that the product needs: what is missing is installed, and nothing of it is started."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from layout import PYTHON, refuse, run, say

PACKAGES = {
    "iptables": "iptables",
    "nft": "nftables",
    "redis-server": "redis-server",
    "crun": "crun",
    "conmon": "conmon",
    "skopeo": "skopeo",
    "umoci": "umoci",
    "ip": "iproute2",
    "node": "nodejs",
    "npm": "npm",
    "gcc": "gcc",
    "python3": "python3",
}
"""Program -> the Debian package that has it."""
POLICY = Path("/usr/sbin/policy-rc.d")
OURS = "#!/bin/sh\n# Made by CNM Web's installer for as long as it installs packages.\nexit 101\n"


def missing() -> list[str]:
    """The packages that are not there, by the programs and headers that they bring."""
    found = os.environ["PATH"] + ":/usr/sbin:/sbin"
    result = [package for program, package in PACKAGES.items() if shutil.which(program, path=found) is None]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not Path(f"/usr/include/python{version}/Python.h").exists():
        result.append("python3-dev")
    if subprocess.run([PYTHON, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode:
        result.append("python3-venv")
    if not Path("/usr/include/stdlib.h").exists():
        result.append("libc6-dev")
    return result


def install() -> str:
    """Install what is missing; what that was. Stops with what the package manager printed when it fails."""
    wanted = missing()
    if not wanted:
        return ""
    if shutil.which("apt-get") is None:
        refuse(f"these packages are missing and there is no apt-get to install them: {' '.join(wanted)}.")
    say(f"\n    installing {' '.join(wanted)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with no_services_started():
        run(["dpkg", "--configure", "-a"], env=env)  # what an interrupted run left half done
        run(["apt-get", "update", "-q"], env=env)
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted], env=env)
    return "installed"


@contextlib.contextmanager
def no_services_started() -> Iterator[None]:
    """Debian starts services when it installs them; our Redis is a private one, so the system's stays off.

    A policy that a killed run of ours left behind is taken over: it would keep the host's services from starting for ever.
    """
    if POLICY.exists() and POLICY.read_text() != OURS:
        yield
        return
    POLICY.write_text(OURS)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
