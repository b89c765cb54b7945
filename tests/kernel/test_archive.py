"""Files of containers copied out and in: what is seen, whose it is, and that nothing leads out of the container."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.errors import from_json
from tests.testlib.bottle import Bottle
from worker.archive.task import LOOK, PUT, TAKE, Task
from worker.runtime.copies import noted

from .runtime_lab import Lab, entry, id_of, wait_until

pytestmark = pytest.mark.kernel
SLEEP = ("sh", "-c", "mkdir /data; echo one >/data/one; ln -s / /up; ln -s /etc/shadow /data/link; sleep 1000")


def copy(lab: Lab, name: str, verb: str, path: str, given: bytes = b"", **fields: Any) -> tuple[Any, bytes]:
    """What the copying process said (its line, or its refusal), and the archive."""
    fields = {"image": "host", "most_bytes": 64 << 20, **fields}
    folders = {"state_dir": str(lab.folders.state_dir), "run_dir": str(lab.folders.run_dir)}
    task = Task(verb=verb, container_id=id_of(name), name=name, path=path, **folders, **fields)
    done = subprocess.run(
        [sys.executable, "-m", "worker.archive"],
        input=task.line() + given,
        capture_output=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        return str(from_json(json.loads(done.stderr.splitlines()[-1])).sentence), b""
    line, _, archive = done.stdout.partition(b"\n")
    return (json.loads(line) if line else None), archive


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, content in entries:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def named(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: member for member in tar}


def copy_both_ways() -> dict[str, Any]:
    Path("/srv/site/deep").mkdir(parents=True)
    Path("/srv/site/index").write_text("mounted\n")
    binds = {"binds": ("/srv/site:/ro:ro", "/srv/site:/rw"), "bind_roots": ("/",)}
    lab = Lab()
    lab.start("web", *SLEEP, binds=binds["binds"], binds_anywhere=True)
    wait_until(lambda: isinstance(copy(lab, "web", LOOK, "/data/link")[0], dict), "the container has made its files")
    found: dict[str, Any] = {"look": copy(lab, "web", LOOK, "/up")[0]}
    found["take"] = sorted(named(copy(lab, "web", TAKE, "/data")[1]))
    found["mounted"] = sorted(named(copy(lab, "web", TAKE, "/ro/.", **binds)[1]))
    found["etc"] = named(copy(lab, "web", TAKE, "/etc/hosts", files_of=id_of("web"))[1])["hosts"].size
    found["proc"] = copy(lab, "web", LOOK, "/proc/1/status")[0]
    archive = packed((entry("new/deep/file"), b"in\n"), (entry("script"), b"#!/bin/sh\n"))
    found["put"] = copy(lab, "web", PUT, "/data", archive)[0]
    found["put ro"] = copy(lab, "web", PUT, "/ro", archive, **binds)[0]
    found["put rw"] = copy(lab, "web", PUT, "/rw/deep", archive, **binds)[0]
    found["on the host"] = Path("/srv/site/deep/script").read_text()
    found["as user"] = copy(lab, "web", PUT, "/data", packed((entry("theirs"), b"")), as_user=True, user="33:33")[0]
    seen = "cat /data/new/deep/file; stat -c %u:%g /data/theirs"
    found["inside"] = lab.runtime.exec(id_of("web"), ["sh", "-c", seen]).stdout
    lab.runtime.delete(id_of("web"))
    found["stopped"] = sorted(named(copy(lab, "web", TAKE, "/data/new")[1]))
    found["stopped mount"] = os.path.ismount(lab.folders.rootfs(id_of("web")))
    return found


def test_files_come_out_of_containers_and_go_into_them_running_or_not(bottle: Bottle) -> None:
    bottle.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"])
    found = bottle.call(copy_both_ways)
    assert (found["look"]["name"], found["look"]["linkTarget"]) == ("up", "/")
    assert found["take"] == ["data", "data/link", "data/one"]
    assert found["mounted"] == [".", "./deep", "./index"]
    assert found["etc"] == len("hosts of web\n")
    assert found["proc"] == "There is no /proc/1/status in container web."
    assert found["put"] is found["put rw"] is found["as user"] is None
    assert found["put ro"] == "/ro in container web is on a mount that is read-only."
    assert found["on the host"] == "#!/bin/sh\n"
    assert found["inside"].splitlines() == ["in", "33:33"]
    assert found["stopped"] == ["new", "new/deep", "new/deep/file"]
    assert not found["stopped mount"], "what a copy mounts nobody else sees"


def attack() -> dict[str, Any]:
    """Archives and a container that try to get at the host's files."""
    Path("/srv/secret").mkdir(parents=True)
    Path("/srv/secret/file").write_text("secret\n")
    os.chmod("/srv/secret/file", 0o600)
    lab = Lab()
    lab.start("bad", "sh", "-c", "mkdir /d; ln -s /srv/secret /d/out; ln -s ../../../../../srv /d/above; sleep 1000")
    wait_until(lambda: isinstance(copy(lab, "bad", LOOK, "/d/above")[0], dict), "the container has made its files")

    def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
        return entry(name, tarfile.SYMTYPE, target), b""

    def put(*entries: tuple[tarfile.TarInfo, bytes]) -> Any:
        return copy(lab, "bad", PUT, "/d", packed(*entries))[0]

    evil = entry("out/evil")
    found: dict[str, Any] = {
        "read": copy(lab, "bad", TAKE, "/d/out/file")[0],
        "read above": copy(lab, "bad", TAKE, "/d/above/secret/file")[0],
        "read the link": copy(lab, "bad", LOOK, "/d/out")[0]["linkTarget"],
        "dots": put((entry("../../../../../srv/secret/dots"), b"x")),
        "dots inside": put((entry("a/../../../../../../srv/secret/dots"), b"x")),
        "through": put(link("l", "/srv/secret"), (entry("l/through"), b"x")),
        "through dots": put(link("m", "../../../../../srv/secret"), (entry("m/through-dots"), b"x")),
        "through theirs": put((evil, b"x")),
        "hard": put((entry("hard", tarfile.LNKTYPE, "../../../../../../srv/secret/file"), b"")),
        "hard through": put((entry("hard2", tarfile.LNKTYPE, "out/file"), b"")),
        "mode through": put(link("n", "/srv/secret/file"), (entry("n"), b"mine")),
        "device": put((entry("disk", tarfile.BLKTYPE, device=(8, 0)), b"")),
        "absolute": put((entry("/srv/secret/absolute"), b"x")),
    }
    found["host"] = sorted(os.listdir("/srv/secret"))
    found["content"] = Path("/srv/secret/file").read_text()
    found["mode"] = stat.S_IMODE(os.stat("/srv/secret/file").st_mode)
    found["inside"] = lab.runtime.exec(id_of("bad"), ["find", "/srv", "/d", "-type", "f"]).stdout.split()
    return found


def test_nothing_leads_out_of_the_container(bottle: Bottle) -> None:
    bottle.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"])
    found = bottle.call(attack)
    assert (found["host"], found["content"], found["mode"]) == (["file"], "secret\n", 0o600)
    assert found["read"] == "There is no /d/out/file in container bad."
    assert found["read above"] == "There is no /d/above/secret/file in container bad."
    assert found["read the link"] == "/srv/secret"
    for name in ("dots", "dots inside", "hard"):
        assert "leads out of /d" in found[name], name
    assert "device" in found["device"]
    assert "No such file" in found["hard through"]
    # What its own links lead to is its own: these files are made, in the container.
    assert {"/d/n", "/d/srv/secret/absolute"} <= set(found["inside"])


def bound() -> dict[str, Any]:
    lab = Lab()
    lab.start("web", *SLEEP)
    whole = packed((entry("first"), b"x"), (entry("second"), b"y" * 100_000))
    bomb = io.BytesIO()
    with tarfile.open(fileobj=bomb, mode="w:gz") as tar:
        large = entry("zeros")
        large.size = 300 << 20
        tar.addfile(large, Zeros(large.size))
    return {
        "large": copy(lab, "web", PUT, "/tmp", whole, most_bytes=50_000)[0],
        "bomb": copy(lab, "web", PUT, "/tmp", bomb.getvalue())[0],
        "cut": copy(lab, "web", PUT, "/tmp", whole[:70_000])[0],
        "damaged": copy(lab, "web", PUT, "/tmp", whole[:1024] + b"x" * 512 + whole[1536:])[0],
        "nonsense": copy(lab, "web", PUT, "/tmp", b"nonsense" * 100)[0],
        "no folder": copy(lab, "web", PUT, "/data/one", whole)[0],
        "kinds": copy(lab, "web", PUT, "/", packed((entry("data"), b"x")), keep_kinds=True)[0],
    }


class Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


def test_archives_are_bounded_and_what_is_wrong_with_one_is_said(bottle: Bottle) -> None:
    found = bottle.call(bound)
    assert found["large"] == "The archive is larger than 0 MiB."
    assert found["bomb"] == "The archive is larger than 64 MiB."
    assert "unexpected EOF" in found["cut"] or "unexpected end of data" in found["cut"]
    assert "bad checksum" in found["damaged"] or "invalid header" in found["damaged"]
    assert "could not be put into /tmp whole" in found["nonsense"]
    assert "is no folder, so no archive can be put" in found["no folder"]
    assert 'cannot overwrite directory "/data" with non-directory "data"' in found["kinds"]


def started_meanwhile() -> list[Any]:
    lab = Lab()
    lab.start("web", *SLEEP)
    wait_until(lambda: isinstance(copy(lab, "web", LOOK, "/data/one")[0], dict), "the container has made its files")
    lab.runtime.delete(id_of("web"))
    folders = {"state_dir": str(lab.folders.state_dir), "run_dir": str(lab.folders.run_dir)}
    task = Task(
        verb=PUT, container_id=id_of("web"), name="web", path="/data", image="host", most_bytes=1 << 30, **folders
    )
    command = [sys.executable, "-m", "worker.archive"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        with noted(lab.folders, id_of("web"), process.pid):
            process.stdin.write(task.line() + packed((entry("half"), b"x" * (1 << 20)))[: 1 << 19])
            process.stdin.flush()
            upper = lab.folders.upper(id_of("web"))
            wait_until(lambda: any(upper.rglob("half")), "the copy is under way")
            lab.start("web", "sh", "-c", "cat /data/one; sleep 1000", run="2.0")
            ended = process.poll()
        process.stdin.close()
    wait_until(lambda: bool(lab.lines("web")), "the container runs")
    return [ended, lab.lines("web")[-1].text]


def test_a_container_that_starts_ends_the_copies_of_its_files(bottle: Bottle) -> None:
    assert bottle.call(started_meanwhile) == [-9, "one"]


def put_beside_another() -> dict[str, Any]:
    """A slow archive that changes a folder of the image, and a copy that begins meanwhile; of a container that does not run."""
    lab = Lab()
    lab.process("web")
    folders = {"state_dir": str(lab.folders.state_dir), "run_dir": str(lab.folders.run_dir)}
    task = Task(
        verb=PUT, container_id=id_of("web"), name="web", path="/etc", image="host", most_bytes=1 << 30, **folders
    )
    archive = packed((entry("first"), b"x" * (1 << 20)), (entry("passwd"), b"root:x:0:0::/:/bin/sh\n"))
    command = [sys.executable, "-m", "worker.archive"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as slow, subprocess.Popen(command, **pipes) as other:
        assert slow.stdin is not None
        assert other.stdin is not None
        slow.stdin.write(task.line() + archive[: 1 << 19])
        slow.stdin.flush()
        wait_until(lambda: any(lab.folders.upper(id_of("web")).rglob("first")), "the copy is under way")
        other.stdin.write(replace(task, verb=LOOK, path="/etc/first").line())
        other.stdin.flush()
        wait_until(lambda: other.poll() is not None or is_waiting(other.pid), "the other one is through, or waits")
        slow.stdin.write(archive[1 << 19 :])
        slow.stdin.close()
        slow.stdin = None
        found: dict[str, Any] = {"said": slow.communicate(timeout=30)[1].decode()}
        found["seen"] = json.loads(other.communicate(timeout=30)[0])["size"]
    found["passwd"] = named(copy(lab, "web", TAKE, "/etc/passwd")[1])["passwd"].size
    return found


def is_waiting(pid: int) -> bool:
    """Whether the process *pid* waits for a lock."""
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


def test_copies_of_a_stopped_container_do_not_destroy_each_others_work(bottle: Bottle) -> None:
    found = bottle.call(put_beside_another)
    assert found == {"said": "", "seen": 1 << 20, "passwd": 22}
