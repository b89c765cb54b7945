"""Use cases of containers, their addresses, ports and links."""

from __future__ import annotations

import pytest

from networks import represent
from networks.cnm.errors import CnmError, Conflict, Forbidden, InvalidSpec, NotFound
from networks.cnm.facts import HostFacts, Listener
from networks.load import is_live, load_both, load_host
from networks.models import Activity, Container, Image, Lease, Network
from networks.services import containers, links, networks, ports
from networks.services.spec_container import AttachRequest, read_container
from networks.services.spec_ports import PortRequest
from tests.testlib.world import ADMIN, OPERATOR, World


def test_a_container_gets_an_address_a_mac_and_its_place(world: World) -> None:
    container = world.container()
    endpoint = container.endpoints.get()
    assert (endpoint.ipv4, endpoint.mac) == ("172.17.0.2/16", "02:42:ac:11:00:02")
    assert container.status == "running"
    assert is_live(container)


def test_a_stopped_container_tries_its_old_address_and_others_get_fresh_ones_first(world: World) -> None:
    first = world.container("first")
    containers.stop_container(OPERATOR, first)
    world.work()
    assert Container.objects.get(pk=first.pk).endpoints.get().ipv4 == ""
    second = world.container("second")
    assert second.endpoints.get().ipv4 == "172.17.0.3/16", "an address that rests is reused last"
    containers.start_container(OPERATOR, Container.objects.get(pk=first.pk))
    world.work()
    assert first.endpoints.get().ipv4 == "172.17.0.2/16"


def test_lowest_order_gives_a_freed_address_to_the_next(world: World) -> None:
    world.host.settings = {"names": "cnm", "ipam_order": "lowest"}
    world.host.save()
    first = world.container("first")
    containers.remove_container(OPERATOR, first, force=True)
    world.work()
    assert world.container("second").endpoints.get().ipv4 == "172.17.0.2/16"


def test_a_full_range_says_so_and_leaves_nothing(world: World) -> None:
    world.network("small", subnets=[{"subnet": "10.5.0.0/30"}])
    world.container("only", network="small")
    with pytest.raises(Conflict, match="no free address left"):
        world.container("late", network="small")
    assert not Container.objects.filter(name="late").exists()


def test_dynamic_addresses_come_from_the_range_and_skip_what_is_reserved(world: World) -> None:
    world.network(
        "ranged",
        subnets=[
            {
                "subnet": "10.5.0.0/24",
                "ip_range": "10.5.0.128/25",
                "gateway": "10.5.0.1",
                "aux_addresses": {"x": "10.5.0.129"},
            }
        ],
    )
    given = [world.container(f"c{n}", network="ranged").endpoints.get().ipv4 for n in range(2)]
    assert given == ["10.5.0.128/24", "10.5.0.130/24"]


def test_removing_frees_everything(world: World) -> None:
    container = world.container(ports=["8080:80"])
    containers.remove_container(OPERATOR, container, force=True)
    world.work()
    assert not Container.objects.exists()
    assert Lease.objects.get().released_at is not None
    world.container("again", ports=["8080:80"])


def test_a_running_container_is_removed_with_force_only(world: World) -> None:
    with pytest.raises(Conflict, match="is running"):
        containers.remove_container(OPERATOR, world.container())


def test_a_container_that_ended_by_itself_is_removed_without_force(world: World) -> None:
    web = world.container("web")
    world.ends(web, 1)
    containers.remove_container(OPERATOR, web)
    world.work()
    assert not Container.objects.exists()
    again = world.container("web", restart_policy={"name": "always"})
    world.ends(again)
    with pytest.raises(Conflict, match="is running"):
        containers.remove_container(OPERATOR, again)


def test_host_ports_collide_by_address_and_protocol(world: World) -> None:
    world.container("one", ports=["8080:80", "127.0.0.1:9000:80"])
    with pytest.raises(Conflict, match="8080/tcp is held by container one"):
        world.container("two", ports=["127.0.0.1:8080:80"])
    with pytest.raises(Conflict, match="9000/tcp"):
        world.container("two", ports=["9000:80"])
    world.container("three", ports=["8080:80/udp", "127.0.0.2:9000:80"])


def test_what_only_a_start_needs_may_be_held_by_others_until_then(world: World) -> None:
    """As Compose has it, which makes a container's replacement while that still runs."""
    world.network("lan", subnets=[{"subnet": "10.5.0.0/24"}])
    wanted = {"network": "lan", "ipv4": "10.5.0.9", "ports": ["8080:80"]}
    old = world.container("old", **wanted)
    new = world.container("new", start=False, **wanted)
    with pytest.raises(Conflict, match=r"8080/tcp is held by container old|10\.5\.0\.9 is in use by container old"):
        containers.start_container(OPERATOR, new)
    assert Container.objects.get(pk=new.pk).status == "created"
    containers.remove_container(OPERATOR, old, force=True)
    world.work()
    containers.start_container(OPERATOR, Container.objects.get(pk=new.pk))
    world.work()
    assert new.endpoints.get().ipv4 == "10.5.0.9/24"
    assert new.ports.get().host_port == 8080


def test_a_port_that_a_program_of_the_host_holds_names_it(world: World) -> None:
    facts = HostFacts(listeners=(Listener(protocol="tcp", address="0.0.0.0", port=80, process="nginx (12)"),))
    world.host.facts = facts.to_json()
    world.host.save()
    with pytest.raises(Conflict, match=r"80/tcp is held by nginx \(12\)"):
        world.container(ports=["80:80"])
    assert not Container.objects.exists()


def test_ephemeral_ports_come_from_the_hosts_range_and_change_owner(world: World) -> None:
    container = world.container(ports=["80"])
    assert container.ports.get().host_port == 32768
    other = world.container("other", ports=["80"])
    assert other.ports.get().host_port == 32769
    containers.stop_container(OPERATOR, container)
    world.work()
    assert container.ports.get().host_port == 0


def test_a_range_is_programmed_from_its_highest_port_down(world: World) -> None:
    container = world.container(ports=["9000-9002:9100-9102"])
    assert [(p.host_port, p.container_port) for p in container.ports.all()] == [
        (9002, 9102),
        (9001, 9101),
        (9000, 9100),
    ]


def test_publish_all_publishes_what_is_exposed(world: World) -> None:
    container = world.container(publish_all=True, exposed_ports=["7000-7001", "53/udp"])
    assert {(p.container_port, p.protocol) for p in container.ports.all()} == {
        (7000, "tcp"),
        (7001, "tcp"),
        (53, "udp"),
    }


def test_ports_on_the_hosts_network_are_discarded_with_a_warning(world: World) -> None:
    body = read_container({"name": "h", "network": "host", "command": ["x"], "ports": ["80:80"]})
    outcome = containers.run_container(OPERATOR, world.host, body)
    assert "discarded" in str(outcome.warnings[0])


def test_ports_are_published_and_closed_while_running(world: World) -> None:
    container = world.container()
    ports.publish(OPERATOR, container, [PortRequest(container_port=80, host_port=8080)])
    world.work()
    port = container.ports.get()
    ports.unpublish(OPERATOR, container, port.id)
    assert load_host(world.host).containers[0].ports == ()
    assert load_host(world.host, as_if_kept=True).containers[0].ports != (), "the worker still knows what to take away"
    world.work()
    assert not container.ports.exists()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"ports": ["99999:80"]}, "ports.0"),
        ({"ports": ["1-2:80-82"]}, "ports.0"),
        ({"ports": ["80:80/icmp"]}, "ports.0"),
        ({"ports": [{"container_port": 0}]}, "ports.0.container_port"),
        ({"env": {"A=B": "x"}}, "env.A=B"),
        ({"command": "sleep 9"}, "command"),
        ({"hostname": "-bad-"}, "hostname"),
        ({"mac": "01:00:5e:00:00:01"}, "mac"),
        ({"mac": "00:00:00:00:00:00"}, "mac"),
        ({"extra_hosts": ["nohost"]}, "extra_hosts.0"),
        ({"restart_policy": {"name": "sometimes"}}, "restart_policy.name"),
        ({"restart_policy": {"name": "always", "max_retries": 3}}, "restart_policy.max_retries"),
        ({"binds": ["../etc:/x"]}, "binds.0"),
        ({"network": "container:x", "ports": ["80:80"]}, "ports"),
        ({"network": "host", "links": ["a:b"]}, "links"),
        ({"stop_signal": "SIGNOPE"}, "stop_signal"),
        ({"auto_remove": True, "restart_policy": {"name": "always"}}, "auto_remove"),
        ({"kind": "adopted"}, "adopt"),
        ({"dns": ["not-an-ip"]}, "dns.0"),
        ({"working_dir": "relative"}, "working_dir"),
    ],
)
def test_bad_input_is_refused_with_its_field(spec: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_container({"name": "web", **spec})
    assert refused.value.field == field


def test_an_operator_mounts_only_what_is_allowed_and_adopts_nothing(world: World, settings: object) -> None:
    with pytest.raises(Forbidden, match="may not be mounted"):
        world.container(binds=["/etc:/mnt"])
    settings.BIND_ALLOWLIST = ("/srv",)  # type: ignore[attr-defined]
    world.container("allowed", binds=["/srv/data:/data:ro"])
    with pytest.raises(Forbidden):
        world.container("sneaky", binds=["/srvx:/data"])
    with pytest.raises(Forbidden, match="admin"):
        world.container("adopter", kind="adopted", command=[], adopt={"path": "/run/netns/x"})
    body = read_container({"name": "adopter", "kind": "adopted", "adopt": {"path": "/run/netns/x"}})
    containers.run_container(ADMIN, world.host, body)


def test_links_need_a_running_source_on_the_default_bridge(world: World) -> None:
    world.network("app")
    db = world.container("db")
    world.container("elsewhere", network="app")
    web = world.container("web", links=["db:database"])
    assert [(link.source.name, link.alias) for link in web.links.all()] == [("db", "database")]
    with pytest.raises(Conflict, match="does not belong to the default network"):
        world.container("web2", links=["elsewhere:x"])
    with pytest.raises(NotFound, match="no container nosuch"):
        world.container("web2", links=["nosuch:x"])
    with pytest.raises(Conflict, match="linked to by web"):
        containers.remove_container(OPERATOR, db)
    containers.stop_container(OPERATOR, db)
    world.work()
    with pytest.raises(Conflict, match="not running"):
        world.container("web3", links=["db"])
    with pytest.raises(Conflict, match="not running"):
        containers.restart_container(OPERATOR, web)


def test_a_container_is_not_linked_to_itself_nor_twice_by_one_alias(world: World) -> None:
    db, web = world.container("db"), world.container("web")
    with pytest.raises(InvalidSpec, match="itself"):
        links.link(OPERATOR, db, db, "x")
    links.link(OPERATOR, web, db, "x")
    with pytest.raises(Conflict, match="alias x already"):
        links.link(OPERATOR, web, db, "x")


def test_connecting_and_disconnecting_a_running_container(world: World) -> None:
    network, container = world.network(), world.container()
    networks.connect(OPERATOR, network, container, AttachRequest(network="app", aliases=("api",)))
    world.work()
    endpoint = container.endpoints.get(network=network)
    assert (endpoint.position, endpoint.ipv4, endpoint.aliases) == (1, "172.18.0.2/16", ["api"])
    with pytest.raises(Conflict, match="already"):
        networks.connect(OPERATOR, network, container, AttachRequest(network="app"))
    networks.disconnect(OPERATOR, network, container)
    world.work()
    assert not container.endpoints.filter(network=network).exists()
    with pytest.raises(NotFound, match="not on network"):
        networks.disconnect(OPERATOR, network, container)


@pytest.mark.parametrize(
    ("policy", "exit_code", "restarts"),
    [
        ("no", 1, False),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ("always", 0, True),
        ("unless-stopped", 1, True),
    ],
)
def test_restart_policies(world: World, policy: str, exit_code: int, restarts: bool) -> None:
    container = world.container(restart_policy={"name": policy})
    pause = world.ends(container, exit_code)
    container.refresh_from_db()
    assert (pause is not None) is restarts
    assert container.status == ("restarting" if restarts else "exited")
    assert is_live(container) is restarts
    assert container.exit_code == exit_code


def test_the_end_of_an_old_run_changes_nothing(world: World) -> None:
    container = world.container()
    old = container.run
    containers.restart_container(OPERATOR, container)
    world.work()
    from django.utils import timezone

    from networks import settle

    assert settle.mark_exited(world.host, container.pk, old, 1, timezone.now()) is None
    container.refresh_from_db()
    assert container.status == "running"


def test_a_container_that_ended_is_removed_when_it_asked_for_that(world: World) -> None:
    container = world.container(auto_remove=True)
    world.ends(container)
    world.work()
    assert not Container.objects.filter(pk=container.pk).exists()


def test_the_activity_log_keeps_no_secrets(world: World) -> None:
    world.container(env={"DB_PASSWORD": "hunter2", "COLOUR": "red"})
    row = Activity.objects.get(verb="container.run")
    assert "hunter2" not in str(row.request)
    assert "red" in str(row.request)


def test_a_shared_sandbox_is_not_pulled_from_under_another(world: World) -> None:
    main = world.container("main")
    world.container("side", network="container:main")
    with pytest.raises(Conflict, match="shared by side"):
        containers.remove_container(OPERATOR, main, force=True)


def test_a_sandbox_whose_process_has_ended_is_not_shared(world: World) -> None:
    main = world.container("main")
    side = world.container("side", network="container:main", start=False)
    world.ends(main, 0)
    world.work()
    with pytest.raises(Conflict, match="shares the sandbox of main, which is not running"):
        containers.start_container(OPERATOR, side)


def test_loading_a_host_costs_the_same_for_one_container_as_for_many(
    world: World, django_assert_max_num_queries: object
) -> None:
    world.container("c0", ports=["80"])
    with django_assert_max_num_queries(10):  # type: ignore[operator]
        load_host(world.host)
    for number in range(1, 8):
        world.container(f"c{number}", ports=["80"])
    with django_assert_max_num_queries(10):  # type: ignore[operator]
        assert len(load_host(world.host).containers) == 8
    assert Network.objects.count() == 3


def test_interfaces_are_called_as_the_network_or_the_person_says(world: World) -> None:
    world.network("wan", options={"com.docker.network.container_iface_prefix": "wan"})
    world.network("lan")
    name = "com.docker.network.endpoint.ifname"
    made = world.container("web", networks=["wan", "lan", {"network": "bridge", "driver_opts": {name: "mgmt"}}])
    assert {e["network"]["name"]: e["interface"] for e in represent.container(made)["endpoints"]} == {
        "wan": "wan0",
        "lan": "eth0",
        "bridge": "mgmt",
    }
    assert {e.ifname for c in load_host(world.host).containers for e in c.endpoints} == {"wan0", "eth0", "mgmt"}


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"com.docker.network.endpoint.ifname": "a/b"}, "com.docker.network.endpoint.ifname", "not a name"),
        ({"com.docker.network.endpoint.ifname": "lo"}, "com.docker.network.endpoint.ifname", "not a name"),
        ({"com.docker.network.endpoint.ifname": "x" * 16}, "com.docker.network.endpoint.ifname", "not a name"),
        *(
            ({"com.docker.network.endpoint.sysctls": text}, "com.docker.network.endpoint.sysctls", "not a setting")
            for text in (
                "a=1",
                "net.ipv4.ip_forward=1",
                "net.ipv4.conf.eth0.forwarding=1",
                "net.ipv4.conf.IFNAME.forwarding",
                "net.ipv4.conf.IFNAME.forwarding=yes",
                "net.ipv4.conf.IFNAME.forwarding=01",
                "net.ipv4.conf.IFNAME.forwarding=1\n",
                "net.ipv4.conf.IFNAME.forwarding=1,net.ipv4.conf.IFNAME.forwarding=0",
                "net.ipv4.conf.IFNAME.../all/forwarding=1",
                "net.core.conf.IFNAME.x=1",
            )
        ),
        (
            {"com.docker.network.advertise_addr_nmsgs": "3"},
            "com.docker.network.advertise_addr_nmsgs",
            "not known",
        ),
    ],
)
def test_endpoint_options_are_honoured_or_refused(options: dict[str, str], field: str, words: str) -> None:
    with pytest.raises(InvalidSpec, match=words) as refused:
        read_container({"networks": [{"network": "app", "driver_opts": options}]})
    assert refused.value.field == f"networks.0.driver_opts.{field}"


def test_one_sandbox_never_has_an_interface_twice(world: World) -> None:
    world.network("lan")
    name = {"com.docker.network.endpoint.ifname": "eth0"}
    with pytest.raises(Conflict, match="interface eth0 already"):
        world.container("web", networks=["bridge", {"network": "lan", "driver_opts": name}])


def test_host_gateway_needs_a_default_bridge(world: World) -> None:
    assert world.container("a", extra_hosts=["box:host-gateway"]).spec["extra_hosts"] == [["box", "host-gateway"]]
    Network.objects.get(name="bridge").endpoints.all().delete()
    Network.objects.filter(name="bridge").delete()
    with pytest.raises(Conflict, match="no default bridge") as refused:
        world.container("b", network="none", extra_hosts=["box:host-gateway"])
    assert refused.value.field == "extra_hosts.0"


def test_what_a_container_names_in_vain_is_told_with_its_field(world: World) -> None:
    world.network("lan", subnets=[{"subnet": "10.9.0.0/24"}])
    for spec, field in (
        ({"network": "nosuch"}, "network"),
        ({"network": "container:nosuch"}, "network"),
        ({"networks": [{"network": "lan"}, {"network": "nosuch"}]}, "networks.1.network"),
        ({"networks": [{"network": "bridge"}, {"network": "lan", "ipv4": "10.8.0.1"}]}, "networks.1.ipv4"),
        ({"network": "lan", "ipv4": "10.8.0.1"}, "ipv4"),
        ({"links": ["nosuch"]}, "links.0"),
    ):
        with pytest.raises(CnmError) as refused:
            world.container("web", **spec)
        assert refused.value.field == field, spec
        assert not Container.objects.exists()


def test_both_states_of_one_look_are_those_of_two(world: World) -> None:
    world.network("app")
    db = world.container("db", ports=["5432"])
    world.container("web", network="app", links=[])
    stopped = world.container("stopped")
    leaving = world.container("leaving", networks=["app"])
    going = world.container("going", links=["db"])
    containers.stop_container(OPERATOR, stopped)
    networks.disconnect(OPERATOR, Network.objects.get(name="app"), leaving)
    containers.remove_container(OPERATOR, going, force=True)
    db.ports.update(withheld=True)
    wanted, kept = load_both(world.host)
    assert wanted == load_host(world.host)
    assert kept == load_host(world.host, as_if_kept=True)
    assert [item.name for item in kept.containers if item not in wanted.containers] == [
        "db",
        "stopped",
        "leaving",
        "going",
    ]


@pytest.mark.parametrize(
    ("signal", "own", "comes_back"),
    [
        ("SIGKILL", "", False),
        ("SIGTERM", "", False),
        ("SIGINT", "", False),
        ("SIGHUP", "", True),
        ("SIGKILL", "SIGQUIT", False),
        ("SIGQUIT", "SIGQUIT", False),
        ("SIGTERM", "SIGQUIT", True),
    ],
)
def test_what_a_person_killed_no_policy_restarts(world: World, signal: str, own: str, comes_back: bool) -> None:
    container = world.container(restart_policy={"name": "always"}, stop_signal=own)
    containers.kill_container(OPERATOR, container, signal)
    world.work()
    pause = world.ends(container, 137)
    if not comes_back:
        world.work()
    container.refresh_from_db()
    assert (pause is not None) is comes_back
    assert (container.status, container.wanted) == (
        ("restarting", "running") if comes_back else ("exited", "stopped")
    ), "stopped: `always` starts it with its host"
    if not comes_back:
        containers.start_container(OPERATOR, container)
        world.work()
        assert world.ends(container, 1) is not None, "a start is another run, under its policy"


def test_a_restart_that_is_due_is_called_off_by_a_kill(world: World) -> None:
    container = world.container(restart_policy={"name": "always"})
    run = container.run
    assert world.ends(container, 1) is not None
    containers.kill_container(OPERATOR, container)
    world.work()
    from networks import settle

    settle.restart_by_policy(world.host, container.pk, run)
    world.work()
    container.refresh_from_db()
    assert container.status == "exited"


@pytest.mark.parametrize(
    ("of_image", "own", "used"),
    [
        ("SIGQUIT", "", "SIGQUIT"),
        ("3", "", "SIGQUIT"),
        ("SIGQUIT", "SIGTERM", "SIGTERM"),
        ("nonsense", "", "SIGTERM"),
        ("", "", "SIGTERM"),
    ],
)
def test_a_container_is_stopped_as_its_image_says_or_it_was_told(
    world: World, of_image: str, own: str, used: str
) -> None:
    Image.objects.create(host=world.host, name="app:1", status="ready", config={"StopSignal": of_image})
    container = world.container(image="app:1", stop_signal=own)
    stopped = containers.stop_container(OPERATOR, container)
    assert stopped.operation is not None
    assert stopped.operation.args["ends"][container.pk][0] == used
    assert represent.container(container)["stop_signal"] == used
