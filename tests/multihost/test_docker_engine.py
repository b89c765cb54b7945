"""A Docker Engine on one of two hosts, with an overlay network of ours: its containers are reached from the other host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testlib.cluster import OUTSIDE, Cluster
from tests.testlib.dockerd import PLUGIN, Dockerd

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(2) as made:
        yield made


def test_a_container_of_docker_is_on_an_overlay_network_with_ours_on_another_host(cluster: Cluster) -> None:
    member = cluster.members["h2"]
    member.env["CNM_DOCKER_PLUGIN"] = PLUGIN
    member.restart("engine")
    cluster.call("POST", "networks", {"name": "app", "driver": "overlay"}, host="h1")
    address = cluster.run("h1", "web", network="app")["endpoints"][0]["ipv4"].partition("/")[0]
    with Dockerd(member.bottle) as engine:
        there = ("--ipam-opt", "cnm.network=app", "-o", "cnm.network=app")
        engine.docker("network", "create", "-d", "cnm", "--ipam-driver", "cnm", *there, "app")
        serve = ("nc", "-ll", "-p", "80", "-e", "echo", "hello")
        theirs = engine.run("api", "app", *serve, options=("-p", "8085:80"))
        cluster.until(lambda: engine.pings("api", address))
        cluster.until(lambda: cluster.pings("h1", "web", theirs))
        (row,) = [one for one in cluster.call("GET", "containers", host="h2")["results"] if one["kind"] == "docker"]
        assert row["endpoints"][0]["network"]["name"] == "app"
        assert engine.pings("api", OUTSIDE)  # by the engine's own docker_gwbridge, which publishes its ports, too
        asked = ["busybox", "timeout", "3", "busybox", "nc", "-w", "3", member.address, "8085"]
        assert cluster.until(lambda: cluster.outside.run(asked, check=False, input="").stdout.strip()) == "hello"
        cluster.run("h2", "near", network="app")
        assert cluster.pings("h2", "near", theirs)

        made = ("--ipam-opt", "cnm.driver=overlay", "-o", "cnm.driver=overlay", "-o", "cnm.name=wide")
        engine.docker("network", "create", "-d", "cnm", "--ipam-driver", "cnm", *made, "wide")
        other = engine.run("other", "wide")
        cluster.run("h1", "far", network="wide")
        cluster.until(lambda: cluster.pings("h1", "far", other))
        cluster.call("DELETE", "containers/far", host="h1", force=1)

        engine.docker("rm", "-f", "api", "other")
        engine.docker("network", "rm", "app", "wide")
        assert not [one for one in cluster.call("GET", "containers", host="h2")["results"] if one["kind"] == "docker"]
        assert [
            one["name"] for one in cluster.call("GET", "networks", host="h1")["results"] if one["driver"] == "overlay"
        ] == ["app"]
