"""Starting and stopping the processes: by systemd where it is pid 1, else by our own supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from layout import CURRENT, PYTHON, RUN, environment, has_systemd, run
from processes import Program, programs
from supervisor import SOCKET, ask

UNITS = Path("/etc/systemd/system")


def start_all() -> bool:
    """Start what does not run; whether anything had to be started."""
    if has_systemd():
        changed = _write_units()
        idle = [p for p in programs() if not _active(p)]
        if changed:
            run(["systemctl", "daemon-reload"])
        if idle:
            run(["systemctl", "enable", "--now", *(_unit(p.name) for p in idle)])
        return bool(idle)
    if ask("status") is not None:
        return False
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
    names = [program.name for program in programs() if not program.outlives]
    if has_systemd():
        _write_units()
        run(["systemctl", "daemon-reload"])
        run(["systemctl", "restart", *map(_unit, names)])
    elif ask("restart", *names) is None:
        start_all()


def stop(names: list[str]) -> None:
    if has_systemd():
        present = [_unit(name) for name in names if (UNITS / _unit(name)).exists()]
        if present:
            run(["systemctl", "disable", "--now", *present])
    else:
        ask("stop", *names)


def stop_supervisor() -> None:
    """End the supervisor with everything that it still runs, and wait until it is gone."""
    if has_systemd():
        for program in programs():
            (UNITS / _unit(program.name)).unlink(missing_ok=True)
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
    return (has_systemd() and all(map(_active, programs()))) or ask("status") is not None


def _unit(name: str) -> str:
    return f"cnm-{name}.service"


def _active(program: Program) -> bool:
    command = ["systemctl", "is-active", "--quiet", _unit(program.name)]
    return subprocess.run(command, check=False).returncode == 0


def _write_units() -> bool:
    """Write the units; whether any differs from what is there."""
    changed = False
    for program in programs():
        path, text = UNITS / _unit(program.name), unit_text(program)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            changed = True
    return changed


def unit_text(program: Program) -> str:
    """The systemd unit of a process. What root runs keeps the host's mount namespace: sandboxes are mounted there."""
    command = " ".join(f'"{word}"' if " " in word or not word else word for word in program.command)
    lines = [
        "[Unit]",
        f"Description=CNM Web: {program.description}",
        "After=network.target",
        "",
        "[Service]",
        f"User={program.user}",
        f"WorkingDirectory={CURRENT}",
        *(f'Environment="{name}={value}"' for name, value in sorted(environment().items())),
        f"ExecStart={command if command.startswith('/') else '/usr/bin/' + command}",
        "Restart=always",
        "RestartSec=1",
        "RuntimeDirectory=cnm",
        "RuntimeDirectoryPreserve=yes",
        "TimeoutStopSec=30",
    ]
    if program.user == "root":
        lines += ["KillMode=process", "OOMPolicy=continue", "Delegate=yes"]
    else:
        lines += [
            "NoNewPrivileges=yes",
            "CapabilityBoundingSet=",
            "ProtectSystem=strict",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "PrivateDevices=yes",
            "ReadWritePaths=/var/lib/cnm /run/cnm",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        ]
    return "\n".join([*lines, "", "[Install]", "WantedBy=multi-user.target", ""])


if __name__ == "__main__":
    sys.exit("services.py is used by up.py, down.py and restart.py")
