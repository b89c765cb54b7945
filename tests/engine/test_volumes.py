"""``docker volume …`` and named volumes of containers, with the real command and the real Compose."""

from __future__ import annotations

import os
import signal

import pytest

from tests.engine.composing import Compose, installed
from tests.engine.conftest import Docker
from tests.engine.sources import WEB

pytestmark = pytest.mark.kernel
PLACE = "/var/lib/cnm/volumes"


def test_a_volume_outlives_its_containers_and_goes_with_what_is_in_it(cli: Docker) -> None:
    assert cli.said("volume", "create", "--label", "team=blue", "data") == "data"
    assert cli.said("volume", "create", "data") == "data", "once more is no failure"
    cli.said("run", "--rm", "-v", "data:/data", "host", "sh", "-c", "echo kept >/data/file; chmod 0700 /data")
    cli.said(
        "run", "-d", "--name", "web", "--mount", "type=volume,source=data,target=/d,readonly", "host", "sleep", "1000"
    )
    assert cli.said("exec", "web", "cat", "/d/file") == "kept"
    assert cli.docker("exec", "web", "touch", "/d/x", code=None).returncode
    (mount,) = cli.inspected("container", "web")["Mounts"]
    assert (mount["Type"], mount["Name"], mount["Destination"], mount["RW"]) == ("volume", "data", "/d", False)
    shown = cli.inspected("volume", "data")
    assert (shown["Driver"], shown["Labels"], shown["Mountpoint"]) == ("local", {"team": "blue"}, f"{PLACE}/data/_data")
    made = cli.get("containers/web")["id"]
    assert f"volume is in use - [{made}]" in cli.refused("volume", "rm", "data")
    cli.said("cp", "web:/d/file", "/run/c-kept")
    assert cli.bottle.read("/run/c-kept") == "kept\n"
    cli.said("rm", "-f", "web")
    assert cli.said("run", "--rm", "-v", "data:/data", "host", "cat", "/data/file") == "kept"
    assert cli.said("volume", "rm", "data") == "data"
    assert cli.bottle.run(["ls", PLACE]).stdout == ""
    assert "no such volume" in cli.refused("volume", "rm", "data")
    assert {"volume.create", "volume.remove"} <= {row["verb"] for row in cli.get("activity")["results"]}


def test_volumes_are_made_when_they_are_named_listed_by_filters_and_pruned(cli: Docker) -> None:
    cli.said("create", "--name", "web", "-v", "used:/data", "host", "true")
    cli.said("volume", "create", "--label", "team=blue", "idle")

    def names(*filters: str) -> list[str]:
        return cli.said("volume", "ls", "-q", *(word for item in filters for word in ("--filter", item))).split()

    assert names() == ["idle", "used"]
    assert names("dangling=true") == ["idle"]
    assert names("label=team=blue") == ["idle"]
    assert names("name=us") == ["used"]
    assert "Local Volumes" in cli.said("system", "df")
    cli.speak("POST", "/v1.41/volumes/prune")
    assert names() == ["used"]
    cli.said("rm", "web")
    cli.speak("POST", "/v1.44/volumes/prune")
    assert names() == ["used"], "newer versions prune what nobody named"
    cli.said("volume", "rm", "used")
    for words, said in (
        (("-d", "nosuch", "x"), 'plugin "nosuch" not found'),
        (("-o", "type=nfs", "x"), "an option of the volume driver is not supported"),
        (("a/b",), "invalid characters for a local volume name"),
    ):
        assert said in cli.refused("volume", "create", *words)


def test_an_empty_volume_takes_over_what_the_image_has_with_its_owners(cli: Docker, registry: None) -> None:
    cli.said("pull", "-q", WEB)
    cli.said(
        "run",
        "--name",
        "maker",
        "-u",
        "0",
        WEB,
        "mkdir /srv; echo first >/srv/file; chown -R 33:33 /srv; chmod 750 /srv",
    )
    cli.said("commit", "maker", "filled:1")
    look = ["-u", "0", "filled:1", "ls -ldn /srv; cat /srv/file; echo next >/srv/file"]
    first, second = (cli.said("run", "--rm", "-v", "data:/srv", *look).splitlines() for _ in range(2))
    assert (first[0].split()[0], first[0].split()[2:4], first[1]) == ("drwxr-x---", ["33", "33"], "first")
    assert second[1] == "next", "what is in it stays"
    cli.said("rm", "maker")
    cli.said("volume", "rm", "data")
    cli.said("rmi", "filled:1", WEB)


def make_filled(cli: Docker) -> None:
    """An image ``filled:1`` that has ``first`` in ``/srv/file``."""
    cli.said("pull", "-q", WEB)
    cli.said("run", "--name", "maker", "-u", "0", WEB, "mkdir -p /srv; echo first >/srv/file")
    cli.said("commit", "maker", "filled:1")
    cli.said("rm", "maker")


def forget_filled(cli: Docker) -> None:
    cli.said("volume", "rm", "data")
    cli.said("rmi", "filled:1", WEB)


def test_a_volume_is_filled_when_its_container_is_made(cli: Docker, registry: None) -> None:
    """So that what is copied into it before the first start joins what the image has, and does not take its place."""
    make_filled(cli)
    cli.said(
        "create", "--name", "web", "-v", "data:/srv", "-u", "0", "filled:1", "cat /srv/file /srv/more; rm /srv/file"
    )
    assert cli.bottle.read(f"{PLACE}/data/_data/file") == "first\n"
    cli.bottle.write("/run/more", "second\n")
    cli.said("cp", "/run/more", "web:/srv/more")
    assert cli.said("start", "-a", "web").split() == ["first", "second"]
    assert cli.docker("start", "-a", "web", code=None).stdout == "second\n", "what it deleted does not come back"
    cli.said("rm", "web")
    forget_filled(cli)


def test_a_start_waits_for_its_volumes_and_nobody_else_does(cli: Docker, registry: None) -> None:
    make_filled(cli)
    cli.said("volume", "create", "data")
    folder = f"{PLACE}/data"
    cli.bottle.run(["install", "-d", "-m", "700", PLACE, folder])
    holds = cli.bottle.popen(["flock", folder, "sleep", "1000"])  # as a copy would that takes long
    assert cli.until(lambda: cli.bottle.run(["flock", "-n", folder, "true"], check=False).returncode)
    body = {"name": "web", "image": "filled:1", "command": ["cat /srv/file; sleep 1000"], "binds": ["data:/srv"]}
    made = cli.raw("POST", "containers?wait=0", body)
    assert made.status_code == 202
    cli.said("run", "-d", "--name", "other", "host", "sleep", "1000")
    assert cli.state("other") == "running"
    assert cli.state("web") == "starting"
    assert cli.until(lambda: "Filling the volumes of web" in str(cli.get("operations")["results"]))
    os.killpg(holds.pid, signal.SIGKILL)
    holds.wait()
    assert cli.until(lambda: cli.state("web") == "running")
    assert cli.until(lambda: cli.said("logs", "web") == "first")
    cli.said("rm", "-f", "web", "other")
    forget_filled(cli)


def test_what_cannot_be_filled_is_not_made_or_does_not_start_until_it_can(cli: Docker, registry: None) -> None:
    make_filled(cli)
    cli.bottle.run(["install", "-d", "-m", "700", PLACE])
    cli.bottle.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=4", "tmpfs", PLACE])  # has no room for a file
    words = "could not take over what the image has"
    assert words in cli.refused("create", "--name", "web", "-v", "data:/srv", "filled:1", "cat /srv/file")
    assert "No such container" in cli.refused("container", "inspect", "web")
    body = {"name": "web", "image": "filled:1", "command": ["cat /srv/file; sleep 1000"], "binds": ["data:/srv"]}
    failed = cli.raw("POST", "containers", body)
    assert failed.status_code >= 400
    assert words in failed.text
    assert cli.state("web") == "failed"
    cli.bottle.run(["umount", PLACE])
    cli.call("POST", "containers/web/start")
    assert cli.state("web") == "running"
    assert cli.until(lambda: cli.said("logs", "web") == "first")
    cli.said("rm", "-f", "web")
    forget_filled(cli)


FILE = """
services:
  db:
    image: host
    command: sh -c 'test -e /data/since || date +%s%N >/data/since; sleep 1000'
    stop_grace_period: 0s
    volumes: ["data:/data"]
volumes:
  data:
    labels: {team: blue}
"""


@pytest.mark.parametrize("command", installed())
def test_compose_keeps_its_volumes_until_they_are_asked_away(cli: Docker, command: str) -> None:
    compose = Compose(cli, command, FILE)
    compose("up", "-d")

    def since() -> str:
        assert cli.until(
            lambda: cli.docker("exec", compose.name("db"), "test", "-s", "/data/since", code=None).returncode == 0
        )
        return cli.said("exec", compose.name("db"), "cat", "/data/since")

    first = since()
    assert cli.inspected("volume", "shop_data")["Labels"]["team"] == "blue"
    compose("down")
    compose("up", "-d")
    assert since() == first
    compose("down", "-v")
    assert cli.said("volume", "ls", "-q") == ""
