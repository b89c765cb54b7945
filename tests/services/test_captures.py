"""Captures: who may take them, of what, how much; and how long they are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from networks import captures as kept
from networks import settle
from networks.cnm.errors import Conflict, Exhausted, Forbidden, InvalidSpec, NotFound, Unsupported
from networks.models import Activity, Capture, Operation
from networks.services import captures
from networks.services.captures import read_capture
from tests.testlib.world import OPERATOR, VIEWER, World


def start(world: World, **body: Any) -> Capture:
    made = captures.start_capture(OPERATOR, world.host, read_capture(body)).subject
    assert isinstance(made, Capture)
    return made


def test_a_viewer_neither_takes_nor_reads_packets(world: World) -> None:
    world.container("web")
    with pytest.raises(Forbidden):
        captures.start_capture(VIEWER, world.host, read_capture({"container": "web"}))
    capture = start(world, container="web")
    for use_case in (captures.stop_capture, captures.remove_capture, captures.take_along):
        with pytest.raises(Forbidden):
            use_case(VIEWER, capture)


def test_an_endpoint_is_found_in_its_sandbox_and_a_bridge_on_the_host(world: World) -> None:
    app = world.network("app")
    web = world.container("web", network="app")
    endpoint = start(world, container="web", network="app", protocol="tcp", host="10.0.0.3", port=80)
    assert (endpoint.sandbox, endpoint.interface) == (f"cnm-{web.pk[:12]}", "eth0")
    assert endpoint.filter == {"protocol": "tcp", "host": "10.0.0.3", "port": 80}
    bridge = start(world, network="app")
    assert (bridge.sandbox, bridge.interface) == ("", f"br-{app.pk[:12]}")
    assert Operation.objects.filter(verb="capture.run", queue="slow").count() == 2
    told = Activity.objects.filter(verb="capture.run").first()
    assert told is not None
    assert told.actor == "olga"


@pytest.mark.parametrize(
    ("body", "error", "field"),
    [
        ({}, InvalidSpec, "container"),
        ({"container": "web", "host": "no address"}, InvalidSpec, "host"),
        ({"container": "web", "port": 65536}, InvalidSpec, "port"),
        ({"container": "web", "protocol": "tcp; rm"}, InvalidSpec, "protocol"),
        ({"container": "web", "protocol": "icmp", "port": 80}, InvalidSpec, "port"),
        ({"container": "web", "seconds": 601}, InvalidSpec, "seconds"),
        ({"container": "web", "size": 1 << 40}, InvalidSpec, "size"),
        ({"container": "web", "snap_length": 1}, InvalidSpec, "snap_length"),
        ({"container": "nosuch"}, NotFound, "container"),
        ({"container": "web", "network": "other"}, Conflict, "container"),
        ({"container": "on-host"}, Conflict, "container"),
        ({"container": "idle"}, Conflict, "container"),
        ({"network": "host"}, Unsupported, "network"),
    ],
)
def test_bad_input_names_its_field_and_changes_nothing(world: World, body: Any, error: Any, field: str) -> None:
    world.network("other")
    world.container("web")
    world.container("on-host", network="host")
    world.container("idle", start=False)
    with pytest.raises(error) as refused:
        start(world, **body)
    assert refused.value.field == field
    assert not Capture.objects.exists()


def test_only_a_few_are_under_way_at_a_time(world: World) -> None:
    world.container("web")
    made = [start(world, container="web") for _ in range(kept.MOST_AT_ONCE)]
    with pytest.raises(Exhausted):
        start(world, container="web")
    with pytest.raises(Conflict):
        captures.remove_capture(OPERATOR, made[0])
    kept.note(made[0], state=Capture.ENDED, reason="time")
    start(world, container="web")


def test_old_captures_and_more_than_a_few_are_kept_no_longer(world: World, settings: Any) -> None:
    settings.KEEP_CAPTURES_HOURS = 24
    web = world.container("web")
    taken = {"host": world.host, "subject_kind": "container", "subject_id": web.pk, "interface": "eth0"}

    def add(state: str, hours: float) -> Capture:
        row = Capture.objects.create(**taken, seconds=1, size_limit=1, snap_length=64, state=state)
        Capture.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(hours=hours))
        return row

    old, running = add("done", 25), add("running", 25)
    assert [row.pk for row in kept.too_old(world.host)] == [old.pk]
    for number in range(kept.MOST_KEPT + 2):
        add("failed", number / 10)
    gone = {row.pk for row in kept.too_old(world.host)}
    assert len(gone) == 3
    assert running.pk not in gone


def test_one_that_ends_while_old_ones_are_looked_for_is_not_old(world: World) -> None:
    world.container("web")
    ending = start(world, container="web")

    def end_it_meanwhile(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if sql.startswith("SELECT"):
            Capture.objects.filter(pk=ending.pk).update(state=Capture.ENDED)
        return answer

    with connection.execute_wrapper(end_it_meanwhile):
        assert kept.too_old(world.host) == []
    assert Capture.objects.get(pk=ending.pk).state == Capture.ENDED


def test_what_a_former_worker_took_has_ended(world: World) -> None:
    world.container("web")
    capture = start(world, container="web")
    kept.note(capture, state=Capture.RUNNING, packets=3)
    kept.end_lost(world.host)
    capture.refresh_from_db()
    assert (capture.state, capture.reason, capture.packets, capture.ended_at is None) == ("done", "lost", 3, False)
    assert kept.file_name(capture).startswith("web-bridge-")


def test_one_that_had_not_quite_begun_does_not_wait_for_ever(world: World) -> None:
    world.container("web")
    waiting, cut_off = start(world, container="web"), start(world, container="web")
    assert cut_off.operation is not None
    settle.end_only(cut_off.operation, failed=Unsupported("It was cut off."))
    kept.end_lost(world.host)
    states = {row.pk: row.state for row in Capture.objects.all()}
    assert states == {waiting.pk: "pending", cut_off.pk: "done"}
