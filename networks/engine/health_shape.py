"""Health checks in Docker's shapes, both ways. Pure but for what the rows lead to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from networks.cnm.health import Health, HealthCheck
from networks.models import Container

from . import json_types
from .errors import EngineError
from .times import rfc3339

_TIMES = {
    "Interval": "interval",
    "Timeout": "timeout",
    "StartPeriod": "start_period",
    "StartInterval": "start_interval",
}


def with_default(given: Mapping[str, Any], image: Any) -> Mapping[str, Any]:
    """What a container asks for, over the check that its *image* has: what it leaves out is the image's (moby, ``daemon/commit.go``)."""
    try:
        json_types.check(image, json_types.HEALTH_CHECK)
    except EngineError:
        return given  # an archive may say anything
    return {**(image or {}), **{name: value for name, value in given.items() if value}}


def requested(given: Mapping[str, Any]) -> dict[str, Any]:
    """What REST is asked for. Docker's times are nanoseconds, and 0 is what nobody chose. Raises EngineError."""
    test = given.get("Test") or []
    if not test or test == ["NONE"]:
        return {}
    if test[0] not in {"CMD", "CMD-SHELL"}:
        raise EngineError(400, f"Unknown healthcheck type '{test[0]}' (expected 'CMD')")
    for name in _TIMES:
        if 0 < int(given.get(name) or 0) < 10**6 or int(given.get(name) or 0) < 0:
            raise EngineError(400, f"{name} in Healthcheck cannot be less than 1ms")
    if int(given.get("Retries") or 0) < 0:
        raise EngineError(400, "Retries in Healthcheck cannot be negative")
    times = {ours: given[name] / 10**9 for name, ours in _TIMES.items() if given.get(name)}
    return {"test": list(test), **times, **({"retries": given["Retries"]} if given.get("Retries") else {})}


def shown(row: Container) -> dict[str, Any]:
    """``State.Health`` of a container that has a check."""
    health = Health.of(row.health, row.run)
    log = [
        {
            "Start": rfc3339(datetime.fromisoformat(item["start"])),
            "End": rfc3339(datetime.fromisoformat(item["end"])),
            "ExitCode": item["exit_code"],
            "Output": item["output"],
        }
        for item in health.log
    ]
    return {"Status": health.status, "FailingStreak": health.streak, "Log": log}


def config(spec: Mapping[str, Any]) -> dict[str, Any]:
    """``Config.Healthcheck``, where there is one."""
    check = spec.get("healthcheck") or {}
    if not check:
        return {}
    plain = HealthCheck(test=("CMD",))
    asked = {
        docker: round(check[ours] * 10**9) for docker, ours in _TIMES.items() if check[ours] != getattr(plain, ours)
    }
    if check["retries"] != plain.retries:
        asked["Retries"] = check["retries"]
    return {"Healthcheck": {"Test": check["test"], **asked}}
