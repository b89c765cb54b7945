"""What an empty volume takes over of an image."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.errors import CnmError
from tests.testlib.bottle import Bottle
from worker.runtime import volumes
from worker.runtime.folders import Folders

from .runtime_lab import Lab

pytestmark = pytest.mark.kernel


def fill_a_full_disk() -> dict[str, Any]:
    """What an image has does not fit, and a while later it does."""
    folders = Folders(state_dir=Path("/srv/state"), run_dir=Path("/srv/run"))
    place = Path("/srv/image/data")
    (place / "deep").mkdir(parents=True)
    (place / "deep/small").write_bytes(b"s" * 4096)
    (place / "large").write_bytes(b"l" * (1 << 20))
    os.chown(place, 33, 44)
    place.chmod(0o2750)
    folders.state_dir.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folders.state_dir], check=True)
    data = folders.volumes / "data/_data"
    found: dict[str, Any] = {}
    try:
        volumes.fill(folders, "data", place.parent, "/data")
    except CnmError as error:
        found["refused"] = error.code
    found["left"] = [str(path.relative_to(folders.volumes)) for path in sorted(folders.volumes.rglob("*"))]
    subprocess.run(["mount", "-o", "remount,size=8m", folders.state_dir], check=True)
    volumes.fill(folders, "data", place.parent, "/data")
    found["filled"] = {str(path.relative_to(data)): path.stat().st_size for path in data.rglob("*") if path.is_file()}
    seen = data.stat()
    found["like"] = [seen.st_uid, seen.st_gid, oct(seen.st_mode & 0o7777)]
    found["beside"] = os.listdir(data.parent)
    (data / "large").unlink()
    volumes.fill(folders, "data", place.parent, "/data")
    found["again"] = os.listdir(data)
    return found


def test_a_volume_takes_over_all_or_nothing(bottle: Bottle) -> None:
    bottle.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"])
    assert bottle.call(fill_a_full_disk) == {
        "refused": "kernel_refused",
        "left": ["data", "data/_data"],
        "filled": {"large": 1 << 20, "deep/small": 4096},
        "like": [33, 44, "0o2750"],
        "beside": ["_data"],
        "again": ["deep"],
    }


def fill_what_others_come_to() -> dict[str, Any]:
    """Another fill has made the folder a moment before; another container writes to it while it is copied."""
    folders = Folders(state_dir=Path("/srv/state"), run_dir=Path("/srv/run"))
    place = Path("/srv/image/data")
    place.mkdir(parents=True)
    (place / "note").write_text("the image's")
    data = folders.volumes / "data/_data"
    data.mkdir(parents=True)
    really_run = subprocess.run

    def written_meanwhile(*args: Any, **kwargs: Any) -> Any:
        (data / "note").write_text("a container's")
        return really_run(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "exists", lambda _path: False)  # as it was a moment before
        patch.setattr(subprocess, "run", written_meanwhile)
        volumes.fill(folders, "data", place.parent, "/data")
    return {"note": (data / "note").read_text(), "beside": os.listdir(data.parent)}


def test_a_volume_that_others_come_to_first_stays_as_they_have_it(bottle: Bottle) -> None:
    bottle.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"])
    assert bottle.call(fill_what_others_come_to) == {"note": "a container's", "beside": ["_data"]}


def fill_with_a_break_in_the_move() -> dict[str, Any]:
    """Of what an image has some is in its place when the disk has no room for the next name."""
    folders = Folders(state_dir=Path("/srv/state"), run_dir=Path("/srv/run"))
    place = Path("/srv/image/data")
    place.mkdir(parents=True)
    for name in ("one", "two", "three"):
        (place / name).write_text(name)
    data = folders.volumes / "data/_data"
    really_rename, moved = os.rename, []

    def no_room_for_the_third(*args: Any, **kwargs: Any) -> None:
        if "dst_dir_fd" in kwargs:
            moved.append(args)
            if len(moved) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really_rename(*args, **kwargs)

    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", no_room_for_the_third)
        try:
            volumes.fill(folders, "data", place.parent, "/data")
        except CnmError as error:
            found["refused"] = error.code
    found["left"] = os.listdir(data)
    volumes.fill(folders, "data", place.parent, "/data")
    found["filled"] = sorted(os.listdir(data))
    return found


def test_a_volume_keeps_no_part_of_what_could_not_be_moved_there_whole(bottle: Bottle) -> None:
    bottle.run(["mount", "-t", "tmpfs", "tmpfs", "/srv"])
    assert bottle.call(fill_with_a_break_in_the_move) == {
        "refused": "kernel_refused",
        "left": [],
        "filled": ["one", "three", "two"],
    }


def look_from_outside() -> dict[str, Any]:
    """A container's root leaves a program of root's for everybody in a volume; another container uses it as somebody else."""
    lab = Lab()
    place = lab.folders.volumes / "data/_data"
    lab.run("maker", "sh", "-c", "cp /bin/true /data/rooted && chmod 4755 /data/rooted", binds=("data:/data",))
    seen = lab.shell("user", "id -u; /data/rooted && echo ran", binds=("data:/data",), user="65534")["out"]
    try:
        outside: Any = subprocess.run(
            [place / "rooted"], user=65534, group=65534, extra_groups=[], check=False
        ).returncode
    except PermissionError:
        outside = "refused"
    return {"kept": oct((place / "rooted").stat().st_mode & 0o7777), "inside": seen, "outside": outside}


def test_what_is_in_a_volume_is_its_containers_alone(bottle: Bottle) -> None:
    """Or a program that a container's root makes root's would be root's on the host (as CVE-2021-41091 was Docker's)."""
    bottle.run(["chmod", "755", "/var/lib/cnm"])
    assert bottle.call(look_from_outside) == {"kept": "0o4755", "inside": ["65534", "ran"], "outside": "refused"}


def empty_and_start_again() -> list[Any]:
    """A container deletes all that its volume took over of the image; then the same one starts again, then another."""
    place = "/usr/share/base-files"
    lab = Lab()
    said = f"ls {place}; rm -rf {place}/*"
    return [
        bool(lab.shell(name, said, run=run, binds=(f"data:{place}",))["out"])
        for name, run in (("web", "1.0"), ("web", "1.1"), ("other", "1.0"))
    ]


def test_what_a_container_deleted_does_not_come_back_at_its_next_start(bottle: Bottle) -> None:
    assert bottle.call(empty_and_start_again) == [True, False, True]
