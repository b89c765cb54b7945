"""The matrix of who reaches whom: parties that are merged fare alike, whatever the rules; and few packets are asked about."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from networks.cnm import reach
from networks.cnm.desired import Host
from networks.cnm.imagined import imagined_rules, imagined_world
from networks.cnm.names import sandbox_name
from networks.cnm.ruleset.iptables import parse_tables
from networks.cnm.ruleset.model import IPTABLES_NFT, LEGACY, Ruleset
from networks.cnm.trace.trace import Question, trace
from networks.cnm.trace.walk import CONTAINER, HOST, OUTSIDE, Party
from networks.cnm.trace.world import Device, Route, World
from tests.kernel.rules_lab import CNM, FACTS, container, port
from tests.testlib.desired import identity, network
from worker.compile import compile_host

TCP = 6
BARE = World(
    devices=(
        Device(name="lo", index=1, addresses=(ip_interface("127.0.0.1/8"),)),
        Device(name="eth0", index=2, addresses=(ip_interface("192.0.2.2/24"),), forwarding=True),
    ),
    routes=(
        Route(destination=ip_network("192.0.2.0/24"), device="eth0"),
        Route(destination=ip_network("0.0.0.0/0"), device="eth0", gateway=ip_address("192.0.2.1")),
    ),
    bridge_nf=True,
)


DUAL = replace(
    BARE,
    devices=(
        replace(BARE.devices[0], addresses=(*BARE.devices[0].addresses, ip_interface("::1/128"))),
        replace(
            BARE.devices[1],
            addresses=(ip_interface("192.0.2.2/24"), ip_interface("2001:db8::2/64"), ip_interface("fe80::2/64")),
            forwarding6=True,
        ),
    ),
    routes=(
        *BARE.routes,
        Route(destination=ip_network("2001:db8::/64"), device="eth0"),
        Route(destination=ip_network("::/0"), device="eth0", gateway=ip_address("2001:db8::1")),
    ),
    bridge_nf6=True,
)


def host_of(networks: int, containers: int, *, ports: int = 1, seed: int = 0, ipv6: bool = False) -> Host:
    dice = random.Random(seed)
    subnets = [(f"10.{n + 1}.0.0/24", *([f"fd00:{n + 1}::/64"] if ipv6 else [])) for n in range(networks)]
    nets = [network(3 + n, f"n{n}", *subnets[n], icc=dice.random() < 0.7) for n in range(networks)]
    made = []
    for number in range(containers):
        on = number % networks
        published = tuple(
            port(
                10000 + number * 10 + k, 20000 + number * 10 + k, 80 + k, "tcp", "", *(("192.0.2.0/25",) * (seed and k))
            )
            for k in range(number % (ports + 1))
        )
        addresses = [f"10.{on + 1}.0.{10 + number // networks}/24"]
        addresses += [f"fd00:{on + 1}::{16 + number // networks:x}/64"] if ipv6 else []
        made.append(container(100 + number, nets[on], *addresses, ports=published))
    return Host(id=identity(0xF0), settings=CNM, networks=tuple(nets), containers=tuple(made))


def asked_of(host: Host) -> dict[str, list[tuple[int, int]]]:
    found = {sandbox_name(one.id): [(TCP, 80), (TCP, 81)] for one in host.containers}
    found["host"] = [(TCP, p.host_port) for one in host.containers for p in one.ports] + [(TCP, 22)]
    return found


NAMED = {
    4: ("10.1.0.0/24", "10.1.0.8/29", "192.0.2.0/25", "192.0.2.77", "10.2.0.8/30", "203.0.113.0/24"),
    6: ("fd00:1::/64", "fd00:1::10/126", "2001:db8::/100", "2001:db8::77", "fd00:2::10/127", "3fff::/20"),
}


def foreign(dice: random.Random, host: Host, version: int = 4) -> Ruleset:
    """Rules of others, about single containers, some of them, networks, ports, devices and outside addresses."""
    plugged = [one.endpoints[0].ipv4 if version == 4 else one.endpoints[0].ipv6 for one in host.containers]
    own = [str(one.ip) for one in plugged if one]
    led_to = [f"[{one}]:80" if version == 6 else f"{one}:80" for one in own]
    refused = "REJECT --reject-with " + ("icmp-port-unreachable" if version == 4 else "icmp6-port-unreachable")
    devices = ["eth0", "lo", *(f"br-{one.id[:12]}" for one in host.networks)]

    def address() -> str:
        return dice.choice([*own, *NAMED[version]])

    def condition() -> str:
        turned = dice.choice(("", "", "! "))
        return dice.choice(
            (
                f"{turned}-s {address()}",
                f"{turned}-d {address()}",
                f"{turned}-i {dice.choice(devices)}",
                f"{turned}-o {dice.choice(devices)}",
                f"-p tcp -m tcp {turned}--dport {dice.choice((80, 81, 22, 20010))}",
                f"-p tcp -m multiport --dports 80,{dice.choice((22, 443))}",
                f"-m iprange --src-range {own[0]}-{own[min(2, len(own) - 1)]}",
                "-m conntrack --ctstate NEW",
                "",
            )
        )

    def rule(chain: str, targets: tuple[str, ...]) -> str:
        # One -p at most, as iptables has it.
        asked = sorted({condition(), condition()}, key=lambda text: "-p tcp" in text)
        kept = [asked[0], *(text for text in asked[1:] if not ("-p tcp" in asked[0] and "-p tcp" in text))]
        return f"-A {chain} {' '.join(filter(None, kept))} -j {dice.choice(targets)}"

    verdicts = ("ACCEPT", "DROP", refused, "EXTRA", "RETURN")
    filters = [rule(dice.choice(("FORWARD", "INPUT", "EXTRA", "OUTPUT")), verdicts) for _ in range(dice.randint(0, 8))]
    filters = [line for line in filters if not (line.startswith("-A EXTRA") and "-j EXTRA" in line)]
    raw = [rule("PREROUTING", ("DROP", "ACCEPT")) for _ in range(dice.randint(0, 2))]
    nat = [
        f"-A PREROUTING -p tcp -m tcp --dport {dice.choice((80, 81, 22))} -j DNAT --to-destination {dice.choice(led_to)}"
        for _ in range(dice.randint(0, 2))
    ]
    text = "\n".join(
        [
            "*raw", ":PREROUTING ACCEPT [0:0]", *raw, "COMMIT",
            "*nat", ":PREROUTING ACCEPT [0:0]", *nat, "COMMIT",
            "*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", ":EXTRA - [0:0]", *filters,
            "COMMIT",
        ]
    )  # fmt: skip
    return parse_tables(text, version, LEGACY)


def each(ruleset: Ruleset, world: World, matrix: reach.Matrix, version: int = 4) -> Iterator[str]:
    """A line for each pair of members that fares otherwise than its groups."""
    asking = reach._Computation(ruleset, world, {}, version)
    for source, row in zip(matrix.sources, matrix.verdicts, strict=True):
        for target, verdict in zip(matrix.targets, row, strict=True):
            for sender in source.members:
                for name, protocol, number in target.members:
                    if sender == name != HOST:
                        continue
                    found = _one(ruleset, world, asking, source.kind, sender, name, protocol, number)
                    if found is not None and found != verdict:
                        yield f"{sender} -> {name}:{number} is {found}, its groups say {verdict}"


def _one(
    ruleset: Ruleset,
    world: World,
    asking: reach._Computation,
    kind: str,
    sender: str,
    name: str,
    protocol: int,
    number: int,
) -> str | None:
    """The verdict of one pair; None where the packet comes back to its sender, of which groups say nothing."""
    destination = asking.address_of(name, sender if kind == CONTAINER else "")
    assert destination is not None
    party, address = Party(kind, sender if kind == CONTAINER else ""), None
    if kind == OUTSIDE:
        device, _, span = sender.partition(" ")
        party, address = Party(OUTSIDE, device), ip_address(span.partition("-")[2])
    question = Question(source=party, destination=destination, protocol=protocol, port=number, source_address=address)
    found = trace(question, ruleset, world)
    return None if kind == CONTAINER and asking._to_itself(found, sender) else found.verdict


@pytest.mark.parametrize("seed", range(40))
def test_all_members_of_a_group_fare_as_the_one_that_was_asked_about(seed: int) -> None:
    dice = random.Random(seed)
    host = host_of(2, 8, ports=2, seed=seed)
    wanted = compile_host(host, FACTS)
    ruleset = imagined_rules(foreign(dice, host), wanted, dice.choice((LEGACY, IPTABLES_NFT)))
    world = imagined_world(BARE, wanted, ())
    matrix = reach.compute(ruleset, world, asked_of(host))
    wrong = list(each(ruleset, world, matrix))
    lines = [rule.text for rule in ruleset.rules()]
    assert not wrong, "\n".join([f"seed {seed}", *wrong[:10], *lines])


@pytest.mark.parametrize("seed", range(10))
def test_by_ipv6_too(seed: int) -> None:
    dice = random.Random(seed)
    host = host_of(2, 8, ports=2, seed=seed, ipv6=True)
    wanted = compile_host(host, FACTS)
    ruleset = imagined_rules(foreign(dice, host, 6), wanted, dice.choice((LEGACY, IPTABLES_NFT)))
    world = imagined_world(DUAL, wanted, ())
    matrix = reach.compute(ruleset, world, asked_of(host), 6)
    assert {group.kind for group in matrix.sources} == {CONTAINER, HOST, OUTSIDE}
    assert all(address.version == 6 for address in matrix.addresses.values())
    wrong = list(each(ruleset, world, matrix, 6))
    lines = [rule.text for rule in ruleset.rules() if rule.family == 6]
    assert not wrong, "\n".join([f"seed {seed}", *wrong[:10], *lines])


def test_the_loopback_of_the_host_is_for_the_host_alone() -> None:
    host = host_of(1, 2)
    wanted = compile_host(host, FACTS)
    ruleset, world = imagined_rules(Ruleset(), wanted, LEGACY), imagined_world(DUAL, wanted, ())
    for version, name in ((4, "host 127.0.0.1"), (6, "host ::1")):
        matrix = reach.compute(ruleset, world, {name: [(TCP, 8080)], "host 192.0.2.77": [(TCP, 1)]}, version)
        verdicts = {
            group.kind: row[[target.members[0][0] for target in matrix.targets].index(name)]
            for group, row in zip(matrix.sources, matrix.verdicts, strict=True)
        }
        assert verdicts[HOST] == "allowed"
        assert verdicts[OUTSIDE] == "dropped"
        assert verdicts.get(CONTAINER, reach.SAME) == reach.SAME  # its own


@pytest.mark.parametrize("version", [4, 6])
def test_what_tells_nobody_apart_makes_no_groups(version: int) -> None:
    host = host_of(20, 200, ports=6 if version == 4 else 3, ipv6=version == 6)
    wanted = compile_host(host, FACTS)
    ruleset, world = imagined_rules(Ruleset(), wanted, LEGACY), imagined_world(DUAL, wanted, ())
    assert sum(1 for _ in ruleset.rules()) > 2000
    matrix = reach.compute(ruleset, world, asked_of(host), version)
    assert sum(len(group.members) for group in matrix.sources if group.kind == CONTAINER) == 200
    assert matrix.traces < 2500, (len(matrix.sources), len(matrix.targets))
    assert {verdict for row in matrix.verdicts for verdict in row} == {"allowed", "dropped"}
