"""A throw-away host with a real Docker Engine, a real Docker Compose, and images that need no registry.

What a registry would give is made of Debian's packages, and imported under the names that the Dockerfile and docker-compose.yml ask
for. While an image is built the host reaches the package archives, and afterwards nothing.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.engine.composing import PLUGIN
from tests.testlib.archives import CACHE, ENV, archives_reachable, own_archive, tree
from tests.testlib.bottle import REPOSITORY, Bottle

PACKAGES = (
    *("python3", "python3-venv", "python-is-python3", "nodejs", "npm", "ca-certificates"),
    *("redis-server", "postgresql"),
)
"""Of all images at once."""
NAMES = ("debian:bookworm-slim", "python:3.11-slim-bookworm", "node:20-bookworm-slim", "redis:7")
BUILD_TIMEOUT_S = 3000
START_TIMEOUT_S = 120
HOME = "/run/docker-home"


class ComposeHost:
    """The host, its engine running, with the images that a registry would give."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._root = CACHE / "engine"

    def __enter__(self) -> Self:
        try:
            base = tree("bookworm", own_archive(), ["main"], PACKAGES)
            # On the disk of this machine, for images are large. A shell, for what containers left in there is mounted nowhere any more.
            wipe = ["rm", "-rf", "--one-file-system", self._root]
            subprocess.run(wipe, check=True)
            self._stack.callback(subprocess.run, wipe, check=False)
            self._boot()
            self._import(base)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def _boot(self) -> None:
        self.bottle = self._stack.enter_context(Bottle(uplink=True))
        self.bottle.run(["mount", "--make-rshared", "/run"])  # as systemd leaves it
        self.bottle.run(["mkdir", "-p", f"{HOME}/.docker/cli-plugins"])
        if PLUGIN.exists():
            self.bottle.run(["ln", "-s", PLUGIN, f"{HOME}/.docker/cli-plugins/docker-compose"])
        command = ["dockerd", f"--data-root={self._root}", "--exec-root=/run/docker", "--pidfile=/run/docker.pid"]
        log = CACHE / "engine.log"
        with log.open("w") as output:
            daemon = self.bottle.popen([*command, "--storage-driver=overlay2"], stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.docker("version", check=False).returncode:
            assert daemon.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def reboot(self) -> None:
        """The power fails, and comes back: the disk is what it was, and nothing else."""
        self.bottle.close()
        self._boot()

    def _import(self, base: Path) -> None:
        changes = [word for name, value in ENV.items() for word in ("--change", f"ENV {name}={value}")]
        first, *others = NAMES
        self.docker("import", *changes, str(base), first, timeout=BUILD_TIMEOUT_S)
        for name in others:
            self.docker("tag", first, name)
        folder = REPOSITORY / "tests/compose/postgres"
        self.docker("build", "-q", "-t", "postgres:17", str(folder), timeout=BUILD_TIMEOUT_S)

    @contextlib.contextmanager
    def archives_reachable(self) -> Iterator[None]:
        with archives_reachable(self.bottle):
            yield

    def docker(
        self, *words: str, check: bool = True, timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``docker WORDS`` in the clone. The builder is the engine's older one, which needs no plugin."""
        known = {"HOME": HOME, "DOCKER_BUILDKIT": "0", "DOCKER_API_VERSION": "1.41", "COMPOSE_PROJECT_NAME": "cnm"}
        command = ["env", "-C", str(REPOSITORY), "docker", *words]
        return self.bottle.run(command, check=check, timeout=timeout, env={**known, **(env or {})})
