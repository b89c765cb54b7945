"""Podman's containers are named by their supervisors' command lines."""

from __future__ import annotations

import os
from pathlib import Path

from worker.observe.podman import PodmanObserver, name_of

ONE, TWO = (f"netns-{number * 8}-1111-2222-3333-444455556666" for number in "01")
# As Podman 4.3 starts it, shortened in the middle.
COMMAND = (
    "/usr/bin/conmon\0--api-version\0001\0-c\0f00d\0-u\0f00d\0-r\0/usr/bin/crun\0-b\0/var/lib/x/userdata\0-p\0/run/x/pidfile\0"
    "-n\0{name}\0--exit-dir\0/run/libpod/exits\0--full-attach\0-s\0-l\0journald\0--log-level=warning\0"
)


class Machine:
    """Folders like /proc and /run/netns; a namespace is a file, and the same one where it is the same."""

    def __init__(self, folder: Path) -> None:
        self.netns, self.proc = folder / "netns", folder / "proc"
        self.netns.mkdir()
        self.proc.mkdir()
        self.observe = PodmanObserver(self.netns, self.proc)

    def process(self, pid: int, comm: str, command: str = "", children: tuple[int, ...] = (), netns: str = "") -> None:
        home = self.proc / str(pid)
        (home / "task" / str(pid)).mkdir(parents=True)
        (home / "comm").write_text(f"{comm}\n")
        (home / "cmdline").write_text(command)
        (home / "task" / str(pid) / "children").write_text("".join(f"{child} " for child in children))
        if netns:
            (home / "ns").mkdir()
            (self.netns / netns).touch()
            os.link(self.netns / netns, home / "ns/net")

    def container(self, pid: int, name: str, netns: str) -> None:
        self.process(pid, "conmon", COMMAND.format(name=name), (pid + 1,))
        self.process(pid + 1, "sleep", netns=netns)


def test_a_namespace_is_called_after_the_containers_in_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (machine.netns / ONE).touch()
    assert machine.observe() == {}, "it stands before its container runs"
    machine.container(10, "shop", ONE)
    machine.container(20, "pod-infra", TWO)
    machine.container(30, "web", TWO)
    machine.container(40, "cache", TWO)
    machine.container(50, "ours", "cnm-0123456789ab")
    machine.process(60, "sh", "sh\0-n\0nobody\0", (61,))
    (machine.proc / "self").mkdir()
    assert machine.observe() == {ONE: "shop", TWO: "cache, web"}


def test_a_name_is_kept_as_long_as_its_namespace_is_the_same(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.container(10, "shop", ONE)
    assert machine.observe() == {ONE: "shop"}
    (machine.proc / "10/comm").write_text("gone\n")
    assert machine.observe() == {ONE: "shop"}, "processes are looked through where one has no name"
    (machine.netns / ONE).rename(machine.netns / "gone")
    (machine.netns / ONE).touch()
    assert machine.observe() == {}, "another one of that name"


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    assert PodmanObserver(tmp_path / "none", tmp_path / "none")() == {}
    assert (name_of(b""), name_of(b"conmon\0-n"), name_of(b"conmon\0--name=x\0")) == ("", "", "x")
