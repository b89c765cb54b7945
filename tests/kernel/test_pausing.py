"""Containers that stand still."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.errors import CnmError
from tests.testlib.bottle import Bottle

from .runtime_lab import Lab, id_of, wait_until

pytestmark = pytest.mark.kernel
COUNTS = "n=0; while :; do n=$((n+1)); echo $n >/tmp/count; sleep 0.01; done"


def pause_and_resume() -> dict[str, Any]:
    lab = Lab()
    lab.start("web", "sh", "-c", f"({COUNTS}) & trap 'exit 7' TERM; while :; do sleep 0.01; done")
    count = lab.folders.upper(id_of("web")) / "root/tmp/count"
    if not count.parent.exists():
        count = lab.folders.rootfs(id_of("web")) / "tmp/count"

    def goes_on() -> None:
        before = count.read_text()
        wait_until(lambda: count.read_text() not in {"", before}, "it counts on")

    wait_until(lambda: count.exists() and bool(count.read_text()), "it counts")
    goes_on()
    lab.runtime.pause(id_of("web"))
    before = count.read_text()
    time.sleep(0.3)  # long enough for a dozen
    found: dict[str, Any] = {"moved": count.read_text() != before}
    lab.runtime.resume(id_of("web"))
    goes_on()
    lab.runtime.pause(id_of("web"))
    found["stopped"] = lab.runtime.stop(id_of("web"), "SIGTERM", 10)
    group = Path("/sys/fs/cgroup/cnm", id_of("web"))
    found["group"] = group.is_dir()
    lab.runtime.delete(id_of("web"))
    found["left"] = group.exists()
    try:
        lab.runtime.pause(id_of("web"))
    except CnmError as error:
        found["refused"] = str(error.sentence)
    return found


def test_a_paused_container_stands_still_and_hears_what_ends_it(bottle: Bottle) -> None:
    found = bottle.call(pause_and_resume)
    assert not found["moved"]
    assert found["stopped"] == 7, "it was let go on to hear the signal"
    assert (found["group"], found["left"]) == (True, False)
    assert "does not run" in found["refused"]
