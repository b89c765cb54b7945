"""Use cases of networks: what is made, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest

from networks import feed
from networks.cnm.errors import CnmError, Conflict, Forbidden, InvalidSpec, Unavailable, Unsupported
from networks.models import Activity, Event, Network, Operation
from networks.services import networks
from networks.services.network_changes import update_network
from networks.services.outcome import Outcome
from networks.services.preview import preview
from networks.services.spec_container import AttachRequest
from networks.services.spec_network import NetworkChanges, read_changes, read_network
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


@pytest.mark.parametrize("driver", ["remote"])
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
    assert update_network(OPERATOR, network, NetworkChanges(labels={"team": "red"})).operation is None
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


BRIDGE = "com.docker.network.bridge."
MTU = "com.docker.network.driver.mtu"


def change(world: World, network: Network, **body: Any) -> Outcome:
    outcome = update_network(OPERATOR, network, read_changes(body))
    world.work()
    network.refresh_from_db()
    return outcome


def planned(world: World, network: Network, **body: Any) -> list[str]:
    shown = preview(world.host, lambda: update_network(OPERATOR, network, read_changes(body)))
    return [step.describe() for step in shown.plan]


def test_a_change_that_needs_the_kernel_shows_its_plan_and_is_an_operation(world: World) -> None:
    network = world.network()
    world.container("web", network="app")
    texts = planned(world, network, options={MTU: "1400"})
    assert [text.split()[:2] for text in texts] == [["change", "bridge"], ["change", "veth"]]
    assert all("mtu 1400" in text for text in texts)
    outcome = change(world, network, options={MTU: "1400"})
    assert outcome.operation is not None
    assert outcome.operation.scope["networks"] == [network.pk]
    assert network.options == {MTU: "1400"}
    assert planned(world, network, options={MTU: "1400"}) == []


def test_each_change_is_rules_and_links_alone(world: World) -> None:
    network = world.network(options={BRIDGE + "enable_icc": "true"})
    world.container("web", network="app", ports=["8080:80"])
    for body, words in (
        ({"options": {BRIDGE + "enable_icc": "false"}}, "DROP"),
        ({"options": {BRIDGE + "enable_ip_masquerade": "false"}}, "delete"),
        ({"options": {BRIDGE + "gateway_mode_ipv4": "routed"}}, "delete bind 0.0.0.0:8080/tcp"),
        ({"options": {BRIDGE + "gateway_mode_ipv4": "nat-unprotected"}}, "ACCEPT"),
        ({"options": {BRIDGE + "host_binding_ipv4": "127.0.0.1"}}, "create bind 127.0.0.1:8080/tcp"),
        ({"options": {"com.docker.network.host_ipv4": "192.0.2.9"}}, "--to-source 192.0.2.9"),
        ({"internal": True}, "ISOLATION"),
    ):
        texts = planned(world, network, **body)  # type: ignore[arg-type]
        assert any(words in text for text in texts), (body, texts)
        assert not any(text.split()[1] in {"process", "netns"} for text in texts), texts


def test_a_null_takes_an_option_away_and_others_stay(world: World) -> None:
    network = world.network(options={MTU: "1400", BRIDGE + "enable_icc": "false"})
    change(world, network, options={MTU: None})
    assert network.options == {BRIDGE + "enable_icc": "false"}


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"name": "other"}, "name", "keeps its name"),
        ({"driver": "null"}, "driver", "keeps its driver"),
        ({"options": {BRIDGE + "name": "other"}}, f"options.{BRIDGE}name", "made anew"),
        (
            {"options": {BRIDGE + "default_bridge": "true"}},
            f"options.{BRIDGE}default_bridge",
            "settled when it is made",
        ),
        ({"options": {"nosuch": "1"}}, "options.nosuch", "not known"),
        ({"options": {BRIDGE + "gateway_mode_ipv4": "isolated"}}, f"options.{BRIDGE}gateway_mode_ipv4", "internal"),
        ({"subnets": [{"subnet": "10.9.0.0/24"}]}, "subnets", "while containers are on it: web"),
        ({"enable_ipv6": True}, "enable_ipv6", "while containers are on it: web"),
        ({"colour": "red"}, "colour", "not a known field"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_its_reason(
    world: World, body: dict[str, Any], field: str, words: str
) -> None:
    network = world.network()
    world.container("web", network="app")
    count = Operation.objects.count()
    with pytest.raises(CnmError, match=words) as refused:
        update_network(OPERATOR, network, read_changes(body))
    assert refused.value.field == field
    assert str(refused.value.remedy)
    row = Network.objects.get(pk=network.pk)
    assert (row.options, row.internal, Operation.objects.count()) == ({}, False, count)


def test_subnets_change_while_nobody_is_there(world: World) -> None:
    network = world.network()
    change(world, network, subnets=[{"subnet": "10.9.0.0/24"}])
    assert [row.cidr for row in network.subnets.all()] == ["10.9.0.0/24"]
    change(world, network, enable_ipv6=True)
    assert network.subnets.first().cidr == "10.9.0.0/24"  # type: ignore[union-attr]
    assert network.subnets.count() == 2
    change(world, network, enable_ipv6=False)
    assert [row.cidr for row in network.subnets.all()] == ["10.9.0.0/24"]
    with pytest.raises(Conflict, match="overlaps"):
        change(world, network, subnets=[{"subnet": "172.17.0.0/24"}])


def test_the_default_bridge_follows_the_settings(world: World) -> None:
    bridge = Network.objects.get(name="bridge")
    with pytest.raises(Forbidden, match="only its labels") as refused:
        update_network(OPERATOR, bridge, read_changes({"options": {MTU: "1400"}}))
    assert "CNM_MTU" in str(refused.value.remedy)
    assert change(world, bridge, labels={"a": "b"}).operation is None


def test_a_new_default_address_is_refused_where_somebody_holds_the_port(world: World) -> None:
    network = world.network(options={BRIDGE + "host_binding_ipv4": "192.0.2.7"})
    world.container("web", network="app", ports=["8080:80"])
    world.container("other", ports=["192.0.2.8:8080:80"])
    with pytest.raises(Conflict, match="held by container other"):
        change(world, network, options={BRIDGE + "host_binding_ipv4": None})
    network.refresh_from_db()
    assert network.options == {BRIDGE + "host_binding_ipv4": "192.0.2.7"}


def test_a_change_that_needs_the_kernel_needs_a_live_worker_and_labels_do_not(world: World) -> None:
    network = world.network()
    world.host.heartbeat_at = None
    world.host.save()
    update_network(OPERATOR, network, NetworkChanges(labels={"a": "b"}))
    with pytest.raises(Unavailable):
        update_network(OPERATOR, network, read_changes({"internal": True}))
    assert not Network.objects.get(pk=network.pk).internal
