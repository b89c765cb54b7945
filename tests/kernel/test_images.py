"""Images: imported, fetched, committed, removed, and what a hostile one can do."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.errors import CnmError
from tests.testlib.bottle import Bottle
from tests.testlib.registry import Registry
from worker.runtime import oci_layout

from .runtime_lab import Lab, busybox_tar, entry, id_of

pytestmark = pytest.mark.kernel

TAR = Path("/run/busybox.tar.gz")
LAYOUT = Path("/run/layout")


def make_layout() -> str:
    """An OCI layout made by umoci: busybox with a user, a variable, an entrypoint and two layers. Gives its reference."""
    busybox_tar(TAR)
    reference = f"{LAYOUT}:latest"
    for words in (
        ["init", "--layout", str(LAYOUT)],
        ["new", "--image", reference],
        ["raw", "add-layer", "--image", reference, str(unpacked(TAR))],
        ["insert", "--image", reference, "/etc/os-release", "/etc/os-release"],
        ["config", "--image", reference, "--config.env", "COLOUR=green", "--config.user", "1000:1001"],
        ["config", "--image", reference, "--config.entrypoint", "/bin/sh", "--config.entrypoint", "-c"],
        ["config", "--image", reference, "--config.cmd", "echo from the image $COLOUR; id -u; id -g; pwd"],
        ["config", "--image", reference, "--config.workingdir", "/work"],
    ):
        subprocess.run(["umoci", *words], check=True, capture_output=True)
    return reference


def unpacked(archive: Path) -> Path:
    plain = archive.with_suffix(".plain")
    with plain.open("wb") as file:
        subprocess.run(["gzip", "-dc", str(archive)], check=True, stdout=file)
    return plain


def import_and_run() -> dict[str, Any]:
    lab = Lab()
    busybox_tar(TAR)
    said: list[str] = []
    image = lab.runtime.images.import_tar("busybox:1", TAR, said.append)
    ended = lab.shell("web", "cat /etc/motd; ls /usr; id -un", image="busybox:1")
    default = lab.process("idle", image="busybox:1")
    return {
        "ended": ended,
        "names": sorted(lab.runtime.images.names()),
        "sized": image.size > 500_000,
        "digest": image.digest,
        "config": image.config,
        "said": said,
        "args": default.process.args,
        "drafts": [name for name in os.listdir("/var/lib/cnm/images") if name.startswith(".")],
    }


def test_a_packed_root_filesystem_becomes_an_image_that_runs(bottle: Bottle) -> None:
    found = bottle.call(import_and_run)
    assert found["ended"]["out"][0] == "hello from the image"
    assert found["ended"]["code"] == 1  # it has neither /usr nor an /etc/passwd that names root
    assert found["names"] == ["busybox:1", "host"]
    assert found["sized"]
    assert found["digest"].startswith("sha256:")
    assert found["config"] == {"Cmd": ["/bin/sh"]}
    assert found["said"] == ["Reading the archive", "Unpacking"]
    assert found["drafts"] == []


def fetch_from_everywhere() -> list[Any]:
    lab = Lab()
    reference = make_layout()
    subprocess.run(
        ["skopeo", "copy", f"oci:{reference}", "oci-archive:/run/oci.tar:x:1"], check=True, capture_output=True
    )
    subprocess.run(
        ["skopeo", "copy", f"oci:{reference}", "docker-archive:/run/docker.tar:x:1"], check=True, capture_output=True
    )
    subprocess.run(["skopeo", "copy", f"oci:{reference}", "dir:/run/dir"], check=True, capture_output=True)
    images = lab.runtime.images
    ids, outputs = [], []
    with Registry(LAYOUT) as registry:
        sources = [
            f"oci:{reference}",
            "oci-archive:/run/oci.tar",
            "docker-archive:/run/docker.tar",
            "dir:/run/dir",
            f"docker://{registry.address}/library/web:latest",
        ]
        for number, source in enumerate(sources):
            ids.append(images.fetch(f"web:{number}", source).id)
    ids.append(images.import_tar("web:tar", Path("/run/docker.tar")).id)
    for number in range(len(sources)):
        outputs.append(lab.run(f"web{number}", image=f"web:{number}")["out"])
    overridden = lab.run("web9", "echo $COLOUR", image="web:0", env=(("COLOUR", "red"),), user="0", working_dir="/")[
        "out"
    ]
    folders = [name for name in os.listdir("/var/lib/cnm/images") if len(name) == 64]
    return [ids, outputs, overridden, sorted(folders), any("/blobs/" in path for path in registry.asked)]


def test_an_image_is_fetched_from_layouts_archives_and_a_registry_on_loopback(bottle: Bottle) -> None:
    ids, outputs, overridden, folders, asked = bottle.call(fetch_from_everywhere)
    assert outputs == [["from the image green", "1000", "1001", "/work"]] * 5
    assert overridden == ["red"]
    assert asked
    assert sorted(set(ids)) == folders  # the same image under several names is stored once
    assert len(set(ids[:2] + ids[4:5])) == 1


def refuse(source: str) -> list[Any]:
    lab = Lab()
    try:
        if source.startswith("/"):
            lab.runtime.images.import_tar("x:1", Path(source))
        else:
            lab.runtime.images.fetch("x:1", source)
    except CnmError as error:
        left = [n for n in os.listdir("/var/lib/cnm/images") if n != "names" and not n.startswith("host-")]
        return [error.code, error.field, str(error), left]
    return []


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("https://example.org/image", "invalid"),
        ("docker://", "invalid"),
        ("oci:relative:latest", "invalid"),
        ("containers-storage:x", "invalid"),
        ("docker://-x", "invalid"),
        ("oci:/nosuch:latest", "unavailable"),
        ("docker://127.0.0.1:1/x:1", "unavailable"),
        ("/etc/passwd", "invalid"),
        ("/nosuch.tar", "invalid"),
        ("/dev/zero", "invalid"),
        ("/etc/os-release", "invalid"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_and_leaves_nothing(bottle: Bottle, source: str, code: str) -> None:
    found = bottle.call(refuse, source)
    assert found[:2] == [code, "source"]
    assert found[2]
    assert found[3] == []


def import_hostile(*hostile: tuple[str, str, str]) -> dict[str, Any]:
    """Import an archive with more entries (name, type, link name) and run the image; what became of a victim beside it."""
    victim = Path("/run/victim")
    victim.mkdir()
    (victim / "kept").write_text("safe\n")
    types = {"file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "disk": tarfile.BLKTYPE}
    entries = [
        (entry(name, types[kind], link, (254, 0)), b"written" if kind == "file" else b"")
        for name, kind, link in hostile
    ]
    lab = Lab()
    try:
        lab.runtime.images.import_tar("evil:1", busybox_tar(TAR, *entries))
        ran = lab.shell("evil", "cat /run/victim/*; head -c 4 /disk", image="evil:1")["out"]
    except CnmError as error:
        ran = [error.code]
    devices = []
    for place, _, files in os.walk("/var/lib/cnm"):
        for name in files:
            mode = os.lstat(os.path.join(place, name)).st_mode
            if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
                devices.append(name)
    return {"victim": {path.name: path.read_text() for path in victim.iterdir()}, "ran": ran, "devices": devices}


@pytest.mark.parametrize(
    ("entries", "ran"),
    [
        ([("/run/victim/x", "file", "")], ["written"]),
        ([("../../../../run/victim/x", "file", "")], ["written"]),
        ([("out", "link", "/run/victim"), ("out/x", "file", "")], ["written"]),
        ([("out", "link", "../../../../../run/victim"), ("out/x", "file", "")], ["written"]),
        ([("out", "link", "/run/victim"), ("stolen", "hard", "out/kept")], ["invalid"]),
        ([("stolen", "hard", "../../../../../run/victim/kept")], ["invalid"]),
        ([("disk", "disk", "")], []),
        ([("run/victim/.wh.kept", "file", "")], []),
    ],
)
def test_a_hostile_archive_stays_inside_and_brings_no_devices(
    bottle: Bottle, entries: list[tuple[str, str, str]], ran: list[str]
) -> None:
    found = bottle.call(import_hostile, *entries)
    assert found == {"victim": {"kept": "safe\n"}, "ran": ran, "devices": []}


def commit_and_run() -> dict[str, Any]:
    lab = Lab()
    busybox_tar(TAR)
    images = lab.runtime.images
    images.import_tar("base:1", TAR)
    lab.shell(
        "web",
        "rm /etc/motd; echo new >/etc/new; mkdir /data; echo 10.9.9.9 mine >>/etc/hosts; ln /etc/new /etc/newer; chown 5:6 /etc/new",
        image="base:1",
    )
    process = lab.process("web", "cat", "/etc/new", image="base:1", env=(("KEY", "v"),)).process
    image = images.commit(id_of("web"), "mine:1", process, {"Labels": {"a": "b"}})
    rootfs = Path("/var/lib/cnm/images") / image.id / "rootfs"
    files = sorted(str(path.relative_to(rootfs)) for path in rootfs.rglob("*") if not path.is_dir())
    whiteout = os.lstat(rootfs / "etc/motd")
    ran = lab.shell(
        "copy", "cat /etc/new /etc/hosts; ls /etc/motd /data; stat -c %u:%g:%h /etc/new; ls /bin/sh", image="mine:1"
    )
    default = lab.run("default", image="mine:1")["out"]
    images.remove("base:1")
    images.remove("mine:1")
    kept = len([n for n in os.listdir("/var/lib/cnm/images") if len(n) == 64])
    for name in ("web", "copy", "default"):
        lab.handler.remove_container(id_of(name))
    gone = len([n for n in os.listdir("/var/lib/cnm/images") if len(n) == 64])
    return {
        "files": files,
        "whiteout": [stat.S_ISCHR(whiteout.st_mode), whiteout.st_rdev],
        "ran": ran,
        "default": default,
        "config": image.config,
        "kept": kept,
        "gone": gone,
    }


def test_a_commit_holds_what_was_written_but_not_the_three_files(bottle: Bottle) -> None:
    found = bottle.call(commit_and_run)
    assert found["files"] == ["etc/motd", "etc/new", "etc/newer"]
    assert found["whiteout"] == [True, 0]
    assert found["ran"]["out"] == ["new", "hosts of copy", "/data:", "5:6:2", "/bin/sh"]
    assert "No such file" in found["ran"]["err"][0]
    assert found["default"] == ["new"]
    assert found["config"] == {"Cmd": ["cat", "/etc/new"], "Env": ["KEY=v"], "Labels": {"a": "b"}}
    assert [found["kept"], found["gone"]] == [2, 0]


def commit_host_image() -> list[Any]:
    lab = Lab()
    lab.shell(
        "web",
        "echo tool >/usr/bin/cnm-test-tool; rm /usr/bin/awk; echo x >/opt/x; echo 10.9.9.9 x >>/etc/hosts; echo y >/etc/y",
    )
    image = lab.runtime.images.commit(id_of("web"), "mine:1")
    rootfs = Path("/var/lib/cnm/images") / image.id / "rootfs"
    files = sorted(str(path.relative_to(rootfs)) for path in rootfs.rglob("*") if not path.is_dir())
    ran = lab.shell("copy", "cat /usr/bin/cnm-test-tool /opt/x; ls /usr/bin/awk; ls /usr/bin/env", image="mine:1")
    lab.shell("copy", "echo again >/again", image="mine:1", run="2.0")
    second = lab.runtime.images.commit(id_of("copy"), "mine:2")
    on_top = lab.shell("top", "cat /again /usr/bin/cnm-test-tool", image="mine:2")["out"]
    return [files, ran["out"], image.base, second.base == image.id, on_top]


def test_a_container_of_the_host_image_is_committed_with_its_programs(bottle: Bottle) -> None:
    files, out, base, stacked, on_top = bottle.call(commit_host_image)
    assert files == ["etc/y", "opt/x", "usr/bin/awk", "usr/bin/cnm-test-tool"]
    assert out == ["tool", "x", "/usr/bin/env"]
    assert base == "host"
    assert stacked
    assert on_top == ["again", "tool"]


def move_name() -> list[Any]:
    lab = Lab()
    busybox_tar(TAR)
    images = lab.runtime.images
    first = images.import_tar("web:1", TAR)
    lab.shell("old", "true", image="web:1")
    second = images.import_tar("web:1", busybox_tar(TAR, (entry("etc/second"), b"2\n")))
    old = lab.shell("old", "cat /etc/second", image="web:1", run="2.0")
    new = lab.shell("new", "cat /etc/second", image="web:1")
    return [first.id != second.id, old["out"], new["out"]]


def test_a_container_keeps_the_image_of_its_first_start(bottle: Bottle) -> None:
    assert bottle.call(move_name) == [True, [], ["2"]]


def refuse_host_name() -> str:
    try:
        Lab().runtime.images.remove("host")
    except CnmError as error:
        return error.code
    return ""


def test_the_host_image_cannot_be_removed(bottle: Bottle) -> None:
    assert bottle.call(refuse_host_name) == "conflict"


def tamper() -> str:
    make_layout()
    index = json.loads((LAYOUT / "index.json").read_text())
    index["manifests"][0]["digest"] = "sha256:../../../../etc/passwd"
    (LAYOUT / "index.json").write_text(json.dumps(index))
    try:
        oci_layout.read_layout(LAYOUT)
    except CnmError as error:
        return error.code
    return ""


def test_a_layout_whose_digest_is_a_path_is_refused(bottle: Bottle) -> None:
    assert bottle.call(tamper) == "invalid"


def cut_off_import() -> list[Any]:
    code = """
import os
from pathlib import Path
from tests.kernel.runtime_lab import Lab
from worker.runtime import image_tools
image_tools.unpack = lambda *_: os._exit(9)
Lab().runtime.images.import_tar("busybox:1", Path("/run/busybox.tar.gz"))
"""
    busybox_tar(TAR)
    ended = subprocess.run([sys.executable, "-c", code], check=False).returncode
    images = Lab().runtime.images
    names = sorted(images.names())
    before = [name for name in os.listdir("/var/lib/cnm/images") if name.startswith(".")]
    images.tidy()
    after = [name for name in os.listdir("/var/lib/cnm/images") if name.startswith(".")]
    return [ended, names, len(before), after]


def test_an_import_that_was_cut_off_is_no_image_and_is_tidied_away(bottle: Bottle) -> None:
    assert bottle.call(cut_off_import) == [9, ["host"], 1, []]
