"""What the three files of a container compile to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from networks.cnm.desired import Container
from networks.cnm.resources import EtcFile
from tests.testlib.desired import network
from worker.compile import compile_host

from .compiled import BRIDGE, DUAL, FACTS, ON_WEB, WEB, compiled, container, endpoint, host, only


def resolv_conf(*containers: Container, **settings: object) -> str:
    """What a container asks without a server of ours; with one see test_compile_names.py."""
    found = only(compiled(*containers, embedded_dns=False, **settings), EtcFile, name="resolv.conf")
    assert isinstance(found, EtcFile)
    return found.content


def test_servers_that_a_sandbox_cannot_reach_are_left_out() -> None:
    assert resolv_conf(ON_WEB) == "# made by hand\nnameserver 192.0.2.53\nsearch corp.example\n"
    dual = container(16, endpoint(16, DUAL, "172.19.0.2/16", "fd00:19::2/64"))
    assert "nameserver 2001:db8::53\n" in resolv_conf(dual)


def test_a_host_without_a_reachable_server_falls_back() -> None:
    local = replace(FACTS, resolv_conf="nameserver 127.0.0.53\noptions edns0\n")
    seen = replace(local, nameservers=("192.0.2.53",))
    for facts, servers in ((local, ["8.8.8.8", "8.8.4.4"]), (seen, ["192.0.2.53"])):
        found = only(compile_host(host(ON_WEB, embedded_dns=False), facts), EtcFile, name="resolv.conf")
        assert isinstance(found, EtcFile)
        assert found.content == "options edns0\n" + "".join(f"nameserver {server}\n" for server in servers)


def test_the_hosts_setting_for_dns_holds_where_a_container_says_nothing() -> None:
    assert resolv_conf(ON_WEB, dns=("198.51.100.1",)) == "search corp.example\nnameserver 198.51.100.1\n"
    own = replace(
        ON_WEB, dns=("198.51.100.2",), dns_search=("a.example", "b.example"), dns_options=("ndots:1", "rotate")
    )
    expected = "search a.example b.example\nnameserver 198.51.100.2\noptions ndots:1 rotate\n"
    assert resolv_conf(own, dns=("198.51.100.1",)) == expected


def test_without_a_dns_server_hosts_names_the_neighbours() -> None:
    neighbour = container(17, endpoint(17, WEB, "172.18.0.3/16", aliases=("db", "store")))
    elsewhere = container(18, endpoint(18, BRIDGE, "172.17.0.2/16"))
    found = {
        item.container_id: item.content
        for item in compiled(ON_WEB, neighbour, elsewhere, embedded_dns=False)
        if isinstance(item, EtcFile) and item.name == "hosts"
    }
    assert found[ON_WEB.id].endswith("172.18.0.2\t000000000010\n172.18.0.2\tc16\n172.18.0.3\tc17 db store\n")
    assert "c16" not in found[elsewhere.id]
    with_dns = compiled(ON_WEB, neighbour, embedded_dns=True)
    hosts = only(with_dns, EtcFile, name="hosts", container_id=ON_WEB.id)
    assert isinstance(hosts, EtcFile)
    assert hosts.content.endswith("ff02::2\tip6-allrouters\n172.18.0.2\t000000000010\n")


@pytest.mark.parametrize("mode", ["bridge", "host"])
def test_host_gateway_stands_for_the_hosts_address_on_the_default_bridge(mode: str) -> None:
    extra = (("db", "10.0.0.5"), ("box", "host-gateway"))
    attached = (endpoint(0x10, WEB, "172.18.0.2/16"),) if mode == "bridge" else ()
    made = compiled(container(0x20, *attached, network_mode=mode, extra_hosts=extra))
    content = only(made, EtcFile, name="hosts").content  # type: ignore[attr-defined]
    assert "10.0.0.5\tdb\n172.17.0.1\tbox\n" in content
    assert "host-gateway" not in content


def test_host_gateway_stands_for_both_families_where_the_default_bridge_has_both() -> None:
    both = network(1, "bridge", "172.17.0.0/16", "fd00:17::/64")
    box = container(0x20, endpoint(0x10, both, "172.17.0.2/16"), extra_hosts=(("box", "host-gateway"),))
    content = only(compiled(box, networks=(both,)), EtcFile, name="hosts").content  # type: ignore[attr-defined]
    assert "172.17.0.1\tbox\nfd00:17::1\tbox\n" in content
