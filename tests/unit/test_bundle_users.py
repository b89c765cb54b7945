"""Users, resolved in a container's own files and never in the host's."""

from __future__ import annotations

from pathlib import Path

import pytest

from networks.cnm.errors import InvalidSpec
from worker.runtime import users
from worker.runtime.bundle import User

PASSWD = "root:x:0:0:root:/root:/bin/sh\nbroken line\nweb:x:33:33:web:/var/www:/bin/sh\ndb:x:70:71::/:/bin/sh\n"
GROUP = "root:x:0:\nweb:x:33:\nadm:x:4:web,root\ndb:x:71:\nlogs:x:99:web\n"


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", User(uid=0, gid=0, groups=(4,), home="/root")),
        ("web", User(uid=33, gid=33, groups=(4, 99), home="/var/www")),
        ("33", User(uid=33, gid=33, groups=(4, 99), home="/var/www")),
        ("web:adm", User(uid=33, gid=4, home="/var/www")),
        ("web:1234", User(uid=33, gid=1234, home="/var/www")),
        ("db", User(uid=70, gid=71, home="/")),
        ("1000", User(uid=1000, gid=0, home="/")),
        ("1000:1001", User(uid=1000, gid=1001, home="/")),
    ],
)
def test_a_user_is_found_as_docker_finds_it(rootfs: Path, text: str, user: User) -> None:
    assert users.resolve(rootfs, text, "web") == user


@pytest.mark.parametrize("text", ["nobody", "web:wheel", "-1", "99999999999", "web:-1"])
def test_a_user_or_group_that_the_image_does_not_have_is_refused(rootfs: Path, text: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        users.resolve(rootfs, text, "web")
    assert refusal.value.field == "user"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../etc/passwd"])
def test_a_link_out_of_the_root_filesystem_is_not_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to(target)
    with pytest.raises(InvalidSpec):
        users.resolve(tmp_path, "nobody", "evil")


def test_an_image_without_the_files_runs_as_a_number(tmp_path: Path) -> None:
    assert users.resolve(tmp_path, "", "scratch") == User()
    assert users.resolve(tmp_path, "5", "scratch") == User(uid=5)
