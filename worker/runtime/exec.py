"""Running a further command in a container, with its output kept up to a bound."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from networks.cnm.errors import InvalidSpec
from networks.cnm.names import short
from networks.cnm.text import gettext_noop

from . import users
from .bundle import oci_capabilities, oci_user
from .cgroups import Cgroups
from .folders import Folders
from .records import read_pid_file

OUTPUT_MAX = 1 << 20
"""Bytes of output and of errors that are kept, each; the rest is read and dropped."""
NOT_STARTED = 127
_ORDERS = "process.json"
"""The pipe through which the runtime gets to know what to run."""
_ORDERS_POLL_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    exit_code: int
    """128 + the signal for a command that a signal ended; 124 when the time ran out (as timeout(1))."""
    stdout: str
    stderr: str
    truncated: bool = False
    timed_out: bool = False


def run_in_container(
    folders: Folders,
    cgroups: Cgroups,
    runtime: Sequence[str],
    container_id: str,
    args: Sequence[str],
    *,
    env: Sequence[tuple[str, str]],
    user: str,
    working_dir: str,
    tty: bool,
    timeout_s: float,
) -> ExecResult:
    """Run *args* with the rights of the container's own process. Raises InvalidSpec for a command that cannot start."""
    process = _process(folders, container_id, args, env, user, working_dir, tty)
    with tempfile.TemporaryDirectory(prefix="exec-", dir=folders.run(container_id)) as place:
        folder = Path(place)
        os.mkfifo(folder / _ORDERS, 0o600)
        command = [*runtime, f"--log={folder / 'log'}", "--log-format=json", "exec"]
        command += ["--process", str(folder / _ORDERS), "--pid-file", str(folder / "pid"), container_id]
        result = _run(command, folder, process, cgroups, container_id, timeout_s)
        if result.exit_code and not result.timed_out and not (folder / "pid").exists():
            raise _not_started(folder, result, container_id, args)
    return result


def _process(
    folders: Folders,
    container_id: str,
    args: Sequence[str],
    env: Sequence[tuple[str, str]],
    user: str,
    working_dir: str,
    tty: bool,
) -> dict[str, Any]:
    """The container's own process with what the caller changes."""
    process: dict[str, Any] = json.loads((folders.bundle(container_id) / "config.json").read_text())["process"]
    values = dict(entry.partition("=")[::2] for entry in process["env"])
    if user:
        found = users.resolve(folders.rootfs(container_id), user, short(container_id))
        process["user"], process["capabilities"] = oci_user(found), oci_capabilities(found)
        values["HOME"] = found.home
    if tty:
        values.setdefault("TERM", "xterm")
    values.update(env)
    process["env"] = [f"{name}={value}" for name, value in values.items()]
    process["args"], process["terminal"] = list(args), tty
    if working_dir:
        process["cwd"] = working_dir
    return process


def _run(
    command: Sequence[str],
    folder: Path,
    orders: Mapping[str, Any],
    cgroups: Cgroups,
    container_id: str,
    timeout_s: float,
) -> ExecResult:
    deadline = time.monotonic() + timeout_s
    master, slave = os.openpty() if orders["terminal"] else (None, None)
    process = subprocess.Popen(
        command,
        stdin=slave if slave is not None else subprocess.DEVNULL,
        stdout=slave if slave is not None else subprocess.PIPE,
        stderr=slave if slave is not None else subprocess.PIPE,
        start_new_session=True,
        cwd="/",
    )
    # The runtime waits for its orders, so that it is in the container's group before it starts anything: what it starts inherits
    # the container's limits.
    cgroups.join(container_id, process.pid)
    _hand_over(orders, folder / _ORDERS, process, deadline)
    if slave is not None and master is not None:
        os.close(slave)
        streams: list[IO[bytes] | None] = [os.fdopen(master, "rb", buffering=0), None]
    else:
        streams = [process.stdout, process.stderr]
    try:
        outputs, truncated, in_time = _collect(streams, deadline)
        if not in_time:
            _kill(folder, process)
        code = process.wait(10)
    finally:
        for stream in filter(None, streams):
            stream.close()
    return ExecResult(
        exit_code=124 if not in_time else code if code >= 0 else 128 - code,
        stdout=outputs[0].decode(errors="replace"),
        stderr=outputs[1].decode(errors="replace"),
        truncated=truncated,
        timed_out=not in_time,
    )


def _hand_over(orders: Mapping[str, Any], fifo: Path, process: subprocess.Popen[bytes], deadline: float) -> None:
    """Write *orders* once the runtime reads; a runtime that ends before it does, or never reads, gets none."""
    while process.poll() is None and time.monotonic() < deadline:
        try:
            fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # nobody reads yet
            time.sleep(_ORDERS_POLL_S)
            continue
        os.set_blocking(fd, True)
        with contextlib.suppress(BrokenPipeError), os.fdopen(fd, "w") as file:
            file.write(json.dumps(orders))
        return


def _collect(streams: Sequence[IO[bytes] | None], deadline: float) -> tuple[list[bytes], bool, bool]:
    """(outputs, whether some was dropped, whether all ended before *deadline*)."""
    kept = [b"" for _ in streams]
    truncated = False
    with selectors.DefaultSelector() as selector:
        for number, stream in enumerate(streams):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, number)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return kept, truncated, False
            for key, _ in selector.select(left):
                piece = b""
                with contextlib.suppress(OSError):  # a terminal whose last user is gone gives EIO for its end
                    piece = os.read(key.fd, 1 << 16)
                if not piece:
                    selector.unregister(key.fileobj)
                    continue
                room = OUTPUT_MAX - len(kept[key.data])
                kept[key.data] += piece[:room]
                truncated = truncated or len(piece) > room
    return kept, truncated, True


def _kill(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """End the command inside, which the runtime's own end would leave running, and then the runtime."""
    read_pid_file(folder / "pid").signal(signal.SIGKILL)
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()


def _not_started(folder: Path, result: ExecResult, container_id: str, args: Sequence[str]) -> InvalidSpec:
    words = result.stderr or result.stdout
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
