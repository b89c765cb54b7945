"""How a container's process ends, is left alone, found again, replaced and taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.plan import Step
from tests.testlib.bottle import Bottle, MakeBottle

from .runtime_lab import Lab, conmons, id_of, left_behind, wait_until

pytestmark = pytest.mark.kernel


def start_and_leave() -> int:
    Lab().start("web", "sh", "-c", "trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.05; done")
    return os.getpid()


def look_and_stop() -> list[Any]:
    lab = Lab()
    seen = [[process.container_id, process.run] for process in lab.handler.observe(None)]  # type: ignore[attr-defined]
    wait_until(lambda: any(line.text == "up" for line in lab.lines("web")), "it is up")
    code = lab.runtime.stop(id_of("web"), "SIGTERM", 10)
    return [seen, code, [line.text for line in lab.lines("web")]]


def test_it_outlives_the_process_that_started_it(bottle: Bottle) -> None:
    starter = bottle.call(start_and_leave)
    assert bottle.run(["test", "-d", f"/proc/{starter}"], check=False).returncode == 1
    seen, code, lines = bottle.call(look_and_stop)
    assert seen == [[id_of("web"), "1.0"]]
    assert (code, lines) == (5, ["up", "asked"])


def start_in_a_group_and_kill_the_group() -> bool:
    code = "from tests.kernel.runtime_lab import Lab; Lab().start('web'); import time; print('up', flush=True); time.sleep(60)"
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"up\n"
    os.killpg(starter.pid, 9)
    starter.wait()
    return Lab().runtime.state(id_of("web")).status == "running"


def test_killing_the_starter_s_whole_group_does_not_end_it(bottle: Bottle) -> None:
    assert bottle.call(start_in_a_group_and_kill_the_group)


def ignore_term() -> list[Any]:
    lab = Lab()
    lab.start("web", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    wait_until(lambda: len(lab.lines("web")) == 1, "it is up")
    return [
        lab.runtime.stop(id_of("web"), "SIGTERM", 0.2),
        lab.runtime.stop(id_of("web")),
        lab.runtime.kill(id_of("web")),
    ]


def test_a_process_that_ignores_the_signal_is_killed_after_the_timeout(bottle: Bottle) -> None:
    assert bottle.call(ignore_term) == [137, 137, False]


def restart() -> list[Any]:
    lab = Lab()
    first = lab.shell("web", "echo kept >/data; echo kept >/usr/share/data; exit 1")
    ends = [(e.run, e.exit_code, e.by_us) for e in lab.handler.exits()]
    after = left_behind()
    second = lab.shell("web", "cat /data /usr/share/data", run="1.1")
    return [first["code"], ends, after, second["out"], lab.runtime.state(id_of("web")).run]


def test_a_restart_finds_the_files_of_the_run_before(bottle: Bottle) -> None:
    assert bottle.call(restart) == [1, [["1.0", 1, False]], [], ["kept", "kept"], "1.1"]


def replace_run() -> list[Any]:
    lab = Lab()
    old = lab.start("web")
    pid = lab.runtime.state(id_of("web")).pid
    new = lab.process("web", run="2.0")
    lab.apply(Step(old, new))
    lab.apply(Step(old, new))
    state = lab.runtime.state(id_of("web"))
    observed = list(lab.handler.observe([new.key]))
    return [state.run, state.pid != pid, observed == [new], len(conmons()), [e.run for e in lab.handler.exits()]]


def test_another_run_takes_the_place_of_the_old_one_once(bottle: Bottle) -> None:
    assert bottle.call(replace_run) == ["2.0", True, True, 1, []]


def remove() -> list[Any]:
    lab = Lab()
    before = left_behind()
    one, two = lab.start("web"), lab.start("db", "sleep", "60")
    running = [state.status for name in ("web", "db") for state in [lab.runtime.state(id_of(name))]]
    lab.apply(Step(one, None), Step(two, None))
    lab.apply(Step(one, None))
    codes = [(e.exit_code, e.by_us) for e in lab.handler.exits()]
    kept = sorted(path.name for path in lab.folders.container(id_of("web")).iterdir())
    for name in ("web", "db"):
        lab.handler.remove_container(id_of(name))
    return [running, codes, "upper" in kept, before == left_behind(), os.listdir(lab.folders.containers)]


def test_a_removal_leaves_no_mount_no_process_and_no_file(bottle: Bottle) -> None:
    running, codes, kept, clean, folders = bottle.call(remove)
    assert running == ["running", "running"]
    assert codes == [[137, True], [137, True]]
    assert kept
    assert clean
    assert folders == []


def cut_off(where: str) -> list[Any]:
    """Start a container with a runtime that is cut off at *where*, then look, and start it again."""
    code = f"""
import os
from tests.kernel.runtime_lab import Lab
from worker.runtime import runtime
lab = Lab()
def die(*_, **__): os._exit(9)
if {where!r} == "made":
    runtime.Runtime._call = die
elif {where!r} == "unwritten":
    runtime.Starting.finish = die
else:
    runtime.Starting.__init__ = die
lab.start("web")
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False).returncode
    lab = Lab()
    seen = [process.run for process in lab.handler.observe(None)]  # type: ignore[attr-defined]
    process = lab.process("web")
    lab.apply(Step(None, process))
    again = [process.run for process in lab.handler.observe(None)]  # type: ignore[attr-defined]
    supervisors = len(conmons())
    lab.handler.remove_container(id_of("web"))
    return [ended, seen, again, supervisors, left_behind()]


@pytest.mark.parametrize("where", ["made", "unwritten", "begun"])
def test_a_start_that_was_cut_off_is_seen_and_done_again(bottle: Bottle, where: str) -> None:
    assert bottle.call(cut_off, where) == [9, [""], ["1.0"], 1, []]


def lose_supervisor() -> list[Any]:
    lab = Lab()
    lab.start("web", "sleep", "60")
    for pid in conmons():
        os.kill(pid, 9)
    wait_until(lambda: not conmons(), "the supervisor is gone")
    running = lab.runtime.state(id_of("web")).status
    lab.runtime.kill(id_of("web"))
    wait_until(lambda: lab.runtime.state(id_of("web")).pid == 0, "the process is gone")
    return [running, [(e.run, e.exit_code) for e in lab.handler.exits()], left_behind()]


def test_an_end_that_nobody_saw_is_told_without_an_exit_code(bottle: Bottle) -> None:
    assert bottle.call(lose_supervisor) == ["running", [["1.0", None]], []]


def start_before_reboot() -> None:
    lab = Lab()
    lab.shell("web", "echo kept >/data")
    lab.start("web", run="1.1")


def look_after_reboot() -> list[Any]:
    lab = Lab()
    seen = list(lab.handler.observe(None))
    return [seen, list(lab.handler.exits()), lab.shell("web", "cat /data", run="1.1")["out"]]


def test_after_a_reboot_nothing_runs_and_the_files_are_there(tmp_path: Path, bottles: MakeBottle) -> None:
    before = bottles(state_dir=tmp_path)
    before.call(start_before_reboot)
    before.close()
    assert bottles(state_dir=tmp_path).call(look_after_reboot) == [[], [], ["kept"]]


def tear_down() -> list[Any]:
    lab = Lab()
    before = Path("/proc/self/mountinfo").read_text()
    lab.start("web", sandbox="")
    lab.start("db", "sleep", "60", sandbox="")
    lab.runtime.tear_down()
    return [before == Path("/proc/self/mountinfo").read_text(), left_behind(), len(os.listdir(lab.folders.containers))]


def test_after_a_tear_down_the_mount_table_is_as_before_and_the_files_stay(bottle: Bottle) -> None:
    assert bottle.call(tear_down) == [True, [], 2]
