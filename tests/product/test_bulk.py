"""Many objects at once in a real kernel: one plan, one commit of the rules a table, and each fails by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.testlib import refusing
from tests.testlib.product import Product

from .conftest import Console

pytestmark = pytest.mark.kernel

NAMES = ("one", "two", "three", "four")
MEET = """
trap 'touch /meet/$NAME
      n=0; while [ $n -lt 200 ]; do
        [ $(ls /meet | wc -l) -eq 4 ] && exit 0
        n=$((n + 1)); sleep 0.05; done; exit 7' TERM
while :; do sleep 0.05; done
"""
"""Ends well once all four were asked to end: one after the other, none of them ever would."""
TABLES = 3
"""filter, nat and raw: what a commit of the rules may touch."""


@pytest.fixture(scope="module")
def shared_console() -> Iterator[Console]:
    with Product(celery=refusing.__name__) as product:
        yield Console(product)


@contextlib.contextmanager
def refused(console: Console, what: str) -> Iterator[None]:
    console.bottle.write(str(refusing.REFUSE), what)
    try:
        yield
    finally:
        console.bottle.run(["rm", "-f", str(refusing.REFUSE)])


def generation() -> int | None:
    """Runs inside: how often the rules of the host were committed."""
    from worker.firewall.generation import Generation

    return Generation().read()


def commits(console: Console) -> int:
    return int(console.bottle.python(generation))


def four(console: Console, **spec: object) -> None:
    ports = {name: [f"{8081 + number}:80"] for number, name in enumerate(NAMES)}
    wanted = [
        {"name": name, "network": "app", "command": ["sleep", "1000"], "ports": ports[name], "env": {"NAME": name}}
        | spec
        for name in NAMES
    ]
    console.call("POST", "bulk", {"networks": [{"name": "app"}], "containers": wanted})


def states(console: Console) -> dict[str, str]:
    return {row["name"]: row["state"] for row in console.get("containers", page_size=100)["results"]}


def operation(console: Console, verb: str) -> dict[str, object]:
    found = console.get("operations", verb=verb)["results"]
    return dict(console.get(f"operations/{found[0]['id']}"))


def test_many_stop_at_the_same_time_start_again_and_go(console: Console) -> None:
    before = console.iptables("nat"), console.iptables("filter")
    console.bottle.run(["mkdir", "-p", "/srv/meet"])
    four(console, command=["sh", "-c", MEET], binds=["/srv/meet:/meet"], stop_timeout=60)
    assert console.iptables("nat").count("DNAT") == 4
    console.call("POST", "bulk/stop", {"containers": list(NAMES)})
    for name in NAMES:
        shown = console.get(f"containers/{name}")
        assert (shown["state"], shown["exit_code"]) == ("exited", 0), "it waited in vain for the others to be asked too"
    assert "DNAT" not in console.iptables("nat")
    assert len(console.get("operations", verb="bulk.stop")["results"]) == 1
    console.call("POST", "bulk/start", {"containers": list(NAMES)})
    assert set(states(console).values()) == {"running"}
    assert console.iptables("nat").count("DNAT") == 4
    counted = commits(console)
    done = console.call("POST", "bulk/remove", {"containers": list(NAMES), "networks": ["app"], "force": True})
    assert done == {"networks": ["app"], "containers": list(NAMES)}
    assert commits(console) - counted <= TABLES
    assert states(console) == {}
    assert (console.iptables("nat"), console.iptables("filter")) == before
    assert "cnm-" not in console.bottle.run(["ip", "netns", "list"]).stdout


def test_a_dry_run_shows_the_plan_of_all(console: Console) -> None:
    four(console)
    shown = console.call(
        "POST", "bulk/remove", {"containers": list(NAMES), "networks": ["app"], "force": True}, dry_run=1
    )
    gone = [step["kind"] for step in shown["plan"]["steps"] if step["action"] == "delete"]
    assert (gone.count("sandbox"), gone.count("process"), gone.count("bridge")) == (4, 4, 1)
    assert set(states(console).values()) == {"running"}


def test_one_that_cannot_start_is_told_and_the_others_run(console: Console) -> None:
    for name in ("good", "fine"):
        console.call("POST", "containers", {"name": name, "command": ["sleep", "1000"], "start": False})
    console.call("POST", "containers", {"name": "bad", "command": ["/no/such/program"], "start": False})
    answer = console.raw("POST", "bulk/start", {"containers": ["good", "bad", "fine"]})
    assert answer.status_code == 500
    told = answer.json()
    assert [item["subject"] for item in told["facts"]["refused"]] == ["bad"]
    assert "This did not work for bad;" in told["detail"]
    assert states(console) == {"good": "running", "bad": "failed", "fine": "running"}
    assert operation(console, "bulk.start")["state"] == "failed"


def test_one_that_does_not_go_is_told_and_goes_when_it_is_done_again(console: Console) -> None:
    four(console)
    sandbox = console.sandbox("three").rpartition("/")[2]
    with refused(console, f"-sandbox {sandbox}"):
        answer = console.raw("POST", "bulk/remove", {"containers": list(NAMES), "networks": ["app"], "force": True})
    assert answer.status_code == 500
    assert [item["subject"] for item in answer.json()["facts"]["refused"]] == ["three"]
    assert states(console) == {"three": "failed"}
    assert [row["name"] for row in console.get("networks")["results"] if not row["predefined"]] == []
    failed = operation(console, "bulk.remove")
    again = console.call("POST", f"operations/{failed['id']}/retry")
    assert again["state"] == "done"
    assert states(console) == {}
    assert "cnm-" not in console.bottle.run(["ip", "netns", "list"]).stdout
