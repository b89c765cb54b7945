"""What follows from probes, after moby's ``daemon/health.go``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from networks.cnm.health import Health, HealthCheck, Probe

STARTED = datetime(2026, 1, 1, tzinfo=UTC)
CHECK = HealthCheck(test=("CMD", "true"), interval=10, start_period=30, start_interval=2, retries=2)


def probed(codes: str, *, after_s: float, check: HealthCheck = CHECK) -> list[Health]:
    """What is known after each of some probes, one a second: ``0`` succeeds, ``1`` fails."""
    found = [Health(run="1.0")]
    for number, code in enumerate(codes):
        at = STARTED + timedelta(seconds=after_s + number)
        probe = Probe(start=at, end=at, exit_code=int(code), output=f"probe {number}")
        found.append(found[-1].after(probe, check, STARTED))
    return found


@pytest.mark.parametrize(
    ("codes", "after_s", "states"),
    [
        ("0", 1, "starting healthy"),
        ("111", 1, "starting starting starting starting"),
        ("11", 40, "starting starting unhealthy"),
        ("110", 40, "starting starting unhealthy healthy"),
        ("0101", 40, "starting healthy healthy healthy healthy"),
        ("011", 1, "starting healthy healthy unhealthy"),
    ],
)
def test_states(codes: str, after_s: float, states: str) -> None:
    assert [health.status for health in probed(codes, after_s=after_s)] == states.split()


def test_the_last_results_are_kept_and_only_of_the_run_that_is_meant() -> None:
    health = probed("0" * 8, after_s=1)[-1]
    assert [item["output"] for item in health.log] == [f"probe {number}" for number in range(3, 8)]
    assert Health.of(health.to_json(), "1.0") == health
    assert Health.of(health.to_json(), "1.1") == Health(run="1.1")
    assert health.probed_at == STARTED + timedelta(seconds=8)


def test_who_starts_is_probed_more_often() -> None:
    starting, healthy = probed("0", after_s=1)
    assert CHECK.pause_s(starting, STARTED, STARTED) == 2
    assert CHECK.pause_s(starting, STARTED, STARTED + timedelta(seconds=31)) == 10
    assert CHECK.pause_s(healthy, STARTED, STARTED) == 10


def test_a_line_is_for_the_shell() -> None:
    assert HealthCheck(test=("CMD-SHELL", "a | b")).command == ("/bin/sh", "-c", "a | b")
    assert HealthCheck.of({"healthcheck": {"test": ["CMD", "x", "y"]}}) == HealthCheck(test=("CMD", "x", "y"))
    assert HealthCheck.of({}) is None
