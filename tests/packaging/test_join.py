"""``make join`` on a fresh machine: it becomes a host of a console that runs elsewhere, and can be sent away again."""

from __future__ import annotations

import pytest

from tests.testlib.cluster import Cluster, plug_in

from .machine import built_machine

pytestmark = [pytest.mark.kernel, pytest.mark.long, pytest.mark.timeout(900)]
PORT = 8000


def test_a_fresh_machine_joins_and_is_sent_away() -> None:
    with Cluster(1) as cluster, built_machine() as machine:
        console = cluster.members["h1"]
        console.serve_tcp(PORT, console.address)
        machine.bottle.run(["ip", "link", "delete", "eth0"])
        plug_in(cluster.outside, machine.bottle, "h2", "192.0.2.22")
        before = machine.bottle.dump()
        where = {"CONSOLE": f"http://{console.address}:{PORT}", "CNM_HOST_NAME": "h2"}
        code, said = machine.type("join", where | {"CNM_JOIN_TOKEN": "cnmjoin_guessed"})
        assert code
        assert "speaks no TLS" in said
        where["CNM_JOIN_PLAIN"] = "true"
        code, said = machine.type("join", where | {"CNM_JOIN_TOKEN": "cnmjoin_guessed"})
        assert code
        assert "not known" in said
        token = cluster.call("POST", "hosts/join-tokens", {})["token"]
        machine.make("join", where | {"CNM_JOIN_TOKEN": token})
        assert "uvicorn" not in machine.processes()
        assert "redis-server" not in machine.processes()
        kept = machine.bottle.read("/etc/cnm/cnm.env")
        assert "CNM_CONSOLE=false" in kept
        assert token not in kept
        assert machine.bottle.run(["stat", "-c", "%a %U", "/etc/cnm/cnm.env"]).stdout.split() == ["640", "root"]
        there = cluster.hosts()["h2"]
        assert there["alive"]
        assert ["eth0", "192.0.2.22/24"] in there["addresses"]
        cluster.call("POST", "networks", {"name": "app", "driver": "overlay"}, host="h1")
        cluster.run("h1", "web", network="app")
        cluster.run("h2", "db", network="app")
        ways = cluster.call("GET", "containers/db", host="h2")["endpoints"]
        address = next(way["ipv4"] for way in ways if way["network"]["name"] == "app").partition("/")[0]
        cluster.until(lambda: cluster.pings("h1", "web", address), 10)
        assert cluster.raw("DELETE", "hosts/h2", force=1).status_code == 409, "it lives"
        cluster.call("DELETE", "containers/db", host="h2", force=1)
        machine.make("down")
        assert machine.bottle.dump() == before
        cluster.until(lambda: not cluster.hosts()["h2"]["alive"], 20)
        cluster.call("DELETE", "hosts/h2")
        assert set(cluster.hosts()) == {"h1"}
