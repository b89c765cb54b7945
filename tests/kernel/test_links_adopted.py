"""Links into namespaces that somebody else made or holds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from networks.cnm.errors import CnmError, Conflict
from tests.testlib.bottle import Bottle, inside
from tests.testlib.dump import dump
from worker.apply.links import LinksHandler

from .links_lab import (
    ADOPTED,
    SANDBOX,
    VETH,
    assert_settled,
    container,
    missing,
    network,
    sh,
    take_to,
)

pytestmark = pytest.mark.kernel


@inside
def test_a_namespace_held_by_a_process_does_not_keep_its_links() -> None:
    handler = LinksHandler()
    take_to(handler, [*network(), *container()])
    holder = subprocess.Popen(["ip", "netns", "exec", SANDBOX, "sleep", "100"])
    try:
        subprocess.run(["sleep", "0.2"], check=True)
        take_to(handler, network())
        assert VETH not in sh("ip", "link")
    finally:
        holder.kill()
        holder.wait()


@inside
def test_an_adopted_namespace_is_used_and_let_go() -> None:
    sh("ip", "netns", "add", "theirs")
    sh("ip", "-n", "theirs", "link", "set", "lo", "up")
    before, inner = dump(), sh("ip", "-n", "theirs", "addr")
    handler = LinksHandler()
    desired = [*network(), *container(adopted=ADOPTED)]
    take_to(handler, desired)
    assert "172.30.0.2" in sh("ip", "-n", "theirs", "addr")
    sh("ip", "netns", "exec", "theirs", "busybox", "ping", "-c1", "-W5", "172.30.0.1")
    assert_settled(LinksHandler(), desired)
    take_to(handler, [])
    assert dump() == before
    assert sh("ip", "-n", "theirs", "addr") == inner


@inside
def test_an_adopted_namespace_that_was_made_anew_is_adopted_anew() -> None:
    sh("ip", "netns", "add", "theirs")
    handler = LinksHandler()
    desired = [*network(), *container(adopted=ADOPTED)]
    take_to(handler, desired)
    sh("ip", "netns", "del", "theirs")
    assert_settled(handler, desired)  # ours still holds it
    sh("ip", "netns", "add", "theirs")
    assert "change sandbox" in missing(handler, desired)
    take_to(handler, desired)
    assert "172.30.0.2" in sh("ip", "-n", "theirs", "addr")


@inside
def test_a_process_number_that_was_given_to_a_stranger_is_not_adopted_anew() -> None:
    first = subprocess.Popen(["unshare", "--net", "sleep", "100"])
    subprocess.run(["sleep", "0.2"], check=True)
    handler = LinksHandler()
    desired = [*network(), *container(adopted=f"/proc/{first.pid}/ns/net")]
    take_to(handler, desired)
    first.kill()
    first.wait()
    assert_settled(handler, desired)
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
    second = subprocess.Popen(["sleep", "100"])
    assert second.pid == first.pid
    try:
        assert_settled(handler, desired)
    finally:
        second.kill()
        second.wait()


@inside
def test_what_is_no_foreign_network_namespace_is_not_adopted() -> None:
    Path("/run/file").touch()
    os.mkfifo("/run/pipe")
    handler = LinksHandler()
    take_to(handler, network())
    for path in ("/run/file", "/run/pipe", "/dev/null", "/proc/self/ns/mnt", "/proc/1/ns/net", "/run/nothing"):
        with pytest.raises(CnmError) as raised:
            take_to(handler, [*network(), *container(adopted=path)])
        assert raised.value.facts["key"] == ["sandbox", SANDBOX]
        assert os.listdir("/run/netns") == []


@inside
def test_a_default_route_of_an_adopted_namespace_is_not_replaced() -> None:
    sh("ip", "netns", "add", "theirs")
    for command in ("link set lo up", "route add default via 127.0.0.2 dev lo"):
        sh("ip", "-n", "theirs", *command.split())
    before = sh("ip", "-n", "theirs", "route")
    with pytest.raises(Conflict, match="already has a route"):
        take_to(LinksHandler(), [*network(), *container(adopted=ADOPTED)])
    assert before in sh("ip", "-n", "theirs", "route")


def test_a_sandbox_is_seen_in_mount_namespaces_made_before_it(bottle: Bottle) -> None:
    early = bottle.popen(["unshare", "--mount", "--propagation", "slave", "sleep", "100"])
    bottle.call(make_sandbox)
    done = bottle.run(["ip", "-n", SANDBOX, "-br", "addr", "show", "dev", "eth0"])
    assert "172.30.0.2/16" in done.stdout
    assert early.poll() is None


def make_sandbox() -> None:
    take_to(LinksHandler(), [*network(), *container()])
