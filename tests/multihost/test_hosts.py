"""A host that comes, is drained, is taken up again and goes, with its kernel and its disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.testlib.bottle import REPOSITORY
from tests.testlib.cluster import Cluster

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(3) as made:
        made.call("POST", "networks", {"name": "app", "driver": "overlay"}, host="h1")
        made.run("h1", "on-h1", network="app")
        yield made


def known(cluster: Cluster, host: str, address: str) -> bool:
    return f"{address} " in cluster.members[host].bottle.run(["ip", "neigh", "show", "nud", "permanent"]).stdout


def test_a_host_is_drained_taken_up_again_and_let_go(cluster: Cluster) -> None:
    member = cluster.members["h2"]
    bottle = member.bottle
    made = cluster.run("h2", "db", network="app", ports=[{"host_port": 8080, "container_port": 80}])
    there = str(next(way["ipv4"] for way in made["endpoints"] if way["network"]["name"] == "app")).partition("/")[0]
    cluster.until(lambda: known(cluster, "h1", there))

    shown = cluster.call("POST", "hosts/h2/drain", {}, dry_run=1)
    told = [f"{step['action']} {step['text']}" for step in shown["plan"]["steps"]]
    assert any(made["sandbox"] in step for step in told)
    assert any("neigh" in step["text"] for step in shown["elsewhere"]["h1"]["steps"])
    assert bottle.run(["ip", "netns", "list"]).stdout.count("cnm-"), "nothing of it was done"

    assert cluster.call("POST", "hosts/h2/drain", {})["drained"]
    assert cluster.call("GET", "containers/db", host="h2")["state"] == "exited"
    assert "cnm-" not in bottle.run(["ip", "netns", "list"]).stdout
    assert "cx" not in bottle.run(["ip", "-o", "link", "show", "type", "vxlan"]).stdout
    cluster.until(lambda: not known(cluster, "h1", there))
    refused = cluster.raw("POST", "containers", {"command": ["sleep", "9"]}, host="h2")
    assert (refused.status_code, "is drained" in refused.text) == (409, True)
    drains = cluster.call("GET", "operations", host="h2", verb="host.drain")["results"]
    assert [(row["state"], row["done_steps"] > 0) for row in drains] == [("done", True)]

    assert not cluster.call("POST", "hosts/h2/activate", {"start": True})["drained"]
    assert cluster.call("GET", "containers/db", host="h2")["state"] == "running"
    cluster.until(lambda: known(cluster, "h1", there))

    assert cluster.raw("DELETE", "hosts/h2").status_code == 409
    cluster.call("POST", "hosts/h2/drain", {})
    gone = cluster.raw("DELETE", "hosts/h2")
    assert gone.status_code == 204, f"{gone.text}\n{cluster.logs()}"
    assert "h2" not in cluster.hosts()
    assert "cnm" not in bottle.run(["ip", "-o", "link"]).stdout
    assert "CNM" not in bottle.run(["sh", "-c", "iptables-save; ip6tables-save; nft list ruleset"]).stdout
    assert not list((bottle.root / "var/lib/cnm/containers").iterdir()), "their files went with them"
    assert cluster.raw("GET", "containers/db", host="h2").status_code == 404
    again = bottle.run(
        [sys.executable, str(REPOSITORY / "manage.py"), "bootstrap"],
        env=member.env | {"CNM_CONSOLE": "false"},
        check=False,
    )
    assert (again.returncode, "make join" in again.stderr) == (1, True), "it does not come back unasked"
    assert "h2" not in cluster.hosts()


def test_what_a_lost_host_leaves_behind_is_named_and_goes_with_make_down(cluster: Cluster) -> None:
    member = cluster.members["h3"]
    made = cluster.run("h3", "left", network="app")
    for name in ("kernel", "slow", "monitor"):
        member.kill(name)
    cluster.members["h1"].age_heartbeat()
    cluster.until(lambda: cluster.hosts()["h1"]["alive"])
    assert not cluster.hosts()["h3"]["alive"]
    assert cluster.raw("DELETE", "hosts/h3").status_code == 409
    shown = cluster.call("DELETE", "hosts/h3", dry_run=1, force=1)
    assert shown["plan"]["steps"] == []
    behind = [step["text"] for step in shown["stays_behind"]["steps"]]
    assert any(made["sandbox"] in text for text in behind)
    assert cluster.raw("DELETE", "hosts/h3", force=1).status_code == 204
    assert "h3" not in cluster.hosts()
    assert made["sandbox"] in member.bottle.run(["ip", "netns", "list"]).stdout, "nobody was there to take it away"
    member.bottle.run([sys.executable, "-m", "worker.down"], env=member.env, timeout=60)
    assert "cnm" not in member.bottle.run(["ip", "netns", "list"]).stdout
    assert "cnm" not in member.bottle.run(["ip", "-o", "link"]).stdout
    assert "CNM" not in member.bottle.run(["sh", "-c", "iptables-save; ip6tables-save; nft list ruleset"]).stdout
