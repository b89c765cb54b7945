"""Links: the files, variables and rules of every recipient, whatever happens in whatever order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_interface

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from networks.cnm.desired import Container, Host, HostSettings, Link, ProcessSpec
from networks.cnm.etc_text import addresses_for, lines_of
from networks.cnm.names import sandbox_name
from networks.cnm.resources import EtcFile, Process, Resource
from networks.cnm.rules import Rule
from tests.testlib.desired import identity, network
from tests.unit.compiled import DUAL, FACTS, WEB, compiled, container, endpoint, only, rules
from worker.compile import compile_host
from worker.compile.lookup import Lookup, from_hosts
from worker.diff import diff, patch

BRIDGE = network(1, "bridge", "172.17.0.0/16", "fd00:d::/64", default_bridge=True)
CLOSED = network(1, "bridge", "172.17.0.0/16", default_bridge=True, icc=False)


def link(number: int, source: Container, alias: str) -> Link:
    return Link(id=identity(number), source_id=source.id, alias=alias, activation=number)


def hosts_of(item: Container, resources: Iterable[Resource]) -> EtcFile:
    found = only(tuple(resources), EtcFile, container_id=item.id, name="hosts")
    assert isinstance(found, EtcFile)
    return found


SOURCE = container(16, endpoint(16, BRIDGE, "172.17.0.2/16", "fd00:d::2/64"), name="child", hostname="srchost")
OTHER = container(17, endpoint(17, BRIDGE, "172.17.0.3/16"), name="child-another")


def test_a_source_with_both_families_is_named_by_both_addresses() -> None:
    """As a Docker Engine 20.10.24 with ``--ipv6`` was seen to write it."""
    recipient = container(18, endpoint(18, BRIDGE, "172.17.0.4/16"), links=(link(40, SOURCE, "db-one"),))
    found = hosts_of(recipient, compiled(SOURCE, recipient, networks=(BRIDGE,)))
    assert found.content.splitlines()[6:] == [
        "172.17.0.2\tdb-one srchost child",
        "fd00:d::2\tdb-one srchost child",
        "172.17.0.4\t000000000012",
    ]


def test_a_new_address_of_one_source_touches_no_line_of_another() -> None:
    links = (link(40, SOURCE, "child"), link(41, OTHER, "child-another"))
    recipient = container(18, endpoint(18, BRIDGE, "172.17.0.4/16"), links=links)
    moved = replace(SOURCE, endpoints=(endpoint(16, BRIDGE, "172.17.0.9/16"),))
    before, after = (
        hosts_of(recipient, compiled(item, OTHER, recipient, networks=(BRIDGE,))).content.splitlines()
        for item in (SOURCE, moved)
    )
    assert "172.17.0.9\tchild srchost" in after
    another = [line for line in before if "child-another" in line]
    assert another == [line for line in after if "child-another" in line] != []
    assert not [line for line in after if line.startswith("172.17.0.2\t")]


def test_the_variables_are_a_docker_engines_with_ranges_of_both_protocols() -> None:
    """What ``--link src:db-one`` gave on a Docker Engine 20.10.24: the lowest port first, tcp before udp, ranges from three on."""
    exposed = [(port, "tcp") for port in (443, 8000, 8001, 8002, 9000, 9001)] + [(port, "udp") for port in (53, 54, 55)]
    source = replace(
        SOURCE, exposed_ports=tuple(sorted(exposed)), process=ProcessSpec(env=(("A", "1"), ("HOME", "/x")))
    )
    recipient = container(
        18,
        endpoint(18, BRIDGE, "172.17.0.4/16"),
        name="rec",
        links=(link(40, source, "db-one"),),
        process=ProcessSpec(),
    )
    process = only(compiled(source, recipient, networks=(BRIDGE,)), Process, container_id=recipient.id)
    assert isinstance(process, Process)
    expected = {"DB_ONE_NAME": "/rec/db-one", "DB_ONE_ENV_A": "1", "DB_ONE_PORT": "udp://172.17.0.2:53"}
    for port, protocol in exposed:
        name = f"DB_ONE_PORT_{port}_{protocol.upper()}"
        expected |= {
            name: f"{protocol}://172.17.0.2:{port}",
            f"{name}_ADDR": "172.17.0.2",
            f"{name}_PORT": str(port),
            f"{name}_PROTO": protocol,
        }
    for start, end, protocol in ((8000, 8002, "tcp"), (53, 55, "udp")):
        name = f"DB_ONE_PORT_{start}_{protocol.upper()}"
        expected |= {
            f"{name}_START": f"{protocol}://172.17.0.2:{start}",
            f"{name}_PORT_START": str(start),
            f"{name}_END": f"{protocol}://172.17.0.2:{end}",
            f"{name}_PORT_END": str(end),
        }
    assert dict(process.link_env) == expected


def test_a_recipient_that_is_not_on_the_default_bridge_is_told_nothing_of_it() -> None:
    recipient = container(
        18, endpoint(18, WEB, "172.18.0.4/16"), links=(link(40, SOURCE, "db"),), process=ProcessSpec()
    )
    found = compiled(SOURCE, recipient, networks=(BRIDGE, WEB, DUAL))
    process = only(found, Process, container_id=recipient.id)
    assert isinstance(process, Process)
    assert process.link_env == ()
    assert "172.17.0.2" not in hosts_of(recipient, found).content


@pytest.mark.parametrize("dns", [False, True])
def test_every_line_of_every_file_has_an_owner_and_a_reason(dns: bool) -> None:
    recipient = container(
        18,
        endpoint(18, BRIDGE, "172.17.0.4/16"),
        endpoint(19, DUAL, "172.19.0.4/16", "fd00:19::4/64", ifname="eth1"),
        links=(link(40, SOURCE, "db"),),
        extra_hosts=(("x", "10.0.0.1"), ("me", "host-gateway")),
        dns_search=("a.example",),
    )
    on_host = container(20, network_mode="host")
    found = compiled(SOURCE, recipient, on_host, networks=(BRIDGE, WEB, DUAL), embedded_dns=dns)
    files = [item for item in found if isinstance(item, EtcFile)]
    assert len(files) == 9
    for file in files:
        assert [line.text for line in file.lines] == lines_of(file.content)
        for line in file.lines:
            assert line.owner.id, line
            assert str(line.why), line
    origins = [(line.text.split("\t")[-1], line.origin) for line in hosts_of(recipient, found).lines[6:]]
    expected = [
        ("x", "given"),
        ("me", "given"),
        ("me", "given"),
        ("db srchost child", "link"),
        ("db srchost child", "link"),
        *[("000000000012", "own")] * 3,
    ]
    assert origins[: len(expected)] == expected
    assert {origin for _, origin in origins[len(expected) :]} == (set() if dns else {"neighbour"})


def test_with_hardening_off_the_reply_rule_says_what_it_opens() -> None:
    source = replace(OTHER, exposed_ports=((5432, "tcp"),))
    recipient = container(18, endpoint(18, CLOSED, "172.17.0.4/16"), name="web", links=(link(40, source, "db"),))
    for hardening in (True, False):
        found = compiled(source, recipient, networks=(CLOSED,), hardening=hardening)
        (reply,) = [item for item in found if isinstance(item, Rule) and "--sport 5432" in item.text]
        assert ("ESTABLISHED" in reply.text) is hardening
        assert ("can open any port of web" in str(reply.why)) is not hardening


def test_names_are_looked_up_whole_and_in_any_case() -> None:
    recipient = container(18, endpoint(18, BRIDGE, "172.17.0.4/16"), links=(link(40, SOURCE, "db"),))
    lines = hosts_of(recipient, compiled(SOURCE, recipient, networks=(BRIDGE,))).lines
    assert [str(answer.address) for answer in from_hosts("DB.", lines)] == ["172.17.0.2", "fd00:d::2"]
    assert {answer.owner.kind for answer in from_hosts("db", lines)} == {"link"}
    assert [*from_hosts("d", lines), *from_hosts("172.17.0.2", lines)] == []
    assert [*addresses_for("a", ["# a", "10.0.0.1 b # a", "nothing a", "fe80::1%eth0 A"])] == [
        (3, ip_interface("fe80::1").ip)
    ]


def test_the_hosts_file_comes_first_and_then_the_embedded_server() -> None:
    shop = endpoint(20, DUAL, "172.19.0.5/16", "fd00:19::5/64", aliases=("Store",))
    known = container(20, shop, name="db")
    asker = container(
        21, endpoint(21, DUAL, "172.19.0.6/16"), links=(link(41, known, "mine"),), extra_hosts=(("x", "10.0.0.1"),)
    )
    elsewhere = container(22, endpoint(22, WEB, "172.18.0.9/16"))
    found = compiled(known, asker, elsewhere, networks=(WEB, DUAL))
    lines, sandbox = hosts_of(asker, found).lines, sandbox_name(asker.id)

    def told(name: str, asked: tuple[str, ...] = ("127.0.0.11",)) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
        answers, asks = Lookup(found).resolve(name, sandbox, lines, asked)
        return [(answer.source, str(answer.address)) for answer in answers], asks

    both = [("dns", "172.19.0.5"), ("dns", "fd00:19::5")]
    for name in ("db", "STORE", "db.dual", "mine", "000000000014"):
        assert told(name) == (both, ()), name
    assert told("x") == ([("hosts", "10.0.0.1")], ())
    assert told("db", ("192.0.2.1",)) == ([], ("192.0.2.1",)), "its resolv.conf was edited"
    assert told("example.com") == ([], ("127.0.0.53", "192.0.2.53", "2001:db8::53"))
    other = Lookup(found).resolve("db", sandbox_name(elsewhere.id), hosts_of(elsewhere, found).lines, ("127.0.0.11",))
    assert other[0] == (), "a name is known to those who share its network alone"


NAMES = ("a", "b", "c", "d")
which = st.sampled_from(NAMES)


class Links(RuleBasedStateMachine):
    """Four containers on a default bridge without icc: started, stopped, moved, linked in chains and circles, and removed.

    After each event the whole desired state is compiled. What it says is held against what the links mean, and against the sum
    of all changes so far: no step of any plan may have been missing or too many.
    """

    @initialize(hardening=st.booleans())
    def begin(self, hardening: bool) -> None:
        self.settings = HostSettings(hardening=hardening)
        self.addresses: dict[str, str] = {}
        self.exists = set(NAMES)
        self.links: dict[tuple[str, str], int] = {}
        self.clock = 10
        self.started = dict.fromkeys(NAMES, 0)
        self.held: tuple[Resource, ...] = ()

    @rule(name=which, last=st.integers(2, 40))
    def start(self, name: str, last: int) -> None:
        address = f"172.17.0.{last}"
        if name in self.exists and address not in self.addresses.values():
            self.clock += 1
            self.addresses[name], self.started[name] = address, self.clock

    @rule(name=which)
    def stop(self, name: str) -> None:
        self.addresses.pop(name, None)

    @rule(recipient=which, source=which)
    def link(self, recipient: str, source: str) -> None:
        if recipient != source and {recipient, source} <= self.exists:
            self.clock += 1
            self.links.setdefault((recipient, source), self.clock)

    @rule(recipient=which, source=which)
    def unlink(self, recipient: str, source: str) -> None:
        self.links.pop((recipient, source), None)

    @rule(name=which)
    def remove(self, name: str) -> None:
        self.stop(name)
        self.exists.discard(name)
        self.links = {pair: at for pair, at in self.links.items() if name not in pair}

    @rule(name=which)
    def make(self, name: str) -> None:
        self.exists.add(name)

    def host(self) -> Host:
        return Host(
            id=identity(0xF0),
            settings=self.settings,
            networks=(CLOSED,),
            containers=tuple(self.container(name) for name in sorted(self.exists)),
        )

    def container(self, name: str) -> Container:
        number = 16 + NAMES.index(name)
        address = self.addresses.get(name)
        return Container(
            id=identity(number),
            name=name,
            kind="sandbox",
            live=address is not None,
            run="1.0",
            activation=self.started[name],
            exposed_ports=((1000 + number, "tcp"), (2000 + number, "udp")),
            endpoints=(endpoint(number, CLOSED, *([f"{address}/16"] if address else [])),),
            links=tuple(
                Link(
                    id=identity(0x1000 + at),
                    source_id=identity(16 + NAMES.index(source)),
                    alias=f"to-{source}",
                    activation=at,
                )
                for (recipient, source), at in self.links.items()
                if recipient == name
            ),
        )

    def live_links(self) -> list[tuple[str, str]]:
        return [pair for pair in self.links if set(pair) <= self.addresses.keys()]

    @invariant()
    def files_and_rules_say_what_the_links_mean(self) -> None:
        now = compile_host(self.host(), FACTS)
        for name, address in self.addresses.items():
            found = hosts_of(self.container(name), now).content.splitlines()[6:]
            expected = {f"{address}\t{identity(16 + NAMES.index(name))[:12]}"}
            for recipient, source in self.live_links():
                if recipient == name:
                    hostname = identity(16 + NAMES.index(source))[:12]
                    expected.add(f"{self.addresses[source]}\tto-{source} {hostname} {source}")
            assert sorted(found) == sorted(expected)
        expected_rules = []
        state = "-m conntrack --ctstate ESTABLISHED " if self.settings.hardening else ""
        for recipient, source in self.live_links():
            there, back = self.addresses[recipient], self.addresses[source]
            number = 16 + NAMES.index(source)
            for port, protocol in ((1000 + number, "tcp"), (2000 + number, "udp")):
                head = "-A CNM -s {}/32 -d {}/32 -i cnm0 -o cnm0 "
                match = f"-p {protocol} -m {protocol} --{{}} {port} "
                expected_rules.append(head.format(there, back) + match.format("dport") + "-j ACCEPT")
                expected_rules.append(head.format(back, there) + match.format("sport") + state + "-j ACCEPT")
        found_rules = [line for line in rules(now, "filter", "CNM") if "--dport" in line or "--sport" in line]
        assert sorted(found_rules) == sorted(expected_rules)
        self.held = patch(self.held, diff(now, self.held))
        assert not diff(now, self.held)
        assert {item.key for item in self.held} == {item.key for item in now}


Links.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLinks = Links.TestCase
