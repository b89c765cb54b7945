"""Which host port a published port gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from networks import represent
from networks.cnm.errors import Conflict, Exhausted, InvalidSpec
from networks.cnm.facts import HostFacts, Listener
from networks.host_ports import move_on
from networks.load import load_facts
from networks.models import Container
from networks.services import containers
from networks.services.spec_container import read_container
from networks.services.spec_ports import read_port
from tests.testlib.world import OPERATOR, World


def observe(world: World, **facts: Any) -> None:
    world.host.facts = replace(HostFacts(), **facts).to_json()
    world.host.save()


def held(port: int, protocol: str = "tcp", address: str = "0.0.0.0") -> Listener:
    return Listener(protocol=protocol, address=address, port=port, process="nginx (7)")


def ports(container: Container) -> list[int]:
    return [port.host_port for port in container.ports.all()]


def test_a_range_for_one_container_port_takes_its_first_free(world: World) -> None:
    observe(world, listeners=(held(8000),))
    assert ports(world.container("a", ports=["8000-8003:80"])) == [8001]
    assert ports(world.container("b", ports=["8000-8003:80"])) == [8002]
    assert ports(world.container("c", ports=["8000-8003:80/udp"])) == [8000], "another protocol, another port"
    world.container("d", ports=["8000-8003:80"])
    with pytest.raises(Exhausted, match="from 8000 to 8003"):
        containers.run_container(OPERATOR, world.host, read_container({"name": "e", "ports": ["8000-8003:80"]}))


def test_a_range_leaves_a_port_to_the_one_that_names_it(world: World) -> None:
    made = world.container("a", ports=["8000-8001:80", "8000:81"])
    assert {port.container_port: port.host_port for port in made.ports.all()} == {80: 8001, 81: 8000}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("8000-8001:80-82", "p"),
        ({"container_port": 80, "host_port": 8005, "host_port_end": 8000}, "p.host_port_end"),
        ({"container_port": 80, "host_port_end": 8000}, "p.host_port_end"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(spec: Any, field: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_port("p", spec)
    assert refused.value.field == field


def test_the_object_form_says_the_same_as_the_short_one() -> None:
    assert read_port("p", "127.0.0.1:8000-8003:80/udp") == read_port(
        "p",
        {
            "container_port": 80,
            "host_port": 8000,
            "host_port_end": 8003,
            "host_address": "127.0.0.1",
            "protocol": "udp",
        },
    )


def test_a_port_lost_to_another_program_moves_to_the_next_free_one(world: World) -> None:
    observe(world, local_ports=(40000, 40003), reserved_ports=(40001,))
    made = world.container("a", ports=["80"])
    row = made.ports.get()
    assert row.host_port == 40000
    assert move_on(world.host, row.pk, {40000}, load_facts(world.host))
    row.refresh_from_db()
    assert row.host_port == 40002
    assert move_on(world.host, row.pk, {40000, 40002}, load_facts(world.host))
    assert not move_on(world.host, row.pk, {40000, 40002, 40003}, load_facts(world.host))


def test_a_port_that_a_person_named_never_moves(world: World) -> None:
    made = world.container("a", ports=["8080:80"])
    assert not move_on(world.host, made.ports.get().pk, {8080}, load_facts(world.host))
    assert ports(made) == [8080]


def test_a_networks_default_address_holds_for_ports_that_name_none(world: World) -> None:
    world.network("inner", options={"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"})
    inner = world.container("a", network="inner", ports=["8080:80", "0.0.0.0:9090:80"])
    shown = {port["host_port"]: port["host_address"] for port in represent.container(inner)["ports"]}
    assert shown == {8080: "127.0.0.1", 9090: "0.0.0.0"}, "0.0.0.0 asked for is more than the default"
    observe(world, listeners=(held(8081, address="192.0.2.2"), held(8082, address="192.0.2.2")))
    world.container("b", network="inner", ports=["8081:80"])
    with pytest.raises(Conflict, match="held by container a"):
        world.container("c", ports=["8080:80"])
    with pytest.raises(Conflict, match="held by nginx"):
        world.container("d", ports=["8082:81"])
