"""Use cases of networks: what is made, and what is refused with which words."""

from __future__ import annotations

import pytest

from networks import feed
from networks.cnm.errors import Conflict, Forbidden, InvalidSpec, Unavailable, Unsupported
from networks.models import Activity, Event, Network, Operation
from networks.services import networks
from networks.services.preview import preview
from networks.services.spec_container import AttachRequest
from networks.services.spec_network import read_network
from tests.testlib.world import OPERATOR, VIEWER, World


def test_the_three_default_networks_are_there_and_making_them_again_changes_nothing(world: World) -> None:
    before = list(Network.objects.values())
    networks.ensure_defaults(world.host)
    assert list(Network.objects.values()) == before
    assert [row["name"] for row in before] == ["bridge", "host", "none"]


@pytest.mark.parametrize("name", ["bridge", "host", "none"])
def test_default_networks_are_neither_removed_nor_made_again(world: World, name: str) -> None:
    with pytest.raises(Forbidden, match="predefined"):
        networks.delete_network(OPERATOR, Network.objects.get(name=name))
    with pytest.raises(Forbidden, match="predefined"):
        world.network(name)


def test_a_network_without_a_subnet_gets_the_next_free_one(world: World) -> None:
    first, second = world.network("one"), world.network("two")
    assert [n.subnets.get().cidr for n in (first, second)] == ["172.18.0.0/16", "172.19.0.0/16"]
    assert first.subnets.get().gateway == "172.18.0.1"


def test_pools_avoid_the_hosts_routes_and_name_servers(world: World) -> None:
    world.host.facts = {"onlink": ["172.18.4.0/24"], "nameservers": ["172.19.0.53"]}
    world.host.save()
    assert world.network().subnets.get().cidr == "172.20.0.0/16"


def test_exhausted_pools_say_what_to_do(world: World) -> None:
    for number in range(30):
        world.network(f"n{number}")
    with pytest.raises(Conflict, match="address pools are in use") as refused:
        world.network("one-too-many")
    assert "CNM_DEFAULT_ADDRESS_POOLS" in str(refused.value.remedy)
    assert not Network.objects.filter(name="one-too-many").exists()


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"name": "a b"}, "name", "cannot be used"),
        ({"name": "x\0y"}, "name", "characters"),
        ({"name": "x" * 200}, "name", "longer"),
        ({}, "name", "missing"),
        ({"name": "n", "colour": "red"}, "colour", "not a known field"),
        ({"name": "n", "subnets": [{"subnet": "10.0.0.0/33"}]}, "subnets.0.subnet", "not a range"),
        ({"name": "n", "subnets": [{"subnet": "10.0.0.5/24"}]}, "subnets.0.subnet", "not a range"),
        ({"name": "n", "subnets": [{"subnet": "224.0.0.0/8"}]}, "subnets.0.subnet", "cannot be a network"),
        (
            {"name": "n", "subnets": [{"subnet": "10.0.0.0/24", "gateway": "10.0.1.1"}]},
            "subnets.0.gateway",
            "not inside",
        ),
        (
            {"name": "n", "subnets": [{"subnet": "10.0.0.0/24", "gateway": "10.0.0.0"}]},
            "subnets.0.gateway",
            "network or broadcast",
        ),
        (
            {"name": "n", "subnets": [{"subnet": "10.0.0.0/24", "ip_range": "10.1.0.0/25"}]},
            "subnets.0.ip_range",
            "not inside",
        ),
        ({"name": "n", "subnets": [{"subnet": "fd00::/64"}]}, "enable_ipv6", "not enabled"),
        (
            {"name": "n", "subnets": [{"subnet": "10.0.0.0/24"}, {"subnet": "10.0.0.0/25"}]},
            "subnets.1.subnet",
            "overlaps",
        ),
        (
            {"name": "n", "options": {"com.docker.network.nosuch": "1"}},
            "options.com.docker.network.nosuch",
            "not known",
        ),
        (
            {"name": "n", "options": {"com.docker.network.driver.mtu": "9"}},
            "options.com.docker.network.driver.mtu",
            "not a value",
        ),
        ({"name": "n", "internal": "yes"}, "internal", "true or false"),
        ([], "", "object is wanted"),
    ],
)
def test_bad_input_is_refused_with_its_field(spec: object, field: str, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words) as refused:
        read_network(spec).typed_options  # noqa: B018  # reading the options is part of reading the request
    assert refused.value.field == field


def test_a_subnet_that_overlaps_another_network_is_refused_and_nothing_is_left(world: World) -> None:
    world.network("one", subnets=[{"subnet": "10.5.0.0/16"}])
    counts = (Network.objects.count(), Operation.objects.count(), Event.objects.count(), Activity.objects.count())
    with pytest.raises(Conflict, match=r"10\.5\.0\.0/16, which belongs to network one"):
        world.network("two", subnets=[{"subnet": "10.5.3.0/24"}])
    assert counts == (
        Network.objects.count(),
        Operation.objects.count(),
        Event.objects.count(),
        Activity.objects.count(),
    )


def test_a_name_is_given_once(world: World) -> None:
    world.network("app")
    with pytest.raises(Conflict, match="exists already"):
        world.network("app")


@pytest.mark.parametrize("driver", ["overlay", "remote", "macvlan"])
def test_drivers_that_are_not_built_say_so(world: World, driver: str) -> None:
    with pytest.raises(Unsupported):
        world.network(driver=driver)


def test_an_unknown_driver_is_refused_with_those_there_are(world: World) -> None:
    with pytest.raises(Unsupported, match="no network driver called nosuch") as refused:
        world.network(driver="nosuch")
    assert "bridge" in str(refused.value.remedy)


def test_a_network_in_use_is_not_removed_and_its_containers_are_named(world: World) -> None:
    network = world.network()
    world.container("web", network="app")
    with pytest.raises(Conflict, match="active endpoints: web"):
        networks.delete_network(OPERATOR, network)


def test_a_removed_network_gives_its_name_and_subnet_back(world: World) -> None:
    network = world.network("app", subnets=[{"subnet": "10.5.0.0/16"}])
    networks.delete_network(OPERATOR, network)
    world.work()
    assert not Network.objects.filter(name="app").exists()
    world.network("app", subnets=[{"subnet": "10.5.0.0/16"}])


def test_two_networks_never_have_one_bridge(world: World) -> None:
    world.network("one", options={"com.docker.network.bridge.name": "mybr"})
    for name in ("mybr", "cnm0"):
        with pytest.raises(Conflict, match="belongs to network"):
            world.network("two", options={"com.docker.network.bridge.name": name})


def test_labels_change_without_an_operation(world: World) -> None:
    network = world.network()
    count = Operation.objects.count()
    assert networks.update_network(OPERATOR, network, {"labels": {"team": "red"}}).operation is None
    assert Network.objects.get(pk=network.pk).labels == {"team": "red"}
    assert Operation.objects.count() == count


def test_a_viewer_changes_nothing(world: World) -> None:
    with pytest.raises(Forbidden, match="needs the role operator"):
        networks.create_network(VIEWER, world.host, read_network({"name": "app"}))
    with pytest.raises(Forbidden):
        networks.delete_network(VIEWER, world.network())


def test_a_write_to_a_silent_host_is_refused_before_anything_is_written(world: World) -> None:
    world.host.heartbeat_at = None
    world.host.save()
    with pytest.raises(Unavailable, match="does not answer"):
        networks.create_network(OPERATOR, world.host, read_network({"name": "app"}))
    assert not Network.objects.filter(name="app").exists()


def test_a_preview_shows_the_plan_and_leaves_no_trace(world: World) -> None:
    before = feed.snapshot()
    counts = (Operation.objects.count(), Activity.objects.count())
    shown = preview(world.host, lambda: networks.create_network(OPERATOR, world.host, read_network({"name": "app"})))
    texts = [step.describe() for step in shown.plan]
    assert any(text.startswith("create bridge br-") for text in texts)
    assert any("MASQUERADE" in text for text in texts)
    assert all(str(step.resource.why) for step in shown.plan), "every step has its reason"
    assert shown.result is not None
    assert shown.result["name"] == "app"
    assert feed.snapshot() == before
    assert counts == (Operation.objects.count(), Activity.objects.count())


def test_static_addresses_follow_dockers_rules(world: World) -> None:
    own = world.network("own", subnets=[{"subnet": "10.5.0.0/24"}])
    pooled = world.network("pooled")
    bridge = Network.objects.get(name="bridge")
    container = world.container("web", network="own", ipv4="10.5.0.9")
    assert container.endpoints.get().ipv4 == "10.5.0.9/24"

    def attach(address: str) -> AttachRequest:
        from ipaddress import ip_address

        return AttachRequest(network="x", ipv4=ip_address(address))

    other = world.container("other", network="none")
    del other
    third = world.container("third", network="own")
    for network, address, words in (
        (bridge, "172.17.0.9", "user-defined networks only"),
        (pooled, "172.18.0.9", "subnet of one's own choice"),
    ):
        with pytest.raises(InvalidSpec, match=words):
            networks.connect(OPERATOR, network, third, attach(address))
    second = world.network("second", subnets=[{"subnet": "10.6.0.0/24"}])
    with pytest.raises(InvalidSpec, match="not inside"):
        networks.connect(OPERATOR, second, third, attach("10.7.0.1"))
    with pytest.raises(Conflict, match="gateway"):
        networks.connect(OPERATOR, second, third, attach("10.6.0.1"))
    with pytest.raises(Conflict, match="in use by container web"):
        world.container("fourth", network="own", ipv4="10.5.0.9")
    assert own.subnets.get().gateway == "10.5.0.1"
