"""What the runtime is told to run inside a container, and how it gets to know it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from networks.cnm.errors import InvalidSpec
from networks.cnm.names import short
from networks.cnm.text import gettext_noop

from . import users
from .bundle import oci_capabilities, oci_user
from .folders import Folders

NOT_STARTED = 127
ORDERS = "process.json"
"""The pipe through which the runtime gets to know what to run."""
_POLL_S = 0.001


def orders_for(
    folders: Folders,
    container_id: str,
    args: Sequence[str],
    *,
    env: Sequence[tuple[str, str]],
    user: str,
    working_dir: str,
    terminal: str = "",
) -> dict[str, Any]:
    """The container's own process with what the caller changes. *terminal*: the kind (``TERM``) of the one it gets; empty: none."""
    process: dict[str, Any] = json.loads((folders.bundle(container_id) / "config.json").read_text())["process"]
    values = dict(entry.partition("=")[::2] for entry in process["env"])
    if user:
        found = users.resolve(folders.rootfs(container_id), user, short(container_id))
        process["user"], process["capabilities"] = oci_user(found), oci_capabilities(found)
        values["HOME"] = found.home
    if terminal:
        values.setdefault("TERM", terminal)
    values.update(env)
    process["env"] = [f"{name}={value}" for name, value in values.items()]
    process["args"], process["terminal"] = list(args), bool(terminal)
    if working_dir:
        process["cwd"] = working_dir
    return process


def command_line(runtime: Sequence[str], folder: Path, container_id: str, *options: str) -> list[str]:
    """The runtime's command that waits for its orders in *folder*, which gets their pipe, its log and the pid.

    It waits, so that it is in the container's group before it starts anything: what it starts inherits the container's limits.
    """
    os.mkfifo(folder / ORDERS, 0o600)
    command = [*runtime, f"--log={folder / 'log'}", "--log-format=json", "exec", *options]
    return [*command, "--process", str(folder / ORDERS), "--pid-file", str(folder / "pid"), container_id]


def hand_over(orders: Mapping[str, Any], folder: Path, process: subprocess.Popen[bytes], deadline: float) -> None:
    """Write *orders* once the runtime reads; a runtime that ends before it does, or never reads, gets none."""
    while process.poll() is None and time.monotonic() < deadline:
        try:
            fd = os.open(folder / ORDERS, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # nobody reads yet
            time.sleep(_POLL_S)
            continue
        os.set_blocking(fd, True)
        with contextlib.suppress(BrokenPipeError), os.fdopen(fd, "w") as file:
            file.write(json.dumps(orders))
        return


def not_started(folder: Path, words: str, container_id: str, args: Sequence[str]) -> InvalidSpec:
    """Why a command did not start: the runtime's log says it better than *words*, which it printed."""
    with contextlib.suppress(OSError, ValueError, IndexError, KeyError):
        words = str(json.loads((folder / "log").read_text().splitlines()[-1])["msg"])
    return InvalidSpec(
        gettext_noop("The command {command} could not be started in container {container}: {cause}."),
        remedy=gettext_noop("Give a command that exists in the container."),
        field="command",
        command=args[0] if args else "",
        container=short(container_id),
        cause=words.strip().rstrip("."),
        facts={"exit_code": NOT_STARTED},
    )
