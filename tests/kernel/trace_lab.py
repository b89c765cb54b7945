"""Hosts of many modes with hand-written and random foreign rules; what a trace predicts against what real packets do."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from networks.cnm.desired import Host
from networks.cnm.iptables_text import parse_save
from networks.cnm.names import sandbox_name
from networks.cnm.ruleset import iptables, nftables
from networks.cnm.ruleset.model import LEGACY, Ruleset
from networks.cnm.ruleset.words import PROTOCOLS
from networks.cnm.trace.trace import ALLOWED, DROPPED, REJECTED, UNDECIDABLE, Question, Trace, trace
from networks.cnm.trace.walk import CONTAINER, HOST, OUTSIDE, Party
from networks.cnm.trace.world import World
from tests.kernel.probe_agents import Call, agents
from tests.kernel.rules_lab import CNM, FACTS, RUN_DIR, container, port
from tests.testlib.desired import identity, network
from worker.apply.links import LinksHandler
from worker.apply.rules import RulesHandler
from worker.apply.sysctls import SysctlsHandler
from worker.compile import compile_host
from worker.diff import diff
from worker.firewall.flavour import backend_of
from worker.firewall.iptables import FLAVOURS, Iptables
from worker.firewall.nft import listing
from worker.kernel.netlink import Netlink
from worker.kernel.netns import Namespaces
from worker.machine import Machine
from worker.observe.ipsets import observe_ipsets
from worker.observe.world import NETNS, observe_world

HOST_IPV4, OUTSIDE_IPV4, HOST_IPV6, OUTSIDE_IPV6 = "192.0.2.2", "192.0.2.1", "2001:db8::2", "2001:db8::1"
HOST_NETNS, OUTSIDE_NETNS = "/proc/1/ns/net", "/run/bottle/outside"
FIRST, SECOND, THIRD = 16, 17, 18
IPV4 = {FIRST: "172.30.0.2", SECOND: "172.30.0.3", THIRD: "172.31.0.2"}
IPV6 = {FIRST: "fd00:30::2", SECOND: "fd00:30::3", THIRD: "fd00:31::2"}
SERVED = (80, 81, 8080, 8081, 9090)
WAIT_S, PATIENT_S = 0.5, 6.0


@dataclass(frozen=True, slots=True)
class Mode:
    """How the host of one scenario is set up."""

    flavour: str
    icc: bool = True
    internal: bool = False
    masquerade: bool = True
    gateway_mode: str = "nat"
    proxy: bool = True
    hardening: bool = True
    publish: str = "all"
    """``all``, ``none``, ``lan`` (one address), ``loopback`` or ``allowed`` (some sources alone)."""
    bridge_nf: bool = True
    ipv6: bool = False

    def host(self) -> Host:
        options: dict[str, Any] = {
            "icc": self.icc,
            "masquerade": self.masquerade,
            "gateway_mode_ipv4": self.gateway_mode,
            "gateway_mode_ipv6": self.gateway_mode,
        }
        subnets = ("172.30.0.0/24", "fd00:30::/64") if self.ipv6 else ("172.30.0.0/24",)
        app = network(3, "app", *subnets, internal=self.internal, **options)
        other = network(4, "other", "172.31.0.0/24", *(("fd00:31::/64",) if self.ipv6 else ()))
        address = {"lan": HOST_IPV4, "loopback": "127.0.0.1"}.get(self.publish, "")
        sources = ("192.0.2.128/25", "172.31.0.0/24") if self.publish == "allowed" else ()
        ports = (
            ()
            if self.publish == "none"
            else (port(20, 8080, 80, "tcp", address, *sources), port(21, 8080, 80, "udp", address, *sources))
        )

        def on(which: Any, number: int) -> tuple[str, ...]:
            return (f"{IPV4[number]}/24", *((f"{IPV6[number]}/64",) if self.ipv6 else ()))

        containers = (
            container(FIRST, app, *on(app, FIRST), ports=ports),
            container(SECOND, app, *on(app, SECOND)),
            container(THIRD, other, *on(other, THIRD)),
        )
        settings = replace(CNM, userland_proxy=self.proxy, hardening=self.hardening)
        return Host(id=identity(0xF0), settings=settings, networks=(app, other), containers=containers)


def random_mode(dice: random.Random, flavour: str, *, ipv6: bool = False) -> Mode:
    internal = dice.random() < 0.2
    return Mode(
        flavour=flavour,
        icc=dice.random() < 0.6,
        internal=internal,
        masquerade=dice.random() < 0.75,
        gateway_mode="nat" if internal else dice.choice(("nat", "nat", "nat-unprotected", "routed")),
        proxy=dice.random() < 0.6,
        hardening=dice.random() < 0.7,
        publish=dice.choice(("all", "all", "none", "lan", "loopback", "allowed")),
        bridge_nf=dice.random() < 0.75,
        ipv6=ipv6 and dice.random() < 0.35,
    )


class Lab:
    """One throw-away host that is taken from mode to mode."""

    def __init__(self, flavour: str) -> None:
        self.flavour = flavour
        self.rules = RulesHandler(backend_of(flavour), CNM.naming, RUN_DIR)
        self.machine = Machine([LinksHandler(), SysctlsHandler(), self.rules])
        self.kinds = {kind for handler in (LinksHandler, SysctlsHandler, RulesHandler) for kind in handler.kinds}
        self.netlink = Netlink()
        self.namespaces = Namespaces(NETNS)
        outside = ["nsenter", f"--net={OUTSIDE_NETNS}", "ip"]
        for words in ("route replace 172.30.0.0/15 via 192.0.2.2", "-6 route replace fd00:30::/31 via 2001:db8::2"):
            subprocess.run([*outside, *words.split()], check=True)
        subprocess.run([*outside, "addr", "add", "192.0.2.200/24", "dev", "eth0"], check=True)
        # Rejects are to be heard, however many there are.
        for name in ("ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"):
            Path(f"/proc/sys/net/{name}").write_text("0")
        Path("/proc/sys/net/ipv4/icmp_msgs_per_sec").write_text("1000000")
        Path("/proc/sys/net/ipv4/icmp_msgs_burst").write_text("100000")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")

    def take_to(self, mode: Mode) -> None:
        wanted = [item for item in compile_host(mode.host(), FACTS) if item.kind in self.kinds]
        applied = self.machine.apply(diff(wanted, self.machine.observe(None)))
        assert not applied.error, applied.error
        for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
            Path(f"/proc/sys/net/bridge/{name}").write_text(str(int(mode.bridge_nf)))

    def observe(self) -> tuple[Ruleset, World]:
        return read_rules(), observe_world(self.netlink, self.namespaces)

    def names(self) -> dict[str, str]:
        named = {name: f"/run/netns/{sandbox_name(identity(number))}" for name, number in _NUMBERS.items()}
        return {"host": HOST_NETNS, "outside": OUTSIDE_NETNS, **named}


_NUMBERS = {"first": FIRST, "second": SECOND, "third": THIRD}


def read_rules() -> Ruleset:
    """Everybody's rules, as the worker reads them."""
    parts, shown = [], set()
    sets = {one.name: one for one in observe_ipsets()}
    for flavour in FLAVOURS:
        for family in (4, 6):
            backend = Iptables(flavour)
            saved = backend.read(family, counters=True)
            parts.append(iptables.of_saved(saved, flavour, sets))
            if flavour != LEGACY:
                shown |= {(family, chain.table) for chain in saved.chains}
    parts.append(nftables.of_items(listing.Ruleset().look(without=shown)))
    return Ruleset.joined(parts)


def calls_of(mode: Mode, dice: random.Random | None = None) -> list[Call]:
    """Everybody calls everybody, published or not."""
    found = []
    targets = [(IPV4[FIRST], 80), (IPV4[FIRST], 81), (IPV4[SECOND], 80), (IPV4[THIRD], 80)]
    targets += [(HOST_IPV4, 8080), (HOST_IPV4, 9090), ("172.30.0.1", 8080), (OUTSIDE_IPV4, 80)]
    if mode.ipv6:
        targets += [(IPV6[FIRST], 80), (IPV6[FIRST], 81), (HOST_IPV6, 8080), (OUTSIDE_IPV6, 80)]
    for caller in ("host", "outside", "first", "second", "third"):
        for protocol in ("tcp", "udp"):
            own = {"first": FIRST, "second": SECOND, "third": THIRD}.get(caller)
            for destination, number in targets:
                itself = own is not None and destination in {IPV4[own], IPV6[own]}
                if not itself and not (caller == "outside" and destination in {OUTSIDE_IPV4, OUTSIDE_IPV6}):
                    found.append(Call(caller, protocol, destination, number))
            if caller == "host":
                found.append(Call(caller, protocol, "127.0.0.1", 8080))
            if caller == "outside":
                found.append(Call(caller, protocol, HOST_IPV4, 8080, "192.0.2.200"))
    return found


def question_of(call: Call, world: World) -> Question:
    source_address = None
    if call.caller == "host":
        party = Party(HOST)
    elif call.caller == "outside":
        party = Party(OUTSIDE, "eth0")
        source_address = ip_address(call.source or (OUTSIDE_IPV6 if ":" in call.destination else OUTSIDE_IPV4))
    else:
        party = Party(CONTAINER, sandbox_name(identity(_NUMBERS[call.caller])))
    return Question(
        source=party,
        destination=ip_address(call.destination),
        protocol=PROTOCOLS[call.protocol],
        port=call.port,
        source_address=source_address,
    )


def agrees(answer: str, predicted: Trace) -> bool:
    """Whether what came back is what was predicted; an undecidable one is counted by the caller."""
    outcome = predicted.outcome
    if predicted.verdict == ALLOWED:
        return answer == _who(outcome.arrived)
    if predicted.verdict == REJECTED:
        return answer.startswith("error:")
    # A drop is silence, save where the kernel tells the sender itself: no route, no permission (EPERM, ENETUNREACH, EHOSTUNREACH, EINVAL).
    return answer == "silence" or answer in {"error:1", "error:101", "error:113", "error:22"}


def _who(party: Party | None) -> str:
    if party is None or party.kind == HOST:
        return "host"
    if party.kind == OUTSIDE:
        return "outside"
    by_sandbox = {sandbox_name(identity(number)): name for name, number in _NUMBERS.items()}
    return by_sandbox[party.name]


def compare(lab: Lab, mode: Mode, label: str) -> Iterator[str]:
    """A line for each call of which the prediction is wrong."""
    ruleset, world = lab.observe()
    calls = calls_of(mode)
    predictions = [trace(question_of(call, world), ruleset, world) for call in calls]
    with agents(lab.names(), SERVED) as running:
        answers = running.call(calls, WAIT_S)
        # What should have come and did not may only be late: it is asked for once more, with patience. (A reject that comes
        # while the caller's connect() still holds its socket is noted softly, and believed when the SYN is repeated.)
        told = {ALLOWED, REJECTED}
        late = [at for at, answer in enumerate(answers) if predictions[at].verdict in told and answer == "silence"]
        for at, answer in zip(late, running.call([calls[at] for at in late], PATIENT_S) if late else [], strict=True):
            answers[at] = answer
    for call, predicted, answer in zip(calls, predictions, answers, strict=True):
        if predicted.verdict == UNDECIDABLE:
            names = {choice.name for choice in predicted.undecided}
            if not names & {
                "limit",
                "statistic",
                "source port",
                "one of several addresses",
                "order of registration",
            }:
                yield f"{label} {call}: undecidable for {predicted.reason}, got {answer}"
        elif not agrees(answer, predicted):
            walk = "\n    ".join(
                f"{s.kind} {s.where} | {s.text} | {s.outcome} | {s.packet}" for s in predicted.outcome.steps
            )
            yield f"{label} {call}: predicted {predicted.verdict} ({predicted.outcome.reason}), got {answer}\n    {walk}"


__all__ = ["DROPPED", "Lab", "Mode", "calls_of", "compare", "parse_save", "random_mode", "read_rules"]
