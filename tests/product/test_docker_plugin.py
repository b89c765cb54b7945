"""A real Docker Engine beside the product, with networks of the product's: its containers and ours meet there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.product.conftest import Console
from tests.testlib.dockerd import PLUGIN, Dockerd
from tests.testlib.product import DOCKER_SOCKET, Product

pytestmark = pytest.mark.kernel
OURS = ("-d", "cnm", "--ipam-driver", "cnm")


class Both(Console):
    """The product, and the engine beside it."""

    def __init__(self, product: Product, engine: Dockerd) -> None:
        super().__init__(product)
        self.engine = engine

    def pings(self, container: str, address: str) -> bool:
        return bool(self.inside(container, "ping", "-c1", "-W2", address)["exit_code"] == 0)

    def names(self, kind: str) -> set[str]:
        return {row["name"] for row in self.get(kind, page_size=500)["results"]}

    def of_docker(self) -> list[dict[str, Any]]:
        return [row for row in self.get("containers", page_size=500)["results"] if row["kind"] == "docker"]

    def links(self) -> list[str]:
        """The host's links that are ours for an engine's containers, at both ends."""
        names = [
            line.split(": ")[1].split("@")[0] for line in self.bottle.run(["ip", "-o", "link"]).stdout.splitlines()
        ]
        return [name for name in names if name.startswith(("cv", "ci"))]

    def drifts(self) -> list[object]:
        """What a look of now finds."""
        self.call("POST", "drift/look")
        return list(self.get("drift")["results"])


@pytest.fixture(scope="module")
def shared() -> Iterator[Both]:
    with Product({"CNM_DOCKER_PLUGIN": PLUGIN}) as product:
        product.serve_engine()
        with Dockerd(product.bottle) as engine:
            yield Both(product, engine)


@pytest.fixture
def both(shared: Both) -> Iterator[Both]:
    """With nothing left of the test before."""
    yield shared
    engine = shared.engine
    names = engine.said("ps", "-aq").split()
    if names:
        engine.docker("rm", "-f", *names)
    for name in engine.said("network", "ls", "--filter", "driver=cnm", "-q").split():
        engine.docker("network", "rm", name)
    shared.tidy()


def test_containers_of_docker_and_ours_meet_on_one_network(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "--subnet", "10.30.0.0/24", "-o", "cnm.name=shop", "shop")
    assert both.get("networks/shop")["subnets"][0]["gateway"] == "10.30.0.1"
    both.run("web", network="shop")
    theirs = both.engine.run("api", "shop")
    assert theirs.startswith("10.30.0."), theirs
    assert both.pings("web", theirs)
    assert both.engine.pings("api", both.address("web"))
    (row,) = both.of_docker()
    assert row["state"] == "running", row
    assert both.drifts() == []

    both.engine.docker("rm", "-f", "api")
    assert both.of_docker() == []
    both.remove("web")
    assert both.links() == []
    both.engine.docker("network", "rm", "shop")
    assert "shop" not in both.names("networks")


def test_a_published_port_of_docker_is_ours_to_hold_and_to_explain(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
    serve = ("nc", "-ll", "-p", "80", "-e", "echo", "hello")
    theirs = both.engine.run("web", "lan", *serve, options=("-p", "8080:80"))
    assert both.connects_soon("192.0.2.2", 8080) == "hello"
    assert both.connects_soon("127.0.0.1", 8080, netns=None) == "hello"
    (row,) = both.of_docker()
    assert [(port["host_port"], port["container_port"]) for port in row["ports"]] == [(8080, 80)]
    (rule,) = [
        one for one in both.get("firewall/rules", q="DNAT", page_size=500)["results"] if f"{theirs}:80" in one["text"]
    ]
    assert rule["owner"]["kind"] == "port", rule
    assert "already" in both.engine.refused("run", "--rm", "--network", "bridge", "-p", "8080:80", "base:1", "true")
    assert "8080/tcp is held by container" in both.engine.refused(
        "run", "--rm", "--network", "lan", "-p", "8080:80", "base:1", "true"
    )
    both.engine.docker("stop", "-t", "0", "web")
    assert both.connects("192.0.2.2", 8080, timeout_s=1) is None
    assert both.of_docker() == []
    both.engine.docker("start", "web")
    assert both.connects_soon("192.0.2.2", 8080) == "hello"


def test_a_network_that_is_there_is_handed_to_docker_and_stays_when_docker_is_through(both: Both) -> None:
    both.network("shop", subnets=[{"subnet": "10.40.0.0/24", "gateway": "10.40.0.254"}])
    both.run("web", network="shop", ipv4="10.40.0.2")
    both.engine.docker("network", "create", *OURS, "--subnet", "10.40.0.0/24", "-o", "cnm.network=shop", "theirs")
    address = both.engine.run("api", "theirs")
    assert "default via 10.40.0.254 " in both.engine.inside("api", "ip", "route").stdout
    assert address not in {"10.40.0.2", "10.40.0.254"}
    assert both.pings("web", address)
    assert both.engine.pings("api", "192.0.2.1")  # by our gateway, translated by our rule
    both.run("late", network="shop")
    assert both.address("late") not in {address, "10.40.0.2"}
    assert "has active endpoints" in both.raw("DELETE", "networks/shop").text
    both.engine.docker("rm", "-f", "api")
    both.engine.docker("network", "rm", "theirs")
    assert both.get("networks/shop")["status"] == "ready"
    assert both.pings("web", both.address("late"))


def test_a_network_that_docker_forgets_while_ours_are_on_it_is_ours_from_then_on(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
    both.run("web", network="lan")
    assert "lan:" not in both.raw("GET", "topology", format="yaml").text
    both.engine.docker("network", "rm", "lan")
    assert both.get("networks/lan")["status"] == "ready"
    assert "lan:" in both.raw("GET", "topology", format="yaml").text


def test_an_address_of_ones_own_choice_is_kept_for_docker(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "--subnet", "10.50.0.0/24", "-o", "cnm.name=lan", "lan")
    both.run("web", network="lan", ipv4="10.50.0.7")
    assert "10.50.0.7 is in use by container web" in both.engine.refused(
        "run", "--network", "lan", "--ip", "10.50.0.7", "base:1", "true"
    )
    assert both.engine.run("api", "lan", options=("--ip", "10.50.0.9")) == "10.50.0.9"
    (endpoint,) = both.of_docker()[0]["endpoints"]
    assert endpoint["ipv4"] == "10.50.0.9/24"
    assert endpoint["mac"] in both.engine.inside("api", "ip", "link").stdout
    taken = both.raw("POST", "containers", {"name": "late", "network": "lan", "ipv4": "10.50.0.9"})
    assert taken.status_code == 409, taken.text


def test_a_container_of_docker_is_not_ours_to_change(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "lan")
    both.engine.run("api", "lan")
    assert both.until(lambda: [row["name"] for row in both.of_docker()] == ["api"]), "it is called as there, soon"
    (row,) = both.of_docker()
    for method, path, body in (
        ("POST", f"containers/{row['name']}/stop", {}),
        ("POST", f"containers/{row['name']}/restart", {}),
        ("POST", f"containers/{row['name']}/ports", {"ports": ["80:80"]}),
    ):
        answer = both.raw(method, path, body)
        assert answer.status_code == 409, (path, answer.text)
        assert "Docker Engine" in answer.text
    assert "api" not in both.raw("GET", "topology", format="yaml").text
    for path in ("containers/json?all=1", f"containers/{row['id']}/json", f"networks/{row['network_mode']}"):
        asked = ["curl", "-sSf", "--unix-socket", DOCKER_SOCKET, f"http://docker/{path}"]
        assert row["id"] in both.bottle.run(asked).stdout  # our own Docker API shows it
    assert both.drifts() == []


def test_refusals_are_in_dockers_form(both: Both) -> None:
    both.network("shop", subnets=[{"subnet": "10.60.0.0/24"}])
    refused = both.engine.refused
    assert "There is no network nowhere." in refused(
        "network", "create", *OURS, "--ipam-opt", "cnm.network=nowhere", "a"
    )
    assert "Give --subnet 10.60.0.0/24" in refused("network", "create", *OURS, "--ipam-opt", "cnm.network=shop", "a")
    assert "Take its own: " in refused("network", "create", *OURS, "-o", "cnm.network=shop", "a")
    assert "There is no network nowhere." in refused("network", "create", *OURS, "-o", "cnm.network=nowhere", "a")
    assert "overlaps 10.60.0.0/24" in refused("network", "create", *OURS, "--subnet", "10.60.0.0/16", "a")
    assert "cnm.colour is not known" in refused("network", "create", *OURS, "-o", "cnm.colour=blue", "a")
    assert "cannot be handed to a Docker Engine" in refused("network", "create", *OURS, "-o", "cnm.driver=null", "a")
    assert "shop" in both.names("networks")
    assert both.engine.said("network", "ls", "--filter", "driver=cnm", "-q") == ""


def test_a_restart_of_ours_in_the_middle_takes_nothing_from_docker(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
    both.run("web", network="lan")
    first = both.engine.run("first", "lan")
    for name in ("engine", "kernel", "monitor"):
        both.product.restart(name)
    assert both.pings("web", first)
    second = both.engine.run("second", "lan")  # the engine connects anew, and waits while nobody listens
    assert second != first
    assert both.pings("web", second)
    assert both.engine.pings("first", second)
    assert both.drifts() == []
    both.engine.docker("rm", "-f", "first", "second")
    assert both.of_docker() == []


def test_an_engine_that_crashed_takes_back_what_it_had(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
    both.run("web", network="lan")
    before = both.engine.run("api", "lan")
    both.engine.stop("KILL")
    assert len(both.of_docker()) == 1
    both.engine.start()
    both.until(lambda: both.of_docker() == [])
    assert both.of_docker() == []
    assert both.links() == [name for name in both.links() if name.startswith("cv")]
    both.engine.docker("start", "api")
    after = both.engine.address("api", "lan")
    assert both.pings("web", after), (before, after)


def test_a_container_of_docker_is_known_by_the_name_that_docker_calls_it(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
    both.run("web", network="lan")
    address = both.engine.run("api", "lan")
    both.engine.run("web", "lan")  # ours has the name already
    assert both.until(lambda: {row["name"] for row in both.of_docker()} == {"api", "web.docker"})
    assert both.until(lambda: address in both.inside("web", "busybox", "nslookup", "api.")["stdout"])
    both.engine.docker("rename", "api", "backend")
    assert both.until(lambda: {row["name"] for row in both.of_docker()} == {"backend", "web.docker"})
    assert both.until(lambda: both.inside("web", "busybox", "nslookup", "backend.")["exit_code"] == 0)


def test_a_container_of_docker_on_two_networks_is_one(both: Both) -> None:
    for name in ("front", "back"):
        both.engine.docker("network", "create", *OURS, "-o", f"cnm.name={name}", name)
        both.run(f"on-{name}", network=name)
    addresses = {"front": both.engine.run("api", "front", options=("-p", "8081:80"))}
    both.engine.docker("network", "connect", "back", "api")
    addresses["back"] = both.engine.address("api", "back")
    (row,) = both.of_docker()
    assert {one["network"]["name"]: one["ipv4"].partition("/")[0] for one in row["endpoints"]} == addresses
    for name, address in addresses.items():
        assert both.pings(f"on-{name}", address)
    assert both.drifts() == []
    both.engine.docker("network", "disconnect", "front", "api")
    (row,) = both.of_docker()
    assert [one["network"]["name"] for one in row["endpoints"]] == ["back"]
    assert both.pings("on-back", addresses["back"])
    assert len(row["ports"]) == 1  # the engine leads it outside by the other network now
    both.engine.docker("rm", "-f", "api")
    assert both.of_docker() == []


def test_a_container_of_docker_has_both_families(both: Both) -> None:
    ranges = ("--subnet", "10.70.0.0/24", "--ipv6", "--subnet", "fd00:70::/64")
    both.engine.docker("network", "create", *OURS, *ranges, "-o", "cnm.name=lan", "lan")
    both.run("web", network="lan")
    both.engine.run("api", "lan")
    theirs = both.engine.inspected("container", "api")["NetworkSettings"]["Networks"]["lan"]["GlobalIPv6Address"]
    assert theirs.startswith("fd00:70::"), theirs
    assert both.inside("web", "ping", "-6", "-c1", "-W2", theirs)["exit_code"] == 0


def test_a_trace_goes_into_the_sandbox_of_a_container_of_docker(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
    both.run("web", network="lan")
    both.engine.run("api", "lan")
    assert both.until(lambda: {row["name"] for row in both.of_docker()} == {"api"})
    ways = (("web", "api"), ("api", "web"), ("api", "192.0.2.1"))

    def traced() -> bool:
        found = [both.raw("GET", "firewall/trace", **{"from": one, "to": other, "port": 80}) for one, other in ways]
        return [answer.status_code == 200 and answer.json()["verdict"] for answer in found] == ["allowed"] * 3

    assert both.until(traced)
    assert both.raw("GET", "reachability").status_code == 200
    answer = both.raw("POST", "firewall/verify", {"from": "api", "to": "web", "protocol": "icmp"})
    assert "Docker Engine" in answer.text


def test_whoever_gives_the_addresses_nobody_has_another(both: Both) -> None:
    for name, ipam in (("docker", ()), ("nobody", ("--ipam-driver", "null"))):
        both.engine.docker("network", "create", "-d", "cnm", *ipam, "-o", f"cnm.name={name}", name)
        both.engine.run("api", name)
        both.run(f"on-{name}", network=name)
        (row,) = both.of_docker()
        address = row["endpoints"][0]["ipv4"].partition("/")[0]
        assert address != both.address(f"on-{name}")
        assert both.pings(f"on-{name}", address)
        both.engine.docker("rm", "-f", "api")


def test_an_internal_network_leads_nobody_outside(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "--internal", "-o", "cnm.name=inner", "inner")
    assert both.get("networks/inner")["internal"]
    both.run("web", network="inner")
    address = both.engine.run("api", "inner")
    assert both.pings("web", address)
    assert "default" not in both.engine.inside("api", "ip", "route").stdout
    assert not both.engine.pings("api", "192.0.2.1")


def test_many_containers_of_docker_come_and_go_at_once(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
    names = [f"c{number}" for number in range(6)]
    with ThreadPoolExecutor(len(names)) as pool:
        addresses = list(pool.map(lambda name: both.engine.run(name, "lan"), names))
    assert len(set(addresses)) == len(names)
    both.run("web", network="lan")
    assert all(both.pings("web", address) for address in addresses)
    assert both.drifts() == []
    both.engine.docker("rm", "-f", *names)
    assert both.of_docker() == []


def test_the_socket_goes_with_its_process(both: Both) -> None:
    both.product.signal("engine", "TERM")
    both.product.process("engine").wait(timeout=30)
    assert both.bottle.run(["test", "-e", PLUGIN], check=False).returncode
    both.product.serve_engine()
    assert both.bottle.run(["stat", "-c", "%a %u", PLUGIN]).stdout.split() == ["600", "0"]


def test_at_a_boot_the_engine_waits_for_us_and_its_containers_come_back() -> None:
    with Product({"CNM_DOCKER_PLUGIN": PLUGIN}) as product:
        product.serve_engine()
        with Dockerd(product.bottle) as engine:
            both = Both(product, engine)
            engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
            both.run("web", network="lan", restart_policy="always")
            engine.run("api", "lan", options=("--restart", "always"))
            product.reboot()
            engine.bottle = product.bottle
            product.start("engine")
            engine.begin()  # both at once, as at a boot without an order
            engine.wait()
            assert both.until(lambda: [row["state"] for row in both.of_docker()] == ["running"], within_s=60), (
                engine.log()
            )
            assert both.until(lambda: both.pings("web", engine.address("api", "lan")))


def test_a_call_waits_for_a_worker_that_is_on_its_way(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
    both.run("web", network="lan")
    both.product.kill("kernel")
    both.product.age_heartbeat()
    with ThreadPoolExecutor(1) as pool:
        address = pool.submit(both.engine.run, "api", "lan")
        both.product.restart("kernel")
        assert both.pings("web", address.result())


def test_a_link_that_cannot_be_made_is_dockers_failure_and_leaves_nothing(both: Both) -> None:
    both.engine.docker("network", "create", *OURS, "-o", "cnm.name=lan", "lan")
    bridge = both.get("networks/lan")["bridge"]
    both.bottle.run(["ip", "link", "del", bridge])
    both.bottle.run(["ip", "link", "add", bridge, "type", "veth", "peer", "name", "other"])  # no bridge any more
    said = both.engine.refused("run", "--name", "api", "--network", "lan", "base:1", "true")
    assert f"there is no bridge {bridge}" in said
    assert both.of_docker() == []
    assert both.links() == []
    both.bottle.run(["ip", "link", "del", bridge])
    both.call("POST", "drift/repair")
    assert both.until(lambda: both.drifts() == [])
    both.engine.docker("start", "api")
    both.engine.docker("rm", "-f", "api")
    assert both.of_docker() == []
