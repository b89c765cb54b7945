"""``/containers/{id}/top`` and ``/stats``: what the processes of a container do, read from where everybody may read it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from networks.cnm.names import veth_device
from networks.models import Container

from .call import Answer, Call
from .container_shape import RUNNING
from .errors import EngineError, not_supported
from .http import JSON
from .threads import in_thread
from .times import NEVER, rfc3339

_PS_WORD = re.compile(r"[A-Za-z0-9,=_%:.-]+\Z")
PS_S = 10
EVERY_S = 1.0
"""Docker sends figures once a second."""
_PROC, _DEVICES = Path("/proc"), Path("/sys/class/net")


def top(call: Call, name: str) -> Answer:
    row = call.container(name)
    if row.status not in RUNNING or not row.pid:
        raise EngineError(409, f"Container {row.pk} is not running")
    words = (call.query.get("ps_args") or "-ef").split()
    if not all(map(_PS_WORD.match, words)):
        raise EngineError(400, "ps_args has characters that no option of ps has")
    try:
        done = subprocess.run(["ps", *words], capture_output=True, text=True, timeout=PS_S, check=False)
    except FileNotFoundError:
        raise not_supported("listing processes on a host without ps (package procps)") from None
    if done.returncode:
        raise EngineError(500, f"ps: {done.stderr.strip()}")
    titles, *lines = [line for line in done.stdout.splitlines() if line.strip()]
    columns = titles.split()
    if "PID" not in columns:
        raise EngineError(500, "Couldn't find PID field in ps output")
    place, pids = columns.index("PID"), pids_of(row.pid, row.pk)
    rows = [line.split(None, len(columns) - 1) for line in lines]
    return Answer(
        value={
            "Titles": columns,
            "Processes": [words for words in rows if words[place].isdigit() and int(words[place]) in pids],
        }
    )


def pids_of(first: int, container_id: str) -> set[int]:
    """The processes of a container by its first one: its descendants, who shares its control group, where that is its own, and commands
    that were run in it, which are children of a runtime that says so (``crun … exec … ID``)."""
    parents: dict[int, int] = {}
    groups: dict[int, str] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                groups[int(entry.name)] = (entry / "cgroup").read_text()
    runtimes = {pid for pid in set(parents.values()) if _runs_in(pid, container_id)}
    found = {first, *(pid for pid, parent in parents.items() if parent in runtimes)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    own = groups.get(first, "")
    if own and own not in {groups.get(1), groups.get(os.getpid())}:
        found |= {pid for pid, group in groups.items() if group == own}
    return found & set(parents)


def _runs_in(runtime: int, container_id: str) -> bool:
    """Whether the process *runtime* holds a command in the container."""
    try:
        words = (_PROC / str(runtime) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return False
    return words[-1] == container_id.encode() and b"exec" in words


async def stats(call: Call, name: str) -> None:
    row = await in_thread(call.container, name)
    goes_on = call.flag("stream", True)
    devices = await in_thread(_devices, row)
    await call.exchange.start(200, {"Content-Type": JSON})
    before: dict[str, Any] = {}
    while True:
        row = await in_thread(Container.objects.filter(pk=row.pk).first)
        if row is None:
            return
        running = row.status in RUNNING and bool(row.pid)
        value = await asyncio.to_thread(figures, row, devices if running else {}, before, timezone.now())
        if not goes_on and running and not before and not call.flag("one-shot"):
            before = value  # one answer has two looks in it, or there would be no rate
            await asyncio.sleep(EVERY_S)
            continue
        await call.exchange.send(json.dumps(value).encode() + b"\n")
        if not goes_on:
            return
        before = value
        await asyncio.sleep(EVERY_S)


def figures(row: Container, devices: dict[str, str], before: dict[str, Any], now: datetime) -> dict[str, Any]:
    """One sample, with the one *before* it. *devices*: interface in the container -> its other end on the host."""
    pids = pids_of(row.pid, row.pk) if row.pid and row.status in RUNNING else set()
    user, kernel, memory = 0, 0, 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            words = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            user, kernel = user + _ticks(words[11]), kernel + _ticks(words[12])
            memory += int(words[21]) * os.sysconf("SC_PAGE_SIZE")
    cpu = {
        "cpu_usage": {"total_usage": user + kernel, "usage_in_kernelmode": kernel, "usage_in_usermode": user},
        "system_cpu_usage": _system(),
        "online_cpus": os.cpu_count() or 1,
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }
    limit = int(row.spec.get("memory") or 0) or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    value: dict[str, Any] = {
        "id": row.pk,
        "name": f"/{row.name}",
        "read": rfc3339(now),
        "preread": before.get("read", NEVER),
        "pids_stats": {"current": len(pids)} if pids else {},
        "num_procs": 0,
        "blkio_stats": {"io_service_bytes_recursive": None},
        "storage_stats": {},
        "cpu_stats": cpu,
        "precpu_stats": before.get("cpu_stats") or {"cpu_usage": {"total_usage": 0}, "system_cpu_usage": 0},
        "memory_stats": {"usage": memory, "limit": limit, "stats": {}} if pids else {},
    }
    if devices:
        value["networks"] = {name: _traffic(device) for name, device in devices.items()}
    return value


def _devices(row: Container) -> dict[str, str]:
    return {item.ifname: veth_device(item.pk) for item in row.endpoints.filter(removing=False)}


def _traffic(device: str) -> dict[str, int]:
    """Counters of an interface, read at its other end, which sends what this one receives."""
    result = {}
    for ours, theirs in (("rx", "tx"), ("tx", "rx")):
        for name in ("bytes", "packets", "errors", "dropped"):
            value = 0
            with suppress(OSError, ValueError):
                value = int((_DEVICES / device / "statistics" / f"{theirs}_{name}").read_text())
            result[f"{ours}_{name}"] = value
    return result


def _ticks(text: str) -> int:
    """Clock ticks as nanoseconds."""
    return int(text) * 10**9 // os.sysconf("SC_CLK_TCK")


def _system() -> int:
    """Nanoseconds of all CPUs since the host started, idle ones included (proc(5), ``/proc/stat``)."""
    words = (_PROC / "stat").read_text().split("\n", 1)[0].split()
    return sum(_ticks(word) for word in words[1:8])
