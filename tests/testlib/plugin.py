"""The tests' own plugin (``plugin.mjs``), run inside a throw-away host: somebody else's process, in another language."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .bottle import REPOSITORY, Bottle
from .certificates import Certificate
from .product import accepts

SCRIPT = REPOSITORY / "tests" / "testlib" / "plugin.mjs"
LOG, STATE = "/run/plugin.log", "/run/plugin.state"


class PluginProcess:
    """A plugin called *name*, listening at Docker's socket for plugins. It remembers what it holds across its own end, unless it
    *forgets*."""

    def __init__(self, bottle: Bottle, name: str = "tester", env: Mapping[str, str] | None = None) -> None:
        self.bottle = bottle
        self.name = name
        self.env = dict(env or {})
        self.socket = f"/run/docker/plugins/{name}.sock"
        self._process: subprocess.Popen[str] | None = None

    @property
    def _path(self) -> Path:
        return self.bottle.root / self.socket.lstrip("/")

    def start(self, *, forgets: bool = False) -> None:
        """Start it, and wait until it listens."""
        words = ["node", str(SCRIPT), self.socket, LOG, *([] if forgets else [STATE])]
        self._process = self.bottle.popen(words, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not accepts(self._path):
            assert time.monotonic() < deadline, "the plugin does not listen"
            assert self._process.poll() is None, "the plugin has ended"
            time.sleep(0.02)

    def start_tls(self, port: int, own: Certificate, client: Certificate) -> None:
        """Start it at a port of this host instead, for nobody but who has *client*, and wait until it listens."""
        env = {"CERT": str(own.public), "KEY": str(own.private), "CLIENT": str(client.public)}
        words = ["node", str(SCRIPT), f"tls:{port}", LOG]
        self._process = self.bottle.popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while self.bottle.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], check=False).returncode:
            assert time.monotonic() < deadline, "the plugin does not listen"
            assert self._process.poll() is None, "the plugin has ended"
            time.sleep(0.02)

    def end(self) -> None:
        assert self._process is not None
        self._process.kill()
        self.wait()

    def kill(self) -> None:
        """SIGKILL: its socket stays, and nobody listens."""
        self.signal("KILL")
        self.wait()

    def wait(self) -> None:
        assert self._process is not None
        self._process.wait(10)

    def signal(self, word: str) -> None:
        self.bottle.run(["sh", "-c", f"kill -{word} $(pgrep -f plugin.mjs.*{self.socket})"], check=False)

    def ask(self, method: str, body: Mapping[str, Any] | None = None) -> Any:
        """What it answers to *method*."""
        command = ["curl", "-sS", "--unix-socket", self.socket, f"http://plugin/{method}", "-d", json.dumps(body or {})]
        return json.loads(self.bottle.run(command).stdout)

    def fault(self, method: str, kind: str, **more: Any) -> None:
        """Have its next answer to *method* be one of: refuse, unknown, garbage, silent, die-before, die-after, answer."""
        self.ask("Test.Fault", {"method": method, "kind": kind, **more})

    def state(self) -> dict[str, Any]:
        """What it holds: networks, endpoints, pools."""
        return dict(self.ask("Test.State"))

    def holds(self) -> dict[str, int]:
        """How much of each it holds, and how many addresses it has given."""
        state = self.state()
        counts = {name: len(state[name]) for name in ("networks", "endpoints", "pools")}
        return counts | {"addresses": sum(len(pool["given"]) for pool in state["pools"].values())}

    def calls(self) -> list[dict[str, Any]]:
        """Every call so far: method, body, answer, status."""
        path = self.bottle.root / LOG.lstrip("/")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def methods(self, since: int = 0) -> list[str]:
        """The methods of the calls after the first *since*, save for those that only ask what it is, or what it needs."""
        names = [call["method"] for call in self.calls()[since:]]
        return [name for name in names if not name.endswith((".Activate", ".GetCapabilities", ".GwAllocCheck"))]
