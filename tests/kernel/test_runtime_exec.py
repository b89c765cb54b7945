"""Commands in running containers, terminals and open streams."""

from __future__ import annotations

import os
from typing import Any

import pytest

from networks.cnm.errors import CnmError
from tests.testlib.bottle import Bottle

from .runtime_lab import Lab, id_of

pytestmark = pytest.mark.kernel


def exec_all() -> dict[str, Any]:
    lab = Lab()
    lab.start("web", env=(("COLOUR", "green"),))
    run = lab.runtime.exec
    web = id_of("web")
    shell = ["sh", "-c"]
    mixed = run(
        web,
        [*shell, "echo $COLOUR $SHADE; echo err >&2; id -u; pwd; exit 4"],
        env=(("SHADE", "dark"),),
        user="nobody",
        working_dir="/tmp",
    )
    status = run(web, ["grep", "-E", "^(CapEff|NoNewPrivs|Seccomp):", "/proc/self/status"])
    missing = ""
    try:
        run(web, ["nosuch"])
    except CnmError as error:
        missing = f"{error.code} {error.field} {error.sentence}"
    slow = run(web, ["sleep", "60"], timeout_s=0.3)
    survivors = run(web, [*shell, "ps ax -o args | grep -c '^[s]leep 60'"]).stdout
    much = run(web, [*shell, "head -c 3000000 /dev/zero | tr '\\0' x"])
    return {
        "mixed": [mixed.exit_code, mixed.stdout.split(), mixed.stderr],
        "status": status.stdout.split(),
        "missing": missing,
        "slow": [slow.exit_code, slow.timed_out, survivors.strip()],
        "much": [len(much.stdout), much.truncated],
        "tty": run(web, ["tty"], tty=True).stdout.strip(),
        "left": sorted(path.name for path in lab.folders.run(web).iterdir() if path.name.startswith("exec")),
    }


def test_a_command_is_run_in_a_running_container(bottle: Bottle) -> None:
    found = bottle.call(exec_all)
    assert found["mixed"] == [4, ["green", "dark", "65534", "/tmp"], "err\n"]
    assert found["status"] == ["CapEff:", "00000000a80425fb", "NoNewPrivs:", "1", "Seccomp:", "2"]
    assert found["missing"].startswith("invalid command The command nosuch could not be started")
    assert found["slow"] == [124, True, "0"]
    assert found["much"] == [1 << 20, True]
    assert found["tty"].startswith("/dev/pts/")
    assert found["left"] == []


def use_terminal() -> list[Any]:
    lab = Lab()
    with_terminal = lab.shell("web", "tty; echo $TERM; stty -a | head -c 5; echo; echo err >&2", tty=True)
    with_input = lab.start("cat", "cat", open_stdin=True)
    running = lab.runtime.state(with_input.container_id).status
    without_input = lab.run("cat2", "cat")["code"]
    return [with_terminal["out"], with_terminal["err"], running, without_input]


def test_a_terminal_and_an_open_input_are_given_where_asked(bottle: Bottle) -> None:
    out, err, running, without_input = bottle.call(use_terminal)
    assert [line.rstrip("\r") for line in out] == ["/dev/pts/0", "xterm", "speed", "err"]
    assert err == []
    assert running == "running"
    assert without_input == 0


def use_open_streams() -> dict[str, Any]:
    lab = Lab()
    web = lab.start("web", "sleep", "1000").container_id
    script = "read x; echo out-$x; echo err-$x >&2; cat; exit 5"
    piped = lab.runtime.open(web, ["sh", "-c", script], tty=False, env=[("COLOUR", "green")])
    out, err = piped.process.communicate(b"one\nmore", timeout=10)
    code = piped.process.returncode
    piped.close()
    terminal = lab.runtime.open(web, ["sh", "-c", "stty size; read x; stty size"], tty=True, size=(91, 33))
    assert terminal.terminal is not None
    terminal.resize(120, 40)
    os.write(terminal.terminal, b"go\n")
    terminal.process.wait(10)
    seen = os.read(terminal.terminal, 4096).decode().split()
    killed = lab.runtime.open(web, ["sleep", "1000"], tty=True)
    killed.close()
    left = [path.name for path in lab.folders.run(web).iterdir() if path.name.startswith("exec")]
    terminal.close()
    sleeping = lab.runtime.exec(web, ["sh", "-c", "pgrep -c sleep"]).stdout.strip()
    return {"piped": [out.decode(), err.decode(), code], "seen": seen, "left": len(left), "sleeping": sleeping}


def test_a_command_with_open_streams_is_spoken_to_and_leaves_nothing(bottle: Bottle) -> None:
    found = bottle.python(use_open_streams)
    assert found["piped"] == ["out-one\nmore", "err-one\n", 5]
    assert found["seen"][-2:] == ["40", "120"]
    assert found["left"] == 1, "the terminal that was not closed yet"
    assert found["sleeping"] == "1", "the container's own"
