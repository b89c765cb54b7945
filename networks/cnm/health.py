"""Health checks: a command that is run in a container now and then, and what follows from how it ends. Pure.

After moby's ``daemon/health.go``: a container is ``starting`` until a probe succeeds (``healthy``) or as many in a row fail as it has
``retries`` (``unhealthy``); what fails within ``start_period`` does not count while it is starting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
KEPT = 5
"""Results that are kept."""
LONGEST_OUTPUT = 4096
"""Characters of what a probe printed that are kept."""
SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """How a container is probed; times in seconds."""

    test: tuple[str, ...]
    """``CMD`` and the words of a command, or ``CMD-SHELL`` and one line."""
    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self | None:
        """The check that a container's ``spec`` holds; None: it has none."""
        kept = spec.get("healthcheck") or {}
        return cls(**{**kept, "test": tuple(kept["test"])}) if kept else None

    @property
    def command(self) -> tuple[str, ...]:
        kind, *words = self.test
        return (*SHELL, *words) if kind == "CMD-SHELL" else tuple(words)

    def pause_s(self, health: Health, started: datetime, now: datetime) -> float:
        """How long to wait from the end of the last probe to the next."""
        early = health.status == STARTING and now < started + timedelta(seconds=self.start_period)
        return min(self.start_interval, self.interval) if early else self.interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How one probe ended."""

    start: datetime
    end: datetime
    exit_code: int
    """-1: it took too long, or could not be run."""
    output: str

    def to_json(self) -> dict[str, Any]:
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "exit_code": self.exit_code,
            "output": self.output[:LONGEST_OUTPUT],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of one run of a container."""

    run: str
    status: str = STARTING
    streak: int = 0
    """Failures in a row."""
    log: tuple[Mapping[str, Any], ...] = ()
    """The last probes, oldest first (:meth:`Probe.to_json`)."""

    @classmethod
    def of(cls, kept: Mapping[str, Any], run: str) -> Self:
        """What a row keeps, where it is about *run*; of another nothing is known yet."""
        if kept.get("run") != run:
            return cls(run=run)
        return cls(run=run, status=kept["status"], streak=kept["streak"], log=tuple(kept["log"]))

    def to_json(self) -> dict[str, Any]:
        return {"run": self.run, "status": self.status, "streak": self.streak, "log": list(self.log)}

    @property
    def probed_at(self) -> datetime | None:
        """When the last probe ended."""
        return datetime.fromisoformat(self.log[-1]["end"]) if self.log else None

    def after(self, probe: Probe, check: HealthCheck, started: datetime) -> Self:
        """What is known once *probe* has ended, of a run that *started* then."""
        log = (*self.log, probe.to_json())[-KEPT:]
        if probe.exit_code == 0:
            return type(self)(run=self.run, status=HEALTHY, log=log)
        early = self.status == STARTING and probe.start < started + timedelta(seconds=check.start_period)
        streak = self.streak + (not early)
        failed = streak >= check.retries
        return type(self)(run=self.run, status=UNHEALTHY if failed else self.status, streak=streak, log=log)
