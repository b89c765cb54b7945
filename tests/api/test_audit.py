"""Traces, findings, exposure and dumps over REST, on a host as its worker would have seen it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest

from networks.cnm.facts import HostFacts, Listener
from networks.cnm.names import bridge_device, sandbox_name, veth_device
from networks.cnm.rules import Chain, Rule
from networks.cnm.trace.world import Device, Route, Sandbox, World, to_json
from networks.load import load_facts, load_host
from networks.models import Container, Network, Observation
from tests.api.conftest import Rest
from tests.testlib.world import World as Rows
from worker.compile import compile_host

pytestmark = pytest.mark.django_db
Person = Callable[[str], Rest]
BUILTIN = {
    "raw": ("PREROUTING",),
    "nat": ("PREROUTING", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}


def see(rows: Rows, *, bridge_nf: bool = True, more: tuple[dict[str, Any], ...] = ()) -> None:
    """What the worker would have stored, had it applied what is wanted; *more* are rules of others, before ours."""
    wanted = compile_host(load_host(rows.host), load_facts(rows.host))
    rules = sorted((one for one in wanted if isinstance(one, Rule)), key=lambda one: one.rank)
    rows_of = [
        _row(rule.table, rule.chain, rule.text) | {"family": rule.family, "tag": rule.owner.tag} for rule in rules
    ]
    chains = [
        {
            "flavour": "iptables-nft",
            "family": 4,
            "table": table,
            "name": name,
            "policy": "ACCEPT",
            "packets": 0,
            "bytes": 0,
        }
        for table, names in BUILTIN.items()
        for name in names
    ]
    chains += [
        {"flavour": "iptables-nft", "family": one.family, "table": one.table, "name": one.name, "policy": "-", "packets": 0, "bytes": 0}
        for one in wanted
        if isinstance(one, Chain)
    ]  # fmt: skip
    known = {(chain["table"], chain["name"]) for chain in chains}
    theirs = sorted({(row["table"], row["chain"]) for row in more} - known)
    chains += [
        {"flavour": "iptables-nft", "family": 4, "table": table, "name": name, "policy": "-", "packets": 0, "bytes": 0}
        for table, name in theirs
    ]
    listed = _counted([*more, *rows_of])
    Observation.objects.create(
        host=rows.host, kind="rules", data={"flavour": "iptables-nft", "rules": listed, "chains": chains}
    )
    Observation.objects.create(host=rows.host, kind="world", data=to_json(network_of(bridge_nf=bridge_nf)))


def _row(table: str, chain: str, text: str) -> dict[str, Any]:
    return {
        "flavour": "iptables-nft",
        "family": 4,
        "table": table,
        "chain": chain,
        "text": text,
        "packets": 0,
        "bytes": 0,
        "tag": "",
    }


def _counted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    places: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = (row["family"], row["table"], row["chain"])
        places[key] = places.get(key, 0) + 1
        row["position"] = places[key]
    return rows


def network_of(*, bridge_nf: bool) -> World:
    devices = [
        Device(name="lo", index=1, addresses=(ip_interface("127.0.0.1/8"),), forwarding=True),
        Device(name="eth0", index=2, addresses=(ip_interface("192.0.2.2/24"),), forwarding=True),
    ]
    routes = [Route(destination=ip_network("192.0.2.0/24"), device="eth0")]
    routes.append(Route(destination=ip_network("0.0.0.0/0"), device="eth0", gateway=ip_address("192.0.2.1")))
    sandboxes = []
    for number, network in enumerate(Network.objects.exclude(subnets=None)):
        subnet = network.subnets.get()
        name = "cnm0" if network.name == "bridge" else bridge_device(network.pk)
        gateway = ip_interface(f"{subnet.gateway}/{ip_network(subnet.cidr).prefixlen}")
        devices.append(Device(name=name, index=10 + number, kind="bridge", addresses=(gateway,), forwarding=True))
        routes.append(Route(destination=ip_network(subnet.cidr), device=name))
    for number, container in enumerate(Container.objects.filter(status="running")):
        inner, out = [], []
        for place, endpoint in enumerate(container.endpoints.select_related("network")):
            bridge = "cnm0" if endpoint.network.name == "bridge" else bridge_device(endpoint.network.pk)
            outer, own = 100 + 10 * number + place, 2 + place
            devices.append(
                Device(
                    name=veth_device(endpoint.pk), index=outer, kind="veth", master=bridge, peer=own, forwarding=True
                )
            )
            inner.append(
                Device(name=f"eth{place}", index=own, kind="veth", peer=outer, addresses=(ip_interface(endpoint.ipv4),))
            )
            out.append(Route(destination=ip_interface(endpoint.ipv4).network, device=f"eth{place}"))
            if not place:
                gateway = ip_address(endpoint.network.subnets.get().gateway)
                out.append(Route(destination=ip_network("0.0.0.0/0"), device="eth0", gateway=gateway))
        sandboxes.append(Sandbox(name=sandbox_name(container.pk), devices=tuple(inner), routes=tuple(out)))
    return World(devices=tuple(devices), routes=tuple(routes), sandboxes=tuple(sandboxes), bridge_nf=bridge_nf)


def two_networks(world: Rows) -> None:
    world.network("front")
    world.network("back")
    world.container("web", network="front", ports=[{"container_port": 80, "host_port": 8080}])
    world.container("db", network="back")
    see(world)


def test_a_trace_names_the_rule_that_decides_its_owner_and_the_change_that_helps(world: Rows, rest: Person) -> None:
    two_networks(world)
    found = rest("operator")("POST", "firewall/trace", {"from": "web", "to": "db", "port": 5432}).json()
    assert found["verdict"] == "dropped", found
    decider = found["decided_by"]
    assert decider["ours"]
    assert decider["owner"]["name"] == "db on back"
    assert decider["why"]
    assert any(step["rule"] and step["rule"]["why"] for step in found["steps"])
    texts = [remedy["text"] for remedy in found["remedies"]]
    assert texts[0] == "Connect container web to network back, where db is."
    first = found["remedies"][0]
    assert first["request"]["path"] == "/api/v1/networks/back/connect"
    assert first["plan"]["summary"]["create"] > 0
    done = rest("operator")("POST", "networks/back/connect", first["request"]["body"], wait=0)
    assert done.status_code == 202
    world.work()
    Observation.objects.all().delete()
    see(world)
    assert (
        rest("viewer")("POST", "firewall/trace", {"from": "web", "to": "db", "port": 5432}).json()["verdict"]
        == "allowed"
    )


def test_a_published_port_is_traced_from_outside_and_reported_as_exposed(world: Rows, rest: Person) -> None:
    two_networks(world)
    ask = rest("viewer")
    query = {"from": "203.0.113.7", "to": "192.0.2.2", "port": "8080"}
    found = ask("GET", "firewall/trace", **query).json()
    assert found["verdict"] == "allowed", found
    assert found["received"].endswith(":80")
    closed = ask("GET", "firewall/trace", **(query | {"to": "db", "port": "5432"})).json()
    assert closed["verdict"] == "dropped"
    assert [remedy["request"]["path"] for remedy in closed["remedies"]] == ["/api/v1/containers/db/ports"]
    exposed = ask("GET", "exposure").json()["results"]
    assert [(one["container"], one["host_port"], one["open_to_others"]) for one in exposed] == [("web", 8080, True)]
    assert ("192.0.2.2", "eth0", "allowed") in [
        (one["address"], one["device"], one["verdict"]) for one in exposed[0]["reaches"]
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"to": "db", "port": 1}, "from"),
        ({"from": "nobody", "to": "db", "port": 1}, "from"),
        ({"from": "web", "to": "db"}, "port"),
        ({"from": "web", "to": "db", "port": 99999}, "port"),
        ({"from": "web", "to": "db", "port": 1, "protocol": "gre"}, "protocol"),
        ({"from": "198.51.100.1", "to": "db", "port": 1, "interface": "eth9"}, "interface"),
        ({"from": "web", "to": "db", "port": 1, "how": "fast"}, "how"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_its_field(
    world: Rows, rest: Person, body: dict[str, Any], field: str
) -> None:
    two_networks(world)
    refused = rest("viewer")("POST", "firewall/trace", body)
    assert refused.status_code in {400, 404}, refused.content
    assert refused.json()["field"] == field


def test_a_port_that_ufw_calls_closed_is_found_and_one_that_it_opens_is_not(world: Rows, rest: Person) -> None:
    world.container("web", ports=[{"container_port": 80, "host_port": 8080}, {"container_port": 81, "host_port": 9090}])
    ufw = (
        _row("filter", "INPUT", "-A INPUT -j ufw-user-input"),
        _row("filter", "INPUT", "-A INPUT -j DROP"),
        _row("filter", "ufw-user-input", "-A ufw-user-input -p tcp -m tcp --dport 9090 -j ACCEPT"),
    )
    see(world, more=ufw)
    found = rest("viewer")("GET", "findings").json()["results"]
    assert [one["subject"] for one in found if one["code"] == "published_behind_ufw"] == ["port 8080/tcp of web"]
    exposed = {one["host_port"]: one for one in rest("viewer")("GET", "exposure").json()["results"]}
    assert [(port, one["open_to_others"], one["misleads"], one["guard"]) for port, one in exposed.items()] == [
        (8080, True, True, "ufw"),
        (9090, True, False, "ufw"),
    ]


def test_a_program_that_listens_is_exposed_where_the_rules_let_others_in(world: Rows, rest: Person) -> None:
    listeners = (
        Listener(protocol="tcp", address="0.0.0.0", port=22, process="sshd (7)"),  # what it listens on
        Listener(protocol="tcp", address="127.0.0.1", port=631, process="cupsd (8)"),
        Listener(protocol="tcp", address="::", port=7, process="inetd (9)"),
    )
    world.host.facts = HostFacts(listeners=listeners).to_json()
    world.host.save()
    see(world, more=(_row("filter", "INPUT", "-A INPUT -p tcp -m tcp --dport 7 -j DROP"),))
    found = {one["process"]: one for one in rest("viewer")("GET", "exposure", kind="listening").json()["results"]}
    assert {process: one["open_to_others"] for process, one in found.items()} == {
        "sshd (7)": True,
        "cupsd (8)": False,
        "inetd (9)": False,
    }
    assert [one["device"] for one in found["cupsd (8)"]["reaches"]] == ["lo"]
    assert found["sshd (7)"]["restrictions"] == []


def test_a_published_port_is_restricted_in_place_and_everybody_is_let_in_again(world: Rows, rest: Person) -> None:
    two_networks(world)
    ask = rest("operator")
    (exposed,) = ask("GET", "exposure", kind="published").json()["results"]
    call = exposed["restrictions"][0]["calls"][0]
    plan = ask("PATCH", call["path"].removeprefix("/api/v1/"), call["body"], dry_run=1).json()["plan"]
    assert plan["summary"]["create"] + plan["summary"]["change"] > 0, plan
    assert ask("PATCH", call["path"].removeprefix("/api/v1/"), call["body"], wait=0).status_code == 202
    world.work()
    port = Container.objects.get(name="web").ports.get()
    assert port.allowed_sources == ["192.0.2.0/24"]
    refused = ask("PATCH", call["path"].removeprefix("/api/v1/"), {"allowed_sources": ["everybody"]})
    assert refused.status_code == 400
    assert ask("PATCH", f"containers/web/ports/{'0' * 64}", {"allowed_sources": []}).status_code == 404
    assert rest("viewer")("PATCH", f"containers/web/ports/{port.pk}", {"allowed_sources": []}).status_code == 403
    assert ask("PATCH", f"containers/web/ports/{port.pk}", {"allowed_sources": []}, wait=0).status_code == 202
    port.refresh_from_db()
    assert port.allowed_sources == []


def test_the_exposure_report_is_a_table_without_formulas(world: Rows, rest: Person) -> None:
    two_networks(world)
    world.host.facts = HostFacts(
        listeners=(Listener(protocol="udp", address="0.0.0.0", port=5, process="=1+1"),)
    ).to_json()
    world.host.save()
    answer = rest("viewer")("GET", "exposure.csv")
    assert answer["Content-Type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.content.decode())))
    web = [line for line in lines if line["container"] == "web"]
    assert ("8080", "192.0.2.2", "eth0", "allowed", "True") in [
        (line["host_port"], line["address"], line["device"], line["verdict"], line["open_to_others"]) for line in web
    ]
    assert {line["process"] for line in lines if line["kind"] == "listening"} == {"'=1+1"}


def test_before_the_first_look_a_trace_says_so(world: Rows, rest: Person) -> None:
    world.container("web")
    assert rest("viewer")("POST", "firewall/trace", {"from": "web", "to": "host", "port": 1}).status_code == 503


def test_findings_name_what_is_wrong_and_what_helps(world: Rows, rest: Person) -> None:
    world.network("apart", options={"com.docker.network.bridge.enable_icc": "false"})
    world.container("web", network="apart", ports=[{"container_port": 80, "host_port": 8080}])
    foreign = (
        _row("filter", "FORWARD", "-A FORWARD -j ACCEPT"),
        _row("filter", "INPUT", "-A INPUT -j ufw-before-input"),
        _row("filter", "INPUT", "-A INPUT -j DROP"),
        _row("filter", "ufw-before-input", "-A ufw-before-input -i lo -j ACCEPT"),
        _row("nat", "PREROUTING", "-A PREROUTING -p tcp -m tcp --dport 99 -j DNAT --to-destination 192.0.2.2:1"),
        _row("nat", "PREROUTING", "-A PREROUTING -p tcp -m tcp --dport 99 -j DNAT --to-destination 192.0.2.2:2"),
        _row(
            "filter",
            "FORWARD",
            "-A FORWARD -s 10.0.0.2/32 -d 10.0.0.3/32 -i br -o br -p tcp -m tcp --sport 5432 -j ACCEPT",
        ),
    )
    see(world, bridge_nf=False, more=foreign)
    found = {one["code"]: one for one in rest("viewer")("GET", "findings").json()["results"]}
    assert set(found) == {
        "icc_without_bridge_nf",
        "published_behind_ufw",
        "duplicate_translation",
        "stateless_link",
        "shadowed",
    }
    assert found["icc_without_bridge_nf"]["subject"] == "network apart"
    assert "bridge-nf-call-iptables" in found["icc_without_bridge_nf"]["remedy"]
    assert found["shadowed"]["rules"][0][-1] == 1


def test_a_dump_of_another_host_is_audited_and_nothing_of_it_kept(world: Rows, rest: Person) -> None:
    text = (
        "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n[5:300] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80\n"
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.3:80\nCOMMIT\n"
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m condition --condition night -j ufw-before-forward\nCOMMIT\n"
    )
    before = Observation.objects.count()
    found = rest("viewer")("POST", "firewall/dumps", {"iptables_save": text}).json()
    assert [one["foreign_class"] for one in found["rules"]] == ["docker", "docker", "docker", "ufw"]
    assert found["rules"][0]["packets"] == 5
    assert [one["opaque"] for one in found["rules"]] == [False, False, False, True]
    assert {one["code"] for one in found["findings"]} == {"duplicate_translation", "forward_policy_drop"}
    assert Observation.objects.count() == before
    for wrong in ({}, {"nft": "table ip t { }"}, {"iptables_save": "*nat\n[1:2] nonsense\n", "flavour": "ebtables"}):
        assert rest("viewer")("POST", "firewall/dumps", wrong).status_code == 400
