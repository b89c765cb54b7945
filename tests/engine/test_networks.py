"""``docker network …`` with the real command."""

from __future__ import annotations

import json

import pytest

from tests.engine.conftest import Docker

pytestmark = pytest.mark.kernel


def test_version_info_and_ping(cli: Docker) -> None:
    assert cli.said("version", "--format", "{{.Server.Os}} {{.Server.MinAPIVersion}}") == "linux 1.24"
    info = json.loads(cli.said("info", "--format", "{{json .}}"))
    assert (
        info["OSType"],
        info["Swarm"]["LocalNodeState"],
        info.get("ServerErrors"),
    ) == (
        "linux",
        "inactive",
        None,
    )
    assert "Server Version" in cli.said("info")


def test_a_network_is_made_with_every_flag_shown_and_removed(cli: Docker) -> None:
    flags = [
        "--driver",
        "bridge",
        "--subnet",
        "10.61.0.0/24",
        "--gateway",
        "10.61.0.254",
        "--ip-range",
        "10.61.0.128/25",
    ]
    flags += [
        "--aux-address",
        "printer=10.61.0.5",
        "--attachable",
        "--internal",
        "--label",
        "team=blue",
        "--label",
        "bare",
    ]
    flags += ["--opt", "com.docker.network.driver.mtu=1400", "--ipv6", "--subnet", "fd00:61::/64"]
    made = cli.said("network", "create", *flags, "lan")
    shown = cli.inspected("network", "lan")
    assert shown["Id"] == made
    config = {item["Subnet"]: item for item in shown["IPAM"]["Config"]}  # the command line sends them in any order
    assert config["10.61.0.0/24"] == {
        "Subnet": "10.61.0.0/24",
        "IPRange": "10.61.0.128/25",
        "Gateway": "10.61.0.254",
        "AuxiliaryAddresses": {"printer": "10.61.0.5"},
    }
    assert set(config) == {"10.61.0.0/24", "fd00:61::/64"}
    assert (shown["Internal"], shown["Attachable"], shown["EnableIPv6"]) == (True, True, True)
    assert shown["Labels"] == {"team": "blue", "bare": ""}
    assert shown["Options"] == {"com.docker.network.driver.mtu": "1400"}
    assert cli.get("networks/lan")["created_by"] == "root"
    (activity,) = [row for row in cli.get("activity")["results"] if row["verb"] == "network.create"][:1]
    assert (activity["actor"], activity["via"]) == ("root", "docker")
    assert cli.said("network", "rm", made[:12]) == made[:12]
    assert cli.raw("GET", "networks/lan").status_code == 404


def test_networks_are_listed_by_filters(cli: Docker) -> None:
    cli.said("network", "create", "--label", "team=blue", "app")
    cli.said("network", "create", "--label", "team=red", "shop")

    def names(*filters: str) -> list[str]:
        words = [word for item in filters for word in ("--filter", item)]
        return cli.said("network", "ls", "--format", "{{.Name}}", *words).split()

    assert names() == ["app", "bridge", "host", "none", "shop"]
    assert names("driver=bridge") == ["app", "bridge", "shop"]
    assert names("driver=null", "driver=host") == ["host", "none"]
    assert names("type=custom") == ["app", "shop"]
    assert names("type=builtin", "name=o") == ["host", "none"]
    assert names("label=team=blue") == ["app"]
    assert names("label=team") == ["app", "shop"]
    assert names("name=sh", "name=ap") == ["app", "shop"]
    assert names("scope=swarm") == []
    assert names("dangling=true") == ["app", "shop"]
    assert names("id=" + cli.get("networks/app")["id"][:8]) == ["app"]
    assert "Invalid filter 'nosuch'" in cli.refused("network", "ls", "--filter", "nosuch=1")
    assert "invalid filter: 'type'='x'" in cli.refused("network", "ls", "--filter", "type=x")


def test_refusals_are_dockers_own(cli: Docker) -> None:
    cli.said("network", "create", "--subnet", "10.62.0.0/24", "app")
    assert "network with name app already exists" in cli.refused("network", "create", "app")
    assert "operation is not permitted on predefined bridge network" in cli.refused("network", "create", "bridge")
    assert 'only one instance of "host" network is allowed' in cli.refused("network", "create", "-d", "host", "h2")
    assert 'plugin "nosuch" not found' in cli.refused("network", "create", "-d", "nosuch", "x")
    clash = cli.refused("network", "create", "--subnet", "10.62.0.128/25", "other")
    assert "Pool overlaps with other one on this address space" in clash
    assert "bridge is a pre-defined network and cannot be removed" in cli.refused("network", "rm", "bridge")
    for verb in ("rm", "inspect"):
        said = cli.refused("network", verb, "nosuch")
        assert "network nosuch not found" in said or "No such network: nosuch" in said  # as Debian 12's client says it
    assert "not supported" in cli.refused("network", "create", "--config-only", "conf")
    assert "not supported" in cli.refused("swarm", "init")
    assert "network nosuch not found" in cli.refused("network", "connect", "nosuch", "x")
    assert "No such container: nosuch" in cli.refused("network", "connect", "app", "nosuch")


def test_containers_are_connected_disconnected_and_what_is_unused_pruned(cli: Docker) -> None:
    cli.said("network", "create", "--subnet", "10.63.0.0/24", "lan")
    cli.said("network", "create", "--label", "keep=1", "kept")
    cli.said("network", "create", "idle")
    cli.run("web", network="kept")
    cli.run("db", network="lan")
    cli.said("network", "connect", "--ip", "10.63.0.77", "--alias", "www", "--link", "db:base", "lan", "web")
    ends = {item["network"]["name"]: item for item in cli.get("containers/web")["endpoints"]}
    assert (ends["lan"]["ipv4"], ends["lan"]["aliases"]) == ("10.63.0.77/24", ["www"])
    assert [link["alias"] for link in cli.get("containers/web")["links"]] == ["base"]
    members = cli.inspected("network", "lan")["Containers"]
    assert {item["Name"]: item["IPv4Address"] for item in members.values()}["web"] == "10.63.0.77/24"
    again = cli.refused("network", "connect", "lan", "web")
    assert "endpoint with name web already exists in network lan" in again
    busy = cli.refused("network", "rm", "lan")
    assert f"network lan id {cli.get('networks/lan')['id']} has active endpoints" in busy
    cli.said("network", "disconnect", "lan", "web")
    left = cli.refused("network", "disconnect", "lan", "web")
    assert f"container {cli.get('containers/web')['id']} is not connected to network lan" in left
    cli.said("network", "connect", "lan", "web")
    pruned = cli.said("network", "prune", "-f", "--filter", "label!=keep")
    assert pruned.splitlines()[-1] == "idle"
    assert cli.raw("GET", "networks/kept").status_code == 200
