"""A step that fails, of every kind: nothing half made stays or comes back, the failure is shown, and its repair works.

Where a throw-away host can be made to refuse, it is: a device or a file in the way, a read-only sysctl, a port that is held.
For the rest the worker's own handlers run under :mod:`tests.testlib.refusing`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.testlib import refusing
from tests.testlib.product import Product

from .conftest import Console

pytestmark = pytest.mark.kernel

HOLD = "import socket, time; s = socket.socket(); s.bind(('', 8080)); print('held', flush=True); time.sleep(1000)"
BRIDGE = {"options": {"com.docker.network.bridge.name": "brx"}}


@pytest.fixture(scope="module")
def shared_console() -> Iterator[Console]:
    with Product(celery=refusing.__name__) as product:
        yield Console(product)


@contextlib.contextmanager
def refused(console: Console, kind: str) -> Iterator[None]:
    """The kernel refuses steps of *kind*."""
    console.bottle.write(str(refusing.REFUSE), kind)
    try:
        yield
    finally:
        console.bottle.run(["rm", "-f", str(refusing.REFUSE)])


@contextlib.contextmanager
def device_in_the_way(console: Console, name: str) -> Iterator[None]:
    console.bottle.run(["ip", "link", "add", name, "type", "veth"])
    try:
        yield
    finally:
        console.bottle.run(["ip", "link", "del", name])


@contextlib.contextmanager
def folder_in_the_way(console: Console, path: str) -> Iterator[None]:
    console.bottle.run(["mkdir", "-p", f"{path}/something"])
    try:
        yield
    finally:
        console.bottle.run(["rm", "-rf", path])


@contextlib.contextmanager
def forwarding_fixed(console: Console) -> Iterator[None]:
    """Forwarding is off, and may not be turned on."""
    path = "/proc/sys/net/ipv4/ip_forward"
    console.bottle.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"])
    console.bottle.run(["mount", "--bind", path, path])
    console.bottle.run(["mount", "-o", "remount,bind,ro", path])
    try:
        yield
    finally:
        console.bottle.run(["umount", path])


@contextlib.contextmanager
def port_held(console: Console) -> Iterator[None]:
    """Bound, but not listening: the list of listeners, which requests are checked against, does not show it."""
    holder = console.bottle.popen(["python3", "-c", HOLD])
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    pid = console.bottle.run(["pgrep", "-f", "time.sleep.1000"]).stdout.split()
    try:
        yield
    finally:
        console.bottle.run(["kill", "-KILL", *pid], check=False)
        holder.wait(10)


@contextlib.contextmanager
def chains_gone(console: Console) -> Iterator[None]:
    """Our chains were deleted by hand, and may not be made again."""
    with refused(console, "chain"):
        for table in ("filter", "nat", "raw"):
            console.bottle.run(["iptables", "-t", table, "-F"])
            console.bottle.run(["iptables", "-t", table, "-X"])
        yield


@contextlib.contextmanager
def program_missing(console: Console) -> Iterator[None]:
    path = console.bottle.root / "var/lib/cnm/tool"
    yield
    path.write_text("#!/bin/sh\nexec sleep 1000\n")
    path.chmod(0o755)


def fails_and_is_repaired(
    console: Console,
    trouble: AbstractContextManager[None],
    ask: Callable[[], Any],
    path: str,
    up: str,
    drift: bool | None = False,
) -> None:
    """*ask* fails in *trouble* and leaves nothing; after it, the repair brings the object at *path* to the state *up*."""
    with trouble:
        troubled = console.bottle.dump()
        answer = ask()
        assert answer.status_code >= 400, answer.text
        failed = console.get("operations", state="failed")["results"][0]
        assert failed["error"], failed
        shown = console.get(path)
        assert shown.get("state", shown.get("status")) == "failed", shown
        assert shown["error"]["remedy"]
        console.raw("POST", "networks", {"name": "unrelated"})
        assert "8080" not in console.iptables("nat"), "an operation about something else brought back a part of it"
        console.raw("DELETE", "networks/unrelated")
        assert console.bottle.dump() == troubled
        settled = console.until(lambda: drift is None or bool(console.get("drift")["results"]) == drift)
        assert settled, console.get("drift")["results"]
    done = console.call("POST", f"operations/{failed['number']}/retry")
    assert done["state"] == "done", done
    shown = console.get(path)
    assert (shown.get("state", shown.get("status")), shown["error"]) == (up, None), shown


def prepared(console: Console, **spec: Any) -> Any:
    """A container that was not started yet, so that its kernel names are known."""
    body = {"name": "web", "command": ["sleep", "1000"], "ports": ["8080:80"], "start": False, **spec}
    return console.call("POST", "containers", body)


def start(console: Console) -> Callable[[], Any]:
    return lambda: console.raw("POST", "containers/web/start")


def test_sysctl(console: Console) -> None:
    fails_and_is_repaired(
        console,
        forwarding_fixed(console),
        lambda: console.raw("POST", "networks", {"name": "app"}),
        "networks/app",
        "ready",
    )
    assert console.bottle.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout == "1\n"


def test_port(console: Console) -> None:
    prepared(console)
    with port_held(console):
        console.raw("POST", "containers/web/start")
        other = console.raw("POST", "containers", {"name": "other", "command": ["sleep", "9"], "ports": ["8080:80"]})
        assert other.status_code == 409, "its port is not given away while it may be repaired"
    console.call("POST", "containers/web/stop")
    fails_and_is_repaired(console, port_held(console), start(console), "containers/web", "running")
    assert "--dport 8080" in console.iptables("nat")


def test_port_that_a_running_container_publishes_in_addition(console: Console) -> None:
    console.serve("web", 80)
    with port_held(console):
        assert console.raw("POST", "containers/web/ports", {"ports": ["8080:80"]}).status_code == 409
        shown = console.get("containers/web")
        assert shown["state"] == "running", "it goes on without the port"
        assert "8080" in shown["error"]["sentence"]["template"] or "8080" in str(shown["error"])
        console.network("unrelated")
        assert "8080" not in console.iptables("nat")
        failed = console.get("operations", state="failed")["results"][0]
    assert console.call("POST", f"operations/{failed['number']}/retry")["state"] == "done"
    assert console.get("containers/web")["error"] is None
    assert console.connects_soon("192.0.2.2", 8080) == "hello"


@pytest.mark.parametrize("kind", ["rule", "chain"])
def test_rules(console: Console, kind: str) -> None:
    trouble = chains_gone(console) if kind == "chain" else refused(console, "rule")
    fails_and_is_repaired(
        console,
        trouble,
        lambda: console.raw("POST", "networks", {"name": "app"}),
        "networks/app",
        "ready",
        drift=kind == "chain",
    )
    console.serve("web", 80, network="app", ports=["8080:80"])
    assert console.connects_soon("192.0.2.2", 8080) == "hello"


def test_bridge(console: Console) -> None:
    fails_and_is_repaired(
        console,
        device_in_the_way(console, "brx"),
        lambda: console.raw("POST", "networks", {"name": "app", **BRIDGE}),
        "networks/app",
        "ready",
    )
    assert console.bottle.ip("link", "show", "brx")


def test_sandbox(console: Console) -> None:
    name = prepared(console)["sandbox"]
    trouble = folder_in_the_way(console, f"/run/netns/{name}")
    # What stands there bears our name: it is drift, left over.
    fails_and_is_repaired(console, trouble, start(console), "containers/web", "running", drift=None)


@pytest.mark.parametrize("kind", ["veth", "address", "route"])
def test_inside_the_sandbox(console: Console, kind: str) -> None:
    prepared(console)
    fails_and_is_repaired(console, refused(console, kind), start(console), "containers/web", "running")


def test_file(console: Console) -> None:
    container = prepared(console)["id"]
    trouble = folder_in_the_way(console, f"/var/lib/cnm/containers/{container}/hosts")
    fails_and_is_repaired(console, trouble, start(console), "containers/web", "running")


def test_process(console: Console) -> None:
    prepared(console, command=["/mnt/tool"], binds=["/var/lib/cnm:/mnt"])
    fails_and_is_repaired(console, program_missing(console), start(console), "containers/web", "running")


@pytest.mark.parametrize("kind", ["veth", "rule"])
def test_a_connection_that_fails_leaves_the_running_container_alone(console: Console, kind: str) -> None:
    console.serve("web", 80, ports=["8080:80"])
    console.network("app")
    pid = console.get("containers/web")["pid"]
    before = console.bottle.dump()
    with refused(console, kind):
        assert console.raw("POST", "networks/app/connect", {"container": "web"}).status_code >= 400
    shown = console.get("containers/web")
    assert (shown["state"], shown["pid"]) == ("running", pid)
    assert console.bottle.dump() == before
    console.network("unrelated")
    console.call("DELETE", "networks/unrelated")
    assert console.bottle.dump() == before
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    failed = console.get("operations", state="failed")["results"][0]
    assert console.call("POST", f"operations/{failed['number']}/retry")["state"] == "done"
    assert "eth1" in console.bottle.run(["ip", "link"], netns=console.sandbox("web")).stdout


def test_a_failed_object_is_removed_without_a_trace(console: Console) -> None:
    before = console.bottle.dump()
    prepared(console)
    with refused(console, "address"):
        assert console.raw("POST", "containers/web/start").status_code >= 400
    console.remove("web")
    assert console.raw("GET", "containers/web").status_code == 404
    assert console.bottle.dump() == before


def test_a_port_taken_while_the_host_was_down_keeps_only_its_container_waiting(console: Console) -> None:
    console.serve("web", 80, ports=["8080:80"])
    console.serve("other", 80, ports=["8081:80"])
    for name in ("kernel", "monitor", "holder"):
        console.product.kill(name)
    with port_held(console):
        for name in ("holder", "kernel", "monitor"):
            console.product.start(name)
        failed = console.until(lambda: console.get("operations", state="failed", verb="host.start")["results"], 40)
        assert failed, console.product.logs()
        assert "8080" not in console.iptables("nat"), "who has the port now keeps its traffic"
        assert console.connects_soon("192.0.2.2", 8081) == "hello"
        assert console.get("containers/web")["error"]
        console.network("unrelated")
        assert "8080" not in console.iptables("nat")
    console.call("POST", "drift/repair", {})
    shown = console.get("containers/web")
    assert (shown["state"], shown["error"]) == ("running", None)
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
