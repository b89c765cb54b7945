"""The three /etc files: in place, whole at every moment, and an edited resolv.conf left to its editor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks.cnm.errors import KernelRefused
from networks.cnm.plan import Step
from networks.cnm.resources import EtcFile
from tests.testlib.bottle import Bottle
from worker.apply.files import FilesHandler
from worker.diff import diff
from worker.kernel import files

pytestmark = pytest.mark.kernel

CONTAINER = "b" * 64


def etc(name: str, content: str, run: str = "") -> EtcFile:
    return EtcFile(container_id=CONTAINER, name=name, content=content, run=run)


def take_to(handler: FilesHandler, *desired: EtcFile) -> int:
    plan = diff(desired, handler.observe(None))
    done: list[Step] = []
    handler.apply(plan.steps, done.append)
    assert len(done) == len(plan)
    assert not diff(desired, handler.observe(None))
    assert not diff(desired, handler.observe({resource.key for resource in desired}))
    return len(done)


@pytest.fixture
def handler(tmp_path: Path) -> FilesHandler:
    return FilesHandler(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "containers" / CONTAINER


@pytest.fixture
def narrow_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("narrow_umask")
def test_files_are_made_changed_and_removed(handler: FilesHandler, folder: Path) -> None:
    assert take_to(handler, etc("hosts", "127.0.0.1 localhost\n"), etc("hostname", "one\n")) == 2
    assert (folder / "hosts").read_text() == "127.0.0.1 localhost\n"
    assert (folder / "hosts").stat().st_mode & 0o777 == 0o644
    assert sorted(os.listdir(folder)) == ["hostname", "hosts"]
    assert take_to(handler, etc("hosts", "127.0.0.1 localhost\n"), etc("hostname", "one\n")) == 0
    take_to(handler)
    assert not folder.exists()


@pytest.mark.parametrize("content", ["short\n", "a much longer line than before\n" * 9, "", "äöü 网络\n"])
def test_a_write_keeps_the_inode(handler: FilesHandler, folder: Path, content: str) -> None:
    take_to(handler, etc("hosts", "127.0.0.1 localhost\n"))
    inode = (folder / "hosts").stat().st_ino
    take_to(handler, etc("hosts", content))
    assert (folder / "hosts").stat().st_ino == inode
    assert (folder / "hosts").read_text() == content


def test_a_change_is_seen_through_a_bind_mount(bottle: Bottle) -> None:
    bottle.call(write_hosts, "127.0.0.1 localhost\n")
    bottle.run(["mount", "--bind", f"/var/lib/cnm/containers/{CONTAINER}/hosts", "/etc/hosts"])
    bottle.call(write_hosts, "127.0.0.1 localhost\n172.17.0.2 web\n")
    assert bottle.run(["cat", "/etc/hosts"]).stdout == "127.0.0.1 localhost\n172.17.0.2 web\n"


def write_hosts(content: str) -> None:
    take_to(FilesHandler(), etc("hosts", content))


READER = """
import os, sys
path, whole = sys.argv[1], {text.encode() for text in sys.argv[2:]}

def torn():
    file = os.open(path, os.O_RDONLY)
    content = os.read(file, 65536)
    os.close(file)
    return content.rstrip(b"\\n") + b"\\n" not in whole

looks = torn_twice = 0
print("ready", flush=True)
while looks % 100 or not os.path.exists(path + ".stop"):
    looks += 1
    torn_twice += torn() and torn()
print(torn_twice, looks)
"""


def test_a_reader_without_pause_sees_whole_texts(handler: FilesHandler, folder: Path) -> None:
    """Longer, shorter and other texts in turn, while another process looks all the time.

    The kernel copies without a lock against readers, so some look in a hundred thousand meets the copy itself; what may not be
    is a time in which the file is empty or mixed, so that the next look meets it too.
    """
    texts = [
        "127.0.0.1 localhost\n",
        "127.0.0.1 localhost\n172.17.0.2 web web.example\n172.17.0.3 db\n",
        "::1 localhost ip6-localhost\n",
    ]
    take_to(handler, etc("hosts", texts[0]))
    path = folder / "hosts"
    reader = subprocess.Popen([sys.executable, "-c", READER, str(path), *texts], stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    try:
        for number in range(20_000):
            files.write_in_place(path, texts[number % 3])
    finally:
        Path(f"{path}.stop").touch()
        out, _ = reader.communicate(timeout=30)
    torn_twice, looks = map(int, out.split())
    assert looks > 100
    assert torn_twice == 0


def test_an_edited_resolv_conf_is_left_alone_and_is_no_drift(handler: FilesHandler, folder: Path) -> None:
    take_to(handler, etc("resolv.conf", "nameserver 192.0.2.1\n"))
    edited = "nameserver 198.51.100.1\n"
    (folder / "resolv.conf").write_text(edited)
    assert take_to(handler, etc("resolv.conf", "nameserver 192.0.2.1\n")) == 0
    assert take_to(handler, etc("resolv.conf", "nameserver 192.0.2.9\n")) == 1
    assert (folder / "resolv.conf").read_text() == edited
    take_to(handler)
    assert not folder.exists()


def test_the_next_start_writes_an_edited_resolv_conf_anew(handler: FilesHandler, folder: Path) -> None:
    """As a Docker Engine 20.10 does at ``docker restart``."""
    asked = "nameserver 192.0.2.1\n"
    take_to(handler, etc("resolv.conf", asked, run="1.0"))
    (folder / "resolv.conf").write_text("nameserver 198.51.100.1\n")
    assert take_to(handler, etc("resolv.conf", asked, run="1.0")) == 0
    assert take_to(handler, etc("resolv.conf", asked, run="2.0")) == 1
    assert (folder / "resolv.conf").read_text() == asked
    assert handler.seen() == {CONTAINER: {"resolv.conf": asked}}


def test_what_is_really_in_an_edited_file_is_seen(handler: FilesHandler, folder: Path) -> None:
    take_to(handler, etc("resolv.conf", "nameserver 192.0.2.1\n"), etc("hosts", "127.0.0.1 localhost\n"))
    (folder / "resolv.conf").write_text("nameserver 198.51.100.1\n")
    (folder / "hosts").write_text("192.0.2.7 mine\n")
    assert handler.seen() == {CONTAINER: {"hosts": "192.0.2.7 mine\n", "resolv.conf": "nameserver 198.51.100.1\n"}}


def test_of_a_huge_file_the_beginning_is_read(handler: FilesHandler, folder: Path) -> None:
    take_to(handler, etc("hosts", "127.0.0.1 localhost\n"))
    with (folder / "hosts").open("r+b") as file:
        file.truncate(1 << 40)
    (found,) = handler.observe(None)
    assert isinstance(found, EtcFile)
    assert len(found.content) == files.MOST_BYTES
    assert take_to(handler, etc("hosts", "127.0.0.1 localhost\n")) == 1
    assert (folder / "hosts").read_text() == "127.0.0.1 localhost\n"


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_only_what_differs_is_written(before: bytes, after: bytes) -> None:
    """Whatever part is written, the file holds the new text; no byte that was right at its edges is touched."""
    start, end = files._difference(before, after)
    left = before[:start] + after[start:end] + before[end:]
    assert left[: len(after)] == after
    if start < end and len(before) == len(after):
        assert before[start] != after[start]
        assert before[end - 1] != after[end - 1]


def test_a_resolv_conf_that_nobody_edited_follows_what_is_asked(handler: FilesHandler, folder: Path) -> None:
    take_to(handler, etc("resolv.conf", "nameserver 192.0.2.1\n"))
    take_to(handler, etc("resolv.conf", "nameserver 192.0.2.9\n"))
    assert (folder / "resolv.conf").read_text() == "nameserver 192.0.2.9\n"
    (folder / "resolv.conf").unlink()
    assert take_to(handler, etc("resolv.conf", "nameserver 192.0.2.9\n")) == 1
    assert (folder / "resolv.conf").read_text() == "nameserver 192.0.2.9\n"


def test_a_hosts_file_changed_by_hand_is_drift_and_is_mended(handler: FilesHandler, folder: Path) -> None:
    take_to(handler, etc("hosts", "127.0.0.1 localhost\n"))
    (folder / "hosts").write_text("changed\n")
    assert take_to(handler, etc("hosts", "127.0.0.1 localhost\n")) == 1
    assert (folder / "hosts").read_text() == "127.0.0.1 localhost\n"


def test_other_content_of_a_containers_folder_stays(handler: FilesHandler, folder: Path) -> None:
    take_to(handler, etc("hosts", "127.0.0.1 localhost\n"))
    (folder / "log").write_text("x")
    take_to(handler)
    assert os.listdir(folder) == ["log"]


@pytest.mark.parametrize(("container_id", "name"), [("../../etc", "hosts"), (CONTAINER, "../../x"), (CONTAINER, "log")])
def test_nothing_else_is_ever_written(handler: FilesHandler, tmp_path: Path, container_id: str, name: str) -> None:
    resource = EtcFile(container_id=container_id, name=name, content="x")
    with pytest.raises(KernelRefused):
        handler.apply(diff([resource], ()).steps, lambda step: None)
    assert not list(tmp_path.rglob("*"))


def test_a_link_in_the_place_of_a_file_is_not_followed(handler: FilesHandler, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_text("secret")
    folder.mkdir(parents=True)
    (folder / "hosts").symlink_to(target)
    with pytest.raises(KernelRefused):
        take_to(handler, etc("hosts", "127.0.0.1 localhost\n"))
    assert target.read_text() == "secret"
