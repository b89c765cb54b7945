"""A fresh machine on which someone types the README's commands, and words to look at what came of it."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.testlib.bottle import REPOSITORY, Bottle

T = TypeVar("T")
PASSWORD = "only-for-this-throw-away-host"
COMMAND_TIMEOUT_S = 300
STAND_IN = """#!/bin/sh
[ -x /usr/sbin/policy-rc.d ] && guard=" and starts nothing"
echo "$*$guard" >>/run/apt.log
[ "$1" = install ] && umount {program}
exit 0
"""


def prepare(cache: str = "") -> None:
    """Runs inside: places of the installer's own, and what it would fetch, for a throw-away host reaches no package index.

    The locked Python packages are those of this virtual environment; npm finds its own in its cache. *cache*: where
    ``make demo`` builds.
    """
    for folder in ("/opt", "/var/log", "/var/cache"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
    sys.path.insert(0, str(REPOSITORY / "install"))
    version = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print(sys.version)"], capture_output=True, check=True
    )
    from layout import CACHE, PREFIX, hash_of  # type: ignore[import-not-found]  # the installer is no package: it runs before any is there

    lock = (REPOSITORY / "requirements/base.txt").read_bytes()
    venv = (CACHE if cache else PREFIX) / "venvs" / hash_of([lock, version.stdout.rstrip(b"\n")])
    upper, work = Path("/opt/upper"), Path("/opt/work")
    for folder in (venv, upper, work):
        folder.mkdir(parents=True)
    (upper / "complete").touch()
    options = f"lowerdir={REPOSITORY / '.venv'},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(venv)], check=True)


def ask(method: str, path: str, token: str, body: Any, base: str) -> Any:
    """Runs inside: one request to the installed console."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.request(method, f"{base}{path}", headers=headers, json=body, timeout=60)
    answer.raise_for_status()
    return answer.json() if answer.content else None


class Machine:
    """A throw-away host with nothing of ours on it yet."""

    def __init__(self, bottle: Bottle) -> None:
        self.bottle = bottle
        self.token = ""
        self.base = "http://127.0.0.1:8000"
        self.tree = REPOSITORY

    def type(self, target: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        """``make TARGET``: its exit code, and all that it printed."""
        values = {"CNM_ADMIN_PASSWORD": PASSWORD, "CNM_YES": "1", "npm_config_offline": "true", **(env or {})}
        done = self.bottle.run(
            ["make", "-s", "-C", self.tree, target], env=values, timeout=COMMAND_TIMEOUT_S, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def make(self, target: str, env: Mapping[str, str] | None = None) -> str:
        code, said = self.type(target, env)
        assert code == 0, said
        return said

    def api(self, method: str, path: str, body: Any = None) -> Any:
        self.token = self.token or self.bottle.python("tests.testlib.product:make_token")
        return self.bottle.python(ask, method, f"/api/v1/{path}", self.token, body, self.base)

    def set(self, **values: str) -> None:
        """Change lines of the file of settings, as an editor would."""
        lines = self.bottle.read("/etc/cnm/cnm.env").splitlines()
        left = [line for line in lines if line.partition("=")[0] not in values]
        self.bottle.write("/etc/cnm/cnm.env", "\n".join([*left, *(f"{n}={v}" for n, v in values.items() if v)]) + "\n")

    def state(self, container: str) -> str:
        return str(self.api("GET", f"containers/{container}")["state"])

    def hears(self, address: str, port: int) -> str:
        """What the published port says to the outside, within a few seconds."""
        command = ["busybox", "timeout", "2", "busybox", "nc", "-w", "2", address, str(port)]
        return until(lambda: self.bottle.run(command, netns="outside", check=False, input="").stdout.strip(), 20)

    def uninstall(self, program: Path) -> None:
        """*program* is missing until somebody installs its package: this machine reaches no archive, so ``apt-get`` is a
        stand-in that brings it back and writes down what it was asked for. /usr/sbin takes writes of this machine's own."""
        sbin = "lowerdir=/usr/sbin,upperdir=/run/sbin/upper,workdir=/run/sbin/work"
        self.bottle.run(["mkdir", "-p", "/run/sbin/upper", "/run/sbin/work"])
        self.bottle.run(["mount", "-t", "overlay", "-o", sbin, "overlay", "/usr/sbin"])
        self.bottle.run(["rm", "-f", "/usr/sbin/policy-rc.d"])
        self.bottle.run(["mount", "--bind", "/dev/null", program])
        self.bottle.write("/usr/sbin/apt-get", STAND_IN.format(program=program))
        self.bottle.write("/usr/sbin/dpkg", "#!/bin/sh\n")
        self.bottle.run(["chmod", "755", "/usr/sbin/apt-get", "/usr/sbin/dpkg"])

    def listens(self) -> set[str]:
        """Where somebody takes TCP connections."""
        return {line.split()[3] for line in self.bottle.run(["ss", "-Hltn"]).stdout.splitlines()}

    def processes(self) -> dict[str, str]:
        """User of each of our processes, by a word of its command line."""
        words = (
            "redis-server",
            "worker.holder",
            "worker.dns --socket",
            "worker.dns.resolver",
            "worker kernel",
            "worker slow",
            "worker.monitor",
            "networks.engine",
            "uvicorn",
        )
        found = {}
        for line in self.bottle.run(["ps", "-wweo", "user:32,args"]).stdout.splitlines():
            for word in words:
                if word in line:
                    found[word] = line.split()[0]
        return found


def until(look: Callable[[], T], timeout_s: float) -> T:
    """What *look* gives as soon as it is true, or at last."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


@contextmanager
def fresh_machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as state, Bottle(uplink=True, state_dir=Path(state)) as bottle:
        bottle.python(prepare)
        yield Machine(bottle)


_built: list[Path] = []
"""A copy of the release that a machine of this session has built."""


@contextmanager
def built_machine() -> Iterator[Machine]:
    """A machine on which the product was built, but never started; it is built once a session."""
    with fresh_machine() as machine:
        if not _built:
            build = f"import sys; sys.path.insert(0, '{REPOSITORY}/install'); import release; release.install_tree()"
            env = {"npm_config_offline": "true"}
            machine.bottle.run(["/usr/bin/python3", "-c", build], env=env, timeout=COMMAND_TIMEOUT_S)
            folder = Path(tempfile.mkdtemp(prefix="cnm-release-"))
            folder.chmod(0o755)  # as the installer's own: the user cnm goes through it
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            shutil.copytree(machine.bottle.root / "opt/cnmweb/releases", folder / "releases", symlinks=True)
            shutil.copy(machine.bottle.root / "opt/cnmweb/current", folder / "current", follow_symlinks=False)
            _built.append(folder)
        else:
            shutil.copytree(_built[0], machine.bottle.root / "opt/cnmweb", symlinks=True, dirs_exist_ok=True)
        yield machine
