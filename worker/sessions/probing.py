"""Health checks: each running container that has one is probed now and then, by a command inside it.

What was found stands in the container's row, so a new process goes on where the one before was ended. A probe has a thread of its own,
for it may hang for as long as its timeout; no other probe waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from networks.cnm.errors import CnmError, Conflict
from networks.cnm.health import Health, HealthCheck, Probe
from networks.models import Container
from worker.runtime.exec import ExecResult
from worker.runtime.runtime import Runtime

from . import book

log = logging.getLogger("worker.sessions")

LOOK_S = 1.0
"""Between two looks at which containers there are to probe."""
AT_ONCE = 32
"""Probes that are begun at the same time."""
BEGINS_S = 1.0
"""How long a probe counts as one of these: what takes longer waits for its command, which costs nothing here but its thread."""
MOST = 4096
"""Threads: more than there are containers to probe on one host."""


async def probing(runtime: Runtime, host_name: str) -> None:
    """Probe until cancelled."""
    pool = ThreadPoolExecutor(MOST, "probe")
    begun = asyncio.Semaphore(AT_ONCE)
    tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
    try:
        while True:
            try:
                rows = {(row.pk, row.run): row for row in await book.to_probe(host_name)}
            except Exception:  # a database that is away: what is known stays known
                log.exception("containers to probe could not be read")
            else:
                for key in tasks.keys() - rows.keys():
                    tasks.pop(key).cancel()
                for key in [key for key, task in tasks.items() if task.done()]:
                    del tasks[key]  # its process was gone for a moment: a repair puts up another, in the same run
                for key in rows.keys() - tasks.keys():
                    tasks[key] = asyncio.create_task(_probe(runtime, rows[key], pool, begun))
            await asyncio.sleep(LOOK_S)
    finally:
        for task in tasks.values():
            task.cancel()
        pool.shutdown(wait=False, cancel_futures=True)


async def _probe(runtime: Runtime, row: Container, pool: ThreadPoolExecutor, begun: asyncio.Semaphore) -> None:
    """One run of a container, until it is over."""
    check = HealthCheck.of(row.spec)
    assert check is not None  # noqa: S101  # the row says so
    health = Health.of(row.health, row.run)
    started = row.started_at or _now()
    while True:
        now = _now()
        since = (now - (health.probed_at or started)).total_seconds()
        await asyncio.sleep(check.pause_s(health, started, now) - max(0.0, since))
        try:
            async with begun:
                asked = asyncio.get_running_loop().run_in_executor(pool, _ask, runtime, row.pk, check)
                try:
                    await asyncio.wait([asked], timeout=BEGINS_S)
                except asyncio.CancelledError:
                    asked.cancel()
                    raise
            probe = await asked
        except Conflict:
            return  # it does not run any more
        health = health.after(probe, check, started)
        try:
            if not await book.note_health(row.pk, health):
                return
        except Exception:  # a database that is away
            log.exception("what a probe of container %s found could not be written", row.pk[:12])


def _ask(runtime: Runtime, container_id: str, check: HealthCheck) -> Probe:
    """Raises Conflict where the container does not run."""
    start = _now()
    try:
        found = runtime.exec(container_id, check.command, timeout_s=check.timeout)
    except Conflict:
        raise
    except (CnmError, OSError) as error:
        return Probe(start=start, end=_now(), exit_code=-1, output=str(error))
    except Exception as error:  # a defect of ours: the next probe may do without it
        log.exception("container %s could not be probed", container_id[:12])
        return Probe(start=start, end=_now(), exit_code=-1, output=str(error))
    code, output = _read(found, check)
    return Probe(start=start, end=_now(), exit_code=code, output=output)


def _read(found: ExecResult, check: HealthCheck) -> tuple[int, str]:
    if found.timed_out:
        return -1, f"Health check exceeded timeout ({check.timeout:g}s)"
    return found.exit_code, found.stdout + found.stderr


def _now() -> datetime:
    return datetime.now(UTC)
