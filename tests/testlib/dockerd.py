"""A real Docker Engine beside the product in its throw-away host, and the real ``docker`` command to speak to it.

with Dockerd(product.bottle) as engine:
    engine.docker("network", "create", "-d", "cnm", "--ipam-driver", "cnm", "shop")
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.engine import IMAGE, busybox_tar

from .bottle import Bottle

START_TIMEOUT_S = 60
SOCKET = "/run/docker.sock"
ENV = {"HOME": "/run/docker-home", "DOCKER_API_VERSION": "1.41"}
"""The version of the Docker Engine 20.10 in Debian 12: the command may be newer, and then refuses what it would say otherwise."""
PLUGIN = "/run/docker/plugins/cnm/cnm.sock"
"""Where the product offers its networks, by ``CNM_DOCKER_PLUGIN``."""


class Dockerd:
    """dockerd in *bottle*, with an image of busybox; *options* are more words of its command."""

    def __init__(self, bottle: Bottle, options: Sequence[str] = ()) -> None:
        self.bottle = bottle
        self._options = options
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._data = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cnm-dockerd-")))
        try:
            self.start()
            archive = self._data / "base.tar"
            archive.write_bytes(busybox_tar())
            self.docker("import", str(archive), IMAGE)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, and its containers with it: what it had mounted would keep its folder."""
        with contextlib.suppress(AssertionError, OSError, subprocess.SubprocessError):
            names = self.said("ps", "-aq").split()
            if names:
                self.docker("rm", "-f", *names, check=False)
        self.stop()
        self._stack.close()

    def start(self) -> None:
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it, and let it find out by itself what is there."""
        command = ["dockerd", f"--data-root={self._data}/root", "--exec-root=/run/docker", f"--host=unix://{SOCKET}"]
        command += ["--pidfile=/run/docker.pid", "--storage-driver=overlay2", *self._options]
        with (self._data / "log").open("a") as log:
            self._daemon = self.bottle.popen(command, stdout=log, stderr=subprocess.STDOUT)

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.docker("version", check=False).returncode:
            assert self._daemon.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def stop(self, signal: str = "TERM") -> None:
        """*signal* KILL: as if it had crashed."""
        if self._daemon.poll() is None and os.path.exists(f"{self.bottle.root}/run/docker.pid"):
            self.bottle.run(["kill", f"-{signal}", self.bottle.read("/run/docker.pid").strip()], check=False)
            self._daemon.wait(timeout=60)
        self.bottle.run(["rm", "-f", "/run/docker.pid"])

    def docker(self, *words: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """``docker WORDS``; fails the test where that fails."""
        command = ["docker", "-H", f"unix://{SOCKET}", *words]
        done = self.bottle.run(command, check=False, timeout=timeout, env=ENV)
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(words)} gave {done.returncode}: {done.stderr}\n{self.log()}")
        return done

    def said(self, *words: str) -> str:
        return self.docker(*words).stdout.strip()

    def refused(self, *words: str) -> str:
        """What ``docker WORDS`` was refused with."""
        done = self.docker(*words, check=False)
        assert done.returncode, done.stdout
        return done.stderr.strip()

    def inspected(self, kind: str, name: str) -> Any:
        return json.loads(self.said(kind, "inspect", name))[0]

    def run(self, name: str, network: str, *command: str, options: Sequence[str] = ()) -> str:
        """A container that runs *command* (default: sleeps); its address on *network*."""
        words = list(command) or ["sleep", "1000"]
        self.docker("run", "-d", "--name", name, "--network", network, *options, IMAGE, *words)
        return self.address(name, network)

    def address(self, name: str, network: str) -> str:
        return str(self.inspected("container", name)["NetworkSettings"]["Networks"][network]["IPAddress"])

    def inside(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        return self.docker("exec", name, *command, check=False)

    def pings(self, name: str, address: str) -> bool:
        return self.inside(name, "ping", "-c1", "-W2", address).returncode == 0

    def log(self) -> str:
        return (self._data / "log").read_text(errors="replace")[-6000:]
