"""A command in a container whose streams stay open: a terminal, or three pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .cgroups import Cgroups
from .folders import Folders
from .orders import command_line, hand_over, not_started, orders_for
from .records import read_pid_file

START_S = 15
"""How long the runtime may take to start a command."""
TERM = "xterm-256color"
_SOCKET = "tty"
_MESSAGE_MOST = 4096
"""Of the name that the runtime sends along with the terminal."""


@dataclass(slots=True)
class Running:
    """A command that runs, held by its runtime process; whoever has it reads, writes, waits and closes."""

    process: subprocess.Popen[bytes]
    """The runtime, which ends with the command and with its exit code."""
    folder: Path
    terminal: int | None
    """The master of its terminal; None for one with pipes: those of *process*."""

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; the programs in it are told by the kernel (SIGWINCH)."""
        if self.terminal is not None:
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, number: int) -> bool:
        """Send the command a signal; whether there was one to get it."""
        return read_pid_file(self.folder / "pid").signal(number)

    def kill_session(self) -> None:
        """End the command with everything that it has started: the runtime gives each command a session of its own."""
        command = read_pid_file(self.folder / "pid")
        with contextlib.suppress(ProcessLookupError):
            group = os.getpgid(command.number)
            if command.alive and group == os.getsid(command.number) != os.getsid(self.process.pid):
                os.killpg(group, signal.SIGKILL)

    def close(self) -> None:
        """Let go of everything; a command that still runs is killed, for nobody could ever speak to it again."""
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in filter(None, (self.process.stdin, self.process.stdout, self.process.stderr)):
            with contextlib.suppress(OSError):  # what was not taken any more
                stream.close()
        if self.terminal is not None:
            os.close(self.terminal)
            self.terminal = None
        shutil.rmtree(self.folder, ignore_errors=True)


def exit_code_of(code: int) -> int:
    """As a shell tells it: 128 + the signal where one ended it."""
    return code if code >= 0 else 128 - code


def start_interactive(
    folders: Folders,
    cgroups: Cgroups,
    runtime: Sequence[str],
    container_id: str,
    args: Sequence[str],
    *,
    env: Sequence[tuple[str, str]] = (),
    user: str = "",
    working_dir: str = "",
    tty: bool,
    term: str = TERM,
    size: tuple[int, int] = (80, 24),
    stdin: bool = True,
) -> Running:
    """Start *args* in a running container. *term*, *size*: the kind of its terminal, and columns and rows from its first moment.
    *stdin*: whether anybody will type; without it, a command with pipes finds the end of its input at once.

    Raises InvalidSpec for a command that cannot start; nothing is left then.
    """
    orders = orders_for(
        folders, container_id, args, env=env, user=user, working_dir=working_dir, terminal=term if tty else ""
    )
    folder = Path(tempfile.mkdtemp(prefix="exec-", dir=folders.run(container_id)))
    try:
        with contextlib.ExitStack() as stack:
            options: tuple[str, ...] = ()
            listener = None
            if tty:
                orders["consoleSize"] = {"width": size[0], "height": size[1]}
                listener = stack.enter_context(_listener(folder / _SOCKET))
                options = ("--console-socket", str(folder / _SOCKET))
            stream = subprocess.DEVNULL if tty else subprocess.PIPE
            process = subprocess.Popen(
                command_line(runtime, folder, container_id, *options),
                stdin=stream if stdin else subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                cwd="/",
            )
            running = Running(process, folder, None)
            try:
                _give_orders(running, cgroups, container_id, orders, args, listener, size)
            except BaseException:
                running.close()
                raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return running


def _give_orders(
    running: Running,
    cgroups: Cgroups,
    container_id: str,
    orders: dict[str, object],
    args: Sequence[str],
    listener: socket.socket | None,
    size: tuple[int, int],
) -> None:
    deadline = time.monotonic() + START_S
    cgroups.join(container_id, running.process.pid)
    hand_over(orders, running.folder, running.process, deadline)
    if listener is not None:
        running.terminal = _terminal(listener, running.process, deadline)
        if running.terminal is not None:
            running.resize(*size)  # before anything runs, whether the runtime knows ``consoleSize`` or not
    while not _is_started(running):
        if running.process.poll() is not None or time.monotonic() > deadline:
            if _is_started(running):  # it began and ended between the two questions
                return
            raise not_started(running.folder, "the runtime did not start it", container_id, args)
        time.sleep(0.002)


def _is_started(running: Running) -> bool:
    return (running.folder / "pid").exists()


def _listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind(str(path))
    listener.listen(1)
    return listener


def _terminal(listener: socket.socket, process: subprocess.Popen[bytes], deadline: float) -> int | None:
    """The terminal's master, which the runtime sends (OCI runtime command line, ``--console-socket``); None: it ended before."""
    pidfd = os.pidfd_open(process.pid)
    try:
        ready, _, _ = select.select([listener, pidfd], [], [], max(0.0, deadline - time.monotonic()))
    finally:
        os.close(pidfd)
    if listener not in ready:
        return None
    with listener.accept()[0] as channel:
        channel.settimeout(START_S)
        _, fds, _, _ = socket.recv_fds(channel, _MESSAGE_MOST, 1)
    for fd in fds:
        os.set_inheritable(fd, False)
    return fds[0] if fds else None
