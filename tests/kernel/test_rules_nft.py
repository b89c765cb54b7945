"""What is nftables' own: maps and sets, a table beside others', one transaction, and the move from one backend to another."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
from dataclasses import replace

import pytest

from networks.cnm.errors import Conflict, KernelRefused, Unsupported
from networks.cnm.plan import Action
from networks.cnm.rules import Chain, Leftover, Rule
from tests.kernel.rules_lab import (
    CNM,
    NOTHING,
    RUN_DIR,
    backend,
    command,
    everything,
    handler,
    lines,
    nft,
    plan_to,
    port,
    rules_of,
    saved,
    small,
    take_to,
)
from tests.testlib.bottle import inside
from tests.testlib.dump import dump
from tests.testlib.nft_json import beforehand, document
from worker.apply.leftovers import LeftoversHandler
from worker.apply.rules import RulesHandler
from worker.diff import diff
from worker.firewall.backend import Script
from worker.firewall.flavour import BACKENDS, NFTABLES, choose, command_flavour, survey
from worker.firewall.generation import Generation
from worker.firewall.nft.backend import Nft
from worker.firewall.nft.change import change_table
from worker.firewall.nft.table import NAME, Table
from worker.kernel.netlink import attributes
from worker.kernel.nft import Refused, delete_rule, transact
from worker.kernel.nft import rules_of as rules_in
from worker.kernel.nft import sets_of as sets_in
from worker.kernel.nft_message import IPV4, IPV6
from worker.machine import Machine
from worker.observe.rules import snapshot

pytestmark = pytest.mark.kernel

FOREIGN = """
table inet guests {
  chain forward {
    type filter hook forward priority 10; policy accept;
    iifname "eth7" counter drop
  }
}
table ip guests {
  set banned { type ipv4_addr; }
  chain input {
    ip saddr @banned drop
  }
}
"""


@inside
def test_the_kernel_holds_what_was_compiled_in_the_order_of_ranks() -> None:
    for settings in (CNM, replace(CNM, userland_proxy=False), replace(CNM, hardening=False)):
        here = handler(NFTABLES, settings)
        take_to(here, everything(settings))
        wanted = [item for item in rules_of(everything(settings)) if isinstance(item, Rule)]
        slotted = {(family, line.table, line.text) for family in (4, 6) for line in saved(NFTABLES, family) if line.via}
        assert len(slotted) > 30
        for family, table, chain in {(rule.family, rule.table, rule.chain) for rule in wanted}:
            texts = [rule.text for rule in wanted if (rule.family, rule.table, rule.chain) == (family, table, chain)]
            found = [text for text in lines(NFTABLES, table, chain, family) if "-m nft --lookup" not in text]
            standing = [text for text in texts if (family, table, text) not in slotted]
            assert found[: len(standing)] == standing
            assert set(found) == set(texts)
    take_to(here, NOTHING)
    assert nft("list ruleset") == ""


@inside
def test_taking_everything_away_leaves_the_tables_of_others_as_they_were() -> None:
    subprocess.run(["nft", "-f", "-"], input=FOREIGN, check=True, text=True, timeout=20)
    command("iptables-nft", "-A FORWARD -i eth9 -j DROP")
    before = dump()
    here = handler(NFTABLES)
    for host in (everything(), small(port(20, 8080, 80)), everything()):
        take_to(here, host)
        assert "eth7" in nft("list table inet guests")
    take_to(here, NOTHING)
    assert dump() == before
    assert not (RUN_DIR / "ledger" / "rules.json").exists()


@inside
def test_a_thousand_ports_are_elements_and_one_more_is_one_small_transaction() -> None:
    here = handler(NFTABLES)
    take_to(here, small())
    rules_before = nft("list table ip cnm").count(" counter packets ")
    many = [port(1000 + number, 20000 + number, 1000 + number) for number in range(1000)]
    here.apply(plan_to(here, small(*many)).steps, lambda step: None)
    assert not plan_to(here, small(*many))
    chains = nft("-s list table ip cnm").partition("chain ")[2]
    assert chains.count("dnat ip to") == 1
    assert chains.count("\n\t\t") < 40
    assert rules_before < 40
    found = [line for line in saved(NFTABLES) if line.via]
    assert len([line for line in found if "DNAT" in line.text]) == 1000
    generation = Generation().read()
    assert generation is not None
    plan = plan_to(here, small(*many, port(20, 8080, 80)))
    here.apply(plan.steps, lambda step: None)
    assert Generation().read() == generation + 1
    assert {step.action for step in plan} == {Action.CREATE}


EVERY_WORD = """
-A CNM -s 10.1.2.3/32 -d 10.0.0.0/8 -j ACCEPT
-A CNM ! -s 10.1.0.0/17 ! -d 172.16.0.0/12 -j DROP
-A CNM -s 128.0.0.0/1 -i eth+ ! -o br-0123456789ab -j RETURN
-A CNM ! -i lo -o cnm+ -m comment --comment "one of \\"each\\"" -j CNM-USER
-A CNM -p icmp -g CNM-USER
-A CNM ! -p udp -j DROP
-A CNM -p 47 -j DROP
-A CNM -p tcp -m tcp --dport 80:90 -j ACCEPT
-A CNM -p udp -m udp ! --sport 1000:2000
-A CNM -p sctp -m sctp ! --dport 5 -m conntrack --ctorigdst 192.0.2.7 --ctorigdstport 6 -j ACCEPT
-A CNM -m addrtype --dst-type LOCAL -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
-A CNM -m addrtype ! --src-type MULTICAST -m conntrack ! --ctstate INVALID -j ACCEPT
-A INPUT -p udp -m udp --dport 4790 -m policy --dir in --pol none -j DROP
-A OUTPUT -p udp -m udp --dport 4790 -m policy --dir out --pol ipsec -j ACCEPT
"""


@inside
def test_what_we_send_is_what_nft_would() -> None:
    """Everything of a host, and every word that we know, once by ourselves and once by nft: the kernel holds the same bytes."""
    scripts = [
        {
            4: {
                "filter": [line for line in EVERY_WORD.splitlines() if line],
                "nat": ["-A CNM -j DNAT --to-destination 10.0.0.9"],
            }
        },
        {
            6: {
                "filter": [
                    "-A CNM -s fd00::/9 ! -d fd00::7/128 -p ipv6-icmp -j DROP",
                    "-A CNM ! -i br+ -s 2001:db8::/32",
                ]
            }
        },
    ]
    changes = [
        [
            change_table(
                Table(family), Script({name: ("-N CNM", "-N CNM-USER", *lines) for name, lines in tables.items()})
            )
        ]
        for script in scripts
        for family, tables in script.items()
    ]
    for settings in (CNM, replace(CNM, userland_proxy=False)):
        texts: dict[int, dict[str, list[str]]] = {4: {}, 6: {}}
        for item in rules_of(everything(settings)):
            assert isinstance(item, Rule | Chain)
            lines = texts[item.family].setdefault(item.table, [])
            if isinstance(item, Rule):
                lines.append(item.text)
                slot = Nft().slot(item)
                if slot is not None and slot.via.text not in lines:
                    lines.append(slot.via.text)
            else:
                lines.insert(0, f"-N {item.name}")
        changes.append(
            [change_table(Table(f), Script({t: tuple(said) for t, said in of.items()})) for f, of in texts.items()]
        )
    for one in changes:
        subprocess.run(["nft", "-f", "-"], input=beforehand(one), text=True, check=True, timeout=20)
        subprocess.run(["nft", "-j", "-f", "-"], input=document(one), text=True, check=True, timeout=20)
        theirs = raw_tables()
        nft("flush ruleset")
        before = Generation().read() or 0
        Nft().send(one)
        assert Generation().read() == before + 1
        assert raw_tables() == theirs
        nft("flush ruleset")


def raw_tables() -> dict[str, list[object]]:
    """What the kernel holds of our tables, byte for byte, without the numbers that it gives; elements as nft shows them."""
    found: dict[str, list[object]] = {}
    for family in (IPV4, IPV6):
        for kind, read, numbers in (("rules", rules_in, {3, 6}), ("sets", sets_in, {10, 16})):
            held = [attributes(memoryview(item), 4) for item in read("cnm", family)]
            told = [{key: bytes(value) for key, value in item.items() if key not in numbers} for item in held]
            found[f"{family} {kind}"] = sorted(told, key=lambda item: item[2]) if kind == "sets" else told
    items = json.loads(nft("-j list ruleset"))["nftables"]
    for one in filter(None, (item.get("set") or item.get("map") for item in items)):
        found[f"{one['family']} {one['name']}"] = sorted(map(str, one.get("elem", ())))
    return found


@inside
def test_ten_thousand_elements_and_their_rules_come_and_go_in_one_transaction() -> None:
    here = handler(NFTABLES)
    many = small(*(port(1000 + number, 20000 + number, 1000 + number) for number in range(2000)))
    for host in (many, small(), NOTHING, many, NOTHING):
        before = Generation().read() or 0
        here.apply(plan_to(here, host).steps, lambda step: None)
        assert Generation().read() == before + 1
        assert not plan_to(handler(NFTABLES), host)
    assert nft("list ruleset") == ""


@inside
def test_a_refusal_names_the_very_line_and_leaves_everything_as_it_was() -> None:
    here = Nft()
    here.carry_out({4: Script({"filter": ("-N CNM", "-A CNM -i lo -j ACCEPT")})})
    before = nft("list ruleset")
    bad = "-A CNM -j NOWHERE"
    with pytest.raises(KernelRefused) as refusal:
        here.carry_out({4: Script({"nat": ("-N CNM",), "filter": ("-A CNM -i eth0 -j DROP", bad, "-A CNM -j DROP")})})
    assert refusal.value.facts["line"] == bad
    assert nft("list ruleset") == before
    with pytest.raises(Unsupported, match="cannot be written"):
        here.carry_out({4: Script({"filter": ("-A CNM -m limit --limit 5/min -j DROP",)})})
    here.carry_out({4: Script({"filter": ("-A CNM -i eth0 -j DROP",)})})
    assert [line.text for line in here.read(4).lines] == ["-A CNM -i lo -j ACCEPT", "-A CNM -i eth0 -j DROP"]


@inside
def test_a_refusal_of_many_messages_names_the_first() -> None:
    for count in (200, 1000):
        with pytest.raises(Refused) as refused:
            transact([delete_rule(NAME, "CNM", handle + 1) for handle in range(count)])
        assert (refused.value.errno, refused.value.message) == (errno.ENOENT, 0)


@inside
def test_a_change_that_never_reaches_the_kernel_is_refused_in_words() -> None:
    here, more = Nft(), {4: Script({"filter": ("-N CNM",)})}
    here.read(4)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_free = os.dup(0)
    os.close(next_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_free, limits[1]))  # there is no other socket to be had
    try:
        with pytest.raises(KernelRefused, match=os.strerror(errno.EMFILE)):
            here.carry_out(more)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert here.carry_out(more) == 1
    assert [(chain.table, chain.name) for chain in here.read(4).chains] == [("filter", "CNM")]


@inside
def test_an_element_taken_out_by_hand_is_missed_and_put_back() -> None:
    here = handler(NFTABLES)
    wanted = small(port(20, 8080, 80), port(21, 9090, 90))
    take_to(here, wanted)
    good = saved(NFTABLES)
    for words, kind in (
        ("delete element ip cnm ports { tcp . 8080 }", {Action.CREATE}),
        ("delete element ip cnm admitted { 172.30.0.2 . cnm0 . tcp . 80 }", {Action.CREATE}),
        # Without its exception the rule is another one: wider than what was asked for.
        ("delete element ip cnm ports.not { cnm0 . tcp . 8080 }", {Action.CREATE, Action.DELETE}),
        ("flush set ip cnm guarded", {Action.CREATE}),
    ):
        nft(words)
        plan = plan_to(here, wanted)
        assert {step.action for step in plan} == kind, words
        take_to(here, wanted)
        assert saved(NFTABLES) == good


@inside
def test_the_rule_that_asks_a_map_is_missed_and_what_stayed_in_it_does_not_come_back() -> None:
    here = handler(NFTABLES)
    take_to(here, small(port(20, 8080, 80), port(21, 9090, 90)))
    handle = next(line for line in nft("-a list chain ip cnm nat-CNM").splitlines() if "map @ports " in line).split()[
        -1
    ]
    nft(f"delete rule ip cnm nat-CNM handle {handle}")
    wanted = small(port(21, 9090, 90))
    missing = [step for step in plan_to(here, wanted) if step.action is Action.CREATE]
    assert [step.resource.target.name for step in missing if isinstance(step.resource, Rule)] == ["DNAT"]
    take_to(here, wanted)
    assert "8080" not in nft("list table ip cnm")


@inside
def test_a_table_deleted_by_hand_is_made_again() -> None:
    here = handler(NFTABLES)
    take_to(here, everything())
    good = [saved(NFTABLES, family) for family in (4, 6)]
    nft("delete table ip cnm")
    nft("flush table ip6 cnm")
    take_to(here, everything())
    # The user chain was flushed with the table, and is not written again.
    good[1] = tuple(line for line in good[1] if line.chain != "CNM-USER")
    assert [saved(NFTABLES, family) for family in (4, 6)] == good


@inside
def test_ports_that_lead_to_one_container_port_stand_beside_one_another() -> None:
    here = handler(NFTABLES)
    take_to(here, small(port(20, 8080, 80), port(21, 9090, 80)))
    admitted = [line for line in saved(NFTABLES) if line.chain == "CNM" and "--dport 80 " in line.text]
    assert sorted(bool(line.via) for line in admitted) == [False, True]
    # The one in the set goes, the other takes over, and both come back.
    take_to(here, small(port(21, 9090, 80)))
    take_to(here, small(port(20, 8080, 80), port(21, 9090, 80)))
    # A port that moves from one container port to another changes its element in place.
    take_to(here, small(port(20, 8080, 81), port(21, 9090, 80)))
    take_to(here, small(port(20, 9090, 81), port(21, 8080, 80)))


@inside
def test_both_families_change_in_one_transaction() -> None:
    here = handler(NFTABLES)
    before = Generation().read()
    assert before is not None
    plan = plan_to(here, everything())
    here.apply(plan.steps, lambda step: None)
    assert Generation().read() == before + 1
    assert saved(NFTABLES, 4)
    assert saved(NFTABLES, 6)


def machine_of(flavour: str) -> Machine:
    others = [backend(other) for other in BACKENDS if other != flavour]
    rules = RulesHandler(backend(flavour), CNM.naming, RUN_DIR)
    return Machine([rules, LeftoversHandler(others, CNM.naming, RUN_DIR)])


@inside
def test_a_move_writes_here_and_takes_away_there_and_is_shown_as_a_plan() -> None:
    empty = dump()
    wanted = rules_of(everything())
    old = ""
    for flavour in ("iptables-nft", "nftables", "iptables-legacy", "nftables"):
        machine = machine_of(flavour)
        plan = diff(wanted, machine.observe(None))
        assert {step.action for step in plan} == ({Action.CREATE, Action.DELETE} if old else {Action.CREATE})
        left = [step.resource for step in plan if isinstance(step.resource, Leftover)]
        assert {item.flavour for item in left} == ({old} if old else set())
        assert not machine.apply(plan).error
        assert not diff(wanted, machine_of(flavour).observe(None))
        assert choose("auto", survey(CNM.naming), command_flavour()).flavour == flavour
        for other in BACKENDS:
            texts = "".join(line.text for family in (4, 6) for line in saved(other, family))
            assert ("cnm:" in texts) == (other == flavour)
        old = flavour
    machine = machine_of("nftables")
    assert not machine.apply(diff((), machine.observe(None))).error
    assert dump() == empty


@inside
def test_the_administrators_own_rules_hold_a_move_up() -> None:
    take_to(handler("iptables-nft"), small())
    assert choose("nftables", survey(CNM.naming), "iptables-nft").flavour == NFTABLES
    command("iptables-nft", "-I CNM-USER -s 10.0.0.0/8 -j DROP")
    with pytest.raises(Conflict, match="Your own rules"):
        choose("nftables", survey(CNM.naming), "iptables-nft")


@inside
def test_a_policy_that_drops_is_seen_in_every_backend() -> None:
    take_to(handler(NFTABLES), small())
    assert not choose("auto", survey(CNM.naming), "iptables-nft").warning
    command("iptables-nft", "-P FORWARD DROP")
    assert "iptables-nft" in str(choose("auto", survey(CNM.naming), "iptables-nft").warning)
    take_to(handler(NFTABLES), NOTHING)
    with pytest.raises(Conflict, match="FORWARD"):
        choose("nftables", survey(CNM.naming), "iptables-nft")
    command("iptables-nft", "-P FORWARD ACCEPT")
    nft("add table inet fence")
    nft("add chain inet fence forward { type filter hook forward priority 0; policy drop; }")
    choice = choose("nftables", survey(CNM.naming), "iptables-nft")
    assert choice.flavour == NFTABLES
    assert "containers may be cut off" in str(choice.warning)


@inside
def test_the_audit_shows_ours_in_iptables_words_and_others_in_nfts() -> None:
    subprocess.run(["nft", "-f", "-"], input=FOREIGN, check=True, text=True, timeout=20)
    command("iptables-nft", "-A INPUT -i eth9 -j DROP")
    take_to(handler(NFTABLES), small(port(20, 8080, 80)))
    picture = snapshot(NFTABLES)
    by_text = {rule["text"]: rule for rule in picture["rules"]}
    translated = next(rule for text, rule in by_text.items() if "DNAT" in text)
    assert translated["flavour"] == NFTABLES
    assert translated["tag"].startswith("cnm:prt:")
    assert not [text for text in by_text if "--lookup" in text]
    foreign = next(rule for text, rule in by_text.items() if "eth7" in text)
    assert (foreign["family"], foreign["table"], foreign["chain"]) == (0, "inet guests", "forward")
    assert [rule["flavour"] for rule in picture["rules"] if "eth9" in rule["text"]] == ["iptables-nft"]
    assert len([rule for rule in picture["rules"] if rule["chain"] == "FORWARD" and rule["position"] == 1]) == 1
