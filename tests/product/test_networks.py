"""Networks as the kernel has them: changed in place, in every gateway mode, published in every way."""

from __future__ import annotations

import subprocess

import pytest

from tests.testlib.product import Product

from .conftest import Console
from .test_flows import UDP_ASK, UDP_ECHO

pytestmark = pytest.mark.kernel
BRIDGE = "com.docker.network.bridge."
MTU = "com.docker.network.driver.mtu"


def change(console: Console, network: str, **body: object) -> None:
    """Change it after a look at the plan; what the plan says is what the operation did."""
    planned = console.call("PATCH", f"networks/{network}", body, dry_run=1)["plan"]["summary"]
    console.call("PATCH", f"networks/{network}", body)
    done = console.get("operations", page_size=1)["results"][0]
    assert done["verb"] == "network.update"
    assert done["plan_summary"] == planned


def test_icc_is_switched_off_and_on_under_running_containers(console: Console) -> None:
    console.network("app")
    console.serve("a", 80, network="app")
    console.run("b", network="app")
    address, sandbox, pid = console.address("a"), console.sandbox("b"), console.get("containers/a")["pid"]
    assert console.connects_soon(address, 80, netns=sandbox) == "hello"
    change(console, "app", options={BRIDGE + "enable_icc": "false"})
    assert console.connects(address, 80, netns=sandbox) is None
    assert console.connects(address, 80, netns=None) == "hello", "the host still may"
    change(console, "app", options={BRIDGE + "enable_icc": None})
    assert console.connects(address, 80, netns=sandbox) == "hello"
    assert console.get("containers/a")["pid"] == pid


def test_a_new_mtu_is_on_the_bridge_and_on_every_veth_and_nothing_restarts(console: Console) -> None:
    network = console.network("app")
    console.serve("a", 80, network="app", ports=["8080:80"])
    console.run("b", network="app")
    pids = {name: console.get(f"containers/{name}")["pid"] for name in "ab"}

    def mtus() -> set[int]:
        devices = [console.get(f"containers/{name}")["endpoints"][0]["device"] for name in "ab"]
        outer = [console.bottle.ip("link", "show", name)[0]["mtu"] for name in (*devices, network["bridge"])]
        inner = [console.bottle.ip("link", "show", "eth0", netns=console.sandbox(name))[0]["mtu"] for name in "ab"]
        return {*outer, *inner}

    assert mtus() == {1500}
    for mtu in (1400, 9000):
        change(console, "app", options={MTU: str(mtu)})
        assert mtus() == {mtu}
        assert console.connects_soon("192.0.2.2", 8080) == "hello"
    assert {name: console.get(f"containers/{name}")["pid"] for name in "ab"} == pids
    assert console.call("PATCH", "networks/app", {"options": {MTU: "9000"}}, dry_run=1)["plan"]["steps"] == []
    assert console.get("drift")["results"] == []


def test_a_network_becomes_internal_and_open_again(console: Console) -> None:
    console.network("app")
    console.serve("web", 80, network="app", ports=["8080:80"])
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    change(console, "app", internal=True)
    assert console.connects("192.0.2.2", 8080) is None
    ping = ["busybox", "ping", "-c1", "-W1", "192.0.2.1"]
    assert console.bottle.run(ping, netns=console.sandbox("web"), check=False).returncode != 0
    change(console, "app", internal=False)
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    assert console.bottle.run(ping, netns=console.sandbox("web"), check=False).returncode == 0


def test_ports_follow_their_networks_default_address(console: Console) -> None:
    console.network("app", options={BRIDGE + "host_binding_ipv4": "127.0.0.1"})
    console.serve("web", 80, network="app", ports=["8080:80"])
    assert console.connects_soon("127.0.0.1", 8080, netns=None) == "hello"
    assert console.connects("192.0.2.2", 8080) is None
    change(console, "app", options={BRIDGE + "host_binding_ipv4": "192.0.2.2"})
    assert console.connects_soon("192.0.2.2", 8080) == "hello"
    assert console.connects("127.0.0.1", 8080, netns=None) is None
    change(console, "app", options={BRIDGE + "host_binding_ipv4": None})
    assert console.connects_soon("127.0.0.1", 8080, netns=None) == "hello"


def test_masquerade_is_switched_off(console: Console) -> None:
    console.network("app", subnets=[{"subnet": "10.77.0.0/24"}])
    assert "-s 10.77.0.0/24 ! -o" in console.iptables("nat")
    change(console, "app", options={BRIDGE + "enable_ip_masquerade": "false"})
    assert "10.77.0.0/24" not in console.iptables("nat")


def test_what_stays_for_life_is_refused(console: Console) -> None:
    console.network("app")
    console.run("web", network="app")
    for body, status in (
        ({"driver": "null"}, 403),
        ({"options": {BRIDGE + "name": "other"}}, 403),
        ({"subnets": [{"subnet": "10.9.0.0/24"}]}, 409),
    ):
        refused = console.raw("PATCH", "networks/app", body)
        assert refused.status_code == status, refused.text
        assert refused.json()["remedy"]


def test_a_subnet_changes_while_nobody_is_there(console: Console) -> None:
    network = console.network("app", subnets=[{"subnet": "10.77.0.0/24"}])
    change(console, "app", subnets=[{"subnet": "10.78.0.0/24"}])
    shown = console.bottle.run(["ip", "-4", "-o", "addr", "show", network["bridge"]]).stdout
    assert "10.78.0.1/24" in shown
    assert "10.77." not in shown
    console.run("web", network="app")
    assert console.address("web").startswith("10.78.0.")


def test_an_isolated_network_has_no_address_on_its_bridge(console: Console) -> None:
    network = console.network("alone", internal=True, options={BRIDGE + "gateway_mode_ipv4": "isolated"})
    console.serve("a", 80, network="alone")
    console.run("b", network="alone")
    assert console.bottle.run(["ip", "-4", "-o", "addr", "show", network["bridge"]]).stdout == ""
    assert console.connects_soon(console.address("a"), 80, netns=console.sandbox("b")) == "hello"
    assert console.bottle.run(["ip", "route"], netns=console.sandbox("a")).stdout.count("default") == 0
    assert console.connects(console.address("a"), 80, netns=None) is None


def test_an_unprotected_network_lets_in_whoever_routes_there(console: Console) -> None:
    console.network(
        "open", subnets=[{"subnet": "10.79.0.0/24"}], options={BRIDGE + "gateway_mode_ipv4": "nat-unprotected"}
    )
    console.serve("web", 80, network="open")
    console.bottle.run(["ip", "route", "add", "10.79.0.0/24", "via", "192.0.2.2"], netns="outside")
    try:
        assert console.connects_soon(console.address("web"), 80) == "hello"
        change(console, "open", options={BRIDGE + "gateway_mode_ipv4": "nat"})
        assert console.connects(console.address("web"), 80) is None
    finally:
        console.bottle.run(["ip", "route", "del", "10.79.0.0/24"], netns="outside")


def test_an_address_that_the_host_does_not_have_is_refused_by_name_and_nothing_of_it_stands(console: Console) -> None:
    for port in ("198.51.100.7:8080:80", "198.51.100.7::80"):  # a port of nobody's choice is not sought for ever
        refused = console.raw("POST", "containers", {"name": "web", "command": ["sleep", "9"], "ports": [port]})
        assert (refused.status_code, refused.json()["field"]) == (400, "ports"), refused.text
        assert "no address 198.51.100.7" in refused.json()["detail"]
        assert "198.51.100.7" not in console.iptables("nat")
        assert not console.get("containers/web")["pid"]
        console.remove("web")


@pytest.mark.parametrize("backend", [pytest.param("iptables", marks=pytest.mark.long), "nftables"])
def test_a_trusted_interface_reaches_containers_at_their_own_addresses(backend: str) -> None:
    trusted = BRIDGE + "trusted_host_interfaces"
    with Product({"CNM_FIREWALL": backend}) as product:
        console = Console(product)
        console.network("app", subnets=[{"subnet": "10.79.0.0/24"}])
        console.serve("web", 80, network="app", ports=["8080:80"])
        console.bottle.run(["ip", "route", "add", "10.79.0.0/24", "via", "192.0.2.2"], netns="outside")
        assert console.connects_soon("192.0.2.2", 8080) == "hello"
        address = console.address("web")
        assert console.connects(address, 80) is None
        change(console, "app", options={trusted: "nosuch0:eth0"})
        assert console.connects(address, 80) == "hello"
        change(console, "app", options={trusted: None})
        assert console.connects(address, 80) is None
        refused = console.raw("PATCH", "networks/app", {"options": {trusted: "eth0;reboot"}})
        assert (refused.status_code, refused.json()["field"]) == (400, f"options.{trusted}")


def test_a_port_is_published_on_one_address_of_the_host(console: Console) -> None:
    console.bottle.run(["ip", "addr", "add", "192.0.2.3/24", "dev", "eth0"])
    try:
        console.serve("web", 80, ports=["192.0.2.3:8080:80"])
        console.serve("other", 80, text="other", ports=["192.0.2.2:8080:80"])
        assert console.connects_soon("192.0.2.3", 8080) == "hello"
        assert console.connects_soon("192.0.2.2", 8080) == "other"
    finally:
        console.bottle.run(["ip", "addr", "del", "192.0.2.3/24", "dev", "eth0"])


def test_ranges_lead_port_by_port_and_a_range_for_one_takes_the_first_free(console: Console) -> None:
    console.serve("a", 81, ports=["8100-8102:80-82"])
    assert console.connects_soon("192.0.2.2", 8101) == "hello"
    console.serve("b", 80, text="second", ports=["8100-8110:80"])
    assert console.get("containers/b")["ports"][0]["host_port"] == 8103
    assert console.connects_soon("192.0.2.2", 8103) == "second"


def test_all_exposed_ports_are_published_on_free_ports(console: Console) -> None:
    console.serve("web", 80, exposed_ports=["80", "53/udp"], publish_all=True)
    ports = {
        (port["container_port"], port["protocol"]): port["host_port"] for port in console.get("containers/web")["ports"]
    }
    assert set(ports) == {(80, "tcp"), (53, "udp")}
    assert console.connects_soon("192.0.2.2", ports[80, "tcp"]) == "hello"
    before = ports[80, "tcp"]
    console.call("POST", "containers/web/stop", {"timeout": 0})
    assert console.get("containers/web")["ports"][0]["host_port"] == 0
    assert console.connects("192.0.2.2", before) is None


TAKE_LOWEST = (
    "import socket, time; s = socket.socket(); s.bind(('', int(open('/proc/sys/net/ipv4/ip_local_port_range').read().split()[0])))\n"
    "s.listen(); print(s.getsockname()[1], flush=True); time.sleep(1000)"
)


def test_an_ephemeral_port_lost_to_another_program_is_exchanged_for_the_next(console: Console) -> None:
    console.product.kill("monitor")  # without its clock nobody looks at what listens
    try:
        thief = console.bottle.popen(["python3", "-c", TAKE_LOWEST])
        assert thief.stdout is not None
        stolen = int(thief.stdout.readline())
        console.serve("web", 80, ports=["80"])
        given = console.get("containers/web")["ports"][0]["host_port"]
        assert given == stolen + 1
        assert console.connects_soon("192.0.2.2", given) == "hello"
    finally:
        console.product.restart("monitor")


LISTEN = "import socket; s = socket.create_server(('', 8099)); print('up', flush=True); input()"


def test_a_port_that_a_program_holds_is_refused_by_its_name_and_free_the_moment_it_ends(console: Console) -> None:
    program = console.bottle.popen(["python3", "-c", LISTEN], stdin=subprocess.PIPE)
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stdout.readline() == "up\n"
    console.product.kill("monitor")  # without its clock nobody looks at what listens by himself
    try:
        console.product.restart("kernel")  # it looks once, at its start
        body = {"name": "web", "command": ["sleep", "1000"], "ports": ["8099:80"]}
        for dry_run in (1, 0):
            refused = console.raw("POST", "containers", body, dry_run=dry_run)
            assert (refused.status_code, refused.json()["field"]) == (409, "ports"), refused.text
            assert "8099/tcp is held by python3 (" in refused.json()["detail"]
        assert console.raw("GET", "containers/web").status_code == 404
        print(file=program.stdin, flush=True)
        assert program.wait(10) == 0
        assert console.call("POST", "containers", body, dry_run=1)["plan"]["summary"]["create"] > 0
        console.serve("web", 80, ports=["8099:80"])
        assert console.connects_soon("192.0.2.2", 8099) == "hello"
    finally:
        console.product.restart("monitor")


def test_a_port_that_a_program_took_a_moment_ago_is_refused_and_nothing_is_made(console: Console) -> None:
    def looked() -> str:
        return str(console.get("hosts")["results"][0]["facts_at"])

    before = looked()
    assert console.until(lambda: looked() != before), "the worker looks every few seconds"
    program = console.bottle.popen(["python3", "-c", LISTEN], stdin=subprocess.PIPE)
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stdout.readline() == "up\n"
    body = {"name": "web", "command": ["sleep", "1000"], "ports": ["8099:80"]}
    # The monitor's glance, and the worker's look: a dry run asks for none.
    assert console.until(lambda: console.raw("POST", "containers", body, dry_run=1).status_code == 409)
    operations = console.get("operations")["count"]
    refused = console.raw("POST", "containers", body)
    assert (refused.status_code, refused.json()["field"]) == (409, "ports"), refused.text
    assert "8099/tcp is held by python3 (" in refused.json()["detail"]
    assert console.raw("GET", "containers/web").status_code == 404
    assert console.get("operations")["count"] == operations
    print(file=program.stdin, flush=True)
    assert program.wait(10) == 0


def test_a_subnet_is_free_the_moment_its_route_is_gone(console: Console) -> None:
    console.bottle.run(["ip", "route", "add", "10.88.0.0/24", "dev", "eth0"])
    console.product.kill("monitor")
    try:
        console.product.restart("kernel")
        body = {"name": "app", "subnets": [{"subnet": "10.88.0.0/24"}]}
        refused = console.raw("POST", "networks", body)
        assert (refused.status_code, refused.json()["field"]) == (409, "subnets.0.subnet"), refused.text
        assert "a route of the host" in refused.json()["detail"]
        console.bottle.run(["ip", "route", "del", "10.88.0.0/24", "dev", "eth0"])
        assert console.call("POST", "networks", body)["status"] == "ready"
    finally:
        console.product.restart("monitor")


def test_sctp_ports_are_held_and_translated(console: Console) -> None:
    body = {"name": "web", "command": ["sleep", "1000"], "ports": ["9900:99/sctp"]}
    answer = console.raw("POST", "containers", body)
    if answer.status_code != 201:  # this kernel has no SCTP: it is refused with that reason, and nothing is left
        assert (answer.status_code, answer.json()["code"]) == (501, "unsupported")
        assert "does not know sctp" in answer.json()["detail"]
        assert "9900" not in console.iptables("nat")
        return
    assert "-p sctp -m sctp --dport 9900" in console.iptables("nat")
    refused = console.raw("POST", "containers", {"name": "two", "command": ["sleep", "9"], "ports": ["9900:99/sctp"]})
    assert refused.status_code == 409
    console.run("three", ports=["9900:99/tcp"])


UDP_SERVER = (
    "import socket; s = socket.socket(2, 2); s.bind(('192.0.2.1', 7001)); print('up', flush=True)\n"
    "data, who = s.recvfrom(99); print(who[0], flush=True); s.sendto(data, who)"
)
UDP_CALL = "import socket; s = socket.socket(2, 2); s.settimeout(3); s.sendto(b'ping', ('192.0.2.1', 7001)); print(s.recv(99).decode())"


def test_udp_leaves_with_the_hosts_address_and_the_answer_comes_back(console: Console) -> None:
    console.run("client")
    server = console.bottle.popen(["python3", "-c", UDP_SERVER], netns="outside")
    assert server.stdout is not None
    assert server.stdout.readline() == "up\n"
    assert console.inside("client", "python3", "-c", UDP_CALL)["stdout"] == "ping\n"
    assert server.stdout.readline() == "192.0.2.2\n"
    server.wait(10)


CALL_SIX = (
    "import socket, sys; c = socket.create_connection(('2001:db8::2', 8080), 2, (sys.argv[1], 0))\n"
    "print(c.recv(99).decode())"
)


def test_allowed_sources_hold_over_ipv6(console: Console) -> None:
    console.network("six", enable_ipv6=True, subnets=[{"subnet": "10.66.0.0/24"}, {"subnet": "fd00:66::/64"}])
    port = {"container_port": 80, "host_port": 8080, "allowed_sources": ["2001:db8::77/128"]}
    console.serve("web", 80, network="six", ports=[port])
    console.bottle.run(["ip", "addr", "add", "2001:db8::77/64", "dev", "eth0", "nodad"], netns="outside", check=False)

    def from_(source: str) -> str:
        return console.bottle.run(["python3", "-c", CALL_SIX, source], netns="outside", check=False).stdout.strip()

    assert console.until(lambda: from_("2001:db8::77")) == "hello"
    assert from_("2001:db8::1") == ""


def test_a_udp_port_on_one_address_answers_from_it(console: Console) -> None:
    console.run("echo", "python3", "-c", UDP_ECHO, ports=["192.0.2.2:5353:53/udp"])

    def ask(netns: str | None) -> str:
        command = ["python3", "-c", UDP_ASK, "192.0.2.2", "5353"]
        return console.bottle.run(command, netns=netns, check=False).stdout.strip()

    assert console.until(lambda: ask("outside")) == "ping"
