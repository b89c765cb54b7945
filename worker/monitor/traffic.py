"""The sampler: while somebody looks at traffic, what moves on this host's devices and published ports, once a second.

A thread of the monitor's, for it waits for Redis, which the monitor must not. While nobody looks it asks Redis once a second and does
nothing else: no dump, and no table in the kernel.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import RedisError

from networks import traffic
from worker.kernel import meter
from worker.kernel.counters import Counted, LinkCounters

log = logging.getLogger(__name__)

SHARE = 20
"""Sampling may take this part of the time: a host with very many devices is looked at less often than every second."""
REDIS_AWAY_S = 5.0

Key = tuple[Any, ...]


def rates(before: Mapping[Key, Counted], now: Mapping[Key, Counted], seconds: float) -> dict[Key, list[int]]:
    """A second's worth of each that moved. One that was not there before is left to the next look; so is one that began anew. Pure."""
    found = {}
    for key, total in now.items():
        old = before.get(key)
        if old is None or old == total:
            continue
        moved = [(new - past) / seconds for new, past in zip(total, old, strict=True)]
        if min(moved) >= 0:
            found[key] = [round(one) for one in moved]
    return found


class Sampler(threading.Thread):
    """Samples while somebody looks; ends with its process."""

    def __init__(self, host: str) -> None:
        super().__init__(name="traffic", daemon=True)
        self._host = host
        self._links = LinkCounters()
        self._metered = False
        self._cannot_meter = False
        self._before: tuple[float, Mapping[Key, Counted], Mapping[Key, Counted]] | None = None

    def run(self) -> None:
        meter_off()  # what a monitor that was killed left behind
        while True:
            time.sleep(self.turn())

    def turn(self) -> float:
        """One look, if anybody is interested; how long to rest after it, in seconds."""
        begun = time.thread_time()  # what it works: on a busy host it waits besides
        try:
            if not traffic.is_asked():
                self.rest()
                return traffic.EVERY_S
            sample = self._sample()
            if sample is not None:
                traffic.publish(self._host, sample)
        except (RedisError, OSError) as error:
            log.info("traffic is not shown: %s", error)
            self.rest()
            return REDIS_AWAY_S
        cost = time.thread_time() - begun
        return max(traffic.EVERY_S - cost, cost * (SHARE - 1))

    def rest(self) -> None:
        """Nobody looks: what was made for it goes."""
        self._before = None
        self._cannot_meter = False
        if self._metered:
            self._metered = not meter_off()  # one that could not be taken away is tried again

    def _sample(self) -> traffic.Sample | None:
        """What moved since the last look; None for the first one."""
        self._meter()
        at, links = time.monotonic(), self._links.read()
        ports = meter.read() if self._metered else {}
        last, self._before = self._before, (at, links, ports)
        if last is None:
            return None
        seconds = at - last[0]
        # A port that was not in the set before was at nothing.
        old_ports = {**dict.fromkeys(ports, Counted(0, 0, 0, 0)), **last[2]}
        return {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "every": round(seconds, 2),
            "links": {key[1]: rate for key, rate in rates(last[1], links, seconds).items()},
            "ports": {" ".join(map(str, key)): rate for key, rate in rates(old_ports, ports, seconds).items()}
            if self._metered
            else None,
        }

    def _meter(self) -> None:
        """The table stands while somebody looks at ports, if this kernel can have it."""
        wanted = traffic.ports_are_asked()
        if wanted and not self._metered and not self._cannot_meter:
            self._metered = meter_on()
            self._cannot_meter = not self._metered
        elif self._metered and not wanted:
            self._metered = not meter_off()


def meter_on() -> bool:
    """Count what published ports carry; whether this kernel can."""
    return _tried(meter.start)


def meter_off() -> bool:
    """Take the table away, if there is one; whether none is left."""
    return _tried(meter.stop)


def _tried(change: Callable[[], None]) -> bool:
    with suppress(OSError, subprocess.SubprocessError):
        change()
        return True
    return False
