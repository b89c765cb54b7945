"""A throw-away host whose first process is systemd, with a disk that outlives a boot."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Self

from .bottle import Bottle, BottleError

INIT = Path(__file__).with_name("systemd_init.py")
BOOT_TIMEOUT_S = 90


class SystemdHost(Bottle):
    """One boot; another with the same *disk* (an empty folder at first) is the same host after a reboot.

    It has a control group of its own, as systemd expects, and its own view of the hierarchy below that. *whole*: the disk is all that there
    is, with a distribution of its own on it; else it has the files of this machine beneath.
    """

    def __init__(self, disk: Path, *, whole: bool = False) -> None:
        super().__init__(uplink=True)
        self.disk = disk
        self.whole = whole
        self._group = _unified() / f"cnm-systemd-{uuid.uuid4().hex[:12]}"

    def __enter__(self) -> Self:
        self._group.mkdir()
        namespaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork", "--kill-child=KILL"]
        enter = (
            "import os, sys; open(sys.argv[1] + '/cgroup.procs', 'w').write('0'); os.execvp(sys.argv[2], sys.argv[2:])"
        )
        self._init = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", "-c", enter, self._group),
                *("setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, "--propagation", "private"),
                *(sys.executable, "-I", "-S", INIT),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        try:
            self._start(self._init)
            self._await_boot()
        except BaseException:
            self.close()
            raise
        return self

    def options(self) -> dict[str, Any]:
        return {"disk": str(self.disk), "whole": self.whole}

    def command(self, command: Any, netns: str | None = None) -> list[str]:
        entered = super().command(command, netns)
        return [*entered[:2], "--cgroup", *entered[2:]]

    def _await_boot(self) -> None:
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while True:
            state = self.run(["systemctl", "is-system-running"], check=False).stdout.strip()
            if state in {"running", "degraded"}:
                return
            if time.monotonic() > deadline:
                raise BottleError(f"systemd is {state}: {self.run(['systemctl', '--failed'], check=False).stdout}")
            time.sleep(0.2)

    def close(self) -> None:
        super().close()
        for folder, _, _ in os.walk(self._group, topdown=False):
            _remove(Path(folder))


def _remove(group: Path) -> None:
    """A group that was just emptied may be busy for a moment."""
    for _ in range(50):
        with contextlib.suppress(FileNotFoundError):
            try:
                group.rmdir()
            except OSError:
                time.sleep(0.1)
                continue
        return


def _unified() -> Path:
    """Where this machine has its unified hierarchy."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(target)
    raise BottleError("This machine has no unified control group hierarchy, which systemd needs.")
