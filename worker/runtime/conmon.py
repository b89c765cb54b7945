"""Starting a container under conmon: it holds the log, the terminal and the exit status, and outlives us.

conmon forks twice and leaves our session. Before it does anything it waits for a byte (``_OCI_STARTPIPE``), so that it
can be moved to another control group first; it answers with the container's pid, or why there is none
(``_OCI_SYNCPIPE``), as one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from networks.cnm.errors import Unsupported
from networks.cnm.text import gettext_noop

from .cgroups import Cgroups

TIMEOUT_S = 60
"""How long the runtime may take to make a container."""


class RuntimeRefused(Exception):
    """The OCI runtime's own words about why there is no container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conmon:
    """How to call conmon for one container."""

    prefix: Sequence[str]
    """Stands before the command: enters the cgroup view where there is one."""
    runtime: str
    runtime_args: Sequence[str]
    container_id: str
    bundle: Path
    run: Path
    exits: Path
    log: Path
    log_size_max: int
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False

    @property
    def pid_file(self) -> Path:
        return self.run / "pid"

    @property
    def conmon_pid_file(self) -> Path:
        return self.run / "conmon.pid"

    def command(self) -> list[str]:
        options = ["--api-version", "1", "--cid", self.container_id, "--cuuid", self.container_id]
        options += ["--runtime", self.runtime]
        options += [word for argument in self.runtime_args for word in ("--runtime-arg", argument)]
        options += ["--bundle", str(self.bundle), "--full-attach"]
        options += ["--container-pidfile", str(self.pid_file), "--conmon-pidfile", str(self.conmon_pid_file)]
        options += ["--persist-dir", str(self.run), "--exit-dir", str(self.exits)]
        options += ["--log-path", f"k8s-file:{self.log}", "--log-size-max", str(self.log_size_max)]
        options += ["--terminal"] if self.tty else []
        options += ["--stdin"] if self.stdin else []
        # Who leaves a terminal may come back to it, as with Docker.
        options += ["--leave-stdin-open"] if self.stdin and (self.tty or not self.stdin_once) else []
        return [*self.prefix, "conmon", *options]


class Starting:
    """A container that is being made; several can be at once."""

    def __init__(self, conmon: Conmon, cgroups: Cgroups) -> None:
        self._conmon = conmon
        self._answer, sync = os.pipe()
        go, start = os.pipe()
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "_OCI_SYNCPIPE": str(sync),
            "_OCI_STARTPIPE": str(go),
        }
        try:
            with (conmon.run / "conmon.log").open("wb") as complaints:
                self._process = subprocess.Popen(
                    conmon.command(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    env=environment,
                    pass_fds=(sync, go),
                    start_new_session=True,
                    cwd="/",
                )
            cgroups.adopt(self._process.pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(start, b"\0")
        except FileNotFoundError as error:
            os.close(self._answer)
            raise Unsupported(
                gettext_noop("The program {program} is not installed on this host."),
                remedy=gettext_noop("Install the package {program}."),
                program=Path(str(error.filename)).name,
            ) from None
        finally:
            for fd in (sync, go, start):
                os.close(fd)

    def finish(self) -> int:
        """Wait until the container is made and give its first process's pid. Raises RuntimeRefused."""
        try:
            answer = self._read_answer(time.monotonic() + TIMEOUT_S)
        finally:
            os.close(self._answer)
            self._process.wait(TIMEOUT_S)
        pid = int(answer.get("data", -1))
        if pid <= 0:
            raise RuntimeRefused(str(answer.get("message") or self._complaints()).strip())
        return pid

    def _read_answer(self, deadline: float) -> dict[str, Any]:
        content = b""
        while not content.endswith(b"\n"):
            readable, _, _ = select.select([self._answer], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise RuntimeRefused(f"no answer after {TIMEOUT_S} s")
            piece = os.read(self._answer, 1 << 16)
            if not piece:
                break
            content += piece
        try:
            value = json.loads(content)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def _complaints(self) -> str:
        with contextlib.suppress(OSError):
            return (self._conmon.run / "conmon.log").read_text(errors="replace")[-500:]
        return ""
