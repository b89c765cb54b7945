"""A small supervisor for hosts without systemd: starts the product's processes, and starts again what dies.

    supervisor.py run            in the foreground (``up`` starts it detached)

It is spoken to over ``/run/cnm/supervisor.sock``, one line each: ``status``, ``restart NAME…``, ``start NAME…``, ``stop NAME…``, ``quit``.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from configuration import environment
from layout import CURRENT, LOGS, RUN
from processes import Program, programs

SOCKET = RUN / "supervisor.sock"
STOP_TIMEOUT_S = 20
"""How long a process may take to end by itself; the kernel worker finishes the operation it is at."""
LONGEST_PAUSE_S = 30
LOG_BYTES = 10 * 2**20
TICK_S = 0.2


class Child:
    """One process, and when it may be started again."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.wanted = True
        self.failures = 0
        self.not_before = 0.0
        self.started = 0.0

    @property
    def log(self) -> Path:
        return LOGS / f"{self.program.name}.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        user = self.program.user
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.program.command,
                cwd=CURRENT.resolve(),
                env=environment(),
                user=user if user != "root" else None,
                group=user if user != "root" else None,
                extra_groups=[] if user != "root" else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started = time.monotonic()

    def tend(self) -> None:
        """Start it if it should run and does not, after a pause that doubles while it keeps dying."""
        if not self.wanted or self.running:
            if self.running and time.monotonic() - self.started > LONGEST_PAUSE_S:
                self.failures = 0
            return
        now = time.monotonic()
        if self.process is not None and self.not_before < self.started:
            self.not_before = now + min(0.2 * 2**self.failures, LONGEST_PAUSE_S)
            self.failures += 1
        if now >= self.not_before:
            self.start()

    def stop(self) -> None:
        self.wanted = False
        if self.process is None or not self.running:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.wanted, self.failures, self.not_before = True, 0, 0.0
        self.start()

    def trim_log(self) -> None:
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > LOG_BYTES:
                self.log.with_suffix(".log.1").write_bytes(self.log.read_bytes())
                os.truncate(self.log, 0)


class Supervisor:
    def __init__(self) -> None:
        self.children = {program.name: Child(program) for program in programs()}
        self.quitting = False

    def run(self) -> None:
        LOGS.mkdir(mode=0o750, exist_ok=True)
        SOCKET.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(SOCKET))
        SOCKET.chmod(0o600)
        listener.listen()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "quitting", True))
        (RUN / "supervisor.pid").write_text(str(os.getpid()))
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while not self.quitting:
                for child in self.children.values():
                    child.tend()
                    child.trim_log()
                if selector.select(TICK_S):
                    self._answer(listener.accept()[0])
        for child in reversed(self.children.values()):
            child.stop()
        SOCKET.unlink(missing_ok=True)
        (RUN / "supervisor.pid").unlink(missing_ok=True)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(5)
            with contextlib.suppress(OSError):
                words = connection.recv(4096).decode(errors="replace").split()
                connection.sendall(json.dumps(self._obey(words)).encode())

    def _obey(self, words: list[str]) -> dict[str, object]:
        verb, names = (words[0] if words else ""), words[1:]
        if verb == "quit":
            self.quitting = True
        if verb in {"start", "restart"}:  # what is run may have changed with a new release or with a setting
            for program in programs():
                if program.name in names:
                    self.children.setdefault(program.name, Child(program)).program = program
        for name in names:
            child = self.children.get(name)
            if child is None:
                return {"error": f"there is no process {name}"}
            if verb == "stop":
                child.stop()
            elif verb == "restart":
                child.restart()
            elif verb == "start":
                child.wanted = True
        return {
            name: child.process.pid if child.process and child.running else 0 for name, child in self.children.items()
        }


def ask(*words: str) -> dict[str, object] | None:
    """Say something to the supervisor that runs; None when none does."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(SOCKET))
            client.sendall(" ".join(words).encode())
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
    except OSError:
        return None
    value: dict[str, object] = json.loads(answer)
    return value


if __name__ == "__main__":
    Supervisor().run()
