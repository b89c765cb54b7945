"""What only the host of a container has (its log, its terminals, its packets, the place for an archive), from the console of another host;
and that host's own Docker API."""

from __future__ import annotations

import io
import json
import re
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, unix_connect

from tests.testlib.cluster import Cluster
from tests.testlib.product import ADMIN, PASSWORD

pytestmark = pytest.mark.kernel
SAYS = ["sh", "-c", "for n in 1 2 3; do echo line $n; done; while sleep 0.2; do echo beat; done"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(2) as made:
        made.run("h2", "box", *SAYS)
        yield made


@pytest.fixture(scope="module")
def browser(cluster: Cluster) -> Iterator[httpx.Client]:
    """Signed in at the console on h1, with its pages about h2."""
    path = str(cluster.members["h1"].bottle.root / "run/cnm/web.sock")
    transport = httpx.HTTPTransport(uds=path)
    with httpx.Client(transport=transport, base_url="http://localhost/@h2", timeout=60) as client:

        def post(page: str, form: str, **fields: Any) -> httpx.Response:
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(form).text)
            assert token
            return client.post(page, data={"csrfmiddlewaretoken": token[1], **fields.pop("data", {})}, **fields)

        assert post("/sign-in/", "/sign-in/", data={"username": ADMIN, "password": PASSWORD}).status_code == 302
        assert post("/hosts/h2/look/", "/host/").status_code == 302
        client.headers["X-Post"] = ""
        client.post_form = post  # type: ignore[attr-defined]
        yield client


@contextmanager
def terminal(cluster: Cluster, browser: httpx.Client, session: str, since: int = 0) -> Iterator[ClientConnection]:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with unix_connect(
        str(cluster.members["h1"].bottle.root / "run/cnm/web.sock"),
        f"ws://localhost/ws/terminals/{session}/?since={since}&columns=91&rows=33",
        additional_headers={"Origin": "http://localhost", "Cookie": cookies},
        max_size=None,
    ) as socket:
        yield socket


def read_until(socket: ClientConnection, wanted: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 20
    while wanted not in seen:
        message = socket.recv(timeout=max(0.1, deadline - time.monotonic()))
        if isinstance(message, bytes):
            seen += message
            socket.send(json.dumps({"type": "ack", "bytes": len(message)}))
    return seen


def test_a_log_is_read_and_followed(cluster: Cluster, browser: httpx.Client) -> None:
    cluster.until(lambda: "line 3\n" in cluster.raw("GET", "containers/box/logs", host="h2").text)
    said = cluster.raw("GET", "containers/box/logs", host="h2", timestamps=1, tail=1000).text.splitlines()
    assert [line.partition(" ")[2] for line in said[:3]] == ["line 1", "line 2", "line 3"]
    assert "line 2" in browser.get("/containers/box/?tab=logs").text
    assert "line 2" in browser.get("/containers/box/log/download/").text
    with cluster.members["h1"].api.stream(
        "GET", "/api/v1/containers/box/logs", params={"host": "h2", "follow": 1, "tail": 0}
    ) as followed:
        assert next(followed.iter_lines()) == "beat"
    with browser.stream("GET", "/containers/box/log/?tail=2") as followed:
        rows = (json.loads(row) for row in followed.iter_lines())
        first = next(row for row in rows if row["lines"])
    with browser.stream("GET", f"/containers/box/log/?since={first['at']}") as followed:
        again = next(row for row in map(json.loads, followed.iter_lines()) if row["lines"])
    assert again["lines"][0][0] > first["lines"][-1][0], "it goes on from its place"
    assert "gap" not in again


def test_a_terminal_is_typed_into_left_found_again_and_ended(cluster: Cluster, browser: httpx.Client) -> None:
    command = ["sh", "-c", "PS1='> ' exec sh"]
    session = cluster.call("POST", "containers/box/terminals", {"command": command}, host="h2")["id"]
    with terminal(cluster, browser, session) as screen:
        screen.send(b"stty size; hostname\r")
        seen = read_until(screen, b"33 91")
        screen.send(b"seq 1 60000 | tail -n 1; seq 1 60000; echo en''ough\r")
        seen += read_until(screen, b"enough")
        assert len(seen) > 300_000, "more than may be under way at once came through"
    with terminal(cluster, browser, session, since=len(seen)) as screen:
        screen.send(b"echo ba''ck; exit 7\r")
        read_until(screen, b"back")
        told: list[dict[str, Any]] = []
        try:
            while not any(one["type"] == "ended" for one in told):
                message = screen.recv(timeout=20)
                told += [json.loads(message)] if isinstance(message, str) else []
        except ConnectionClosed:
            pass
    assert [one["exit_code"] for one in told if one["type"] == "ended"] == [7]
    other = cluster.call("POST", "containers/box/terminals", {"command": command}, host="h2")["id"]
    with terminal(cluster, browser, other) as screen:
        read_until(screen, b"> ")
        assert cluster.raw("DELETE", f"terminals/{other}", host="h2").status_code == 204
    assert cluster.call("GET", f"terminals/{other}", host="h2")["reason"] == "closed"


def ended_capture(cluster: Cluster, capture: str) -> Any:
    row = cluster.call("GET", f"captures/{capture}", host="h2")
    return row if row["state"] == "done" else None


def test_packets_are_captured_and_taken_along(cluster: Cluster, browser: httpx.Client) -> None:
    wanted = {"container": "box", "protocol": "icmp", "seconds": 60, "size": 1 << 20}
    capture = cluster.call("POST", "captures", wanted, host="h2")["id"]
    cluster.until(lambda: cluster.call("GET", f"captures/{capture}", host="h2")["state"] == "running")
    gateway = cluster.call("GET", "containers/box", host="h2")["endpoints"][0]["gateway"]
    said = cluster.call("POST", "firewall/verify", {"from": "box", "to": gateway, "protocol": "icmp"}, host="h2")
    assert said["agrees"], said
    cluster.call("POST", f"captures/{capture}/stop", {}, host="h2")
    ended = cluster.until(lambda: ended_capture(cluster, capture))
    assert ended["packets"] >= 2
    taken = cluster.raw("GET", f"captures/{capture}/file", host="h2")
    there = cluster.members["h2"].bottle.root / f"var/lib/cnm/captures/{capture}.pcapng"
    assert taken.content == there.read_bytes()
    assert browser.get(f"/captures/{capture}/download/").content == taken.content


def test_an_archive_is_sent_to_the_host_that_the_pages_are_about(cluster: Cluster, browser: httpx.Client) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("bin/big")
        entry.size = 3 << 20
        archive.addfile(entry, io.BytesIO(bytes(range(256)) * (entry.size // 256)))
    answer = browser.post_form(  # type: ignore[attr-defined]
        "/images/add/",
        "/images/add/",
        data={"how": "upload", "name": "sent:1"},
        files={"file": ("sent.tar", packed.getvalue())},
    )
    assert answer.status_code == 302, answer.text
    cluster.until(lambda: cluster.call("GET", "images/sent:1", host="h2")["status"] in {"ready", "failed"})
    made = cluster.call("GET", "images/sent:1", host="h2")
    assert made["status"] == "ready", made
    assert made["size"] > 3 << 20
    assert cluster.raw("GET", "images/sent:1", host="h1").status_code == 404
    for member in cluster.members.values():
        for folder in ("uploads", "images"):
            assert not list((member.bottle.root / "var/lib/cnm" / folder).glob("upload-*"))
    assert not list((cluster.members["h1"].bottle.root / "var/lib/cnm/uploads").iterdir())


def test_every_page_and_list_is_about_that_host(cluster: Cluster, browser: httpx.Client) -> None:
    for path in (
        "files",
        "exposure",
        "findings",
        "reachability",
        "drift",
        "images",
        "endpoints",
        "links",
        "operations",
        "captures",
        "terminals",
        "firewall/rules",
        "history",
    ):
        assert cluster.raw("GET", path, host="h2").status_code == 200, path
    rules = json.dumps(cluster.call("GET", "firewall/rules", host="h2", page_size=500))
    assert "CNM" in rules
    question = {"from": "box", "to": "192.0.2.1", "protocol": "icmp"}
    assert cluster.raw("POST", "firewall/trace", question, host="h2").status_code == 200
    asked = cluster.call("POST", "containers/box/exec", {"command": ["hostname"]}, host="h2")["result"]
    assert asked["stdout"].strip() == cluster.call("GET", "containers/box", host="h2")["id"][:12]
    lines = cluster.call("GET", "containers/box/files", host="h2")
    assert "127.0.0.1" in json.dumps(lines)
    both = cluster.call("GET", "topology")
    assert {row["name"] for row in both["hosts"]} == {"h1", "h2"}
    for page in ("", "containers/", "networks/", "topology/", "firewall/", "files/", "drift/", "operations/", "images/",
                 "firewall/trace/", "firewall/reachability/", "firewall/exposure/", "links/", "desired-state/", "activity/",
                 "host/", "containers/box/?tab=terminal", "containers/box/?tab=captures",
                 "containers/box/?tab=connectivity", "containers/box/?tab=endpoints"):  # fmt: skip
        assert browser.get(f"/{page}").status_code == 200, page


def test_the_docker_api_of_a_host_without_a_console_is_its_own(cluster: Cluster) -> None:
    member = cluster.members["h2"]
    member.serve_engine()
    transport = httpx.HTTPTransport(uds=str(member.bottle.root / "run/cnm/docker.sock"))
    with httpx.Client(transport=transport, base_url="http://docker", timeout=60) as docker:
        assert docker.get("/v1.43/info").json()["Name"]
        assert [row["Names"] for row in docker.get("/v1.43/containers/json").json()] == [["/box"]]
        made = docker.post("/v1.43/containers/create?name=made", json={"Image": "host", "Cmd": ["sleep", "1000"]})
        assert made.status_code == 201, made.text
        assert docker.post("/v1.43/containers/made/start").status_code == 204
        assert cluster.call("GET", "containers/made", host="h2")["state"] == "running"
        body = {"Cmd": ["echo", "hello"], "AttachStdout": True}
        session = docker.post("/v1.43/containers/made/exec", json=body).json()["Id"]
        ran = docker.post(f"/v1.43/exec/{session}/start", json={"Detach": False})
        assert b"hello" in ran.content
        logs = docker.get("/v1.43/containers/box/logs", params={"stdout": 1, "tail": 1}).content
        assert b"beat" in logs
        assert docker.delete("/v1.43/containers/made", params={"force": 1}).status_code == 204


def test_a_host_whose_process_is_away_is_named_at_once(cluster: Cluster) -> None:
    member = cluster.members["h2"]
    member.kill("sessions")
    try:
        refused = cluster.raw("GET", "containers/box/logs", host="h2")
        assert (refused.status_code, "host h2" in refused.text) == (503, True)
        assert refused.elapsed.total_seconds() < 5
    finally:
        member.start("sessions")
    cluster.until(lambda: cluster.raw("GET", "containers/box/logs", host="h2").status_code == 200)
