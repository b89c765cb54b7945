"""The options of ``docker run`` and ``docker update`` that people use daily, and streams that are watched while things happen."""

from __future__ import annotations

import json
import os
import select
import subprocess

import pytest

from tests.engine.conftest import Docker
from tests.testlib.product import DOCKER_SOCKET

pytestmark = pytest.mark.kernel


def test_every_exposed_port_is_published_at_a_free_one(cli: Docker) -> None:
    server = ["busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"]
    cli.said("run", "-d", "--name", "web", "-P", "--expose", "80", "--expose", "53/udp", "host", *server)
    (published,) = {line.rpartition(":")[2] for line in cli.said("port", "web", "80").splitlines()}
    assert cli.connects_soon("192.0.2.2", int(published)) == "hello"
    assert "53/udp -> " in cli.said("port", "web")


def test_limits_entrypoints_and_restart_policies(cli: Docker) -> None:
    flags = ["-m", "64m", "--cpus", "0.5", "--pids-limit", "50", "--entrypoint", "sh"]
    done = cli.docker("run", "-d", "--name", "web", *flags, "host", "-c", "sleep 1000", code=None)
    if done.returncode:  # this host's control groups cannot keep them: then that is said, and nothing is made
        assert "No hierarchy has the controller" in done.stderr
        cli.said("rm", "-f", "web", code=None)
        cli.said("run", "-d", "--name", "web", "--entrypoint", "sh", "host", "-c", "sleep 1000")
    else:
        host = cli.inspected("container", "web")["HostConfig"]
        assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 50)
        assert "64MiB" in cli.said("stats", "--no-stream", "--format", "{{.MemUsage}}", "web")
    shown = cli.inspected("container", "web")
    assert (shown["Config"]["Entrypoint"], shown["Args"]) == (["sh"], ["-c", "sleep 1000"])
    cli.said("update", "--restart", "on-failure:2", "web")
    policy = cli.inspected("container", "web")["HostConfig"]["RestartPolicy"]
    assert policy == {"Name": "on-failure", "MaximumRetryCount": 2}
    cli.said("create", "--name", "other", "--network", "container:web", "host", "true")
    names = cli.said("ps", "-a", "--filter", "status=created", "--format", "{{.Names}} {{.Networks}}").split()
    assert names[0] == "other"
    cli.said("rm", "other")


def test_events_are_told_as_they_happen(cli: Docker) -> None:
    command = ["docker", "-H", f"unix://{DOCKER_SOCKET}", "events", "--format", "{{json .}}"]
    filters = ["--filter", "type=container", "--filter", "container=web", "--filter", "event=start"]
    watching = cli.bottle.popen([*command, *filters, "--filter", "event=die"], stderr=subprocess.STDOUT)
    assert watching.stdout is not None
    try:
        printed = b""
        while printed.count(b"\n") < 2:  # it begins when it is answered, and nobody tells when that is
            cli.said("run", "--rm", "--name", "web", "host", "true")
            cli.said("run", "--rm", "--name", "web", "host", "sh", "-c", "exit 3", code=3)
            while printed.count(b"\n") < 2 and select.select([watching.stdout], [], [], 3)[0]:
                piece = os.read(watching.stdout.fileno(), 1 << 16)
                assert piece, printed
                printed += piece
        told = [json.loads(line) for line in printed.splitlines()[:2]]
        assert [item["Action"] for item in told] in (["start", "die"], ["die", "start"])
        assert {item["Actor"]["Attributes"]["name"] for item in told} == {"web"}
    finally:
        watching.kill()
        watching.stdout.close()
        watching.wait(timeout=30)


def test_a_container_that_is_attached_to_later_is_heard_from_then_on(cli: Docker) -> None:
    cli.said(
        "run",
        "-d",
        "-i",
        "--name",
        "web",
        "host",
        "sh",
        "-c",
        "while read line && [ $line != end ]; do echo got $line; done; exit 6",
    )
    attached = cli.docker("attach", "web", input="one\ntwo\nend\n", code=6)
    assert attached.stdout == "got one\ngot two\n"


def test_a_container_is_plugged_into_several_networks_by_one_command(cli: Docker) -> None:
    """The command line asks so since its version 25; an older one knows one ``--network``, and another by ``network connect``."""
    for name, subnet in (("alpha", "10.71.0.0/24"), ("beta", "10.72.0.0/24")):
        cli.said("network", "create", "--subnet", subnet, name)
    version = tuple(map(int, cli.said("version", "--format", "{{.Client.Version}}").partition("+")[0].split(".")[:2]))
    if version >= (25, 0):
        ways = ["--network", "name=alpha,alias=aa", "--network", "name=beta,alias=bb,ip=10.72.0.9"]
        cli.said("run", "-d", "--name", "web", *ways, "host", "sleep", "1000")
    else:
        cli.said("run", "-d", "--name", "web", "--network", "alpha", "--network-alias", "aa", "host", "sleep", "1000")
        cli.said("network", "connect", "--alias", "bb", "--ip", "10.72.0.9", "beta", "web")
    shown = cli.inspected("container", "web")["NetworkSettings"]["Networks"]
    assert {name: way["Aliases"] for name, way in shown.items()} == {"alpha": ["aa"], "beta": ["bb"]}
    assert shown["beta"]["IPAddress"] == "10.72.0.9"
    cli.said("run", "-d", "--name", "peer", "--network", "beta", "host", "sleep", "1000")
    assert cli.said("exec", "peer", "getent", "hosts", "bb").split()[0] == "10.72.0.9"


def test_what_containers_use_is_shown(cli: Docker) -> None:
    cli.said("run", "-d", "--name", "web", "host", "sleep", "1000")
    name, cpu, pids = cli.said("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.PIDs}}", "web").split()
    assert (name, cpu.endswith("%"), int(pids) >= 1) == ("web", True, True)
