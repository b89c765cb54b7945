"""Containers' processes: made, started, signalled, ended.

All state is on files, so any of our processes may look or stop.

Making and deleting is for the kernel process alone; :meth:`Runtime.stop`, :meth:`Runtime.state` and
:meth:`Runtime.exec` may be called from the slow one too.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from networks.cnm.errors import Conflict, KernelRefused, Unsupported
from networks.cnm.names import short
from networks.cnm.resources import Process
from networks.cnm.text import gettext_noop
from networks.logs import LARGEST

from . import bundle, users
from .binds import mount_binds, unmount_binds
from .cgroups import Cgroups, Limits, probe
from .conmon import Conmon, RuntimeRefused, Starting
from .copies import end_copies
from .exec import ExecResult, run_in_container
from .files import share_log, write_private
from .folders import Folders, make_folder
from .images import ImageStore
from .init import needed_init
from .interactive import Running, start_interactive
from .joining import await_connected
from .kernel_calls import make_folders_in
from .pausing import pause, resume
from .records import (
    Pid,
    Record,
    container_ids,
    mark,
    read_exit_code,
    read_pid_file,
    read_record,
    write_record,
)
from .rights import host_limits
from .rootfs import mount_rootfs, remove_container_files, unmount_rootfs
from .seccomp_cache import SeccompCache
from .signals import signal_number
from .view import command_prefix, tear_down
from .words import refusal

LOG_SIZE_MAX = LARGEST
"""Bytes after which conmon starts a container's log anew."""
COMMAND_TIMEOUT_S = 30
END_TIMEOUT_S = 10
"""How long a killed process, or conmon after it, may take to be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a container's process is doing."""

    status: str
    """``none`` (never ran since the host started), ``made`` (not executed yet), ``running`` or ``exited``."""
    run: str = ""
    pid: int = 0
    started_at: float = 0.0
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A container that conmon is making."""

    process: Process
    config: dict[str, Any]
    starting: Starting
    conmon: Conmon


class Runtime:
    """The OCI runtime of a host (crun, else runc) over our folders."""

    def __init__(
        self,
        folders: Folders,
        *,
        cgroups: Cgroups | None = None,
        program: str = "",
        log_size_max: int = LOG_SIZE_MAX,
        bind_roots: Sequence[str] = (),
    ) -> None:
        self.folders = folders
        self.images = ImageStore(folders)
        self.cgroups = cgroups or probe()
        self.log_size_max = log_size_max
        self.bind_roots = tuple(bind_roots)
        self._program = program
        folders.make()

    @property
    def program(self) -> str:
        """The runtime's path. Raises Unsupported when none is installed."""
        if not self._program:
            found = shutil.which("crun") or shutil.which("runc") or shutil.which("runc", path="/usr/sbin:/sbin")
            if found is None:
                raise Unsupported(
                    gettext_noop("No container runtime is installed on this host."),
                    remedy=gettext_noop("Install the package crun."),
                )
            self._program = found
        return self._program

    @property
    def is_crun(self) -> bool:
        return Path(self.program).name == "crun"

    @cached_property
    def seccomp(self) -> SeccompCache:
        return SeccompCache(self.folders, self.program)

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before each command of the runtime; makes the cgroup view where one is needed."""
        return command_prefix(self.folders, self.cgroups.mode) if self.is_crun else ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The global options of the runtime."""
        root = f"--root={self.folders.runtime_root}"
        return (root, "--cgroup-manager=disabled") if self.is_crun else (root,)

    def start(self, process: Process) -> Record:
        """Start a run of a container, in place of any other run of it. Raises a CnmError that leaves nothing behind."""
        return self.finish(self.begin(process))

    def begin(self, process: Process) -> Begun:
        """The first half of :meth:`start`: everything up to the runtime's own work, which goes on beside ours."""
        container_id = process.container_id
        self.clear(container_id)
        try:
            return self._begin(process)
        except BaseException:
            self.clear(container_id)
            raise

    def _begin(self, process: Process) -> Begun:
        container_id = process.container_id
        prefix = self.prefix  # before the first mount, which has to arrive in the view
        make_folder(self.folders.run(container_id), 0o700)
        write_record(self.folders, Record(container_id=container_id, run=process.run))
        end_copies(self.folders, container_id)  # once it is written that the container starts: none begins after that
        image = self.images.for_container(container_id, process.process.image)
        rootfs = mount_rootfs(self.folders, container_id, self.images.layers(image))
        config = bundle.ImageConfig.from_oci(image.config)
        user = users.resolve(rootfs, process.process.user or config.user, image.name)
        binds = mount_binds(self.folders, container_id, process.process, self.bind_roots, rootfs)
        make_folders_in(rootfs, bundle.working_dir(process.process, config))
        value = bundle.config(
            process,
            config,
            user,
            rootfs=rootfs,
            files=self.folders.container(process.files_of or container_id),
            binds=binds,
            limits=host_limits(),
            cgroups_path="" if self.is_crun else f"/{self.cgroups.group}/{container_id}",
            init=needed_init() if process.process.init else None,
        )
        if self.is_crun:
            value["annotations"] = self.seccomp.annotations(value["linux"]["seccomp"])
        place = make_folder(self.folders.bundle(container_id), 0o700)
        write_private(place / "config.json", value)
        self.folders.make_container(container_id)
        share_log(self.folders, container_id)
        conmon = Conmon(
            prefix=prefix,
            runtime=self.program,
            runtime_args=self.arguments,
            container_id=container_id,
            bundle=place,
            run=self.folders.run(container_id),
            exits=self.folders.exits,
            log=self.folders.log(container_id),
            log_size_max=self.log_size_max,
            tty=process.process.tty,
            stdin=process.process.open_stdin,
            stdin_once=process.process.stdin_once,
        )
        return Begun(process, value, Starting(conmon, self.cgroups), conmon)

    def finish(self, begun: Begun) -> Record:
        """The second half of :meth:`start`: the process is under its limits and its command was executed."""
        process = begun.process
        container_id = process.container_id
        try:
            pid = Pid.of(begun.starting.finish())
            record = write_record(
                self.folders,
                Record(
                    container_id=container_id,
                    run=process.run,
                    pid=pid,
                    conmon=read_pid_file(begun.conmon.conmon_pid_file),
                ),
            )
            if not begun.config.get("annotations"):
                self.seccomp.keep(begun.config["linux"]["seccomp"], container_id)
            limits = Limits.of(process.process)
            if limits:
                self.cgroups.limit(container_id, pid.number, limits)
            record = await_connected(self.folders, record)
            self._call("start", container_id)
        except RuntimeRefused as error:
            self.clear(container_id)
            raise refusal(str(error), process, begun.config["process"]["args"][0]) from error
        except BaseException:
            self.clear(container_id)
            raise
        return mark(self.folders, record, started=True, now=time.time())

    def state(self, container_id: str) -> State:
        """What the container's process is doing; reads two small files."""
        record = read_record(self.folders, container_id)
        if record is None:
            return State(status="none")
        if record.running:
            return State(status="running", run=record.run, pid=record.pid.number, started_at=record.started_at)
        if record.pid.alive or not record.pid.number:
            return State(status="made", run=record.run, pid=record.pid.number)
        code = read_exit_code(self.folders, container_id)
        return State(status="exited", run=record.run, started_at=record.started_at, exit_code=code)

    def kill(self, container_id: str, signal_name: str = "SIGKILL") -> bool:
        """Send a signal to the container's first process; whether there was one."""
        number = signal_number(signal_name)
        record = read_record(self.folders, container_id)
        sent = record is not None and record.pid.signal(number)
        resume(self.cgroups, container_id)  # one that stands still hears it now
        return sent

    def pause(self, container_id: str) -> None:
        """Have every process of the container stand still. Raises Conflict when it does not run, Unsupported, KernelRefused."""
        pause(self.cgroups, container_id, self._check_runs(container_id).pid.number)

    def resume(self, container_id: str) -> None:
        """Let a paused container go on. Raises Conflict when it does not run; one that is not paused costs nothing."""
        self._check_runs(container_id)
        resume(self.cgroups, container_id)

    def stop(self, container_id: str, signal_name: str = "SIGTERM", timeout_s: float = 10) -> int | None:
        """End the process: the signal, then up to *timeout_s*, then SIGKILL. Gives the exit code.

        Waits, so it belongs to the slow process. None: nothing ran, or nobody saw how it ended.
        """
        self.stop_all({container_id: (signal_name, timeout_s)})
        return read_exit_code(self.folders, container_id)

    def stop_all(self, wanted: Mapping[str, tuple[str, float]]) -> int:
        """End many at once: each gets its own signal and its own time (container id -> both); how many had to be killed.

        All signals go out first and all times run from then, so the whole takes as long as the longest of them.
        """
        numbers = {container_id: signal_number(name) for container_id, (name, _) in wanted.items()}
        records = {container_id: read_record(self.folders, container_id) for container_id in wanted}
        running = [(container_id, record) for container_id, record in records.items() if record is not None]
        for container_id, record in running:
            record.pid.signal(numbers[container_id])
            resume(self.cgroups, container_id)
        started = time.monotonic()
        killed = 0
        for container_id, record in sorted(running, key=lambda item: wanted[item[0]][1]):
            left_s = started + wanted[container_id][1] - time.monotonic()
            if not record.pid.wait(max(0.0, left_s)):
                killed += record.pid.signal(signal.SIGKILL)
                record.pid.wait(END_TIMEOUT_S)
            self._await_conmon(record)
        return killed

    def wait(self, container_id: str, timeout_s: float) -> bool:
        """Wait until the process ends; whether it did within *timeout_s*."""
        record = read_record(self.folders, container_id)
        return record is None or record.pid.wait(timeout_s)

    def exec(
        self,
        container_id: str,
        args: Sequence[str],
        *,
        env: Sequence[tuple[str, str]] = (),
        user: str = "",
        working_dir: str = "",
        tty: bool = False,
        timeout_s: float = 60,
    ) -> ExecResult:
        """Run a command in a running container. Raises Conflict when it does not run."""
        self._check_runs(container_id)
        return run_in_container(
            self.folders,
            self.cgroups,
            [*self.prefix, self.program, *self.arguments],
            container_id,
            args,
            env=env,
            user=user,
            working_dir=working_dir,
            tty=tty,
            timeout_s=timeout_s,
        )

    def open(
        self,
        container_id: str,
        args: Sequence[str],
        *,
        env: Sequence[tuple[str, str]] = (),
        user: str = "",
        working_dir: str = "",
        tty: bool,
        size: tuple[int, int] = (80, 24),
    ) -> Running:
        """Start a command in a running container whose streams stay open. Raises Conflict when it does not run."""
        self._check_runs(container_id)
        if not self.is_crun:
            raise Unsupported(
                gettext_noop("Terminals need the runtime crun, and this host has another."),
                remedy=gettext_noop("Install the package crun."),
            )
        return start_interactive(
            self.folders,
            self.cgroups,
            [*self.prefix, self.program, *self.arguments],
            container_id,
            args,
            env=env,
            user=user,
            working_dir=working_dir,
            tty=tty,
            size=size,
        )

    def _check_runs(self, container_id: str) -> Record:
        record = read_record(self.folders, container_id)
        if record is None or not record.running:
            raise Conflict(
                gettext_noop("Container {container} does not run."),
                remedy=gettext_noop("Start it first."),
                container=short(container_id),
            )
        return record

    def delete(self, container_id: str) -> None:
        """End the process at once and take its runtime state and mounts away. Its files, log and exit code stay."""
        record = read_record(self.folders, container_id)
        if record is not None:
            if record.pid.alive:
                record = mark(self.folders, record, deleted=True)
            self._end(record)
        self._forget(container_id)
        unmount_binds(self.folders, container_id)
        unmount_rootfs(self.folders, container_id)

    def clear(self, container_id: str) -> None:
        """As :meth:`delete`, and forget that there ever was a run: nothing is in the way of another."""
        self.delete(container_id)
        self._end(Record(container_id=container_id, run="", conmon=self._stray_conmon(container_id)))
        self.folders.exit_file(container_id).unlink(missing_ok=True)
        shutil.rmtree(self.folders.run(container_id), ignore_errors=True)

    def tend_logs(self) -> None:
        """Let the web server read logs that were rotated; to be called every few seconds. Costs a few calls for each."""
        for container_id in container_ids(self.folders):
            if self.folders.log(container_id).exists():
                share_log(self.folders, container_id)

    def remove_container(self, container_id: str) -> None:
        """Delete everything of a container that was removed, with what only it needed of the images."""
        end_copies(self.folders, container_id)
        self.clear(container_id)
        self.images.forget_container(container_id)
        shutil.rmtree(self.folders.joining(container_id), ignore_errors=True)
        remove_container_files(self.folders, container_id)

    def tear_down(self) -> None:
        """End every container's process and leave nothing of ours in the kernel; files stay. For ``make down``."""
        for container_id in container_ids(self.folders):
            end_copies(self.folders, container_id)
            self.clear(container_id)
        self.cgroups.remove_all()
        tear_down(self.folders)

    def _end(self, record: Record) -> None:
        if record.pid.signal(signal.SIGKILL) and not record.pid.wait(END_TIMEOUT_S):
            raise KernelRefused(
                gettext_noop("Process {pid} of container {container} cannot be killed."),
                remedy=gettext_noop("It hangs in the kernel: look at what it waits for (ps, dmesg)."),
                pid=record.pid.number,
                container=short(record.container_id),
            )
        self._await_conmon(record)

    def _await_conmon(self, record: Record) -> None:
        """conmon writes the exit file and ends; one that does not would write it over a later run's."""
        if not record.conmon.wait(END_TIMEOUT_S):
            record.conmon.signal(signal.SIGKILL)
            record.conmon.wait(END_TIMEOUT_S)

    def _stray_conmon(self, container_id: str) -> Pid:
        """The conmon of a run that was cut off before it was written down."""
        return read_pid_file(self.folders.run(container_id) / "conmon.pid")

    def _forget(self, container_id: str) -> None:
        """Have the runtime forget the container; one that it does not know costs nothing."""
        if (self.folders.runtime_root / container_id).is_dir():
            with contextlib.suppress(RuntimeRefused):
                self._call("delete", "--force", container_id)
            shutil.rmtree(self.folders.runtime_root / container_id, ignore_errors=True)
        self.cgroups.remove(container_id)

    def _call(self, *words: str) -> None:
        done = subprocess.run(
            [*self.prefix, self.program, *self.arguments, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            cwd="/",
        )
        if done.returncode:
            raise RuntimeRefused(done.stderr.decode(errors="replace").strip())
