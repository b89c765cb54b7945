"""What is drift, and what only looks like it."""

from __future__ import annotations

from networks.cnm.plan import Plan, Step
from networks.cnm.resources import Process
from networks.models import Container, Drift
from networks.services import containers
from tests.testlib.world import OPERATOR, World
from worker import drift

LOOKED_AT = frozenset({"process"})


def missing(container: Container) -> Plan:
    return Plan((Step(None, Process(container_id=container.pk, run=container.run)),))


def test_a_process_that_is_being_ended_is_no_drift_and_one_that_is_gone_by_itself_is(world: World) -> None:
    web, other = world.container("web"), world.container("other")
    containers.stop_container(OPERATOR, web)
    assert drift.record(world.host, missing(web), LOOKED_AT) == 0
    assert drift.record(world.host, missing(other), LOOKED_AT) == 1
    assert Drift.objects.get(resolved_at=None).key == f"process {other.pk}"
    assert drift.open_kinds(world.host) == LOOKED_AT
    world.work()
    assert drift.record(world.host, Plan(()), LOOKED_AT) == 1
    assert drift.open_kinds(world.host) == frozenset()
