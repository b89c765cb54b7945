"""Containers' processes under conmon and the OCI runtime, in a throw-away host."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from networks import logs
from networks.cnm.errors import CnmError
from networks.cnm.plan import Step
from tests.testlib.bottle import Bottle, MakeBottle
from worker.runtime import binds
from worker.runtime.folders import Folders
from worker.runtime.runtime import Runtime

from .runtime_lab import GROUP, Lab, conmons, id_of, left_behind, wait_until

pytestmark = pytest.mark.kernel


def run_shell(script: str, fields: dict[str, Any]) -> dict[str, Any]:
    return Lab().shell("web", script, **fields)


def test_a_command_runs_and_its_output_and_exit_code_are_kept(bottle: Bottle) -> None:
    ended = bottle.python(run_shell, "echo out; echo err >&2; printf unfinished; exit 7", {})
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
    ended = bottle.python(run_shell, script, fields)
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
    first = bottle.python(run_shell, script, {})["out"]
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
    outputs, kept = bottle.python(run_twice_and_exec)
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
    seen = bottle.python(plant_secrets_and_look, places[:-1])
    assert "the secret" not in "\n".join(seen["out"])
    folders = [line for line in seen["out"] if line and not line.endswith(":")]
    assert folders == ["certs", "7"]
    names = bottle.python(run_shell, "ls /etc/ssl/certs; ls -d /etc/shadow /work", {})["out"]
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
    own, other, on_host, host_changed = bottle.python(write_in_every_folder)
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
    first, second, on_host = bottle.python(change_files_while_it_runs)
    assert first == ["hosts of web\n", "hostname of web\n", "resolv.conf of web\n"]
    assert second == "172.17.0.9 db\n"
    assert on_host == "172.17.0.9 db\n10.0.0.1 inside\n"


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
    starter = bottle.python(start_and_leave)
    assert bottle.run(["test", "-d", f"/proc/{starter}"], check=False).returncode == 1
    seen, code, lines = bottle.python(look_and_stop)
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
    assert bottle.python(start_in_a_group_and_kill_the_group)


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
    assert bottle.python(ignore_term) == [137, 137, False]


def restart() -> list[Any]:
    lab = Lab()
    first = lab.shell("web", "echo kept >/data; echo kept >/usr/share/data; exit 1")
    ends = [(e.run, e.exit_code, e.by_us) for e in lab.handler.exits()]
    after = left_behind()
    second = lab.shell("web", "cat /data /usr/share/data", run="1.1")
    return [first["code"], ends, after, second["out"], lab.runtime.state(id_of("web")).run]


def test_a_restart_finds_the_files_of_the_run_before(bottle: Bottle) -> None:
    assert bottle.python(restart) == [1, [["1.0", 1, False]], [], ["kept", "kept"], "1.1"]


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
    assert bottle.python(replace_run) == ["2.0", True, True, 1, []]


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
    running, codes, kept, clean, folders = bottle.python(remove)
    assert running == ["running", "running"]
    assert codes == [[137, True], [137, True]]
    assert kept
    assert clean
    assert folders == []


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
    found = bottle.python(exec_all)
    assert found["mixed"] == [4, ["green", "dark", "65534", "/tmp"], "err\n"]
    assert found["status"] == ["CapEff:", "00000000a80425fb", "NoNewPrivs:", "1", "Seccomp:", "2"]
    assert found["missing"].startswith("invalid command The command nosuch could not be started")
    assert found["slow"] == [124, True, "0"]
    assert found["much"] == [1 << 20, True]
    assert found["tty"].startswith("/dev/pts/")
    assert found["left"] == []


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
    found = bottle.python(fail, args, fields)
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
    assert bottle.python(fail_one_of_three) == ["The command nosuch does not exist in image host.", [0], "running"]


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
    assert bottle.python(cut_off, where) == [9, [""], ["1.0"], 1, []]


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
    assert bottle.python(lose_supervisor) == ["running", [["1.0", None]], []]


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
    before.python(start_before_reboot)
    before.close()
    assert bottles(state_dir=tmp_path).python(look_after_reboot) == [[], [], ["kept"]]


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
    assert bottle.python(rotate) == ["line 799", True, "0o640", GROUP, "0o710"]


def mount_folder() -> list[Any]:
    Path("/srv/site").mkdir(parents=True)
    Path("/srv/site/index.html").write_text("hello\n")
    lab = Lab()
    ended = lab.shell(
        "web",
        "cat /www/index.html; echo x 2>/dev/null >/www/new && echo wrote; echo y >/log/new",
        binds=("/srv/site:/www:ro", "/srv/site:/log"),
        binds_anywhere=True,
    )
    return [ended["out"], Path("/srv/site/new").read_text()]


def test_bind_mounts_are_seen_and_read_only_where_asked(bottle: Bottle) -> None:
    bottle.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"])
    assert bottle.python(mount_folder) == [["hello"], "y\n"]


def plant_links() -> dict[str, Any]:
    """Somebody who may write below /srv/shared tries to get at /srv/secret through it."""
    for folder in ("/srv/shared/own/deep", "/srv/secret", "/srv/sharedx"):
        Path(folder).mkdir(parents=True)
    Path("/srv/shared/own/file").write_text("mine\n")
    Path("/srv/secret/file").write_text("secret\n")
    Path("/srv/shared/link").symlink_to("/srv/secret")
    Path("/srv/shared/file-link").symlink_to("/srv/secret/file")
    Path("/srv/shared/root").symlink_to("/")
    lab = Lab(bind_roots=["/srv/shared/"])
    sources = {
        "link": "/srv/shared/link",
        "file": "/srv/shared/file-link",
        "through": "/srv/shared/root/srv/secret",
        "neighbour": "/srv/sharedx",
        "outside": "/srv/secret",
        "above": "/srv",
        "process": "/proc/1/root/srv/secret",
    }
    found: dict[str, Any] = {}
    found["own"] = lab.shell("good", "cat /mnt/file /one", binds=("/srv/shared/own:/mnt", "/srv/shared/own/file:/one"))[
        "out"
    ]
    lab.runtime.clear(id_of("good"))
    before = Path("/proc/self/mountinfo").read_text()
    for name, source in sources.items():
        try:
            lab.runtime.start(lab.process("sly", "cat", "/mnt/file", binds=(f"{source}:/mnt",)))
            found[name] = "started"
        except CnmError as error:
            found[name] = [error.code, error.field, bool(error.remedy)]
    found["left"] = Path("/proc/self/mountinfo").read_text() != before
    return found


def test_a_planted_link_leads_nowhere_and_only_allowed_folders_are_mounted(bottle: Bottle) -> None:
    bottle.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"])
    found = bottle.python(plant_links)
    assert found.pop("own") == ["mine", "mine"]
    assert found.pop("left") is False
    assert len(found) == 7
    assert all(answer == ["forbidden", "binds", True] for answer in found.values()), found


def swap_while_mounting() -> list[Any]:
    """The folder is exchanged for a link between the check and the mount: what was opened is what is mounted."""
    Path("/srv/shared/own").mkdir(parents=True)
    Path("/srv/secret").mkdir()
    Path("/srv/shared/own/file").write_text("mine\n")
    Path("/srv/secret/file").write_text("secret\n")
    lab = Lab(bind_roots=["/srv/shared"])
    clone = binds.clone_mount

    def swap(opened: int) -> Any:
        os.rename("/srv/shared/own", "/srv/shared/moved")
        os.symlink("/srv/secret", "/srv/shared/own")
        return clone(opened)

    binds.clone_mount = swap
    mounted = lab.shell("web", "cat /mnt/file", binds=("/srv/shared/own:/mnt",))["out"]
    lab.runtime.clear(id_of("web"))
    left = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/binds/" in line]
    return [mounted, left]


def test_what_was_checked_is_what_is_mounted(bottle: Bottle) -> None:
    bottle.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"])
    assert bottle.python(swap_while_mounting) == [["mine"], []]


def mount_everything() -> list[Any]:
    """An admin may mount the whole host; taking that away again takes nothing of the host away."""
    lab = Lab()
    mounts = set(Path("/proc/self/mountinfo").read_text().splitlines())
    out = lab.shell("web", "test -d /all/proc/1 && echo seen", binds=("/:/all",), binds_anywhere=True)["out"]
    lab.runtime.clear(id_of("web"))
    gone = [line for line in mounts - set(Path("/proc/self/mountinfo").read_text().splitlines()) if "/cnm/" not in line]
    return [out, gone, Path("/proc/1/status").exists()]


def test_the_whole_host_is_mounted_and_let_go_of_unharmed(bottle: Bottle) -> None:
    bottle.run(["mount", "--make-rshared", "/"])
    assert bottle.python(mount_everything) == [["seen"], [], True]


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
    code, out, inside, missing, left = bottle.python(use_runc)
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
    assert bottle.python(use_long_paths, path) == ["hostname", 0]


def use_terminal() -> list[Any]:
    lab = Lab()
    with_terminal = lab.shell("web", "tty; echo $TERM; stty -a | head -c 5; echo; echo err >&2", tty=True)
    with_input = lab.start("cat", "cat", open_stdin=True)
    running = lab.runtime.state(with_input.container_id).status
    without_input = lab.run("cat2", "cat")["code"]
    return [with_terminal["out"], with_terminal["err"], running, without_input]


def test_a_terminal_and_an_open_input_are_given_where_asked(bottle: Bottle) -> None:
    out, err, running, without_input = bottle.python(use_terminal)
    assert [line.rstrip("\r") for line in out] == ["/dev/pts/0", "xterm", "speed", "err"]
    assert err == []
    assert running == "running"
    assert without_input == 0


def join_sandbox() -> list[Any]:
    lab = Lab()
    lab.start("db")
    joined = replace(lab.process("web", "cat", "/etc/hostname"), files_of=id_of("db"))
    lab.apply(Step(None, joined))
    lab.end("web")
    on_host = lab.shell("host", "readlink /proc/self/ns/net", sandbox="")["out"][0]
    return [lab.lines("web")[0].text, on_host == os.readlink("/proc/self/ns/net")]


def test_the_files_of_a_shared_sandbox_and_the_host_s_network_can_be_used(bottle: Bottle) -> None:
    assert bottle.python(join_sandbox) == ["hostname of db", True]


def tear_down() -> list[Any]:
    lab = Lab()
    before = Path("/proc/self/mountinfo").read_text()
    lab.start("web", sandbox="")
    lab.start("db", "sleep", "60", sandbox="")
    lab.runtime.tear_down()
    return [before == Path("/proc/self/mountinfo").read_text(), left_behind(), len(os.listdir(lab.folders.containers))]


def test_after_a_tear_down_the_mount_table_is_as_before_and_the_files_stay(bottle: Bottle) -> None:
    assert bottle.python(tear_down) == [True, [], 2]
