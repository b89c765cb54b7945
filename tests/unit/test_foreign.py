"""What is others' on a host: their bridges, what is plugged into them, and namespaces; ours are left out."""

from __future__ import annotations

from ipaddress import ip_interface

from networks.cnm.foreign import foreign, program
from networks.cnm.trace.world import Device, Sandbox, World


def veth(name: str, index: int, peer: int, master: str = "", address: str = "") -> Device:
    addresses = (ip_interface(address),) if address else ()
    return Device(name=name, index=index, kind="veth", peer=peer, master=master, addresses=addresses)


WORLD = World(
    devices=(
        Device(name="lo", index=1),
        Device(name="cnm0", index=2, kind="bridge", addresses=(ip_interface("172.17.0.1/16"),)),
        Device(name="docker0", index=3, kind="bridge", addresses=(ip_interface("172.18.0.1/16"),)),
        Device(name="virbr0", index=4, kind="bridge", up=False),
        veth("cv0", 10, 2, "cnm0"),
        veth("vethaaa", 11, 2, "docker0"),
        veth("vethbbb", 12, 99, "docker0"),
        Device(name="vnet0", index=13, kind="tun", master="virbr0"),
        veth("lab0", 14, 3),
    ),
    sandboxes=(
        Sandbox(name="cnm-0123456789ab", devices=(veth("eth0", 2, 10, address="172.17.0.2/16"),)),
        Sandbox(name="adopted", devices=(veth("eth0", 2, 10, address="172.17.0.2/16"),)),
        Sandbox(name="lab", devices=(veth("eth0", 3, 14, address="10.99.0.2/24"),)),
        Sandbox(name="empty"),
    ),
)
DOCKER = (Sandbox(name="1f2e", devices=(veth("eth0", 2, 11, address="172.18.0.2/16"),)),)
ENGINE = (
    {"kind": "container", "name": "shop-db", "addresses": ["172.18.0.2"]},
    {"kind": "network", "name": "bridge", "bridge": "docker0", "addresses": ["172.18.0.0/16"]},
)


def test_bridges_of_others_are_told_with_whose_they_are() -> None:
    found = foreign(WORLD, {"cnm0", "cv0"}, DOCKER, ENGINE)["bridges"]
    assert [(one["name"], one["program"], one["network"], one["up"]) for one in found] == [
        ("docker0", "docker", "bridge", True),
        ("virbr0", "libvirt", "", False),
    ]
    assert found[0]["addresses"] == ["172.18.0.1/16"]


def test_strangers_are_namespaces_and_ports_without_one_and_never_ours() -> None:
    found = {one["id"]: one for one in foreign(WORLD, {"cnm0", "cv0"}, DOCKER, ENGINE)["strangers"]}
    assert set(found) == {"netns:1f2e", "netns:lab", "netns:empty", "device:vethbbb", "device:vnet0"}
    docker = found["netns:1f2e"]
    assert (docker["name"], docker["program"]) == ("shop-db", "docker")
    assert docker["endpoints"] == [
        {"device": "vethaaa", "bridge": "docker0", "interface": "eth0", "addresses": ["172.18.0.2/16"]}
    ]
    assert found["netns:lab"]["endpoints"][0]["bridge"] == ""
    assert found["device:vnet0"]["endpoints"][0]["bridge"] == "virbr0"


def test_without_an_engine_that_answers_names_are_the_kernels() -> None:
    found = {one["id"]: one for one in foreign(WORLD, {"cnm0", "cv0"}, DOCKER)["strangers"]}
    assert (found["netns:1f2e"]["name"], found["netns:1f2e"]["program"]) == ("1f2e", "docker")


def test_programs_are_known_by_how_they_name_things() -> None:
    named = {"br-0123456789ab": "docker", "podman1": "podman", "incusbr0": "lxc", "cni0": "kube", "br-lan": ""}
    assert {name: program(name) for name in named} == named


def test_a_container_of_podman_is_called_as_its_supervisor_says() -> None:
    name = "netns-01234567-89ab-cdef-0123-456789abcdef"
    world = World(
        devices=(Device(name="podman0", index=3, kind="bridge"), veth("veth0", 4, 2, "podman0")),
        sandboxes=(Sandbox(name=name, devices=(veth("eth0", 2, 4, address="10.88.0.2/16"),)),),
    )
    [found] = foreign(world, (), named={name: "shop"})["strangers"]
    assert (found["id"], found["name"], found["program"]) == (f"netns:{name}", "shop", "podman")
    assert foreign(world, ())["strangers"][0]["name"] == name
