"""The whole product in a throw-away host: its real processes, its real kernel, its REST API.

with Product() as product:
    product.api.post("/api/v1/networks", json={"name": "app"})
    product.kill("kernel")
"""

from __future__ import annotations

import atexit
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from .bottle import REPOSITORY, Bottle
from .databases import database_for

ADMIN, PASSWORD = "admin", "a-password-for-tests"
START_TIMEOUT_S = 60
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "redis": (
        "redis-server",
        "--unixsocket",
        "/run/cnm/redis/redis.sock",
        "--unixsocketperm",
        "600",
        "--port",
        "0",
        "--save",
        "",
        "--appendonly",
        "no",
    ),
    "holder": (sys.executable, "-m", "worker.holder", "--socket", "/run/cnm/holder.sock"),
    "dns": (sys.executable, "-m", "worker.dns", "--socket", "/run/cnm/dns.sock"),
    "kernel": (sys.executable, "-m", "worker", "kernel", "--log-level", "INFO"),
    "slow": (sys.executable, "-m", "worker", "slow", "--log-level", "INFO"),
    "sessions": (sys.executable, "-m", "worker.sessions"),
    "monitor": (sys.executable, "-m", "worker.monitor"),
    "engine": (sys.executable, "-m", "networks.engine"),
    "web": (
        sys.executable,
        "-m",
        "uvicorn",
        "cnmweb.asgi:application",
        "--uds",
        "/run/cnm/web.sock",
        "--log-level",
        "warning",
    ),
}
"""Every process of the product, in the order in which they are started."""
OUTLIVES = ("holder", "redis")
ON_DEMAND = ("engine",)
"""What no other process needs: started by :meth:`Product.serve_engine`, for each start costs a second."""
DOCKER_SOCKET = "/run/cnm/docker.sock"


@dataclass(frozen=True)
class _Template:
    """A copy of the state folder and of the database after a first start, and the token that is in there."""

    state: Path
    database: str
    token: str


class Product:
    """The product, running. *env* adds to its environment (``CNM_NAMES="docker"``, …); *celery* is another module with the
    Celery application of its kernel worker; *server* is the PostgreSQL that it uses, where that is not the run's."""

    def __init__(
        self, env: Mapping[str, str] | None = None, celery: str = "cnmweb.celery", server: str | None = None
    ) -> None:
        self._server = server
        self.commands = dict(COMMANDS)
        self.commands["kernel"] = (*COMMANDS["kernel"], "--app", celery)
        self._stack = contextlib.ExitStack()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.env = {
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONWARNINGS": "ignore",
            "DJANGO_SETTINGS_MODULE": "cnmweb.settings",
            "CNM_STATE_DIR": "/var/lib/cnm",
            "CNM_RUN_DIR": "/run/cnm",
            "CNM_ALLOWED_HOSTS": "*",
            "CNM_ADMIN_USER": ADMIN,
            "CNM_ADMIN_PASSWORD": PASSWORD,
            "C_FORCE_ROOT": "1",
            **(env or {}),
        }

    def __enter__(self) -> Self:
        try:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cnm-product-")))
            (self._folder / "state").mkdir()
            (self._folder / "logs").mkdir()
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(AttributeError):
            self.bottle.close()
        self._stack.close()

    def _boot(self) -> None:
        self.bottle = Bottle(uplink=True, state_dir=self._folder / "state").__enter__()
        self.bottle.run(["mkdir", "-p", "/run/cnm/redis", "/var/lib/cnm"])
        self._database()
        for name in COMMANDS:
            if name not in ON_DEMAND:
                self.start(name)
        self.api = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.bottle.root / "run/cnm/web.sock")),
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=120,
        )
        self._stack.callback(self.api.close)
        self._wait()

    def _database(self) -> None:
        """The state folder with a migrated database, this environment's settings and an admin's token in it.

        That takes seconds, so it is made once a session for each kind of host, and then copied.
        """
        if (self._folder / "state/db").exists():
            return
        database = database_for(self._folder / "state", self._server)
        self.database = self._stack.enter_context(contextlib.closing(database))
        kind, migrated = self._kind(), f"{database.server} migrated"
        self.env |= database.env
        if kind in _templates:
            self._begin_with(_templates[kind])
        else:
            if migrated in _templates:
                self._begin_with(_templates[migrated])
            else:
                self.manage("migrate", "-v0")
                _templates[migrated] = self._keep("")
            token = str(self.bottle.python("tests.testlib.product:first_start", env=self.env))
            _templates[kind] = self._keep(token)
        self._token = _templates[kind].token

    def _kind(self) -> str:
        """What the first start makes depends on this alone."""
        return json.dumps([self.database.server, self.env], sort_keys=True)

    def _keep(self, token: str) -> _Template:
        """What there is now, for as long as this session lasts."""
        folder = tempfile.mkdtemp(prefix="cnm-product-template-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        shutil.copytree(self._folder / "state", folder, dirs_exist_ok=True)
        return _Template(Path(folder), self.database.keep(), token)

    def _begin_with(self, template: _Template) -> None:
        shutil.copytree(template.state, self._folder / "state", dirs_exist_ok=True)
        self.database.begin_with(template.database)

    def manage(self, *words: str) -> str:
        """Run a management command inside; what it printed."""
        return self.bottle.run(
            [sys.executable, str(REPOSITORY / "manage.py"), *words], env=self.env, timeout=120
        ).stdout

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        listens = False
        while time.monotonic() < deadline:
            # Asked by hand first: an httpx client that is refused leaves its socket to the garbage collector.
            listens = listens or accepts(self.bottle.root / "run/cnm/web.sock")
            if listens:
                answer = self.api.get("/api/v1/hosts")
                if answer.status_code == 200 and answer.json()["results"][0]["alive"]:
                    return
            time.sleep(0.05)
        raise AssertionError(f"The product did not start.\n{self.logs()}")

    def start(self, name: str) -> None:
        self._start(name, self.commands[name])

    def _start(self, name: str, command: Sequence[str]) -> None:
        log = (self._folder / "logs" / name).open("a")
        with log:
            self._processes[name] = self.bottle.popen(command, env=self.env, stdout=log, stderr=subprocess.STDOUT)

    def serve_engine(self, env: Mapping[str, str] | None = None) -> None:
        """Start the Docker Engine API, and wait until it listens. *env*: more settings, for what starts from now on."""
        self.env |= env or {}
        self.start("engine")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not accepts(self.bottle.root / DOCKER_SOCKET.lstrip("/")):
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.05)

    def serve_tcp(self, port: int, address: str = "127.0.0.1") -> None:
        """A second web process, for browsers and other hosts: at *address* of the throw-away host."""
        self.env["CNM_STATIC_ROOT"] = "/var/lib/cnm/staticfiles"
        self.manage("collectstatic", "--noinput", "-v0")
        uvicorn = (sys.executable, "-m", "uvicorn", "cnmweb.asgi:application", "--log-level", "warning")
        self.commands["web-tcp"] = (*uvicorn, "--host", address, "--port", str(port))
        self.start("web-tcp")
        deadline = time.monotonic() + START_TIMEOUT_S
        while f":{port} " not in self.bottle.run(["ss", "-Hltn"]).stdout:
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        """SIGKILL, and gone when this returns."""
        process = self._processes[name]
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=False, capture_output=True)
        self.signal(name, "KILL")
        process.wait(timeout=10)
        deadline = time.monotonic() + 10
        while list(self._inside(name)):  # it holds its ports until it is gone, not until it was told
            assert time.monotonic() < deadline, f"{name} does not end"
            time.sleep(0.01)

    def signal(self, name: str, word: str) -> None:
        """Send a signal ("STOP", "CONT", …) to the process itself."""
        for pid in self._inside(name):
            self.bottle.run(["kill", f"-{word}", pid], check=False)

    def _inside(self, name: str) -> Iterator[str]:
        """The process itself, by its id in the host: nsenter forks for a pid namespace, so it is found by its command line."""
        marker = "\0".join(self.commands[name][:12]).encode()
        for entry in (self.bottle.root / "proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if (entry / "cmdline").read_bytes().startswith(marker):
                        yield entry.name

    def process(self, name: str) -> subprocess.Popen[str]:
        """The process *name* of now; a restart makes another."""
        return self._processes[name]

    def restart(self, name: str) -> None:
        """Kill it if it runs, start it anew, and wait until the product answers."""
        if self._processes[name].poll() is None:
            self.kill(name)
        before = time.time()
        self.start(name)
        if name == "kernel":
            self._wait_for_start(before)

    def _wait_for_start(self, since: float) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            answer = self.api.get("/api/v1/hosts").json()["results"][0]
            if answer["heartbeat_at"] and _unix(answer["heartbeat_at"]) > since:
                return
            time.sleep(0.05)
        raise AssertionError(f"The kernel worker did not start.\n{self.logs()}")

    def reboot(self) -> None:
        """A new host over the same state folder: nothing of the old kernel state is left."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
        self.bottle.close()
        self._boot()

    def age_heartbeat(self) -> None:
        """Make the worker look silent for longer than a write waits for it."""
        self.bottle.python("tests.testlib.product:forget_heartbeat", env=self.env)

    def forget_addresses(self) -> None:
        """As if another container had had every free address meanwhile: nobody gets its own again."""
        self.database.execute("UPDATE networks_lease SET last_container_id = '' WHERE endpoint_id IS NULL")

    def log(self, name: str) -> str:
        """All that the process *name* has printed."""
        return (self._folder / "logs" / name).read_text(errors="replace")

    def logs(self) -> str:
        """The end of every process's log."""
        parts = []
        for path in sorted((self._folder / "logs").iterdir()):
            parts.append(f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}")
        return "\n".join(parts)


_templates: dict[str, _Template] = {}
"""Kind of host -> what its first start makes."""


def accepts(path: Path) -> bool:
    """Whether somebody listens at the socket *path*."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _unix(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def first_start() -> str:
    """Runs inside: what ``make up`` does after the migrations, and an admin's token."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("bootstrap")
    return make_token()


def make_token() -> str:
    """Runs inside: an admin's token, straight from the service."""
    import django

    django.setup()
    from networks.models import User
    from networks.services.actor import Actor
    from networks.services.tokens import create_token

    user = User.objects.get(username=ADMIN)
    name = f"tests-{user.tokens.count()}"
    return create_token(Actor(name=ADMIN, role="admin", via="shell"), user, name, "admin")[1]


def forget_heartbeat() -> None:
    """Runs inside."""
    import django

    django.setup()
    from networks.models import Host

    Host.objects.update(heartbeat_at=None)
