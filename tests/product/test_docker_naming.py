"""The real product in Docker naming, told over REST what the captured Docker Engine was told, leaves the same rules line for line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.golden.scenarios import STAGES
from tests.golden.test_golden import CAPTURES
from tests.testlib.product import Product

from .conftest import Console

pytestmark = pytest.mark.kernel

Compare = Callable[[str], None]


@contextmanager
def engine(**env: str) -> Iterator[tuple[Console, Compare]]:
    """The product with our extras off, and the comparison with one capture."""
    with Product(env={"CNM_NAMES": "docker", "CNM_HARDENING": "false", **env}) as product:
        console = Console(product)
        yield console, lambda folder: compare(console, folder)


def compare(console: Console, folder: str) -> None:
    ids = {network["name"]: network["id"][:12] for network in console.get("networks")["results"]}
    leaked = next(stage.leaked for stage in STAGES if stage.folder == folder)
    for table in ("nat", "filter"):
        captured = (CAPTURES / folder / f"iptables-{table}.txt").read_text()
        expected = [re.sub(r"<net:(\w+)>", lambda found: ids[found[1]], line) for line in captured.splitlines()]
        saved = console.bottle.run(["iptables-save", "-t", table]).stdout
        found = [re.sub(r"\[\d+:\d+\]", "[0:0]", line) for line in saved.splitlines() if line[:1] != "#"]
        assert found == [line for line in expected if line not in leaked], f"{folder}, {table}"


def stop(console: Console, name: str) -> None:
    console.call("POST", f"containers/{name}/stop", {"timeout": 0})


def test_publish() -> None:
    with engine() as (console, equals):
        console.run("tcp", ports=["8080:80"])
        equals("publish/tcp")
        ports: dict[str, list[str]] = {
            "udp": ["5353:53/udp"],
            "hostip": ["127.0.0.1:8081:81"],
            "range": ["9000-9002:9100-9102"],
            "hostip_udp": ["192.0.2.2:5354:53/udp"],
            "multi": ["8090:80", "8091:80", "127.0.0.1:8092:80"],
        }
        for name, published in ports.items():
            console.run(name, ports=published)
        console.run("exposed", exposed_ports=["7000"])
        equals("publish/all")
        clash: dict[str, Any] = {"name": "clash", "command": ["sleep", "9"], "ports": ["8080:80"]}
        assert console.raw("POST", "containers", clash).status_code == 409
        console.run("ephem", ports=["80"])
        console.run("pall", exposed_ports=["7100-7101"], publish_all=True)
        console.remove("ephem", "pall")
        stop(console, "tcp")
        equals("publish/after-stop-tcp")
        console.call("POST", "containers/tcp/start")
        equals("publish/after-start-tcp")
        console.remove("tcp", *ports, "exposed")
        equals("publish/removed")


@pytest.mark.long
def test_links_without_icc() -> None:
    with engine(CNM_ICC="false") as (console, equals):
        console.run("db", exposed_ports=["5432", "53/udp"])
        console.run("web", links=["db:db"])
        equals("icc-false-link/linked")
        console.run("pub", ports=["8080:80"])
        console.run("web2", links=["pub:pub"])
        equals("icc-false-link/linked-and-published")
        stop(console, "db")
        equals("icc-false-link/after-db-stop")
        console.product.restart("kernel")
        equals("icc-false-link/after-db-stop")
        console.call("POST", "containers/db/start")
        equals("icc-false-link/after-db-start")
        stop(console, "web")
        equals("icc-false-link/after-web-stop")
        console.remove("web", "web2")
        equals("icc-false-link/after-rm-children")


@pytest.mark.long
def test_two_networks() -> None:
    with engine() as (console, equals):
        for name in ("net1", "net2"):
            console.network(name)
        console.run("c1", network="net1", ports=["8080:80"])
        equals("two-networks/before-connect")
        console.call("POST", "networks/net2/connect", {"container": "c1", "aliases": ["other"]})
        equals("two-networks/after-connect")
        console.run("c2", network="net2")
        equals("two-networks/with-peer")
        console.call("POST", "networks/net1/disconnect", {"container": "c1"})
        equals("two-networks/after-disconnect-net1")
