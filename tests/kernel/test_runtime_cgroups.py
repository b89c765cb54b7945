"""Limits, and hosts whose cgroup layout stops the runtime, in a throw-away host."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.plan import Step
from tests.testlib.bottle import Bottle
from worker.runtime import features
from worker.runtime.cgroups import Cgroups, probe
from worker.runtime.view import tear_down

from .runtime_lab import Lab, conmons, id_of, left_behind, wait_until

pytestmark = pytest.mark.kernel

ROOT = Path("/sys/fs/cgroup")
V1 = ("memory", "cpu", "pids")


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def make_layout(layout: str) -> None:
    """Put another cgroup layout at /sys/fs/cgroup of this throw-away host."""
    subprocess.run(["umount", str(ROOT)], check=True)
    if layout == "none":
        return
    mount("-t", "tmpfs", "tmpfs", str(ROOT))
    if layout == "hybrid":
        (ROOT / "unified").mkdir()
        mount("-t", "cgroup2", "cgroup2", str(ROOT / "unified"))
    if layout in {"hybrid", "v1"}:
        for controller in V1:
            (ROOT / controller).mkdir()
            mount("-t", "cgroup", "-o", controller, "cgroup", str(ROOT / controller))


@contextlib.contextmanager
def limiting() -> Iterator[Cgroups]:
    """Hierarchies with all controllers, and a group of this test alone: hierarchies are the whole machine's."""
    if not set(V1) <= set((ROOT / "cgroup.controllers").read_text().split()):
        make_layout("hybrid")  # the machine has its controllers in v1 hierarchies
    cgroups = probe(group=f"cnm-test-{os.urandom(4).hex()}")
    try:
        yield cgroups
    finally:
        cgroups.remove_all()


def start_and_stop(layout: str) -> list[Any]:
    if layout != "v2":
        make_layout(layout)
    lab = Lab()
    first = lab.shell("web", "cat /etc/hostname; echo kept >/data")
    process = lab.start("web", run="2.0")
    again = Lab()  # a worker that was replaced meets the view that is there
    other = again.shell("db", "cat /etc/hostname")
    seen = again.runtime.exec(id_of("web"), ["cat", "/data"]).stdout
    alive = len(conmons())
    again.apply(Step(process, None))
    for name in ("web", "db"):
        again.handler.remove_container(id_of(name))
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    tear_down(again.folders)
    after = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    ours = [path for path in after if path.startswith(("/run/cnm", "/var/lib/cnm/"))]
    return [
        str(lab.runtime.cgroups.mode),
        first["out"],
        other["out"],
        seen,
        alive,
        left_behind(),
        "/run/cnm/view/mnt" in mounted,
        ours,
    ]


@pytest.mark.parametrize(("layout", "view"), [("v2", False), ("hybrid", True), ("v1", False), ("none", True)])
def test_containers_start_whatever_the_host_s_cgroup_layout(bottle: Bottle, layout: str, view: bool) -> None:
    found = bottle.call(start_and_stop, layout)
    assert found == [layout, ["hostname of web"], ["hostname of db"], "kept\n", 1, [], view, []]


def exceed() -> dict[str, Any]:
    with limiting() as cgroups:
        lab = Lab(cgroups=cgroups)
        greedy = ("dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1")
        lab.start("greedy", *greedy, memory_bytes=32 << 20)
        lab.end("greedy")
        (ended,) = lab.handler.exits()
        lab.start("forks", "sh", "-c", "for i in 1 2 3 4 5 6; do sleep 5 & echo made $i; done", pids=4)
        lab.end("forks")
        made = [line.text for line in lab.lines("forks")]
        process = lab.start("slow", cpus=0.5)
        pid = lab.runtime.state(id_of("slow")).pid
        groups = [line.split(":", 2)[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
        own = [name for name, path in groups if path == f"/{cgroups.group}/{id_of('slow')}"]
        inside = lab.runtime.exec(id_of("slow"), ["cat", "/proc/self/cgroup"]).stdout.count(f"/{cgroups.group}/")
        quota = _quota(cgroups)
        lab.apply(Step(process, None))
        for name in ("greedy", "forks", "slow"):
            lab.handler.remove_container(id_of(name))
        wait_until(lambda: not conmons(), "all are gone")
        left = [
            str(p) for h in (cgroups.v2, *cgroups.v1.values()) if h for p in (h / cgroups.group).glob("*") if p.is_dir()
        ]
    return {
        "greedy": [ended.exit_code, ended.oom_killed],
        "forks": made,
        "own": len(own),
        "inside": inside,
        "quota": quota,
        "left": [path for path in left if not path.endswith("/conmon")],
    }


def _quota(cgroups: Cgroups) -> str:
    if "cpu" in cgroups.v1:
        return (cgroups.v1["cpu"] / cgroups.group / id_of("slow") / "cpu.cfs_quota_us").read_text().strip()
    assert cgroups.v2 is not None
    return (cgroups.v2 / cgroups.group / id_of("slow") / "cpu.max").read_text().split()[0]


def test_limits_hold_where_the_host_has_the_controllers(bottle: Bottle) -> None:
    found = bottle.call(exceed)
    assert found["greedy"] == [137, True]
    assert found["forks"][:3] == ["made 1", "made 2", "made 3"]
    assert "made 4" not in found["forks"]  # the shell and three children are four
    assert found["own"] == 1
    assert found["inside"] == 1
    assert found["quota"] == "50000"
    assert found["left"] == []


def start_from_a_service() -> list[Any]:
    cgroups = probe(group=f"cnm-test-{os.urandom(4).hex()}")
    unit = ROOT / f"{cgroups.group}.service"
    unit.mkdir()
    (unit / "cgroup.procs").write_text(str(os.getpid()))
    try:
        lab = Lab(cgroups=cgroups)
        lab.start("web")
        (supervisor,) = conmons()
        pids = [supervisor, lab.runtime.state(id_of("web")).pid]
        groups = [Path(f"/proc/{pid}/cgroup").read_text().splitlines()[-1] for pid in pids]
        lab.handler.remove_container(id_of("web"))
        wait_until(lambda: not conmons(), "all are gone")
    finally:
        (ROOT / "cgroup.procs").write_text(str(os.getpid()))
        unit.rmdir()
        cgroups.remove_all()
    return [line == f"0::/{cgroups.group}/conmon" for line in groups]


def test_a_supervisor_leaves_the_worker_s_service(bottle: Bottle) -> None:
    assert bottle.call(start_from_a_service) == [True, True]


def list_features(layout: str) -> dict[str, list[Any]]:
    if layout:
        make_layout(layout)
    return {f.key: [f.present, bool(f.detail), bool(f.remedy)] for f in features.features()}


def test_what_is_missing_is_said_with_a_remedy(bottle: Bottle) -> None:
    found = bottle.call(list_features, "none")
    assert found["cgroup"][0] is False
    for name in V1:
        assert found[f"limit.{name}"] == [False, True, True]
    for name in ("program.crun", "program.conmon", "overlayfs", "seccomp"):
        assert found[name] == [True, True, False]


def test_what_is_there_needs_no_remedy(bottle: Bottle) -> None:
    found = bottle.call(list_features, "hybrid")
    for name in V1:
        assert found[f"limit.{name}"] == [True, True, False]
