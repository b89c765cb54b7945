"""Networks that span hosts: their books, the gateway network, and what hosts tell each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from networks import represent
from networks.cnm.errors import Conflict, Forbidden, InvalidSpec, Unsupported
from networks.cnm.facts import Feature
from networks.cnm.text import Text
from networks.load import load_facts, load_host
from networks.models import Container, Host, Network, Operation
from networks.services import containers, networks
from networks.services.images import ensure_host_image
from networks.services.network_changes import update_network
from networks.services.spec_container import AttachRequest, read_container
from networks.services.spec_network import NetworkChanges, read_changes
from networks.services.topology import export
from tests.testlib.world import OPERATOR, World

pytestmark = pytest.mark.django_db
VNI = "com.docker.network.driver.overlay.vxlanid_list"


@pytest.fixture
def two(world: World) -> World:
    """The second of two hosts; ``world`` is the first."""
    world.host.underlay, world.host.underlay_room = "192.0.2.1", 1450
    world.host.save()
    row = Host.objects.create(
        name="two",
        settings={"names": "cnm"},
        heartbeat_at=world.host.heartbeat_at,
        underlay="192.0.2.2",
        underlay_room=1400,
    )
    networks.ensure_defaults(row)
    ensure_host_image(row)
    return World(row)


def ways(container: Container) -> list[str]:
    rows = container.endpoints.filter(removing=False).order_by("position")
    return [f"{row.ifname} {row.network.name}" for row in rows]


def waiting(host: Host) -> list[Operation]:
    return list(Operation.objects.filter(host=host, state="pending").order_by("number"))


def test_each_network_has_a_segment_and_a_subnet_of_its_own(world: World) -> None:
    first, second = world.network("a", driver="overlay"), world.network("b", driver="overlay")
    assert [(row.scope, row.vni, row.subnets.get().cidr) for row in (first, second)] == [
        ("global", 4096, "10.0.0.0/24"),
        ("global", 4097, "10.0.1.0/24"),
    ]
    chosen = world.network("c", driver="overlay", options={VNI: "4098"})
    assert chosen.vni == 4098
    with pytest.raises(Conflict, match="Segment 4098"):
        world.network("d", driver="overlay", options={VNI: "4098"})
    assert world.network("e", driver="overlay").vni == 4099
    assert world.network("f").vni is None


WIDE = [{"subnet": "10.7.0.0/30"}, {"subnet": "10.8.0.0/24"}, {"subnet": "10.9.0.0/24"}]


def test_each_of_several_subnets_has_a_segment(world: World) -> None:
    world.network("first", driver="overlay")
    wide = world.network("wide", driver="overlay", subnets=WIDE, options={VNI: "4098,5000"})
    assert [(row["subnet"], row["vni"]) for row in represent.network(wide)["subnets"]] == [
        ("10.7.0.0/30", 4098),
        ("10.8.0.0/24", 5000),
        ("10.9.0.0/24", 4097),
    ]
    for taken in ("4096", "5000", "4097"):
        with pytest.raises(Conflict, match=f"Segment {taken}"):
            world.network("other", driver="overlay", options={VNI: taken})
    with pytest.raises(InvalidSpec, match="2 segments are chosen, and the network has 1"):
        world.network("other", driver="overlay", options={VNI: "6000,6001"})
    assert world.network("next", driver="overlay").vni == 4099
    both = [*WIDE[1:], {"subnet": "fd00:8::/64"}, {"subnet": "fd00:9::/64"}]
    mixed = [{**one, "subnet": one["subnet"].replace("10.", "10.1")} for one in both]
    dual = world.network("dual", driver="overlay", subnets=mixed, enable_ipv6=True)
    assert (dual.vni, [row.vni for row in dual.subnets.all()]) == (4100, [None, 4101, None, None]), "IPv6 goes along"
    with pytest.raises(InvalidSpec, match="one subnet of each family"):
        world.network("flat", subnets=WIDE)


def test_a_container_gets_an_address_of_the_first_subnet_that_has_one_left(world: World) -> None:
    world.network("wide", driver="overlay", subnets=WIDE)
    first, second = world.container("a", network="wide"), world.container("b", network="wide")
    chosen = world.container("c", networks=[{"network": "wide", "ipv4": "10.9.0.7"}])

    def address(box: Container) -> str:
        return box.endpoints.get(network__name="wide").ipv4

    assert [address(box) for box in (first, second, chosen)] == ["10.7.0.2/30", "10.8.0.2/24", "10.9.0.7/24"]
    containers.stop_container(OPERATOR, second)
    containers.stop_container(OPERATOR, first)
    world.work()
    for box in (second, first):
        containers.start_container(OPERATOR, Container.objects.get(pk=box.pk))
        world.work()
    assert [address(box) for box in (first, second)] == ["10.7.0.2/30", "10.8.0.2/24"], "each has its own again"


def test_subnets_are_exchanged_with_their_segments_while_nobody_is_there(world: World) -> None:
    wide = world.network("wide", driver="overlay", subnets=WIDE)
    assert [row.vni for row in wide.subnets.all()] == [None, 4097, 4098]
    update_network(OPERATOR, wide, read_changes({"subnets": WIDE[:2]}))
    world.work()
    wide.refresh_from_db()
    assert (wide.vni, [row.vni for row in wide.subnets.all()]) == (4096, [None, 4097])
    with pytest.raises(Forbidden, match="another does not hear"):
        update_network(OPERATOR, wide, read_changes({"options": {VNI: "6000"}}))


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("overlay", {"com.docker.network.bridge.name": "br9"}),
        ("overlay", {VNI: "5000,42"}),
        ("overlay", {VNI: "5000,5000"}),
        ("overlay", {VNI: "5000,"}),
        ("bridge", {VNI: "5000"}),
        ("bridge", {"encrypted": ""}),
        ("overlay", {VNI: "42"}),
        ("overlay", {VNI: "16777216"}),
    ],
)
def test_an_option_of_another_driver_is_refused(world: World, driver: str, options: dict[str, str]) -> None:
    with pytest.raises(InvalidSpec) as refused:
        world.network(driver=driver, options=options)
    assert refused.value.field == f"options.{next(iter(options))}"


def test_encrypted_is_refused_with_what_the_probe_found(world: World) -> None:
    feature = Feature(
        key="esp", present=False, detail=Text("No IPsec ESP: no such protocol"), remedy=Text("CONFIG_INET_ESP")
    )
    world.host.facts = replace(load_facts(world.host), features=(feature,)).to_json()
    world.host.save()
    with pytest.raises(Unsupported, match="No IPsec ESP: no such protocol"):
        world.network(driver="overlay", options={"encrypted": ""})
    assert not Network.objects.filter(driver="overlay").exists()


def test_who_is_on_one_is_on_the_gateway_network_too(world: World) -> None:
    world.network("app", driver="overlay")
    world.network("quiet", driver="overlay", internal=True)
    assert ways(world.container("web", network="app")) == ["eth0 app", "eth1 cnm_gwbridge"]
    assert ways(world.container("shy", network="quiet")) == ["eth0 quiet"]
    gateway = Network.objects.get(name="cnm_gwbridge")
    assert (gateway.driver, gateway.scope, gateway.status) == ("bridge", "local", "ready")
    assert gateway.options["com.docker.network.bridge.enable_icc"] == "false"
    made = [row.verb for row in Operation.objects.order_by("number") if row.subject_name in {"cnm_gwbridge", "web"}]
    assert made == ["network.create", "container.run"], "the network is made before who needs it"
    declared = export(world.host)
    assert "cnm_gwbridge" not in str(declared), "it follows from the others, so nobody declares it"


def test_it_follows_when_networks_are_joined_and_left(world: World) -> None:
    app, web = world.network("app", driver="overlay"), world.container("web")
    networks.connect(OPERATOR, app, web, AttachRequest(network="app"))
    world.work()
    assert ways(web) == ["eth0 bridge", "eth1 app", "eth2 cnm_gwbridge"]
    networks.disconnect(OPERATOR, app, web)
    world.work()
    assert ways(web) == ["eth0 bridge"]


def test_a_name_and_a_subnet_are_one_networks_on_all_hosts(world: World, two: World) -> None:
    two.network("mine", subnets=[{"subnet": "10.0.0.0/24"}])
    with pytest.raises(Conflict, match="mine"):
        world.network("mine", driver="overlay")
    app = world.network("app", driver="overlay")
    assert app.subnets.get().cidr == "10.0.1.0/24", "the other host's network is there"
    with pytest.raises(Conflict, match="app"):
        two.network("app")
    with pytest.raises(Conflict, match="overlaps"):
        two.network("other", subnets=[{"subnet": "10.0.1.0/25"}])


def test_hosts_learn_of_each_others_containers(world: World, two: World) -> None:
    world.network("app", driver="overlay")
    first = world.container("web", network="app", hostname="front")
    assert load_host(two.host).remotes == (), "nobody of that host is on it"
    second = two.container("db", network="app")
    (seen,) = load_host(two.host).remotes
    assert (seen.host, str(seen.underlay), seen.names) == ("local", "192.0.2.1", ("web", first.short_id, "front"))
    assert load_host(two.host).underlay_room == 1400
    assert [remote.names[0] for remote in load_host(world.host).remotes] == ["db"]
    assert {first.endpoints.get(ifname="eth0").ipv4, second.endpoints.get(ifname="eth0").ipv4} == {
        "10.0.0.2/24",
        "10.0.0.3/24",
    }


def test_a_change_on_one_host_is_one_operation_of_each_other(world: World, two: World) -> None:
    app = world.network("app", driver="overlay")
    two.container("db", network="app")
    world.work()
    for name in ("a", "b", "c"):
        containers.run_container(OPERATOR, world.host, read_container({"name": name, "network": "app"}))
    settle_of(world.host)
    (told,) = waiting(two.host)
    assert (told.verb, told.scope["peers"]) == ("network.peers", [app.pk])
    settle_of(two.host)
    containers.stop_container(OPERATOR, Container.objects.get(name="a"))
    settle_of(world.host)
    assert [row.verb for row in waiting(two.host)] == ["network.peers"]
    assert {remote.names[0] for remote in load_host(two.host).remotes} == {"b", "c"}
    settle_of(two.host)
    update_network(OPERATOR, app, NetworkChanges(options={"com.docker.network.driver.mtu": "1300"}))
    (told,) = [row for row in waiting(two.host) if row.verb == "network.peers"]
    assert told.scope["networks"] == [app.pk], "the network itself changed"


def settle_of(host: Host) -> None:
    from networks import settle

    for operation in waiting(host):
        settle.settle(operation)


def test_a_container_that_ended_is_nobodys_neighbour(world: World, two: World) -> None:
    world.network("app", driver="overlay")
    web = world.container("web", network="app")
    two.container("db", network="app")
    settle_of(two.host)
    world.ends(web)
    assert load_host(two.host).remotes == ()
    settle_of(world.host)
    assert [row.verb for row in waiting(two.host)] == ["network.peers"]


def test_it_stays_while_another_host_still_has_something_of_it(world: World, two: World) -> None:
    app = world.network("app", driver="overlay")
    db = two.container("db", network="app")
    networks.disconnect(OPERATOR, app, db)
    with pytest.raises(Conflict, match="db"):
        networks.delete_network(OPERATOR, app)
    settle_of(two.host)
    networks.delete_network(OPERATOR, app)
    settle_of(world.host)
    assert not Network.objects.filter(name="app").exists()


def test_a_host_whose_kernel_has_no_vxlan_joins_none(world: World, two: World) -> None:
    app = world.network("app", driver="overlay")
    lacking = Feature(key="link.vxlan", present=False, detail=Text("No vxlan devices"), remedy=Text("CONFIG_VXLAN"))
    two.host.facts = replace(load_facts(two.host), features=(lacking,)).to_json()
    two.host.save()
    with pytest.raises(Unsupported, match="No vxlan devices"):
        two.container("db", network="app")
    assert app.endpoints.count() == 0
