"""What is remembered from one look at a host to the next changes how long a look takes, and never what it gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from networks import load
from networks.composed import Composed
from networks.models import Container, Network
from networks.services import containers, links, networks, ports
from networks.services.network_changes import update_network
from networks.services.spec_container import AttachRequest
from networks.services.spec_network import read_changes
from networks.services.spec_ports import read_port
from tests.testlib.world import OPERATOR, World
from worker.compile import compile_host
from worker.compile import host as compiling

Act = Callable[[World], object]


def container(name: str) -> Container:
    return Container.objects.get(name=name)


def network(name: str) -> Network:
    return Network.objects.get(name=name)


CHANGES: dict[str, Act] = {
    "a network": lambda world: networks.create_network(
        OPERATOR, world.host, networks.NetworkRequest(name="more", driver="bridge")
    ),
    "a container": lambda world: world.container("third", network="app", ports=["8081:80"]),
    "a port": lambda _: ports.publish(OPERATOR, container("web"), read_port("ports.0", "8090:90")),
    "a port less": lambda _: ports.unpublish(OPERATOR, container("web"), str(container("web").ports.all()[0].pk)),
    "a link": lambda _: links.link(OPERATOR, container("client"), container("server"), "db"),
    "a source that moves": lambda _: containers.restart_container(OPERATOR, container("server")),
    "another name": lambda _: containers.rename_container(OPERATOR, container("web"), "www"),
    "another network": lambda _: networks.connect(
        OPERATOR, network("other"), container("web"), AttachRequest(network="other")
    ),
    "a network less": lambda _: networks.disconnect(OPERATOR, network("app"), container("web")),
    "an option": lambda _: update_network(
        OPERATOR, network("app"), read_changes({"options": {"com.docker.network.bridge.enable_icc": "false"}})
    ),
    "an end": lambda _: containers.stop_container(OPERATOR, container("web")),
    "a removal": lambda _: containers.remove_container(OPERATOR, container("web"), force=True),
    "an empty network goes": lambda _: networks.delete_network(OPERATOR, network("other")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_look_after_a_change_sees_what_a_first_look_sees(world: World, what: str) -> None:
    world.network("app")
    world.network("other")
    world.container("web", network="app", ports=["8080:80", "8443:443"])
    for name in ("server", "client"):
        world.container(name)
    seen_before = look(world)
    CHANGES[what](world)
    under_way = look(world)
    assert under_way == first_look(world)
    world.work()
    assert look(world) == first_look(world)
    assert under_way != seen_before


def test_what_is_as_it_was_is_not_made_again(world: World) -> None:
    world.network("app")
    web = world.container("web", network="app", ports=["8080:80"])
    before = {item.id: item for item in (*loaded(world).networks, *loaded(world).containers)}
    world.container("more", network="app")
    after = {item.id: item for item in (*loaded(world).networks, *loaded(world).containers)}
    assert all(after[key] is item for key, item in before.items())
    containers.rename_container(OPERATOR, web, "www")
    assert [item.name for item in loaded(world).containers] == ["www", "more"]


def loaded(world: World) -> load.desired.Host:
    return load.load_both(world.host)[0]


def look(world: World) -> tuple[object, ...]:
    wanted, kept = load.load_both(world.host)
    facts = load.load_facts(world.host)
    found = [(item, item.owner, item.why) for host in (wanted, kept) for item in compile_host(host, facts)]
    return wanted, kept, found


def first_look(world: World) -> tuple[object, ...]:
    """As of a process that has just started."""
    load._Values._of_hosts.clear()
    load._read_facts.clear()
    compiling._memory = None
    for query in vars(load).values():
        if isinstance(query, Composed):
            query._made.clear()
    return look(world)
