"""Links, files and names on the whole product: what real processes read, while sources come and go."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from .conftest import Console

pytestmark = pytest.mark.kernel

# Looks at hosts files without pause. ``expected`` holds the address that the last answered operation left, or "-" (for a moment:
# nothing) while one is on its way: a look that began and ended under one address must show that one. All else are known lines.
READER = """
import json, os, pathlib, re, sys
expected, stop, *paths = map(pathlib.Path, sys.argv[1:])
known = {path: set(path.read_text().splitlines()) for path in paths}
source = re.compile(r"172\\.17\\.\\d{1,3}\\.\\d{1,3}\\tdb dbhost\\Z")
looks, torn, stale, seen = 0, [], [], set()
print("ready", flush=True)
while not stop.exists():
    for path in paths:
        before = expected.read_text()
        text = os.pread(descriptor := os.open(path, os.O_RDONLY), 1 << 16, 0).decode()
        os.close(descriptor)
        after = expected.read_text()
        looks += 1
        lines = text.rstrip("\\n").split("\\n")
        named = [line for line in lines if source.match(line)]
        torn += [text] if [line for line in lines if line not in known[path] and line not in named] else []
        seen |= {line.split("\\t")[0] for line in named}
        if before == after and len(before) > 1 and [line.split("\\t")[0] for line in named] != [before]:
            stale.append((before, text))
print(json.dumps({"looks": looks, "torn": torn[:5], "stale": stale[:5], "seen": sorted(seen)}))
"""


def move(console: Console, name: str) -> str:
    """Restart *name* at another address, as when another container took its own meanwhile."""
    console.call("POST", f"containers/{name}/stop", {"timeout": 0})
    console.product.forget_addresses()
    console.call("POST", f"containers/{name}/start")
    return console.address(name)


def paths_of(console: Console, names: list[str]) -> list[str]:
    return [f"/var/lib/cnm/containers/{console.get(f'containers/{name}')['id']}/hosts" for name in names]


@contextmanager
def reading(console: Console, paths: list[str]) -> Iterator[dict[str, Any]]:
    """A reader without pause over *paths*; what it found is in the mapping afterwards."""
    found: dict[str, Any] = {}
    console.bottle.run(["sh", "-c", "rm -f /run/stop; printf %s - > /run/expected"])
    reader = console.bottle.popen([sys.executable, "-c", READER, "/run/expected", "/run/stop", *paths])
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    try:
        yield found
    finally:
        console.bottle.run(["touch", "/run/stop"])
        out, _ = reader.communicate(timeout=60)
        found |= json.loads(out)


def storm(console: Console, restarts: int, recipients: int) -> None:
    """Restart a source at another address again and again; no reader ever sees a torn line, nor a stale one after the answer."""
    console.run("db", kind="sandbox", command=[], hostname="dbhost")
    names = [f"r{number}" for number in range(recipients)]
    bodies = [{"name": name, "kind": "sandbox", "links": ["db"]} for name in names]
    console.call("POST", "bulk", {"containers": bodies})
    addresses = []
    with reading(console, paths_of(console, names)) as found:
        for _ in range(restarts):
            console.bottle.run(["sh", "-c", "printf %s - > /run/expected"])
            addresses.append(move(console, "db"))
            console.bottle.run(["sh", "-c", f"printf %s {addresses[-1]} > /run/expected"])
            time.sleep(0.05)  # so that the reader comes by
    assert all(one != other for one, other in pairwise(addresses))
    assert found["torn"] == []
    assert found["stale"] == []
    assert set(found["seen"]) >= set(addresses[1:]), "the reader saw every address"


def test_a_few_restarts_leave_no_torn_and_no_stale_line(console: Console) -> None:
    storm(console, restarts=5, recipients=6)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_storm_of_a_hundred_restarts_leaves_no_torn_and_no_stale_line(console: Console) -> None:
    storm(console, restarts=100, recipients=20)


def test_a_process_inside_resolves_its_source_at_once_at_its_new_address(console: Console) -> None:
    console.run("db", hostname="dbhost", exposed_ports=["5432/tcp"])
    console.run("web", links=["db:database"])
    before = console.address("db")

    def asked(name: str) -> str:
        done = console.call("POST", "containers/web/exec", {"command": ["getent", "hosts", name]})
        return str(done["result"]["stdout"]).split()[0]

    assert asked("database") == asked("dbhost") == before
    after = move(console, "db")
    assert asked("database") == asked("dbhost") == asked("db") == after != before
    variables = {item["name"]: item for item in console.get("containers/web/environment")["links"]}
    port = variables["DATABASE_PORT_5432_TCP"]
    assert (port["at_start"], port["now"]) == (f"tcp://{before}:5432", f"tcp://{after}:5432")
    assert port["stale"]
    assert not variables["DATABASE_NAME"]["stale"]
    environment = console.bottle.run(["cat", f"/proc/{console.get('containers/web')['pid']}/environ"]).stdout
    assert f"DATABASE_PORT_5432_TCP=tcp://{before}:5432" in environment.split("\0")
    console.call("POST", "containers/web/restart", {"timeout": 0})
    assert not any(item["stale"] for item in console.get("containers/web/environment")["links"])


def test_what_a_process_inside_writes_into_its_files_is_seen_and_a_restart_takes_it_back(console: Console) -> None:
    console.run("web")
    command = "echo 192.0.2.66 mine >> /etc/hosts; echo nameserver 198.51.100.1 > /etc/resolv.conf"
    console.call("POST", "containers/web/exec", {"command": ["sh", "-c", command]})

    def files() -> dict[str, Any]:
        return {item["name"]: item for item in console.get("containers/web/files/lines")["results"]}

    assert console.until(lambda: files()["hosts"]["drifted"] and files()["resolv.conf"]["edited"])
    assert [line["text"] for line in files()["hosts"]["lines"] if line["origin"] == "foreign"] == ["192.0.2.66 mine"]
    assert [line["text"] for line in files()["resolv.conf"]["lines"]] == ["nameserver 198.51.100.1"]
    (told,) = console.get("names", name="mine")["results"]
    assert [answer["address"] for answer in told["answers"]] == ["192.0.2.66"]
    assert told["asks"] == [], "its hosts file has answered"
    (told,) = console.get("names", name="elsewhere")["results"]
    assert told["asks"] == ["198.51.100.1"]
    drift = [row for row in console.get("drift")["results"] if row["resource_kind"] == "file"]
    assert [row["owner"]["name"] for row in drift] == ["web"], "an edited resolv.conf is no drift"
    console.network("other")
    console.call("POST", "networks/other/connect", {"container": "web"})
    seen = console.call("POST", "containers/web/exec", {"command": ["cat", "/etc/resolv.conf"]})["result"]["stdout"]
    assert seen.strip() == "nameserver 198.51.100.1", "other changes leave it alone"
    console.call("POST", "containers/web/restart", {"timeout": 0})
    assert console.until(lambda: not files()["hosts"]["drifted"] and not files()["resolv.conf"]["edited"])


def test_removing_a_source_with_force_takes_its_line_from_every_recipient(console: Console) -> None:
    console.run("db")
    console.run("other")
    console.run("web", links=["db", "other"])
    refused = console.raw("DELETE", "containers/db")
    assert refused.status_code == 409
    assert "linked to by web" in refused.json()["detail"]
    console.remove("db")
    (path,) = paths_of(console, ["web"])
    lines = console.bottle.run(["cat", path]).stdout.splitlines()
    assert [line.split("\t")[1].split()[0] for line in lines[6:]] == [
        "other",
        console.get("containers/web")["short_id"],
    ]
    assert [link["alias"] for link in console.get("containers/web")["links"]] == ["other"]
