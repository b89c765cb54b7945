"""What the embedded DNS server of a host is told: servers in sandboxes, names on networks, and the files that go with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from networks.cnm.desired import Container, Link
from networks.cnm.resources import EtcFile, NameRecord, NameServer, Owner, Resource
from tests.testlib.desired import identity, network
from worker.compile import compile_host
from worker.observe.names import described_record, described_server, read_record, read_server
from worker.scope import Scope

from .compiled import BRIDGE, DUAL, FACTS, WEB, compiled, container, endpoint, host, only

ON_WEB = container(16, endpoint(16, WEB, "172.18.0.2/16", aliases=("shop", "www")), hostname="box")
ON_BRIDGE = container(17, endpoint(17, BRIDGE, "172.17.0.2/16"))
INTERNAL = network(9, "inner", "172.29.0.0/16", internal=True)


def server(*containers: Container, **settings: object) -> NameServer:
    found = only(compiled(*containers, **settings), NameServer)
    assert isinstance(found, NameServer)
    return found


def names(resources: tuple[Resource, ...]) -> dict[str, tuple[str, ...]]:
    return {item.container_id: item.names for item in resources if isinstance(item, NameRecord)}


def text(name: str, *containers: Container, **settings: object) -> str:
    found = only(compiled(*containers, **settings), EtcFile, name=name)
    assert isinstance(found, EtcFile)
    return found.content


def test_a_container_on_a_network_of_its_own_has_a_server_and_names() -> None:
    found = compiled(ON_WEB, ON_BRIDGE)
    assert names(found) == {ON_WEB.id: ("c16", "shop", "www", "000000000010", "box")}
    (record,) = [item for item in found if isinstance(item, NameRecord)]
    assert [str(address) for address in record.addresses] == ["172.18.0.2"]
    assert record.network_name == "web"
    assert record.owner == Owner(kind="endpoint", id=identity(16))
    assert server(ON_WEB, ON_BRIDGE).sandbox == "cnm-000000000010"


def test_the_default_bridge_has_neither() -> None:
    found = compiled(ON_BRIDGE)
    assert not [item for item in found if isinstance(item, NameServer | NameRecord)]
    assert "127.0.0.11" not in text("resolv.conf", ON_BRIDGE)


def test_switched_off_there_is_neither() -> None:
    found = compiled(ON_WEB, embedded_dns=False)
    assert not [item for item in found if isinstance(item, NameServer | NameRecord)]
    assert "127.0.0.11" not in text("resolv.conf", ON_WEB, embedded_dns=False)


def test_resolv_conf_names_the_server_and_hosts_no_neighbour() -> None:
    neighbour = container(18, endpoint(18, WEB, "172.18.0.3/16"))
    plain = replace(ON_WEB, hostname="")
    assert text("resolv.conf", plain) == "search corp.example\nnameserver 127.0.0.11\noptions ndots:0\n"
    hosts = only(compiled(plain, neighbour), EtcFile, name="hosts", container_id=plain.id)
    assert isinstance(hosts, EtcFile)
    assert hosts.content.endswith("ff02::2\tip6-allrouters\n172.18.0.2\t000000000010\n")


def test_the_hosts_servers_are_asked_from_the_host_even_on_loopback() -> None:
    found = server(ON_WEB)
    assert (found.servers, found.inside) == (("127.0.0.53", "192.0.2.53", "2001:db8::53"), False)


def test_servers_that_a_person_chose_are_asked_from_inside() -> None:
    found = server(replace(ON_WEB, dns=("198.51.100.7",)))
    assert (found.servers, found.inside) == (("198.51.100.7",), True)
    found = server(ON_WEB, dns=("198.51.100.9",))
    assert (found.servers, found.inside) == (("198.51.100.9",), True)


def test_a_host_without_any_server_falls_back_to_public_ones() -> None:
    (found,) = [r for r in compile_host(host(ON_WEB), replace(FACTS, resolv_conf="")) if isinstance(r, NameServer)]
    assert found.servers == ("8.8.8.8", "8.8.4.4")


@pytest.mark.parametrize(
    ("networks", "forwards"), [((INTERNAL,), False), ((INTERNAL, WEB), True), ((INTERNAL, BRIDGE), True)]
)
def test_on_internal_networks_alone_nobody_else_is_asked(networks: tuple, forwards: bool) -> None:  # type: ignore[type-arg]
    where = [
        endpoint(20 + at, on, f"{on.subnets[0].subnet[9]}/16", ifname=f"eth{at}") for at, on in enumerate(networks)
    ]
    made = compile_host(host(container(20, *where), networks=(BRIDGE, WEB, INTERNAL)), FACTS)
    (found,) = [item for item in made if isinstance(item, NameServer)]
    assert found.forwards is forwards
    assert INTERNAL.id in found.networks
    assert BRIDGE.id not in found.networks


@pytest.mark.parametrize(("options", "keeps"), [((), False), (("ndots:0",), False), (("rotate", "ndots:2"), True)])
def test_an_ndots_of_ones_own_keeps_single_labels(options: tuple[str, ...], keeps: bool) -> None:
    assert server(replace(ON_WEB, dns_options=options)).keeps_single_labels is keeps


def test_links_are_aliases_for_their_recipient_alone() -> None:
    source = container(18, endpoint(18, WEB, "172.18.0.3/16"))
    link = Link(id=identity(1), source_id=source.id, alias="store")
    recipient = replace(ON_WEB, links=(link,))
    by_sandbox = {item.sandbox: item for item in compiled(recipient, source) if isinstance(item, NameServer)}
    assert by_sandbox["cnm-000000000010"].links == (("store", source.id),)
    assert by_sandbox["cnm-000000000012"].links == ()
    assert "store" not in str(names(compiled(recipient, source)))


def test_an_adopted_namespace_is_named_but_not_served() -> None:
    adopted = replace(ON_WEB, kind="adopted", adopted_path="/run/netns/blue")
    found = compiled(adopted)
    assert not [item for item in found if isinstance(item, NameServer)]
    assert names(found)[adopted.id][0] == "c16"
    assert "127.0.0.11" not in text("resolv.conf", adopted)


def test_a_container_in_anothers_sandbox_adds_nothing() -> None:
    joined = container(18, network_mode=f"container:{ON_WEB.id}")
    assert [item for item in compiled(ON_WEB, joined) if isinstance(item, NameServer)] == [server(ON_WEB)]
    assert set(names(compiled(ON_WEB, joined))) == {ON_WEB.id}


def test_both_families_and_all_ports_are_told() -> None:
    dual = container(19, endpoint(19, DUAL, "172.19.0.2/16", "fd00:19::2/64"), exposed_ports=((80, "tcp"), (53, "udp")))
    (record,) = [item for item in compiled(dual) if isinstance(item, NameRecord)]
    assert [str(address) for address in record.addresses] == ["172.19.0.2", "fd00:19::2"]
    assert record.ports == ((53, "udp"), (80, "tcp"))


def test_a_change_of_one_container_is_no_change_of_its_neighbours() -> None:
    others = [container(number, endpoint(number, WEB, f"172.18.0.{number}/16")) for number in range(20, 30)]
    one = host(*others)
    two = host(replace(others[0], name="renamed"), *others[1:])
    before, after = (set(compile_host(item, FACTS)) for item in (one, two))
    kinds = sorted(item.kind for item in after - before)
    assert kinds == ["name"]
    scope = Scope(containers=frozenset({others[0].id}))
    assert {item.key for item in after - before} <= scope.keys(two, after)


def test_what_the_opener_is_told_reads_back_as_it_was() -> None:
    link = Link(id=identity(1), source_id=identity(18), alias="store")
    for item in compiled(replace(ON_WEB, links=(link,), dns=("192.0.2.9",))):
        if isinstance(item, NameServer):
            assert read_server(described_server(item), up=True) == item
        if isinstance(item, NameRecord):
            assert read_record(described_record(item)) == item


@pytest.mark.parametrize("dns", [True, False])
def test_only_hosts_files_that_may_name_a_container_are_read_when_it_starts(dns: bool) -> None:
    link = Link(id=identity(1), source_id=ON_BRIDGE.id, alias="store")
    recipient = container(20, endpoint(20, BRIDGE, "172.17.0.3/16"), links=(link,))
    stranger = container(21, endpoint(21, BRIDGE, "172.17.0.4/16"))
    neighbour = container(22, endpoint(22, WEB, "172.18.0.3/16"))
    made = host(ON_BRIDGE, recipient, stranger, ON_WEB, neighbour, embedded_dns=dns)

    def files(started: Container) -> set[tuple[str, ...]]:
        keys = Scope(containers=frozenset({started.id})).keys(made, compile_host(made, FACTS))
        return {key[1:] for key in keys if key[0] == "file" and key[1] != started.id}

    assert files(ON_BRIDGE) == ({(recipient.id, "hosts")} if dns else {(recipient.id, "hosts"), (stranger.id, "hosts")})
    assert files(ON_WEB) == (set() if dns else {(neighbour.id, "hosts")})
