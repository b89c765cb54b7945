"""``docker cp`` with the real command, both ways."""

from __future__ import annotations

import subprocess

import pytest

from tests.engine.conftest import Docker
from tests.testlib.product import DOCKER_SOCKET

pytestmark = pytest.mark.kernel


def shell(cli: Docker, script: str) -> subprocess.CompletedProcess[str]:
    """A line of shell in which ``docker`` speaks to CNM Web."""
    environment = {"HOME": "/run/docker-home", "DOCKER_HOST": f"unix://{DOCKER_SOCKET}"}
    return cli.bottle.run(["sh", "-c", script], check=False, env=environment)


def test_files_are_copied_into_a_container_and_out_of_it(cli: Docker) -> None:
    cli.bottle.run(
        ["sh", "-c", "mkdir -p /run/c/tree/sub; echo a >/run/c/a; echo b >/run/c/tree/sub/b; ln -s sub /run/c/tree/l"]
    )
    cli.said("run", "-d", "--name", "web", "host", "sh", "-c", "mkdir /d; ln -s /d /way; sleep 1000")
    assert cli.until(lambda: cli.docker("exec", "web", "test", "-h", "/way", code=None).returncode == 0)
    cli.said("cp", "/run/c/a", "web:/d")
    cli.said("cp", "/run/c/a", "web:/way/named")
    cli.said("cp", "/run/c/tree", "web:/d")
    assert cli.said("exec", "web", "cat", "/d/a", "/d/named", "/d/tree/l/b").split() == ["a", "a", "b"]
    cli.said("cp", "web:/d/tree", "/run/c/back")
    assert cli.bottle.read("/run/c/back/sub/b") == "b\n"
    listed = shell(cli, "docker cp web:/d/tree/. - | tar t").stdout.split()
    assert listed == ["./", "./l", "./sub/", "./sub/b"]
    assert shell(cli, "tar cz -C /run/c a | docker cp - web:/tmp").returncode == 0
    assert cli.said("exec", "web", "cat", "/tmp/a") == "a"
    cli.said("cp", "web:/etc/hostname", "/run/c/hostname")
    assert cli.bottle.read("/run/c/hostname").strip() == cli.inspected("container", "web")["Config"]["Hostname"]
    assert "Could not find the file /no in container web" in cli.refused("cp", "web:/no", "/run/c/x")
    assert "Could not find the file /no in container web" in cli.refused("cp", "/run/c/a", "web:/no/x")
    assert "No such container: no" in cli.refused("cp", "no:/x", "/run/c/x")
    assert {"container.copy_in", "container.copy_out"} <= {row["verb"] for row in cli.get("activity")["results"]}


def test_a_stopped_container_gives_and_takes_files_and_starts_with_them(cli: Docker) -> None:
    cli.bottle.write("/run/c/greeting", "hello\n")
    made = cli.said("create", "--name", "web", "-u", "33", "host", "cat", "/opt/greeting")
    cli.said("cp", "-a", "/run/c/greeting", "web:/opt/")
    assert cli.docker("start", "-a", "web").stdout == "hello\n"
    cli.said("cp", "web:/opt/greeting", "/run/c/again")
    assert cli.bottle.read("/run/c/again") == "hello\n"
    owner = shell(cli, "docker cp web:/opt/greeting - | tar tv --numeric-owner").stdout.split()[1]
    assert owner.startswith("33/")
    cli.said("rm", "web")
    assert made not in cli.bottle.run(["cat", "/proc/mounts"]).stdout
    assert made not in cli.bottle.run(["ls", "/var/lib/cnm/containers", "/run/cnm/copies"]).stdout


def test_a_large_file_passes_whole(cli: Docker) -> None:
    cli.said("run", "-d", "--name", "web", "host", "sleep", "1000")
    make = "head -c 60000000 /dev/urandom >/run/c-large; sha256sum </run/c-large"
    before = cli.bottle.run(["sh", "-c", make]).stdout
    cli.said("cp", "/run/c-large", "web:/tmp/large")
    assert shell(cli, "docker cp web:/tmp/large - | tar xO | sha256sum").stdout == before


def test_a_path_that_leads_nowhere_is_told_as_docker_tells_it(cli: Docker) -> None:
    cli.bottle.write("/run/c-one", "one\n")
    cli.said("run", "-d", "--name", "web", "host", "sh", "-c", "ln -s loop /tmp/loop; sleep 1000")
    assert cli.until(lambda: cli.docker("exec", "web", "test", "-h", "/tmp/loop", code=None).returncode == 0)
    long = "n" * 300
    for path, cause in (
        ("/tmp/loop/x", "evalSymlinksInScope: too many links in /tmp/loop"),
        (f"/tmp/{long}", f"lstat /tmp/{long}: file name too long"),
        ("/etc/hosts/x", "lstat /etc/hosts/x: not a directory"),
    ):
        assert cause in cli.refused("cp", f"web:{path}", "/run/c-back")
    for path, cause in (("/tmp/loop", "too many links in /tmp/loop"), (f"/tmp/{long}", "file name too long")):
        assert cause in cli.refused("cp", "/run/c-one", f"web:{path}/x")
    cli.said("cp", "web:/tmp/loop", "/run/c-link")
    assert cli.bottle.run(["readlink", "/run/c-link"]).stdout == "loop\n"
