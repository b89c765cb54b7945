"""Many objects at once in a real kernel: one plan, one commit of the rules a table, and each fails by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import pytest

from tests.testlib import refusing
from tests.testlib.product import Product

from .conftest import Console

pytestmark = pytest.mark.kernel

NAMES = ("one", "two", "three", "four")
MEET = """
trap 'touch /meet/$NAME
      n=0; while [ $n -lt 600 ]; do
        [ $(ls /meet | wc -l) -eq 4 ] && exit 0
        n=$((n + 1)); sleep 0.05; done; exit 7' TERM
echo up
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
    for name in NAMES:  # who has not come so far as to trap the signal never hears of it
        assert console.until(lambda name=name: "up" in console.raw("GET", f"containers/{name}/logs").text), name
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


FILE = """
networks:
  app: {subnets: [{subnet: 10.44.0.0/24}]}
containers:
  web:
    command: [sleep, "1000"]
    stop_timeout: 0
    networks: [{network: app, ipv4: 10.44.0.7, aliases: [shop]}]
    ports: ["8090:80"]
  old: {command: [sleep, "1000"], stop_timeout: 0, exposed_ports: [80]}
  user: {command: [sleep, "1000"], stop_timeout: 0, links: ["old:store"]}
"""


def put(console: Console, text: str, **params: object) -> httpx.Response:
    return console.product.api.request(
        "PUT",
        "/api/v1/topology",
        content=text,
        headers={"Content-Type": "application/yaml"},
        params=params,
        timeout=120,
    )


def test_a_file_is_made_real_once_changed_where_it_differs_and_pruned(console: Console) -> None:
    """The desired state on a real kernel: as planned, idempotent to the last commit of the rules, and nothing is left at the end."""
    before = console.iptables("nat"), console.iptables("filter")
    applied = len(console.get("operations", verb="topology.apply")["results"])
    planned = put(console, FILE, dry_run=1).json()["plan"]["summary"]
    first = put(console, FILE).json()
    assert first["operation"]["state"] == "done", first
    assert first["operation"]["plan_summary"] == planned, "it is what the plan said"
    assert len(console.get("operations", verb="topology.apply")["results"]) == applied + 1
    assert console.address("web", "app") == "10.44.0.7"
    assert console.inside("user", "getent", "hosts", "store")["exit_code"] == 0
    assert "--dport 8090" in console.iptables("nat")

    counted, processes = commits(console), {row["name"]: row["pid"] for row in console.get("containers")["results"]}
    again = put(console, FILE).json()
    assert (again["changes"], again["operation"]) == ([], None)
    assert commits(console) == counted, "the second time writes nothing"

    changed = put(console, FILE.replace("8090:80", "8091:80").replace("old: {", "old: {env: {A: b}, ")).json()
    assert [(c["name"], c["action"]) for c in changed["changes"]] == [("web", "change"), ("old", "remake")]
    assert console.get("containers/web")["pid"] == processes["web"], "it ran on"
    assert console.get("containers/user")["pid"] == processes["user"]
    assert "--dport 8091" in console.iptables("nat")
    assert "--dport 8090" not in console.iptables("nat")
    assert console.inside("old", "printenv", "A")["stdout"] == "b\n"
    here, there = console.inside("user", "getent", "hosts", "store")["stdout"], console.address("old")
    assert here.split()[0] == there, "the link leads to the new one"

    exported = console.product.api.get("/api/v1/topology", params={"format": "yaml"}).text
    assert put(console, exported).json()["changes"] == []
    gone = put(console, "version: 1\n", prune=1).json()
    assert gone["operation"]["state"] == "done"
    assert states(console) == {}
    assert (console.iptables("nat"), console.iptables("filter")) == before
    assert "cnm-" not in console.bottle.run(["ip", "netns", "list"]).stdout
    put(console, exported)
    assert console.product.api.get("/api/v1/topology", params={"format": "yaml"}).text == exported


def test_what_fails_of_a_file_is_told_and_made_when_it_is_applied_again(console: Console) -> None:
    with refused(console, "process process user"):
        answer = put(console, FILE)
    assert answer.status_code == 500
    told = answer.json()
    assert [item["subject"] for item in told["facts"]["refused"]] == ["user"]
    assert console.get(f"operations/{told['operation']}")["state"] == "failed"
    assert states(console) == {"web": "running", "old": "running", "user": "failed"}
    again = put(console, FILE).json()
    assert [(c["name"], c["action"]) for c in again["changes"]] == [("user", "repair")]
    assert states(console)["user"] == "running"
    assert put(console, FILE).json()["changes"] == []
