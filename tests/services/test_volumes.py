"""Volumes as rows and folders; no kernel is touched."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from networks.cnm.errors import KernelRefused, NotFound
from networks.engine import volumes as engine
from networks.engine.call import Call
from networks.engine.http import Exchange, Request
from networks.models import Container, Operation, Volume
from networks.services import boot, containers, hosts, topology, volumes
from tests.testlib.steps import carried_out
from tests.testlib.world import ADMIN, OPERATOR, World
from worker import filling, slow
from worker.runtime.folders import Folders


@pytest.fixture
def runtime(tmp_path: Path) -> Any:
    """Of a runtime what the removal of a volume needs."""
    return SimpleNamespace(folders=Folders(state_dir=tmp_path / "state", run_dir=tmp_path / "run"))


def filled(runtime: Any, name: str) -> Path:
    """The folder of a volume, with a file in it."""
    folder: Path = runtime.folders.volumes / name
    folder.mkdir(parents=True)
    (folder / "file").touch()
    return folder


def test_a_volume_that_was_asked_away_twice_takes_no_later_one_of_its_name_along(world: World, runtime: Any) -> None:
    row = volumes.create_volume(OPERATOR, world.host, "data", {})
    folder = filled(runtime, "data")
    for _ in range(2):
        volumes.remove_volume(OPERATOR, row)
    first, second = Operation.objects.filter(verb="volume.remove").order_by("number")
    slow.carry_out(first, runtime)
    assert not folder.exists()
    volumes.create_volume(OPERATOR, world.host, "data", {})
    filled(runtime, "data")
    slow.carry_out(second, runtime)
    assert (folder / "file").exists()
    assert Volume.objects.get().removing is False
    assert {operation.state for operation in Operation.objects.filter(verb="volume.remove")} == {"done"}
    with pytest.raises(NotFound):
        volumes.remove_volume(OPERATOR, row)


def test_whatever_starts_a_container_has_its_volumes_filled_before(world: World) -> None:
    row = world.container(binds=["data:/data"], restart_policy="always")
    starts = {
        "container.restart": lambda: containers.restart_container(OPERATOR, row),
        "host.activate": lambda: hosts.activate_host(ADMIN, world.host, start=True),
        "container.start": lambda: boot.start_stopped(world.host),
        "topology.apply": lambda: topology.apply_topology(OPERATOR, world.host, topology.export(world.host)),
    }
    for verb, start in starts.items():
        world.work()
        if verb == "host.activate":
            hosts.drain_host(ADMIN, world.host)
            world.work()
        elif verb == "container.start":
            containers.stop_container(OPERATOR, row)
            world.work()
        elif verb == "topology.apply":
            row.refresh_from_db()
            Container.objects.filter(pk=row.pk).update(failed_run=row.run)
        world.host.refresh_from_db()
        start()
        operation = Operation.objects.latest("number")
        assert (operation.verb, operation.queue, operation.args.get("fills")) == (verb, "slow", [row.pk])
        assert verb in slow.VERBS


def test_pruning_passes_over_what_is_used_or_gone_meanwhile(world: World, runtime: Any, settings: Any) -> None:
    settings.HOST_NAME = world.host.name
    for name in ("first", "second", "third", "fourth"):
        volumes.create_volume(OPERATOR, world.host, name, {})

    def work(operation: Operation) -> None:
        if not Container.objects.exists():
            left, other = Volume.objects.filter(removing=False).order_by("name")[:2]
            world.container("web", binds=[f"{left.name}:/data"])
            other.delete()
        slow.carry_out(operation, runtime)

    call = Call(Exchange(None, Request("GET", "/", {}, {})), OPERATOR, (1, 41))  # type: ignore[arg-type]  # nothing is sent
    gone = carried_out(engine.prune(call), work).value["VolumesDeleted"]
    (used,) = Volume.objects.values_list("name", flat=True)
    assert len({*gone, used}) == 3


def test_a_container_that_is_removed_before_its_turn_comes_is_not_filled(
    world: World, runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [world.container(name, binds=[f"{name}:/data"]) for name in ("one", "two", "three")]
    turns = []

    def fill(_runtime: Any, row: Container, _report: Any) -> None:
        turns.append(row.name)
        if row.name == "one":  # it takes long
            Container.objects.filter(name="two").update(wanted="removed")

    monkeypatch.setattr(filling, "fill", fill)
    filling.fill_before_start(runtime, [row.pk for row in rows], lambda _text: None)
    assert turns == ["one", "three"]


REFUSED = json.dumps(KernelRefused("The disk is full.").to_json())


@pytest.mark.parametrize(("ends", "noted"), [("kill -9 $$", False), (f"echo '{REFUSED}' >&2; exit 1", True)])
def test_a_fill_that_was_cut_off_stands_against_no_start_and_one_that_was_refused_does(
    world: World, runtime: Any, monkeypatch: pytest.MonkeyPatch, ends: str, noted: bool
) -> None:
    row = world.container(binds=["data:/data"])
    monkeypatch.setattr(filling, "COMMAND", ("sh", "-c", f"cat >/dev/null; {ends}"))
    filling.fill_before_start(runtime, [row.pk], lambda _text: None)
    assert runtime.folders.unfilled(row.pk).exists() == noted
