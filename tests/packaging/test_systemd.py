"""The README's commands where systemd is pid 1: a real systemd, in a throw-away host with a disk, over a reboot."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testlib.bottle import REPOSITORY
from tests.testlib.systemd_host import SystemdHost

from .machine import Machine, until
from .test_lifecycle import ALL, OUTWARD, WEB

pytestmark = [pytest.mark.kernel, pytest.mark.long, pytest.mark.timeout(900)]
SECRET = 'a key with % and %n, "quotes", $HOME and \\ in it'
UNITS = ("redis", "holder", "dns", "bootstrap", "kernel", "slow", "sessions", "engine", "monitor", "web")


@pytest.fixture
def disk() -> Iterator[Path]:
    # In memory: thousands of small files come and go.
    with tempfile.TemporaryDirectory(prefix="cnm-disk-", dir="/dev/shm") as folder:
        yield Path(folder)


def install_packages(disk: Path) -> None:
    """The locked Python packages, on the disk: a throw-away host reaches no package index."""
    sys.path.insert(0, str(REPOSITORY / "install"))
    from layout import PREFIX, hash_of  # type: ignore[import-not-found]  # the installer is no package

    version = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=True
    ).stdout.rstrip("\n")
    lock = (REPOSITORY / "requirements/base.txt").read_bytes()
    venv = disk / "opt/upper" / PREFIX.relative_to("/opt") / "venvs" / hash_of([lock, version.encode()])
    heavy = shutil.ignore_patterns("playwright", "mypy", "__pycache__")
    shutil.copytree((REPOSITORY / ".venv").resolve(), venv, symlinks=True, ignore=heavy)
    (venv / "complete").touch()


def active(host: SystemdHost) -> dict[str, str]:
    command = ["systemctl", "is-active", *(f"cnm-{name}" for name in UNITS)]
    return dict(zip(UNITS, host.run(command, check=False).stdout.split(), strict=True))


def owners(host: SystemdHost) -> list[str]:
    return host.run(["stat", "-c", "%n %a %U:%G", "/run/cnm", "/run/cnm/redis"]).stdout.splitlines()


def test_systemd_runs_it_restarts_it_and_brings_it_back_after_a_reboot(disk: Path) -> None:
    install_packages(disk)
    with SystemdHost(disk) as host:
        machine = Machine(host)
        before = host.dump()
        machine.make("up", {"CNM_SECRET_KEY": SECRET})
        assert active(host) == dict.fromkeys(UNITS, "active")
        assert machine.processes() == ALL
        assert owners(host) == ["/run/cnm 755 root:cnm", "/run/cnm/redis 700 cnm:cnm"]
        verified = host.run(["systemd-analyze", "verify", *(f"/etc/systemd/system/cnm-{n}.service" for n in UNITS)])
        assert [line for line in verified.stderr.splitlines() if "cnm" in line] == []
        assert not host.run(["grep", "-rl", "quotes", "/etc/systemd", "/etc/tmpfiles.d"], check=False).stdout
        pid = host.run(["systemctl", "show", "-p", "MainPID", "--value", "cnm-kernel"]).stdout.strip()
        assert f"CNM_SECRET_KEY={SECRET}" in host.read(f"/proc/{pid}/environ").split("\0")
        assert "nothing had to be changed" in machine.make("up")

        machine.api("POST", "containers", WEB)
        assert machine.hears("192.0.2.2", 8080) == "hello"
        process = machine.api("GET", "containers/web")["pid"]
        host.run(["kill", "-KILL", pid])
        assert until(lambda: active(host)["kernel"] == "active", 30)
        machine.set(CNM_IP_MASQ="false")
        machine.make("restart")
        assert OUTWARD not in host.run(["iptables", "-t", "nat", "-S"]).stdout
        assert machine.api("GET", "containers/web")["pid"] == process
        assert machine.hears("192.0.2.2", 8080) == "hello"

    with SystemdHost(disk) as host:
        machine = Machine(host)
        assert until(lambda: active(host) == dict.fromkeys(UNITS, "active"), 60), active(host)
        assert owners(host) == ["/run/cnm 755 root:cnm", "/run/cnm/redis 700 cnm:cnm"]
        assert machine.hears("192.0.2.2", 8080) == "hello"
        assert "nothing had to be changed" in machine.make("up")
        machine.make("down")
        assert host.dump() == before
        assert machine.processes() == {}
        assert not host.run(["find", "/etc/systemd", "/etc/tmpfiles.d", "-name", "cnm*"]).stdout
        machine.make("up")
        assert machine.hears("192.0.2.2", 8080) == "hello"
