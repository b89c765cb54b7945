"""A real Docker Engine in a throw-away host, driven over its own REST API: the peer of the benchmarks.

The API is used instead of the ``docker`` command so that neither side pays for starting a client program.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.testlib.bottle import Bottle
from tests.testlib.product import accepts

API = "/v1.41"
IMAGE = "base:1"


class Engine:
    """dockerd with default settings in a bottle: its own, or *beside* what runs in that one; ``request`` speaks to it."""

    def __init__(self, beside: Bottle | None = None) -> None:
        self._stack = contextlib.ExitStack()
        self._beside = beside

    def __enter__(self) -> Self:
        self.bottle = self._beside or self._stack.enter_context(Bottle(uplink=True))
        self.data = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="cnm-bench-docker-")))
        self._start()
        self.client = self._stack.enter_context(
            httpx.Client(
                transport=httpx.HTTPTransport(uds=str(self.bottle.root / "run/docker.sock")),
                base_url="http://docker",
                timeout=600,
            )
        )
        self._wait()
        self.request("POST", f"/images/create?fromSrc=-&repo={IMAGE.replace(':', '&tag=')}", content=busybox_tar())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._beside is None:
            self.bottle.close()
        else:
            self.bottle.run(["kill", self.bottle.read("/run/docker.pid").strip()])
            self._daemon.wait(timeout=60)
        self._stack.close()

    def _start(self) -> None:
        command = [
            "dockerd",
            f"--data-root={self.data}/root",
            "--exec-root=/run/docker",
            "--host=unix:///run/docker.sock",
            "--pidfile=/run/docker.pid",
            "--storage-driver=overlay2",
            "--live-restore",
        ]
        with (self.data / "log").open("a") as log:
            self._daemon = self.bottle.popen(command, stdout=log, stderr=subprocess.STDOUT)

    def restart(self) -> None:
        """Kill the daemon and start it again over its running containers (live-restore)."""
        self.bottle.run(["kill", "-KILL", self.bottle.read("/run/docker.pid").strip()])
        self._daemon.wait(timeout=30)
        self._start()
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            # Asked by hand first: an httpx client that is refused leaves its socket to the garbage collector.
            with contextlib.suppress(httpx.HTTPError):
                if accepts(self.bottle.root / "run/docker.sock") and self.client.get(f"{API}/_ping").status_code == 200:
                    return
            if self._daemon.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit("dockerd did not start:\n" + (self.data / "log").read_text()[-3000:])

    def request(self, method: str, path: str, body: Any = None, content: bytes | None = None) -> Any:
        """One call of the Engine API; its JSON answer, or None. A refusal stops the benchmark."""
        answer = self.client.request(method, API + path, json=body, content=content)
        if answer.status_code >= 400:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
        if answer.headers.get("content-type", "").startswith("application/json") and answer.content:
            return json.loads(answer.content.splitlines()[0])
        return None


def busybox_tar() -> bytes:
    """A root filesystem of one program under all its names."""
    program = shutil.which("busybox")
    if program is None:
        raise SystemExit("busybox is missing: apt-get install busybox-static")
    names = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add(program, "bin/busybox")
        for name in names:
            if name != "busybox":
                entry = tarfile.TarInfo(f"bin/{name}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return out.getvalue()
