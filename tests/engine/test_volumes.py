"""``docker volume …`` and named volumes of containers, with the real command and the real Compose."""

from __future__ import annotations

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
