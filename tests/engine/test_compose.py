"""``docker compose`` and its predecessor ``docker-compose`` with a file as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testlib.bottle import REPOSITORY

from .composing import V2, Compose, installed
from .conftest import Docker
from .sources import WEB

pytestmark = pytest.mark.kernel
FILE = """
services:
  db:
    image: host
    container_name: shop-db
    command: ["busybox", "nc", "-ll", "-p", "5432", "-e", "echo", "rows"]
    environment: {COLOUR: green}
    labels: {team: blue}
    stop_grace_period: 0s
    networks:
      back: {ipv4_address: 10.81.0.10, aliases: [database]}
  web:
    image: host
    command: sh -c 'echo started; exec busybox nc -ll -p 80 -e echo hello'
    depends_on: [db]
    links: ["db:base"]
    ports: ["8080:80", "127.0.0.1:8081:81/udp"]
    stop_grace_period: 0s
    networks:
      front: {aliases: [www]}
      back:
  worker:
    image: host
    command: sleep 1000
    stop_grace_period: 0s
    networks: [back]
networks:
  front:
    driver_opts: {com.docker.network.driver.mtu: "1400"}
  back:
    internal: true
    ipam:
      config: [{subnet: 10.81.0.0/24, gateway: 10.81.0.254, ip_range: 10.81.0.128/25}]
"""


@pytest.fixture(params=installed())
def compose(request: pytest.FixtureRequest, cli: Docker) -> Compose:
    return Compose(cli, request.param, FILE)


def ends(cli: Docker, container: str) -> dict[str, Any]:
    return {
        item["network"]["name"].removeprefix("shop_"): item for item in cli.get(f"containers/{container}")["endpoints"]
    }


def test_a_file_comes_up_is_looked_at_changes_and_goes(cli: Docker, compose: Compose) -> None:
    compose("up", "-d")
    web = compose.name("web")
    _check_as_asked(cli, web)
    assert cli.connects_soon("192.0.2.2", 8080) == "hello"
    assert compose("exec", "-T", "web", "busybox", "nc", "database", "5432", input="").strip() == "rows"
    assert compose("exec", "-T", "web", "getent", "hosts", "base").split() == ["10.81.0.10", "base"]
    assert "started" in compose("logs", "web")
    assert compose("port", "web", "80").strip() == "0.0.0.0:8080"
    _check_again(cli, compose)
    _check_changed(cli, compose)
    followed = compose.started("logs", "-f", "web")
    compose("restart", "web")
    shown = compose("ps")
    assert all(name in shown for name in (web, "shop-db", "0.0.0.0:8080->80/tcp")), shown
    compose("stop")
    assert "started" in followed.communicate(timeout=30)[0]
    assert {cli.state(name) for name in ("shop-db", web)} == {"exited"}
    compose("start")
    assert ends(cli, "shop-db")["back"]["ipv4"] == "10.81.0.10/24"
    compose.write(FILE.replace("  worker:", "  other:"))
    compose("down", "-v", "--remove-orphans")
    assert cli.get("containers")["count"] == 0
    assert [row["name"] for row in cli.get("networks")["results"] if not row["predefined"]] == []


def _check_as_asked(cli: Docker, web: str) -> None:
    front, back = (cli.get(f"networks/shop_{name}") for name in ("front", "back"))
    assert front["options"] == {"com.docker.network.driver.mtu": "1400"}
    assert front["labels"]["com.docker.compose.project"] == "shop"
    assert back["internal"]
    (subnet,) = back["subnets"]
    assert (subnet["subnet"], subnet["gateway"]) == ("10.81.0.0/24", "10.81.0.254")
    database = ends(cli, "shop-db")["back"]
    assert (database["ipv4"], set(database["aliases"]) >= {"database", "db"}) == ("10.81.0.10/24", True)
    assert cli.get("containers/shop-db")["labels"]["team"] == "blue"
    ways = ends(cli, web)
    assert set(ways) == {"front", "back"}
    assert "www" in ways["front"]["aliases"]
    assert "www" not in ways["back"]["aliases"]
    assert "base" in {link["alias"] for link in cli.get(f"containers/{web}")["links"]}


def _check_again(cli: Docker, compose: Compose) -> None:
    """A second ``up`` asks nothing of the worker."""
    before = cli.get("operations")["count"]
    compose("up", "-d")
    assert cli.get("operations")["count"] == before


def _check_changed(cli: Docker, compose: Compose) -> None:
    """What changed is made anew, keeping address and port, and more of a service is had beside what runs."""
    before = {name: cli.get(f"containers/{name}")["id"] for name in ("shop-db", compose.name("worker"))}
    compose.write(FILE.replace("green", "red"))
    compose("up", "-d", "--scale", "worker=2")
    after = {name: cli.get(f"containers/{name}")["id"] for name in before}
    assert [before[name] == after[name] for name in before] == [False, True]
    assert cli.get("containers")["count"] == 4
    assert compose("exec", "-T", "db", "printenv", "COLOUR").strip() == "red"
    assert cli.connects_soon("192.0.2.2", 8080) == "hello"
    assert compose("exec", "-T", "web", "getent", "hosts", "base").split() == ["10.81.0.10", "base"]


REFUSED = """
services:
  web: {{image: host, command: sleep 1000, {asks}}}
"""


def test_what_is_refused_is_told_in_our_words(cli: Docker, compose: Compose) -> None:
    for asks, words in (
        ("privileged: true", "a privileged container is not supported by CNM Web's Docker API"),
        ("ports: ['8080:80']", "Bind for 0.0.0.0:8080 failed: port is already allocated"),
    ):
        cli.serve("holder", 80, ports=["8080:80"])
        compose.write(REFUSED.format(asks=asks))
        assert words in compose("up", "-d", code=1)
        compose("down")
        cli.remove("holder")


def test_our_own_composition_is_one(cli: Docker) -> None:
    """Of version 2: the older one knows neither control groups of one's choice nor secrets out of the environment."""
    compose = Compose(cli, V2, FILE)
    compose("-f", str(REPOSITORY / "docker-compose.yml"), "config", "-q")


SERVICES = ("web", "agent", "side", "alone")
PULLED = f"""
services:
  web:
    image: {WEB}
    entrypoint: sleep 1000
    stop_grace_period: 0s
  agent:
    image: {WEB}
    network_mode: host
    entrypoint: sleep 1000
    stop_grace_period: 0s
  side:
    image: {WEB}
    network_mode: "service:web"
    entrypoint: sleep 1000
    stop_grace_period: 0s
  alone:
    image: {WEB}
    network_mode: none
    entrypoint: sleep 1000
    stop_grace_period: 0s
"""


def test_images_are_pulled_for_services_of_every_network_mode(cli: Docker, compose: Compose, registry: None) -> None:
    compose.write(PULLED)
    compose("pull")
    assert cli.inspected("image", WEB)["RepoTags"] == [f"{WEB}:latest"]
    compose("up", "-d")
    web = cli.get(f"containers/{compose.name('web')}")["id"]
    modes = {name: cli.inspected("container", compose.name(name))["HostConfig"]["NetworkMode"] for name in SERVICES}
    assert modes == {
        "web": "shop_default",
        "agent": "host",
        "side": f"container:{web}",
        "alone": "none",
    }
    assert "eth0" in compose("exec", "-T", "side", "cat", "/proc/net/dev")
    compose("pull")
    before = cli.get("operations")["count"]
    compose("up", "-d")
    assert cli.get("operations")["count"] == before, "nothing is newer"
    compose("down")
    cli.said("rmi", WEB)
