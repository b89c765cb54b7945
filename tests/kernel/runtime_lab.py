"""What the runtime's tests do inside a throw-away host: a runtime over its folders, and containers by short names."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from networks import logs
from networks.cnm.desired import ProcessSpec
from networks.cnm.plan import Step
from networks.cnm.resources import Process
from worker.apply.processes import ProcessesHandler
from worker.runtime.folders import Folders
from worker.runtime.records import read_record
from worker.runtime.runtime import Runtime

GROUP = 4242
"""Stands for the web server's group."""
PATIENCE_S = 20


class Lab:
    """A runtime on /var/lib/cnm and /run/cnm of the host it is made in."""

    def __init__(self, **options: Any) -> None:
        folders = Folders(state_dir=Path("/var/lib/cnm"), run_dir=Path("/run/cnm"), group=GROUP)
        self.runtime = Runtime(folders, **options)
        self.handler = ProcessesHandler(self.runtime)
        self.folders = folders

    def process(self, name: str, *args: str, run: str = "1.0", sandbox: str = "lab", **spec: Any) -> Process:
        """The process resource of container *name*, whose sandbox and files are made when they are not there."""
        container_id = id_of(name)
        if sandbox and not Path("/run/netns", sandbox).exists():
            subprocess.run(["ip", "netns", "add", sandbox], check=True)
        folder = self.folders.make_container(container_id)
        for file in ("hosts", "hostname", "resolv.conf"):
            if not (folder / file).exists():
                (folder / file).write_text(f"{file} of {name}\n")
        link_env = spec.pop("link_env", ())
        domainname = spec.pop("domainname", "")
        return Process(
            container_id=container_id,
            run=run,
            name=name,
            hostname=name,
            domainname=domainname,
            sandbox=sandbox,
            files_of=container_id,
            link_env=link_env,
            process=ProcessSpec(args=args, **spec),
        )

    def start(self, name: str, *args: str, **fields: Any) -> Process:
        process = self.process(name, *args, **fields)
        self.apply(Step(None, process))
        return process

    def apply(self, *steps: Step) -> list[Step]:
        done: list[Step] = []
        self.handler.apply(steps, done.append)
        return done

    def run(self, name: str, *args: str, **fields: Any) -> dict[str, Any]:
        """Run a container to its end: exit code, and what it printed in this run by stream."""
        before = len(self.lines(name))
        self.start(name, *args, **fields)
        code = self.end(name)
        printed = self.lines(name)[before:]
        return {
            "code": code,
            "out": [line.text for line in printed if line.stream == "stdout"],
            "err": [line.text for line in printed if line.stream == "stderr"],
        }

    def end(self, name: str) -> int | None:
        """Wait for the container's end; its exit code."""
        wait_until(lambda: self.runtime.state(id_of(name)).exit_code is not None, f"{name} ends")
        record = read_record(self.folders, id_of(name))
        wait_until(lambda: record is not None and not record.conmon.alive, "its supervisor ends")
        return self.runtime.state(id_of(name)).exit_code

    def lines(self, name: str) -> list[logs.LogLine]:
        return logs.tail(self.folders.log(id_of(name)))

    def shell(self, name: str, script: str, **fields: Any) -> dict[str, Any]:
        return self.run(name, "sh", "-c", script, **fields)


def id_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def conmons() -> list[int]:
    """The supervisors of this host that are alive."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and Path("/proc", entry, "comm").read_text() == "conmon\n":
                state = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[0]
                found += [int(entry)] if state != "Z" else []
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"After {PATIENCE_S} s still not: {what}.")
        time.sleep(0.01)


def left_behind() -> list[str]:
    """Mounts and processes of ours on this host, and what stands in the run folder."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if "/var/lib/cnm/" in line]
    files = [str(path) for folder in ("runs", "runtime", "exits") for path in Path("/run/cnm", folder).iterdir()]
    return sorted(mounts + files + [f"conmon {pid}" for pid in conmons()])


def busybox_tar(path: Path, *more: tuple[tarfile.TarInfo, bytes]) -> Path:
    """A root filesystem with busybox, packed; *more* entries behind it."""
    with tarfile.open(path, "w:gz") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        for info, content in ((entry("etc/motd"), b"hello from the image\n"), *more):
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, linkname: str = "", device: tuple[int, int] = (0, 0)
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, linkname
    info.devmajor, info.devminor = device
    info.mode = 0o644
    return info
