"""Folders of the host that are bound into containers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from networks.cnm.errors import CnmError
from tests.testlib.bottle import Bottle
from worker.runtime import binds

from .runtime_lab import Lab, id_of

pytestmark = pytest.mark.kernel


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
    assert bottle.call(mount_folder) == [["hello"], "y\n"]


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
    found = bottle.call(plant_links)
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
    assert bottle.call(swap_while_mounting) == [["mine"], []]


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
    assert bottle.call(mount_everything) == [["seen"], [], True]
