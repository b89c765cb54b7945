"""The README's commands, in order, on a throw-away host: up, up again, restart, down, up, purge."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.testlib.bottle import REPOSITORY, Bottle

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]
PASSWORD = "only-for-this-throw-away-host"
WEB = {"name": "web", "command": ["busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"], "ports": ["8080:80"]}


def prepare() -> None:
    """Runs inside: places of the installer's own, and what it would fetch, for a throw-away host reaches no package index.

    The locked Python packages are those of this virtual environment; npm finds its own in its cache.
    """
    for folder in ("/opt", "/var/log"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
    sys.path.insert(0, str(REPOSITORY / "install"))
    version = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print(sys.version)"], capture_output=True, check=True
    )
    from layout import PREFIX, hash_of  # type: ignore[import-not-found]  # the installer is no package: it runs before any is there

    lock = (REPOSITORY / "requirements/base.txt").read_bytes()
    venv = PREFIX / "venvs" / hash_of([lock, version.stdout.rstrip(b"\n")])
    upper, work = Path("/opt/upper"), Path("/opt/work")
    for folder in (venv, upper, work):
        folder.mkdir(parents=True)
    (upper / "complete").touch()
    options = f"lowerdir={REPOSITORY / '.venv'},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(venv)], check=True)


def ask(method: str, path: str, token: str, body: Any) -> Any:
    """Runs inside: one request to the installed console."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.request(method, f"http://127.0.0.1:8000{path}", headers=headers, json=body, timeout=60)
    answer.raise_for_status()
    return answer.json() if answer.content else None


class Machine:
    """A fresh machine on which someone types the README's commands."""

    def __init__(self, bottle: Bottle) -> None:
        self.bottle = bottle
        self.token = ""

    def make(self, target: str) -> str:
        env = {
            "CNM_ADMIN_PASSWORD": PASSWORD,
            "CNM_YES": "1",
            "npm_config_offline": "true",
        }
        return self.bottle.run(["make", "-s", "-C", REPOSITORY, target], env=env, timeout=300).stdout

    def api(self, method: str, path: str, body: Any = None) -> Any:
        self.token = self.token or self.bottle.python("tests.testlib.product:make_token")
        return self.bottle.python(ask, method, f"/api/v1/{path}", self.token, body)

    def hears(self, address: str, port: int) -> str:
        """What the published port says to the outside, within a few seconds."""
        for _ in range(40):
            command = ["busybox", "timeout", "2", "busybox", "nc", "-w", "2", address, str(port)]
            said = self.bottle.run(command, netns="outside", check=False, input="").stdout.strip()
            if said:
                return said
            time.sleep(0.1)
        return ""

    def processes(self) -> dict[str, str]:
        """User of each of our processes, by a word of its command line."""
        words = ("redis-server", "worker.holder", "kernel@", "slow@", "worker.monitor", "uvicorn")
        found = {}
        for line in self.bottle.run(["ps", "-wweo", "user:32,args"]).stdout.splitlines():
            for word in words:
                if word in line:
                    found[word] = line.split()[0]
        return found


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as state, Bottle(uplink=True, state_dir=Path(state)) as bottle:
        bottle.python(prepare)
        yield Machine(bottle)


def test_the_readmes_commands_do_what_they_say(machine: Machine) -> None:
    before = machine.bottle.dump()
    said = machine.make("up")
    assert "http://127.0.0.1:8000/" in said
    assert machine.processes() == {
        "redis-server": "cnm",
        "worker.holder": "root",
        "kernel@": "root",
        "slow@": "root",
        "worker.monitor": "root",
        "uvicorn": "cnm",
    }
    assert machine.bottle.run(["stat", "-c", "%a %U", "/run/cnm/redis"]).stdout.split() == ["700", "cnm"]
    assert "nothing had to be changed" in machine.make("up")

    machine.api("POST", "containers", WEB)
    assert machine.hears("192.0.2.2", 8080) == "hello"
    pid = machine.api("GET", "containers/web")["pid"]
    machine.make("restart")
    assert machine.hears("192.0.2.2", 8080) == "hello"
    assert machine.api("GET", "containers/web")["pid"] == pid

    machine.make("down")
    assert machine.bottle.dump() == before
    assert machine.processes() == {}
    machine.make("up")
    assert machine.hears("192.0.2.2", 8080) == "hello"

    machine.make("purge")
    assert machine.bottle.dump() == before
    for path in ("/opt/cnmweb/current", "/etc/cnm", "/var/log/cnm", "/run/cnm", "/var/lib/cnm/db"):
        assert not os.path.lexists(machine.bottle.root / path.lstrip("/")), path
    assert machine.bottle.run(["id", "cnm"], check=False).returncode != 0
