"""Containers' processes under conmon and the OCI runtime, in a throw-away host."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from networks import logs
from networks.cnm.errors import CnmError
from networks.cnm.plan import Step
from tests.testlib.bottle import Bottle
from worker.runtime.folders import Folders
from worker.runtime.runtime import Runtime

from .runtime_lab import GROUP, Lab, id_of, left_behind, wait_until

pytestmark = pytest.mark.kernel


def run_shell(script: str, fields: dict[str, Any]) -> dict[str, Any]:
    return Lab().shell("web", script, **fields)


def test_a_command_runs_and_its_output_and_exit_code_are_kept(bottle: Bottle) -> None:
    ended = bottle.call(run_shell, "echo out; echo err >&2; printf unfinished; exit 7", {})
    assert ended == {"code": 7, "out": ["out", "unfinished"], "err": ["err"]}


def test_name_user_folder_and_environment_are_as_asked(bottle: Bottle) -> None:
    fields = {
        "user": "nobody",
        "working_dir": "/srv/app",
        "env": [["COLOUR", "green"]],
        "link_env": [["DB_NAME", "/web/db"]],
        "domainname": "example.org",
    }
    script = 'hostname; cat /proc/sys/kernel/domainname; id -u; id -g; pwd; echo "$COLOUR $DB_NAME $HOSTNAME $HOME"'
    ended = bottle.call(run_shell, script, fields)
    assert ended["out"] == ["web", "example.org", "65534", "65534", "/srv/app", "green /web/db web /nonexistent"]


def test_it_is_confined_as_by_docker(bottle: Bottle) -> None:
    script = """
        grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
        mount -t tmpfs none /mnt 2>/dev/null && echo mounted
        mknod /tmp/disk b 254 0 2>/dev/null && echo device
        mknod /tmp/pipe p && echo pipe
        unshare -n true 2>/dev/null && echo unshared
        echo 1 2>/dev/null >/proc/sys/kernel/sysrq && echo sysrq
        wc -c </proc/interrupts
        readlink /proc/1/exe | grep -c /
        true"""
    first = bottle.call(run_shell, script, {})["out"]
    assert first == [
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "pipe",
        "0",
        "1",
    ]


def run_twice_and_exec() -> list[Any]:
    lab = Lab()
    script = "grep ^Seccomp: /proc/self/status; mknod /tmp/disk b 254 0 2>/dev/null && echo device; true"
    outputs = [lab.shell("one", script)["out"], lab.shell("two", script)["out"]]
    lab.start("three")
    outputs.append(lab.runtime.exec(id_of("three"), ["sh", "-c", script]).stdout.splitlines())
    return [outputs, os.listdir("/run/cnm/seccomp")]


def test_the_kept_filter_confines_later_containers_and_exec_as_well(bottle: Bottle) -> None:
    outputs, kept = bottle.call(run_twice_and_exec)
    assert outputs == [["Seccomp:\t2"]] * 3
    assert len(kept) == 1


def write_over(bottle: Bottle, folder: str) -> None:
    """Let writes below *folder* stay in the bottle."""
    parts = [f"/run/over{folder}/upper", f"/run/over{folder}/work"]
    bottle.run(["mkdir", "-p", *parts])
    options = f"lowerdir={folder},upperdir={parts[0]},workdir={parts[1]}"
    bottle.run(["mount", "-t", "overlay", "-o", options, "overlay", folder])


def plant_secrets_and_look(where: list[str]) -> dict[str, Any]:
    for path in where:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("the secret\n")
    look = " ".join(where)
    return Lab().shell(
        "spy",
        f"cat {look} 2>/dev/null; ls -A /root /home /srv /opt /var/lib; ls /etc/ssh /etc/ssl; cat /etc/passwd | wc -l",
    )


def test_nothing_secret_of_the_host_is_in_the_host_image(bottle: Bottle) -> None:
    places = ["/etc/shadow", "/etc/ssh/ssh_host_ed25519_key", "/etc/ssl/private/key.pem", "/var/lib/app/secret"]
    for folder in ("/root", "/home"):
        write_over(bottle, folder)
    places += ["/root/.ssh/id_ed25519", "/home/ann/notes", "/etc/ssl/certs/with-key.pem"]
    bottle.write("/etc/ssl/certs/with-key.pem", "-----BEGIN PRIVATE KEY-----\nthe secret\n")
    seen = bottle.call(plant_secrets_and_look, places[:-1])
    assert "the secret" not in "\n".join(seen["out"])
    folders = [line for line in seen["out"] if line and not line.endswith(":")]
    assert folders == ["certs", "7"]
    names = bottle.call(run_shell, "ls /etc/ssl/certs; ls -d /etc/shadow /work", {})["out"]
    assert "with-key.pem" not in names
    assert "ca-certificates.crt" in names
    assert not {"/etc/shadow", "/work"} & set(names)


def write_in_every_folder() -> list[Any]:
    lab = Lab()
    own = lab.shell(
        "web",
        "echo mine >/usr/bin/cnm-test-tool; echo mine >/etc/passwd; echo mine >/cnm-test-file; cat /usr/bin/cnm-test-tool",
    )
    other = lab.shell("db", "ls /usr/bin/cnm-test-tool /cnm-test-file 2>/dev/null; head -1 /etc/passwd")
    on_host = [path for path in ("/usr/bin/cnm-test-tool", "/cnm-test-file") if os.path.exists(path)]
    return [own["out"], other["out"], on_host, Path("/etc/passwd").read_text().startswith("mine")]


def test_what_a_container_writes_is_its_own(bottle: Bottle) -> None:
    own, other, on_host, host_changed = bottle.call(write_in_every_folder)
    assert own == ["mine"]
    assert other == ["root:x:0:0:root:/root:/bin/sh"]
    assert on_host == []
    assert not host_changed


def change_files_while_it_runs() -> list[Any]:
    lab = Lab()
    lab.start("web")
    folder = lab.folders.container(id_of("web"))
    runtime = lab.runtime

    def cat(name: str) -> str:
        return runtime.exec(id_of("web"), ["cat", f"/etc/{name}"]).stdout

    first = [cat(name) for name in ("hosts", "hostname", "resolv.conf")]
    with (folder / "hosts").open("r+") as file:
        file.write("172.17.0.9 db\n")
        file.truncate()
    second = cat("hosts")
    runtime.exec(id_of("web"), ["sh", "-c", "echo 10.0.0.1 inside >>/etc/hosts"])
    return [first, second, (folder / "hosts").read_text()]


def test_the_three_files_are_seen_inside_and_change_in_place(bottle: Bottle) -> None:
    first, second, on_host = bottle.call(change_files_while_it_runs)
    assert first == ["hosts of web\n", "hostname of web\n", "resolv.conf of web\n"]
    assert second == "172.17.0.9 db\n"
    assert on_host == "172.17.0.9 db\n10.0.0.1 inside\n"


def fail(args: list[str], fields: dict[str, Any]) -> list[Any]:
    lab = Lab()
    before = left_behind()
    sandbox = fields.pop("sandbox", "lab")
    process = lab.process("web", *args, **fields)
    if sandbox != "lab":
        object.__setattr__(process, "sandbox", sandbox)
    try:
        lab.apply(Step(None, process))
    except CnmError as error:
        return [error.code, error.field, str(error.sentence), bool(error.remedy), left_behind() == before]
    return ["nothing failed"]


@pytest.mark.parametrize(
    ("args", "fields", "code", "field", "sentence"),
    [
        (["nosuch"], {}, "invalid", "command", "The command nosuch does not exist in image host."),
        (["/etc/passwd"], {}, "invalid", "command", "The command /etc/passwd of image host may not be executed."),
        (["/etc"], {}, "invalid", "command", "The command /etc of image host may not be executed."),
        (["true"], {"image": "nosuch:1"}, "not_found", "image", "The image nosuch:1 is not on this host."),
        (["true"], {"user": "ann"}, "invalid", "user", "The image host has no user ann."),
        (
            ["true"],
            {"binds": ["/nosuch:/mnt"], "binds_anywhere": True},
            "invalid",
            "binds",
            "/nosuch does not exist on the host",
        ),
        (["true"], {"memory_bytes": 1 << 24}, "unsupported", "memory", "This host cannot limit memory"),
        (["true"], {"sandbox": "gone"}, "kernel_refused", "", "open `/run/netns/gone`: No such file or directory"),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_nothing(
    bottle: Bottle, args: list[str], fields: dict[str, Any], code: str, field: str, sentence: str
) -> None:
    found = bottle.call(fail, args, fields)
    assert found[:2] == [code, field]
    assert sentence in found[2]
    assert found[3:] == [True, True]


def fail_one_of_three() -> list[Any]:
    lab = Lab()
    steps = [Step(None, lab.process(name, *args)) for name, args in (("a", ()), ("b", ("nosuch",)), ("c", ()))]
    done: list[Step] = []
    try:
        lab.handler.apply(steps, done.append)
    except CnmError as error:
        return [str(error.sentence), [steps.index(step) for step in done], lab.runtime.state(id_of("a")).status]
    return []


def test_when_one_of_several_fails_the_error_is_that_of_the_first_step_not_done(bottle: Bottle) -> None:
    assert bottle.call(fail_one_of_three) == ["The command nosuch does not exist in image host.", [0], "running"]


def rotate() -> list[Any]:
    lab = Lab(log_size_max=8192)
    ended = lab.shell("web", "i=0; while [ $i -lt 800 ]; do echo line $i; i=$((i+1)); done")
    lab.runtime.tend_logs()
    log = lab.folders.log(id_of("web"))
    found = log.stat()
    folder = log.parent.stat()
    return [
        ended["out"][-1],
        found.st_size < 16384,
        oct(found.st_mode & 0o777),
        found.st_gid,
        oct(folder.st_mode & 0o777),
    ]


def test_a_log_stays_bounded_and_readable_for_the_web_server_s_group(bottle: Bottle) -> None:
    assert bottle.call(rotate) == ["line 799", True, "0o640", GROUP, "0o710"]


def use_runc() -> list[Any]:
    lab = Lab(program="/usr/sbin/runc")
    ended = lab.shell(
        "web", "echo out; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; cat /etc/hostname; exit 3"
    )
    process = lab.start("db")
    inside = lab.runtime.exec(id_of("db"), ["hostname"]).stdout
    missing = ""
    try:
        lab.start("none", "nosuch")
    except CnmError as error:
        missing = str(error.sentence)
    lab.apply(Step(process, None))
    for name in ("web", "db", "none"):
        lab.handler.remove_container(id_of(name))
    return [ended["code"], ended["out"], inside, missing, left_behind()]


def test_runc_serves_where_there_is_no_crun(bottle: Bottle) -> None:
    code, out, inside, missing, left = bottle.call(use_runc)
    assert code == 3
    assert out == ["out", "CapEff:\t00000000a80425fb", "NoNewPrivs:\t1", "Seccomp:\t2", "hostname of web"]
    assert inside == "db\n"
    assert missing == "The command nosuch does not exist in image host."
    assert left == []


def use_long_paths(state_dir: str) -> list[Any]:
    folders = Folders(state_dir=Path(state_dir), run_dir=Path(state_dir) / "run")
    runtime = Runtime(folders)
    process = replace(Lab().process("web", "cat", "/etc/hostname"), files_of=id_of("web"))
    own = folders.make_container(process.container_id)
    for name in ("hosts", "hostname", "resolv.conf"):
        (own / name).write_text(f"{name}\n")
    runtime.start(process)
    wait_until(lambda: runtime.state(process.container_id).exit_code is not None, "it ends")
    return [logs.tail(folders.log(process.container_id))[0].text, runtime.state(process.container_id).exit_code]


def test_folders_with_long_and_odd_names_will_do(bottle: Bottle) -> None:
    bottle.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"])
    path = "/srv/a folder, odd/" + "long-" * 20
    bottle.run(["mkdir", "-p", path])
    assert bottle.call(use_long_paths, path) == ["hostname", 0]


def join_sandbox() -> list[Any]:
    lab = Lab()
    lab.start("db")
    joined = replace(lab.process("web", "cat", "/etc/hostname"), files_of=id_of("db"))
    lab.apply(Step(None, joined))
    lab.end("web")
    on_host = lab.shell("host", "readlink /proc/self/ns/net", sandbox="")["out"][0]
    return [lab.lines("web")[0].text, on_host == os.readlink("/proc/self/ns/net")]


def test_the_files_of_a_shared_sandbox_and_the_host_s_network_can_be_used(bottle: Bottle) -> None:
    assert bottle.call(join_sandbox) == ["hostname of db", True]
