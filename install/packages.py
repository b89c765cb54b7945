"""The distribution's packages that the product needs: what is missing is installed, and nothing of it is started."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
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
    "openssl": "openssl",
    "ip": "iproute2",
    "node": "nodejs",
    "npm": "npm",
    "gcc": "gcc",
    "msgfmt": "gettext",
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
    if not Path("/usr/share/zoneinfo/UTC").exists():
        result.append("tzdata")
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
        if absent := not_offered(wanted):
            refuse(f"the package sources of this host do not offer {' '.join(absent)}. {where_they_are()}")
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted], env=env)
    return "installed"


def not_offered(wanted: Sequence[str]) -> list[str]:
    """Those of the packages *wanted* that no package source has, as of the last ``apt-get update``."""
    env = {**os.environ, "LC_ALL": "C"}
    asked = subprocess.run(["apt-cache", "policy", *wanted], env=env, capture_output=True, text=True, check=True)
    versions: dict[str, str] = {}
    package = ""
    for line in asked.stdout.splitlines():
        if not line.startswith(" "):
            package = line.removesuffix(":")
        elif line.startswith("  Candidate: "):
            versions[package] = line.removeprefix("  Candidate: ")
    return [name for name in wanted if versions.get(name, "(none)") == "(none)"]


def where_they_are(release: Path = Path("/etc/os-release")) -> str:
    """What to do about packages that are not offered. Ubuntu has crun, conmon, skopeo, umoci, Redis and Node in *universe*."""
    lines = release.read_text().splitlines() if release.exists() else []
    kin = [line.partition("=")[2].strip('"').split() for line in lines if line.startswith(("ID=", "ID_LIKE="))]
    if any("ubuntu" in names for names in kin):
        return "On Ubuntu they are in the component universe: run `add-apt-repository universe`, then this again."
    return "Debian 12 has them in main, Ubuntu 24.04 in main and universe: name these in /etc/apt/sources.list."


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
