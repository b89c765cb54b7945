"""Debian and Ubuntu from their archives, for throw-away hosts: a tree made by debootstrap, and a way there while something is installed.

What was made is kept below ``var/trees``. A host reaches the archives, and those of Python and npm, through a program of this machine
(slirp4netns), which opens the connections in the host's place: the machine's own network is not touched.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .bottle import REPOSITORY, Bottle

CACHE = REPOSITORY / "var/trees"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
ENV = dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), AUTHORITIES)
"""For pip and npm in a tree: they trust whom this machine trusts."""
MAKE_TIMEOUT_S = 3600
START_TIMEOUT_S = 30


def tree(release: str, archive: str, components: Sequence[str], packages: Sequence[str], *, script: str = "") -> Path:
    """A tar file of *release* with *packages*. *script*: how debootstrap does it, where it does not know the release."""
    made = CACHE / f"{release}.tar"
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        folder = CACHE / release
        _run("rm", "-rf", "--one-file-system", str(folder))
        keys = [] if script == "" else ["--no-check-gpg"]  # Debian 12 has no package of Ubuntu's keys
        first = [*keys, "--variant=minbase", release, str(folder), archive, *([script] if script else [])]
        _run("unshare", "--mount", "debootstrap", *first)
        lines = [f"deb {archive} {suite} {' '.join(components)}" for suite in (release, f"{release}-updates")]
        (folder / "etc/apt/sources.list").write_text("\n".join([*lines, ""]))
        (folder / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
        policy = folder / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        install = "mount -t proc proc /proc && apt-get update -q && apt-get install -y -q --no-install-recommends"
        inside = [
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "sh",
            "-ec",
            f'{install} "$@" && apt-get clean',
            "sh",
            *packages,
        ]
        _run("unshare", "--mount", "chroot", str(folder), *inside)
        policy.unlink()
        (folder / AUTHORITIES.lstrip("/")).write_bytes(Path(AUTHORITIES).read_bytes())
        partial = made.with_suffix(".part")
        _run("tar", "-C", str(folder), "--one-file-system", "-cf", str(partial), ".")
        partial.rename(made)
        _run("rm", "-rf", "--one-file-system", str(folder))
    return made


def own_archive() -> str:
    """Where this machine, a Debian, has its own packages from."""
    listed = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(listed, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    return next(archive for archive in found if "security" not in archive)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{(done.stdout + done.stderr)[-4000:]}"


@contextlib.contextmanager
def archives_reachable(bottle: Bottle) -> Iterator[None]:
    """Inside, *bottle*, which has an uplink, reaches what this machine reaches."""
    resolv = bottle.read("/etc/resolv.conf")
    command = ["slirp4netns", "--disable-host-loopback", str(bottle.pid), "tap0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as slirp:
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while bottle.run(["ip", "link", "show", "tap0"], check=False).returncode:
                assert time.monotonic() < deadline, "slirp4netns does not start"
                time.sleep(0.05)
            for words in (
                ("address", "add", "10.0.2.100/24", "dev", "tap0"),
                ("link", "set", "tap0", "up"),
                ("route", "replace", "default", "via", "10.0.2.2"),
            ):
                bottle.run(["ip", *words])
            bottle.write("/etc/resolv.conf", "nameserver 10.0.2.3\n")
            yield
        finally:
            slirp.terminate()
    bottle.write("/etc/resolv.conf", resolv)
    bottle.run(["ip", "route", "replace", "default", "via", "192.0.2.1"])
