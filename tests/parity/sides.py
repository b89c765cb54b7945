"""The two that are compared, each in a throw-away host: a real Docker Engine, and CNM Web in Docker's naming."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.engine import IMAGE, Engine, busybox_tar
from tests.testlib.bottle import Bottle
from tests.testlib.product import DOCKER_SOCKET, Product

from .scenario import Docker, Done, Played, play

VERSION = "1.41"
"""Of the Docker Engine 20.10 in Debian 12: both are spoken to in it."""
TABLES = ("nat", "filter")


def _speaking(bottle: Bottle, socket: str) -> Docker:
    env: Mapping[str, str] = {"DOCKER_API_VERSION": VERSION, "HOME": "/run/home", "DOCKER_HOST": f"unix://{socket}"}

    def docker(*words: str) -> Done:
        done = bottle.run(["docker", *words], check=False, env=env, timeout=120)
        return Done(done.returncode, done.stdout, done.stderr)

    return docker


def _with_rules(bottle: Bottle, docker: Docker) -> Played:
    played = play(docker)
    bridges = {}
    for name in ("lan", "inner"):
        bridges[f"br-{docker('network', 'inspect', '-f', '{{.Id}}', name).out[:12]}"] = f"<bridge of {name}>"
    for table in TABLES:
        text = bottle.run(["iptables", "-t", table, "-S"]).stdout
        for device, name in bridges.items():
            text = text.replace(device, name)
        played.values[f"iptables -t {table} -S"] = text
    return played


@contextmanager
def real_engine() -> Iterator[tuple[Bottle, Docker]]:
    with Engine() as engine:
        yield engine.bottle, _speaking(engine.bottle, "/run/docker.sock")


@contextmanager
def ours() -> Iterator[tuple[Bottle, Docker]]:
    with Product({"CNM_NAMES": "docker", "CNM_HARDENING": "false"}) as product:
        product.serve_engine()
        docker = _speaking(product.bottle, DOCKER_SOCKET)
        product.bottle.run(["mkdir", "-p", "/run/parity"])
        archive = Path(f"{product.bottle.root}/run/parity/base.tar")
        archive.write_bytes(busybox_tar())
        docker("import", "/run/parity/base.tar", IMAGE)
        yield product.bottle, docker


def both() -> tuple[Played, Played]:
    """The scenario as the Docker Engine plays it, and as CNM Web does."""
    with real_engine() as (bottle, docker):
        theirs = _with_rules(bottle, docker)
    with ours() as (bottle, docker):
        return theirs, _with_rules(bottle, docker)
