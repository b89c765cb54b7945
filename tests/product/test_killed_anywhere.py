"""The kernel worker dies at any step of any operation: after its restart the host is what was asked, and nothing is left or twice.

For each verb the steps are counted in a run without a death; then the worker kills itself when so many of them are done.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.testlib import refusing
from tests.testlib.product import Product

from .conftest import Console

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]

SEED = 7
Words = tuple[str, str, Any]
"""Method, path and body of a request."""
APP: Words = ("POST", "networks", {"name": "app", "subnets": [{"subnet": "10.99.0.0/24"}], "labels": {}})
WEB: Words = (
    "POST",
    "containers",
    {
        "name": "web",
        "command": ["sleep", "1000"],
        "ports": ["8080:80"],
        "exposed_ports": ["80"],
        "stop_signal": "SIGKILL",
    },
)
DB: Words = ("POST", "containers", {"name": "db", "command": ["sleep", "1000"], "exposed_ports": ["5432"]})
LINK: Words = ("POST", "links", {"recipient": "web", "source": "db", "alias": "db"})
CONNECT: Words = ("POST", "networks/app/connect", {"container": "web", "aliases": ["other"]})
PUBLISH: Words = ("POST", "containers/web/ports", {"ports": ["9090:90"]})


@dataclass(frozen=True)
class Verb:
    """An operation: what must be there before, the request, and how its result is seen."""

    name: str
    before: tuple[Words, ...]
    ask: Words
    done: Callable[[Console], bool]

    def __str__(self) -> str:
        return self.name


def exists(path: str) -> Callable[[Console], bool]:
    return lambda console: console.raw("GET", path).status_code == 200


def gone(path: str) -> Callable[[Console], bool]:
    return lambda console: console.raw("GET", path).status_code == 404


def state(name: str, wanted: str) -> Callable[[Console], bool]:
    return lambda console: console.get(f"containers/{name}")["state"] == wanted


def translated(port: int, wanted: bool) -> Callable[[Console], bool]:
    return lambda console: (f"--dport {port} " in console.iptables("nat")) is wanted


def both(*looks: Callable[[Console], bool]) -> Callable[[Console], bool]:
    return lambda console: all(look(console) for look in looks)


def inside(device: str, wanted: bool) -> Callable[[Console], bool]:
    return lambda console: (
        (device in console.bottle.run(["ip", "-br", "link"], netns=console.sandbox("web")).stdout) is wanted
    )


def known(wanted: bool) -> Callable[[Console], bool]:
    """Whether web's hosts file names db by its alias."""
    return lambda console: (
        ("\tdb " in console.bottle.read(f"/var/lib/cnm/containers/{console.get('containers/web')['id']}/hosts"))
        is wanted
    )


def mtu(wanted: int) -> Callable[[Console], bool]:
    """Whether app's bridge, and what is plugged into it, has the MTU."""

    def look(console: Console) -> bool:
        links = console.bottle.ip("link", "show")
        bridge = console.get("networks/app")["bridge"]
        return {link["mtu"] for link in links if bridge in {link["ifname"], link.get("master")}} == {wanted}

    return look


CHANGE: Words = (
    "PATCH",
    "networks/app",
    {
        "options": {
            "com.docker.network.driver.mtu": "1400",
            "com.docker.network.bridge.enable_icc": "false",
            "com.docker.network.bridge.enable_ip_masquerade": "false",
        }
    },
)
SERVING = {"command": ["sleep", "1000"], "stop_signal": "SIGKILL", "exposed_ports": ["80"]}
WHOLE: Words = (
    "PUT",
    "topology?prune=1",
    {
        "version": 1,
        "networks": {"app": {"subnets": [{"subnet": "10.99.0.0/24"}], "options": CHANGE[2]["options"]}},
        "containers": {
            "web": {**SERVING, "networks": ["app"], "ports": ["8081:80"]},
            "db": {"command": ["sleep", "1000"], "network": "app"},
        },
    },
)
"""Changes app, makes web anew on it with another port, and adds db."""
BULK: Words = ("POST", "bulk", {"networks": [APP[2]], "containers": [WEB[2], DB[2] | {"network": "app"}]})
VERBS = (
    Verb("create a network", (), APP, exists("networks/app")),
    Verb("delete a network", (APP,), ("DELETE", "networks/app", None), gone("networks/app")),
    Verb("run a container", (), WEB, both(state("web", "running"), translated(8080, True))),
    Verb("stop", (WEB,), ("POST", "containers/web/stop", {}), both(state("web", "exited"), translated(8080, False))),
    Verb(
        "restart", (WEB,), ("POST", "containers/web/restart", {}), both(state("web", "running"), translated(8080, True))
    ),
    Verb(
        "remove",
        (WEB,),
        ("DELETE", "containers/web?force=1", None),
        both(gone("containers/web"), translated(8080, False)),
    ),
    Verb("connect", (APP, WEB), CONNECT, inside("eth1", True)),
    Verb(
        "disconnect",
        (APP, WEB, CONNECT),
        ("POST", "networks/app/disconnect", {"container": "web"}),
        inside("eth1", False),
    ),
    Verb("publish", (WEB,), PUBLISH, translated(9090, True)),
    Verb("unpublish", (WEB, PUBLISH), ("DELETE", "containers/web/ports/", None), translated(9090, False)),
    Verb("link", (WEB, DB), LINK, known(True)),
    Verb("unlink", (WEB, DB, LINK), ("DELETE", "links/", None), known(False)),
    Verb("change a network", (APP, WEB, CONNECT), CHANGE, both(mtu(1400), inside("eth1", True))),
    Verb(
        "put the whole topology",
        (APP, WEB),
        WHOLE,
        both(
            mtu(1400), state("web", "running"), state("db", "running"), translated(8081, True), translated(8080, False)
        ),
    ),
    Verb("bulk", (), BULK, both(state("web", "running"), state("db", "running"), exists("networks/app"))),
)


@pytest.fixture(scope="module")
def shared_console() -> Iterator[Console]:
    with Product(celery=refusing.__name__) as product:
        yield Console(product)


def asked(console: Console, words: Words, **params: Any) -> Any:
    method, path, body = words
    if path.endswith("/ports/"):
        path += next(port["id"] for port in console.get("containers/web")["ports"] if port["host_port"] == 9090)
    if path == "links/":
        path += console.get("containers/web")["links"][0]["id"]
    path, _, query = path.partition("?")
    params |= dict(parse_qsl(query))
    return console.call(method, path, body, **params)


def cleared(console: Console) -> None:
    for name in ("web", "db"):
        if console.raw("GET", f"containers/{name}").status_code == 200:
            console.remove(name)
    if console.raw("GET", "networks/app").status_code == 200:
        console.call("DELETE", "networks/app")


def steps_of(console: Console, verb: Verb) -> int:
    """How many steps the verb has, in a run in which nobody dies."""
    for words in verb.before:
        asked(console, words)
    asked(console, verb.ask)
    total = int(console.get("operations")["results"][0]["total_steps"])
    assert verb.done(console)
    cleared(console)
    return total


def dies(console: Console, verb: Verb, after: int, clean: str) -> bool:
    """The worker dies when *after* steps are done; then everything is as it should be. False: the verb has fewer steps."""
    for words in verb.before:
        asked(console, words)
    console.bottle.write(str(refusing.DIE), str(after))
    number = asked(console, verb.ask, wait=0)["operation"]["number"]
    process = console.product.process("kernel")
    console.until(lambda: process.poll() is not None or console.get(f"operations/{number}")["state"] == "done", 60)
    at_end = f"{verb}, dead after {after} steps"
    died = not (console.bottle.root / str(refusing.DIE).lstrip("/")).exists()
    if died:
        console.until(lambda: process.poll() is not None)
        console.product.restart("kernel")
    else:
        (console.bottle.root / str(refusing.DIE).lstrip("/")).unlink()
    ended = console.until(lambda: (o := console.get(f"operations/{number}"))["state"] in {"done", "failed"} and o, 60)
    assert ended, (at_end, console.product.logs())
    assert ended["state"] == "done", (at_end, json.dumps(ended), console.product.logs())
    assert console.until(lambda: verb.done(console)), (at_end, console.product.logs())
    rules = [f"{table} {rule}" for table in ("nat", "filter", "raw") for rule in console.iptables(table).splitlines()]
    assert [rule for rule, count in Counter(rules).items() if count > 1] == [], at_end
    assert console.get("drift")["results"] == [], at_end
    cleared(console)
    left = console.bottle.dump()
    assert left == clean, at_end
    assert [path.name for path in (console.bottle.root / "var/lib/cnm/containers").iterdir()] == [], at_end
    return died


@pytest.mark.parametrize("verb", VERBS, ids=str)
def test_killed_at_a_step_of_the_sample(console: Console, verb: Verb) -> None:
    clean = console.bottle.dump()
    total = steps_of(console, verb)
    assert total > 0
    assert dies(console, verb, random.Random(f"{SEED} {verb}").randrange(total), clean)


@pytest.mark.long
@pytest.mark.parametrize("verb", VERBS, ids=str)
def test_killed_at_every_step(console: Console, verb: Verb) -> None:
    clean = console.bottle.dump()
    after = 0
    while dies(console, verb, after, clean):
        after += 1
    assert after > 1
