"""History is bounded: by age, by number, in slices; what is not over yet is never forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from networks import feed, retention
from networks.models import Activity, Drift, Event, ExecSession, Operation
from networks.services import networks
from networks.services.spec_network import read_network
from tests.testlib.world import OPERATOR, World


def ages(days: float) -> None:
    """Everything that happened until now happened *days* earlier."""
    by = timedelta(days=days)
    for row in Operation.objects.all():
        Operation.objects.filter(pk=row.pk).update(created_at=row.created_at - by)
    for activity in Activity.objects.all():
        Activity.objects.filter(pk=activity.pk).update(at=activity.at - by)


def drifts(world: World, key: str, resolved_days_ago: float | None) -> None:
    resolved = None if resolved_days_ago is None else timezone.now() - timedelta(days=resolved_days_ago)
    Drift.objects.create(host=world.host, key=key, kind="missing", resource_kind="rule", text=key, resolved_at=resolved)


def test_what_is_old_goes_and_what_is_not_over_stays(world: World, settings: Any) -> None:
    settings.KEEP_HISTORY_DAYS = 30
    world.network("old")
    networks.create_network(OPERATOR, world.host, read_network({"name": "waiting"}))
    ages(31)
    world.network("new")
    drifts(world, "open", None)
    drifts(world, "long resolved", 31)
    drifts(world, "just resolved", 29)
    Operation.objects.filter(subject_name="waiting").update(state="pending")
    assert retention.forget_history(world.host) == 4
    assert set(Operation.objects.values_list("subject_name", flat=True)) == {"waiting", "new"}
    assert set(Activity.objects.values_list("subject_name", flat=True)) == {"new"}
    assert set(Drift.objects.values_list("key", flat=True)) == {"open", "just resolved"}
    assert retention.forget_history(world.host) == 0


def test_ended_terminals_are_forgotten_and_open_ones_are_not(world: World, settings: Any) -> None:
    settings.KEEP_HISTORY_DAYS = 30
    container = world.container()
    long_ago = timezone.now() - timedelta(days=31)
    for state, ended_at in (("ended", long_ago), ("ended", timezone.now()), ("running", None)):
        ExecSession.objects.create(container=container, created_by="olga", state=state, ended_at=ended_at)
    retention.forget_history(world.host)
    assert sorted(ExecSession.objects.values_list("state", flat=True)) == ["ended", "running"]


def test_of_many_the_newest_stay(world: World, settings: Any) -> None:
    settings.KEEP_HISTORY_ROWS = 2
    for number in range(4):
        world.network(f"n{number}")
    retention.forget_history(world.host)
    assert list(Operation.objects.values_list("subject_name", flat=True)) == ["n3", "n2"]
    assert list(Activity.objects.values_list("subject_name", flat=True)) == ["n3", "n2"]


def test_a_long_history_goes_in_slices(world: World, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.KEEP_HISTORY_ROWS = 1
    monkeypatch.setattr(retention, "SLICE", 2)
    for number in range(6):
        world.network(f"n{number}")
    left = []
    while retention.forget_history(world.host):
        left.append(Operation.objects.count())
    assert left == [4, 2, 1]


def test_a_page_that_missed_forgotten_events_takes_a_snapshot(world: World, settings: Any) -> None:
    before = feed.snapshot()
    settings.KEEP_EVENTS = 3
    for number in range(4):
        world.network(f"n{number}")
    while retention.forget_history(world.host):
        pass
    assert Event.objects.count() == 3
    assert feed.since(before["n"], before["epoch"]) is None
    last = feed.snapshot()["n"]
    assert [event["n"] for event in feed.since(last - 3, before["epoch"]) or []] == [last - 2, last - 1, last]
