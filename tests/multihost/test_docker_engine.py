"""A Docker Engine on one of two hosts, with an overlay network of ours: its containers are reached from the other host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testlib.cluster import Cluster
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
        theirs = engine.run("api", "app")
        cluster.until(lambda: engine.pings("api", address))
        cluster.until(lambda: cluster.pings("h1", "web", theirs))
        (row,) = [one for one in cluster.call("GET", "containers", host="h2")["results"] if one["kind"] == "docker"]
        assert row["endpoints"][0]["network"]["name"] == "app"
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
