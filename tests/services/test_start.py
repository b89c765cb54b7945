"""What a start decides before the worker runs: the default bridge, what is refused, who starts again."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network
from typing import Any

import pytest

from networks.cnm.errors import Conflict, InvalidSpec, Unavailable, Unsupported
from networks.cnm.facts import Feature, HostFacts
from networks.cnm.text import Text
from networks.models import Container, Host, Lease, Network, Operation
from networks.services import containers, networks
from networks.services.boot import start_stopped
from networks.services.spec_container import read_container
from tests.testlib.world import OPERATOR, World

DOCKERS = HostFacts(addresses=(("docker0", ip_interface("172.17.0.1/16")),), onlink=(ip_network("172.18.0.0/16"),))
NO_FILTERING = HostFacts(
    features=(Feature(key="bridge-nf", present=False, detail=Text("No filtering."), remedy=Text("Load br_netfilter.")),)
)


@pytest.fixture
def bridge(settings: Any) -> dict[str, Any]:
    """The environment's default bridge, to be changed by a test."""
    settings.DEFAULT_BRIDGE = dict(settings.DEFAULT_BRIDGE)
    return settings.DEFAULT_BRIDGE  # type: ignore[no-any-return]


def subnet() -> tuple[str, str, str]:
    row = Network.objects.get(name="bridge").subnets.get()
    return row.cidr, row.gateway, row.ip_range


@pytest.mark.django_db
def test_the_first_start_takes_a_subnet_that_the_host_does_not_have() -> None:
    networks.ensure_defaults(Host.objects.create(name="new", settings={"names": "cnm"}), DOCKERS)
    assert subnet()[:2] == ("172.19.0.0/16", "172.19.0.1")


@pytest.mark.django_db
def test_a_fixed_range_alone_is_the_subnet(bridge: dict[str, Any]) -> None:
    bridge["fixed_cidr"] = "10.9.0.0/24"
    networks.ensure_defaults(Host.objects.create(name="new", settings={"names": "cnm"}), HostFacts())
    assert subnet() == ("10.9.0.0/24", "10.9.0.1", "10.9.0.0/24")


@pytest.mark.parametrize(
    ("bip", "fixed", "kind", "words"),
    [
        ("172.17.9.1/24", "", Conflict, "which belongs to the host's device docker0"),
        ("172.18.0.1/24", "", Conflict, "which belongs to a route of the host"),
        ("10.1.0.0/24", "", InvalidSpec, "is the network or broadcast address"),
        ("10.1.0.1/24", "10.2.0.0/25", InvalidSpec, "is not inside the subnet"),
        ("127.0.0.1/8", "", InvalidSpec, "cannot be a network of containers"),
    ],
)
def test_an_address_that_the_bridge_cannot_have_is_refused(
    world: World, bridge: dict[str, Any], bip: str, fixed: str, kind: type[Exception], words: str
) -> None:
    before = subnet()
    bridge.update(bip=bip, fixed_cidr=fixed)
    with pytest.raises(kind, match=words) as refused:
        networks.ensure_defaults(world.host, DOCKERS)
    assert str(refused.value.field).startswith("CNM_BIP")  # type: ignore[attr-defined]
    assert subnet() == before


def test_the_default_bridge_does_not_move_away_from_under_running_containers(
    world: World, bridge: dict[str, Any]
) -> None:
    container = world.container("web")
    bridge["bip"] = "10.1.0.1/24"
    with pytest.raises(Conflict, match=r"from 172.17.0.1/16 to 10.1.0.1/24: web have addresses there"):
        networks.ensure_defaults(world.host)
    assert subnet()[0] == "172.17.0.0/16"

    containers.stop_container(OPERATOR, container)
    world.work()
    networks.ensure_defaults(world.host)
    assert subnet()[0] == "10.1.0.0/24"
    assert not Lease.objects.filter(address__startswith="172.17.").exists()
    container.refresh_from_db()
    containers.start_container(OPERATOR, container)
    assert container.endpoints.get().ipv4 == "10.1.0.2/24"


def test_icc_false_is_refused_where_bridged_packets_meet_no_rules(world: World, bridge: dict[str, Any]) -> None:
    bridge["icc"] = False
    with pytest.raises(Unsupported, match="No filtering") as refused:
        networks.ensure_defaults(world.host, NO_FILTERING)
    assert refused.value.field == "CNM_ICC"
    assert str(refused.value.remedy) == "Load br_netfilter."
    world.host.settings["iptables"] = False
    networks.ensure_defaults(world.host, NO_FILTERING)


@pytest.mark.parametrize(
    ("spec", "key", "field"),
    [
        ({"memory": 2**26}, "limit.memory", "memory"),
        ({"cpus": 0.5}, "limit.cpu", "cpus"),
        ({"pids_limit": 9}, "limit.pids", "pids_limit"),
        ({"init": True}, "program.init", "init"),
        ({"ports": ["80:80", {"container_port": 81, "host_address": "::1"}]}, "ipv6", "ports.1"),
    ],
)
def test_what_the_host_cannot_keep_is_refused_up_front(
    world: World, spec: dict[str, Any], key: str, field: str
) -> None:
    world.host.facts = {"features": [{"key": key, "present": False, "detail": "It is missing.", "remedy": "Get it."}]}
    world.host.save()
    with pytest.raises(Unsupported, match="It is missing") as refused:
        world.container("web", **spec)
    assert (refused.value.field, str(refused.value.remedy)) == (field, "Get it.")
    assert not Container.objects.exists()
    world.container("plain")


def test_always_starts_again_with_the_product_and_unless_stopped_does_not(world: World) -> None:
    for policy in ("always", "unless-stopped", "no"):
        container = world.container(policy, restart_policy=policy)
        containers.stop_container(OPERATOR, container)
    containers.run_container(
        OPERATOR, world.host, read_container({"name": "new", "restart_policy": "always", "start": False})
    )
    world.work()
    started, refused = start_stopped(world.host)
    assert ([row.name for row in started], refused) == (["always"], [])
    assert [operation.verb for operation in Operation.objects.filter(state="pending")] == ["container.start"]
    world.work()
    assert dict(Container.objects.values_list("name", "status")) == {
        "always": "running",
        "unless-stopped": "exited",
        "no": "exited",
        "new": "created",
    }


def test_one_that_cannot_start_again_keeps_none_of_the_others_down(world: World) -> None:
    for name in ("one", "two"):
        containers.stop_container(OPERATOR, world.container(name, restart_policy="always", ports=["8080:80"]))
        world.work()
    started, refused = start_stopped(world.host)
    assert [row.name for row in started] == ["one"]
    assert [row.name for row, _ in refused] == ["two"]
    assert "8080" in str(refused[0][1])


def test_a_write_to_a_host_whose_worker_cannot_start_says_why(world: World) -> None:
    error = Unsupported("No iptables is installed.", remedy="Install it.")
    world.host.heartbeat_at, world.host.error = None, error.to_json()
    with pytest.raises(Unavailable, match=r"cannot start: No iptables is installed. Install it"):
        world.network()
