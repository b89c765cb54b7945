"""What the Docker face does with a ``--rm`` container whose start does not succeed."""

from __future__ import annotations

import pytest

from networks.cnm.errors import Unavailable
from networks.engine import containers
from networks.engine.call import Call
from networks.engine.errors import EngineError
from networks.engine.http import Connection, Exchange, Request
from networks.models import Container, Operation
from networks.services import containers as services
from tests.testlib.steps import carried_out
from tests.testlib.world import OPERATOR, World


def call(world: World, **query: str) -> Call:
    exchange = Exchange(Connection(None, None, None), Request(method="POST", path="/", query=query, headers={}))  # type: ignore[arg-type]
    made = Call(exchange=exchange, actor=OPERATOR, version=(1, 44))
    made.host = world.host
    return made


def idle(world: World) -> Container:
    return world.container("web", auto_remove=True, start=False)


def test_a_start_that_takes_too_long_removes_nothing(world: World) -> None:
    row = idle(world)
    with pytest.raises(EngineError, match="still goes on"):
        carried_out(containers.start(call(world), "web"))
    assert Container.objects.get(pk=row.pk).status == "starting"


def test_a_start_that_is_answered_by_nobody_removes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = idle(world)

    def refuse(*_: object) -> None:
        raise Unavailable("The worker does not answer.")

    monkeypatch.setattr(services, "start_container", refuse)
    with pytest.raises(EngineError) as refused:
        carried_out(containers.start(call(world), "web"))
    assert refused.value.status == 503
    assert Container.objects.get(pk=row.pk).status != "removing"


def test_a_start_that_failed_does_unless_somebody_started_it_meanwhile(world: World) -> None:
    row = idle(world)

    def fails(operation: Operation) -> None:
        if operation.verb == "container.start":
            Operation.objects.filter(pk=operation.pk).update(
                state="failed", error=Unavailable("It ended.").to_json(), finished_at="2026-01-01T00:00:00Z"
            )
            Container.objects.filter(pk=row.pk).update(status=status)

    status = "running"
    with pytest.raises(EngineError, match="It ended"):
        carried_out(containers.start(call(world), "web"), fails)
    assert Container.objects.get(pk=row.pk).status == "running"
    Container.objects.filter(pk=row.pk).update(status="created", wanted="stopped")
    status = "failed"
    with pytest.raises(EngineError):
        carried_out(containers.start(call(world), "web"), fails)
    assert Container.objects.get(pk=row.pk).status == "removing"


@pytest.mark.parametrize(
    ("handler", "query", "status"),
    [(containers.restart, {"signal": "SIGNOT"}, 400), (containers.start, {"checkpoint": "c"}, 501)],
)
def test_what_is_asked_for_and_not_had_is_refused(
    world: World, handler: object, query: dict[str, str], status: int
) -> None:
    world.container("web", start=False)
    with pytest.raises(EngineError) as refused:
        carried_out(handler(call(world, **query), "web"))  # type: ignore[operator]
    assert refused.value.status == status
    assert not Operation.objects.filter(verb__in=["container.start", "container.restart"]).exists()
