"""What a Docker Engine asks of networks, addresses and endpoints, and what becomes of it; no kernel is touched."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from networks.cnm.errors import CnmError, Conflict, NotFound, Unavailable
from networks.models import Activity, Container, DockerNetwork, Endpoint, Lease, Network, Subnet
from networks.services import docker_endpoints as endpoints
from networks.services import docker_networks as nets
from networks.services.actor import Actor
from networks.services.containers import remove_container, run_container
from networks.services.docker_endpoints import EndpointRequest
from networks.services.networks import delete_network
from networks.services.spec_container import read_container
from networks.services.spec_network import read_network
from networks.services.spec_ports import PortRequest
from tests.testlib.world import OPERATOR, World

DOCKER = Actor(name="docker", role="operator", via="plugin")
NETWORK = "d0" * 32
SANDBOX = "/run/docker/netns/0123456789ab"
CIDR = "10.30.0.0/24"


def identity(number: int) -> str:
    return f"{number:02x}" * 32


@pytest.fixture
def lan(world: World) -> Network:
    """A network that was made for an engine."""
    nets.make_network(DOCKER, world.host, NETWORK, read_network({"name": "lan", "subnets": [{"subnet": CIDR}]}))
    world.work()
    return Network.objects.get(name="lan")


def comes(world: World, number: int = 1, sandbox: str = SANDBOX, network: str = NETWORK, **asked: object) -> Endpoint:
    """An endpoint of the engine's that has joined."""
    endpoints.create_endpoint(
        DOCKER,
        world.host,
        EndpointRequest(id=identity(number), docker_network=network, **asked),  # type: ignore[arg-type]
    )
    endpoints.join(DOCKER, world.host, network, identity(number), sandbox)
    world.work()
    return Endpoint.objects.select_related("container").get(pk=identity(number))


def test_a_network_has_the_engines_own_id_and_goes_with_it(world: World, lan: Network) -> None:
    assert lan.pk == NETWORK
    assert nets.make_network(DOCKER, world.host, NETWORK, read_network({"name": "lan"})).operation is None
    assert Activity.objects.filter(verb="network.create", actor="docker", via="plugin").count() == 1
    nets.drop_network(DOCKER, world.host, NETWORK)
    world.work()
    assert not Network.objects.filter(name="lan").exists()
    assert not DockerNetwork.objects.exists()
    assert nets.drop_network(DOCKER, world.host, NETWORK).operation is None


def test_an_address_is_kept_from_the_moment_that_the_engine_has_it(world: World, lan: Network) -> None:
    first = nets.promise_address(DOCKER, world.host, CIDR, None, None)
    second = nets.promise_address(DOCKER, world.host, CIDR, None, None)
    assert first != second
    web = world.container("web", network="lan")
    assert web.endpoints.get().ipv4.partition("/")[0] not in {str(first), str(second)}
    with pytest.raises(Conflict, match="a Docker Engine's"):
        run_container(OPERATOR, world.host, read_container({"name": "x", "network": "lan", "ipv4": str(first)}))
    with pytest.raises(Conflict, match="a Docker Engine's"):
        nets.promise_address(DOCKER, world.host, CIDR, first, None)
    row = comes(world, ipv4=first)
    assert row.ipv4 == f"{first}/24"
    nets.give_back_address(DOCKER, world.host, CIDR, second)
    assert Subnet.objects.get(cidr=CIDR).promised == []
    assert nets.promise_address(DOCKER, world.host, CIDR, second, None) == second
    within = ip_network("10.30.0.64/26")
    assert nets.promise_address(DOCKER, world.host, CIDR, None, within) in within


def test_an_endpoint_comes_joins_leaves_and_goes(world: World, lan: Network) -> None:
    row = comes(world)
    again = EndpointRequest(id=row.pk, docker_network=NETWORK)
    assert endpoints.create_endpoint(DOCKER, world.host, again).pk == row.pk
    assert endpoints.join(DOCKER, world.host, NETWORK, row.pk, SANDBOX).operation is None
    address, container = row.ipv4, row.container
    assert (container.kind, container.status, container.adopted_path) == ("docker", "running", SANDBOX)
    endpoints.leave(DOCKER, world.host, NETWORK, row.pk)
    world.work()
    assert Container.objects.get(kind="docker").status == "exited"
    with pytest.raises(Conflict):  # it is the engine's still
        nets.check_free(Subnet.objects.get(cidr=CIDR), ip_address("10.30.0.1"))
    assert comes(world).ipv4 == address  # Join after Leave
    endpoints.delete_endpoint(DOCKER, world.host, NETWORK, row.pk)
    world.work()
    assert not Container.objects.filter(kind="docker").exists()
    assert not Lease.objects.exclude(endpoint=None).exists()
    assert endpoints.leave(DOCKER, world.host, NETWORK, row.pk).operation is None
    assert endpoints.delete_endpoint(DOCKER, world.host, NETWORK, row.pk).operation is None


def test_two_endpoints_in_one_sandbox_are_one_container(world: World, lan: Network) -> None:
    nets.make_network(DOCKER, world.host, identity(7), read_network({"name": "back"}))
    world.work()
    first = comes(world, 1)
    second = comes(world, 2, network=identity(7))
    assert second.container_id == first.container_id
    assert second.ipv4
    assert comes(world, 3, "/run/docker/netns/ffffffffffff").container_id != first.container_id
    endpoints.leave(DOCKER, world.host, NETWORK, first.pk)
    world.work()
    assert [row.pk for row in Container.objects.get(pk=first.container_id).endpoints.all()] == [second.pk]


def test_ports_are_published_once_and_taken_back(world: World, lan: Network) -> None:
    row = comes(world)
    asked = [PortRequest(container_port=80, host_port=8080)]
    for _ in range(2):
        endpoints.open_ports(DOCKER, world.host, NETWORK, row.pk, asked)
        world.work()
    (port,) = row.container.ports.all()
    assert (port.host_port, port.container_port) == (8080, 80)
    other = comes(world, 2, "/run/docker/netns/ffffffffffff")
    with pytest.raises(Conflict, match="8080"):
        endpoints.open_ports(DOCKER, world.host, NETWORK, other.pk, asked)
    endpoints.close_ports(DOCKER, world.host, NETWORK, row.pk)
    world.work()
    assert not row.container.ports.exists()


def test_what_a_person_removes_here_the_engine_is_told_is_gone(world: World, lan: Network) -> None:
    row = comes(world)
    with pytest.raises(Conflict, match="active endpoints"):
        delete_network(OPERATOR, lan)
    with pytest.raises(Conflict, match="running"):
        remove_container(OPERATOR, row.container)
    remove_container(OPERATOR, row.container, force=True)
    world.work()
    with pytest.raises(NotFound, match="endpoint"):
        endpoints.join(DOCKER, world.host, NETWORK, row.pk, SANDBOX)
    delete_network(OPERATOR, lan)
    world.work()
    with pytest.raises(NotFound, match="network"):
        endpoints.create_endpoint(DOCKER, world.host, EndpointRequest(id=identity(9), docker_network=NETWORK))


def test_a_worker_that_is_away_refuses_what_comes_and_is_told_later_what_goes(world: World, lan: Network) -> None:
    row = comes(world)
    world.host.heartbeat_at = None
    world.host.save()
    with pytest.raises(Unavailable):
        endpoints.create_endpoint(DOCKER, world.host, EndpointRequest(id=identity(2), docker_network=NETWORK))
    assert endpoints.leave(DOCKER, world.host, NETWORK, row.pk).operation is not None


@pytest.mark.parametrize("driver", ["macvlan", "null", "host"])
def test_only_what_has_a_link_to_take_is_handed_over(world: World, driver: str) -> None:
    with pytest.raises(CnmError, match="cannot be handed"):
        nets.make_network(DOCKER, world.host, NETWORK, read_network({"name": "lan", "driver": driver}))


def test_two_networks_of_the_engine_may_stand_on_one_of_ours(world: World, lan: Network) -> None:
    other = identity(7)
    nets.use_network(DOCKER, world.host, other, "lan", [(ip_network(CIDR), ip_address("10.30.0.1"))])
    first, second = comes(world, 1), comes(world, 2, network=other)
    assert first.network_id == second.network_id == lan.pk
    assert first.container_id != second.container_id
    endpoints.delete_endpoint(DOCKER, world.host, other, second.pk)
    world.work()
    nets.promise_address(DOCKER, world.host, CIDR, None, None)
    nets.drop_network(DOCKER, world.host, other)
    assert len(Subnet.objects.get(cidr=CIDR).promised) == 1  # the other one's, perhaps
    endpoints.delete_endpoint(DOCKER, world.host, NETWORK, first.pk)
    world.work()
    world.container("web", network="lan")
    nets.drop_network(DOCKER, world.host, NETWORK)
    assert Subnet.objects.get(cidr=CIDR).promised == []
    assert Network.objects.get(name="lan").status == "ready"


def test_a_network_stays_while_another_of_the_engine_stands_on_it(world: World, lan: Network) -> None:
    other = identity(7)
    nets.use_network(DOCKER, world.host, other, "lan", [(ip_network(CIDR), ip_address("10.30.0.1"))])
    nets.drop_network(DOCKER, world.host, NETWORK)
    world.work()
    assert comes(world, network=other).network_id == lan.pk
    assert [row.pk for row in DockerNetwork.objects.all()] == [other]


def test_a_range_of_another_network_or_another_gateway_is_refused(world: World, lan: Network) -> None:
    for cidr, gateway in ((ip_network("10.31.0.0/24"), None), (ip_network(CIDR), ip_address("10.30.0.9"))):
        with pytest.raises(Conflict, match="has not the subnet"):
            nets.use_network(DOCKER, world.host, identity(7), "lan", [(cidr, gateway)])
    assert DockerNetwork.objects.count() == 1
