"""Starting and stopping the processes: by systemd where it is pid 1, else by our own supervisor."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import units
from configuration import environment
from layout import CURRENT, LOGS, PYTHON, RUN, STATE, has_systemd, hash_of, run
from processes import Program, programs
from supervisor import SOCKET, ask

STARTED_WITH = STATE / "started-with"
"""What the processes that run were started with; see :func:`stale`. It outlives a reboot, after which systemd starts the same."""
READY = RUN / "kernel.pid"
"""Written by the kernel worker when it is through with its first pass."""
LOG_LINES = 6


def start_all() -> bool:
    """Start what does not run; whether anything had to be started."""
    if has_systemd():
        write_units()
        idle = [program for program in programs() if not _active(program)]
        if idle:
            _about_to_start()
            names = [units.unit_name(name) for name in ("bootstrap", *(program.name for program in idle))]
            run(["systemctl", "enable", "-q", "--now", *names])
        return bool(idle)
    if ask("status") is not None:
        return False
    _about_to_start()
    subprocess.Popen(
        [PYTHON, "-I", str(CURRENT / "install/supervisor.py"), "run"],
        cwd="/",
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True


def restart() -> None:
    """Replace our processes; what containers need goes on."""
    lasting = [program.name for program in programs() if program.outlives]
    others = [program.name for program in programs() if not program.outlives]
    _about_to_start()
    if has_systemd():
        write_units()
        run(["systemctl", "enable", "-q", "--now", *map(units.unit_name, ("bootstrap", *lasting))])
        run(["systemctl", "enable", "-q", *map(units.unit_name, others)])
        run(["systemctl", "restart", *map(units.unit_name, others)])
    elif ask("start", *lasting) is None or ask("restart", *others) is None:
        start_all()


def stale() -> bool:
    """Whether the processes that run were started with other settings, or from another release, than are there now."""
    with contextlib.suppress(FileNotFoundError):
        return STARTED_WITH.read_text() != _fingerprint()
    return True


def _about_to_start() -> None:
    READY.unlink(missing_ok=True)
    STARTED_WITH.touch(mode=0o600)
    STARTED_WITH.write_text(_fingerprint())


def _fingerprint() -> str:
    said = json.dumps([environment(), [program.command for program in programs()]], sort_keys=True)
    return hash_of([said.encode(), str(CURRENT.resolve()).encode()])


def stop(names: list[str]) -> None:
    if has_systemd():
        present = [units.unit_name(name) for name in names if _unit_file(name).exists()]
        if present:
            run(["systemctl", "disable", "-q", "--now", *present])
    else:
        ask("stop", *names)


def stop_supervisor() -> None:
    """End the supervisor with everything that it still runs, and wait until it is gone; systemd forgets us."""
    if has_systemd():
        stop(["bootstrap"])
        for path in units.files():
            Path(path).unlink(missing_ok=True)
        run(["systemctl", "daemon-reload"])
        return
    pid_file = RUN / "supervisor.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + 60
    while SOCKET.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def running() -> bool:
    return (has_systemd() and any(map(_active, programs()))) or ask("status") is not None


def last_words() -> str:
    """The end of what each process has logged, for a start that did not succeed."""
    found = []
    for program in programs():
        if has_systemd():
            command = ["journalctl", "-q", "--no-pager", "-o", "cat", "-n", str(LOG_LINES), "-u"]
            said = run([*command, units.unit_name(program.name)])
        else:
            log = LOGS / f"{program.name}.log"
            said = log.read_text(errors="replace") if log.exists() else ""
        lines = said.splitlines()[-LOG_LINES:]
        found += [f"{program.name}: {line}" for line in lines if line.strip()]
    return "\n".join(found)


def write_units() -> bool:
    """Write the units; whether any differs from what is there."""
    changed = False
    for name, text in units.files().items():
        path = Path(name)
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed = True
    run(["systemctl", "daemon-reload"])  # always: an interrupted run may have written them and got no further
    return changed


def _unit_file(name: str) -> Path:
    return Path("/etc/systemd/system") / units.unit_name(name)


def _active(program: Program) -> bool:
    command = ["systemctl", "is-active", "--quiet", units.unit_name(program.name)]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit("services.py is used by up.py, down.py and restart.py")
