"""Rules in a real kernel, in each backend: as compiled, in order, around foreign ones, whole or not at all, without a trace."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest

from networks.cnm.errors import CnmError, KernelRefused
from networks.cnm.iptables_text import SavedRule
from networks.cnm.plan import Action, Step
from networks.cnm.rules import Chain, Rule, Target
from tests.kernel.rules_lab import (
    CNM,
    DOCKER,
    FACTS,
    NOTHING,
    RUN_DIR,
    command,
    everything,
    handler,
    lines,
    plan_to,
    port,
    rules_of,
    saved,
    small,
    take_to,
)
from tests.testlib.bottle import Bottle, inside
from tests.testlib.desired import identity, network
from tests.testlib.dump import dump
from worker.compile import compile_host
from worker.firewall import legacy
from worker.firewall.flavour import choose, command_flavour, refuse_docker_engine, survey
from worker.firewall.generation import Generation, legacy_tables
from worker.firewall.iptables import Iptables
from worker.observe.rules import snapshot

pytestmark = pytest.mark.kernel
FLAVOURS = ("iptables-legacy", "iptables-nft")
BACKENDS = (*FLAVOURS, "nftables")
Inside = Callable[[str], None]


def in_each(*flavours: str) -> Callable[[Inside], Callable[[Bottle, str], None]]:
    """Make a test of a function at the top level: it runs in a throw-away host of its own, once for each of *flavours*."""

    def decorate(function: Inside) -> Callable[[Bottle, str], None]:
        @pytest.mark.parametrize("flavour", flavours)
        def test(bottle: Bottle, flavour: str) -> None:
            bottle.call(function, flavour)

        test.__name__, test.__doc__, test.__module__ = function.__name__, function.__doc__, function.__module__
        return test

    return decorate


in_both_flavours = in_each(*FLAVOURS)
in_each_backend = in_each(*BACKENDS)


def foreign_lines(flavour: str) -> list[SavedRule]:
    marks = ("cnm:", "CNM-USER", "-m nft --lookup")
    return [line for line in saved(flavour) if not any(mark in line.text for mark in marks)]


@in_both_flavours
def test_iptables_prints_what_was_compiled_in_the_order_of_ranks(flavour: str) -> None:
    for settings in (CNM, replace(CNM, userland_proxy=False), DOCKER, replace(DOCKER, hardening=False)):
        here = handler(flavour, settings)
        take_to(here, everything(settings))
        for family in (4, 6) if settings.names == "cnm" else (4,):
            wanted = [
                item for item in rules_of(everything(settings)) if isinstance(item, Rule) and item.family == family
            ]
            assert len(wanted) > 30
            for table, chain in {(rule.table, rule.chain) for rule in wanted}:
                expected = [rule.text for rule in wanted if (rule.table, rule.chain) == (table, chain)]
                assert lines(flavour, table, chain, family) == expected
        take_to(here, replace(NOTHING, settings=replace(settings, iptables=False)))


@in_both_flavours
def test_taking_everything_away_leaves_the_host_as_before(flavour: str) -> None:
    command(flavour, "-t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE")
    command(flavour, "-P FORWARD DROP")
    before = dump()
    here = handler(flavour)
    take_to(here, everything())
    assert dump() != before
    take_to(here, NOTHING)
    assert dump() == before
    assert not (RUN_DIR / "ledger" / "rules.json").exists()


@in_each_backend
def test_applying_again_writes_nothing(flavour: str) -> None:
    here = handler(flavour)
    take_to(here, everything())
    generation = Generation().read()
    steps = [Step(None, item) for item in rules_of(everything())]
    done: list[Step] = []
    here.apply(steps, done.append)
    assert done == steps
    assert Generation().read() == generation
    assert not plan_to(handler(flavour), everything())


@in_each_backend
def test_foreign_rules_are_neither_moved_nor_removed(flavour: str) -> None:
    take_to(handler(flavour), small(port(20, 8080, 80)))
    command(flavour, "-I FORWARD 1 -s 10.1.0.0/16 -j DROP")
    command(flavour, "-I FORWARD 4 -s 10.2.0.0/16 -j DROP")
    command(flavour, "-A FORWARD -s 10.3.0.0/16 -j DROP")
    command(flavour, "-t nat -I CNM 2 -s 10.4.0.0/16 -m comment --comment don't -j RETURN")
    foreign = foreign_lines(flavour)
    assert len(foreign) == 4
    here = handler(flavour)
    for wanted in (everything(), small(port(21, 9090, 90)), small(), everything()):
        take_to(here, wanted)
        assert foreign_lines(flavour) == foreign
    forward = lines(flavour, "filter", "FORWARD")
    assert forward[0] == "-A FORWARD -s 10.1.0.0/16 -j DROP"
    assert forward[-1] == "-A FORWARD -s 10.3.0.0/16 -j DROP"


@in_each_backend
def test_a_new_networks_block_stands_below_the_jumps_and_above_the_older_ones(flavour: str) -> None:
    here = handler(flavour)
    first = small()
    take_to(here, first)
    command(flavour, "-I FORWARD 3 -s 10.2.0.0/16 -j DROP")
    second = network(9, "second", "172.31.9.0/24")
    # A new handler knows the ranks of what stands from the ledger alone.
    take_to(handler(flavour), replace(first, networks=(*first.networks, second)))
    forward = lines(flavour, "filter", "FORWARD")
    assert ["CNM-USER" in forward[0], "CNM-ISOLATION" in forward[1]] == [True, True]
    assert all("br-000000000009" in line for line in forward[2:6])
    assert forward[6] == "-A FORWARD -s 10.2.0.0/16 -j DROP"
    assert all("cnm0" in line for line in forward[7:])


@in_each_backend
def test_a_rule_deleted_by_hand_comes_back_into_its_place(flavour: str) -> None:
    here = handler(flavour)
    take_to(here, everything())
    good = saved(flavour)
    for table, chain, number in (
        ("nat", "CNM", 3),
        ("filter", "FORWARD", 2),
        ("filter", "CNM", 1),
        ("raw", "PREROUTING", 2),
    ):
        command(flavour, f"-t {table} -D {chain} {number}")
        plan = plan_to(here, everything())
        assert [step.action for step in plan] == [Action.CREATE]
        take_to(here, everything())
        assert saved(flavour) == good


@in_each_backend
def test_a_flushed_chain_is_filled_again(flavour: str) -> None:
    here = handler(flavour)
    take_to(here, everything())
    good = saved(flavour)
    command(flavour, "-t nat -F CNM")
    command(flavour, "-F FORWARD")
    take_to(here, everything())
    assert saved(flavour) == good


@in_each_backend
def test_rules_out_of_order_are_seen_and_set_right(flavour: str) -> None:
    here = handler(flavour)
    take_to(here, everything())
    good = saved(flavour)
    moved = lines(flavour, "filter", "FORWARD")[0]
    command(flavour, "-D FORWARD 1")
    command(flavour, f"{moved}".replace('"', ""))
    plan = plan_to(here, everything())
    assert [(step.action, step.resource.text) for step in plan if isinstance(step.resource, Rule)] == [
        (Action.CHANGE, moved)
    ]
    assert plan.steps[0].difference()["place"][0] == "out of order"
    take_to(here, everything())
    assert saved(flavour) == good


@in_each_backend
def test_a_rule_that_stands_twice_is_seen_and_made_one(flavour: str) -> None:
    here = handler(flavour)
    take_to(here, everything())
    good = saved(flavour)
    doubled = lines(flavour, "nat", "CNM")[3]
    command(flavour, f"-t nat {doubled}".replace('"', ""))
    plan = plan_to(here, everything())
    assert [step.difference() for step in plan] == [{"copies": ("2", "1")}]
    take_to(here, everything())
    assert saved(flavour) == good


@in_each_backend
def test_a_refused_change_leaves_nothing_behind(flavour: str) -> None:
    here = handler(flavour)
    take_to(here, small())
    before = dump()
    wanted = small(port(20, 8080, 80))
    steps = [Step(None, item) for item in rules_of(everything()) if item.key not in {r.key for r in rules_of(small())}]
    broken = Rule(family=6, table="raw", chain="PREROUTING", target=Target("NOSUCH"), rank=(9,))
    done: list[Step] = []
    with pytest.raises(KernelRefused, match="NOSUCH") as refused:
        here.apply([*steps, Step(None, broken)], done.append)
    assert refused.value.facts["status"] != 0
    assert refused.value.facts["key"] == list(broken.key)
    assert done == []
    assert dump() == before
    assert not plan_to(here, small())
    take_to(here, wanted)


@in_each_backend
def test_the_user_chain_is_made_once_and_never_written_again(flavour: str) -> None:
    here = handler(flavour)
    take_to(here, small())
    assert lines(flavour, "filter", "CNM-USER") == ["-A CNM-USER -j RETURN"]
    command(flavour, "-F CNM-USER")
    command(flavour, "-A CNM-USER -s 10.0.0.0/8 -j DROP")
    take_to(here, everything())
    take_to(handler(flavour), small())
    assert lines(flavour, "filter", "CNM-USER") == ["-A CNM-USER -s 10.0.0.0/8 -j DROP"]
    plan = plan_to(here, NOTHING)
    here.apply(plan.steps, lambda step: None)
    # What the administrator put there stays, and so does the chain that it stands in.
    assert [line.text for line in saved(flavour)] == ["-A CNM-USER -s 10.0.0.0/8 -j DROP"]


@in_each_backend
def test_rules_are_known_again_without_the_ledger(flavour: str) -> None:
    take_to(handler(flavour), everything())
    good = saved(flavour)
    (RUN_DIR / "ledger" / "rules.json").unlink()
    here = handler(flavour)
    assert {step.action for step in plan_to(here, everything())} == {Action.CHANGE}
    take_to(here, everything())
    assert saved(flavour) == good


@in_both_flavours
def test_in_docker_naming_the_ledger_tells_whose_a_rule_is(flavour: str) -> None:
    take_to(handler(flavour, DOCKER), everything(DOCKER))
    command(flavour, "-A FORWARD -i docker0 -o eth9 -j ACCEPT")
    here = handler(flavour, DOCKER)
    assert not plan_to(here, everything(DOCKER))
    take_to(here, replace(NOTHING, settings=replace(DOCKER, iptables=False)))
    assert [line.text for line in saved(flavour)] == ["-A FORWARD -i docker0 -o eth9 -j ACCEPT"]


@in_both_flavours
def test_a_change_of_the_naming_scheme_leaves_nothing_of_the_old_one(flavour: str) -> None:
    take_to(handler(flavour), everything())
    take_to(handler(flavour, DOCKER), everything(DOCKER))
    assert "CNM" not in "".join(line.text for family in (4, 6) for line in saved(flavour, family))
    assert not [chain for chain in Iptables(flavour).read(4).chains if chain.name.startswith("CNM")]


@in_each_backend
def test_a_writer_in_between_is_noticed(flavour: str) -> None:
    here = handler(flavour)
    take_to(here, everything())
    command(flavour, "-t nat -D CNM 1")
    assert len(plan_to(here, everything())) == 1
    command(flavour, "-t raw -F PREROUTING", family=6)
    assert {step.resource.describe().split()[0] for step in plan_to(here, everything())} == {"iptables", "ip6tables"}


@in_each_backend
def test_the_snapshot_shows_everybodys_rules_with_counters(flavour: str) -> None:
    command(flavour, "-A INPUT -i lo -j ACCEPT")
    take_to(handler(flavour), small(port(20, 8080, 80)))
    picture = snapshot(flavour)
    assert json.loads(json.dumps(picture)) == picture
    assert picture["flavour"] == flavour
    foreign = next(rule for rule in picture["rules"] if rule["chain"] == "INPUT")
    assert (foreign["text"], foreign["tag"], foreign["position"]) == ("-A INPUT -i lo -j ACCEPT", "", 1)
    ours = next(rule for rule in picture["rules"] if "DNAT" in rule["text"])
    assert ours["tag"] == f"cnm:prt:{identity(20)[:12]}"
    assert {"packets", "bytes", "family", "table", "flavour"} <= set(ours)
    assert {chain["name"] for chain in picture["chains"]} >= {"FORWARD", "CNM", "CNM-USER"}


@inside
def test_python_iptables_reads_what_iptables_save_prints() -> None:
    take_to(handler("iptables-legacy"), everything())
    command(
        "iptables-legacy", "-A INPUT -p tcp -m multiport --dports 80,443 -m limit --limit 5/sec -j LOG --log-level 4"
    )
    command("iptables-legacy", "-A INPUT ! -s 10.0.0.0/8 ! -i eth+ -p icmp -m icmp --icmp-type 8 -j REJECT")
    command("iptables-legacy", "-A INPUT ! -f -p udp -m udp ! --sport 53 -g CNM-USER")
    command("iptables-legacy", "-A OUTPUT -m owner --uid-owner 0")
    with legacy.xtables_lock():
        pass
    expected = Iptables("iptables-legacy").read(4, counters=True)
    found = legacy.read()
    assert set(found.chains) == set(expected.chains)
    for key in {(line.table, line.chain) for line in expected.lines}:
        printed = [line for line in expected.lines if (line.table, line.chain) == key]
        assert [line for line in found.lines if (line.table, line.chain) == key] == printed
    assert len(expected.lines) < legacy.count_entries() < legacy.FEW_RULES
    # Read again after somebody else has written: a stale handle would show the old rules.
    command("iptables-legacy", "-D OUTPUT -m owner --uid-owner 0")
    assert "--uid-owner" not in "".join(line.text for line in legacy.read().lines)


@in_each("iptables-legacy")
def test_a_program_that_holds_the_xtables_lock_is_waited_for(flavour: str) -> None:
    here = handler(flavour)
    plan = plan_to(here, everything())
    with subprocess.Popen(["flock", legacy.LOCK, "sh", "-c", "echo held; sleep 1"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        here.apply(plan.steps, lambda step: None)
        assert other.poll() == 0, "it was through before we wrote"
    assert not plan_to(here, everything())


@in_each_backend
def test_looking_makes_no_legacy_table(flavour: str) -> None:
    assert legacy_tables(4) == legacy_tables(6) == ()
    list(handler(flavour).observe(None))
    snapshot(flavour)
    survey(CNM.naming)
    assert legacy_tables(4) == legacy_tables(6) == ()


@in_both_flavours
def test_the_flavour_in_which_rules_stand_is_chosen(flavour: str) -> None:
    assert choose("auto", survey(CNM.naming), command_flavour()).flavour == command_flavour()
    command(flavour, "-A INPUT -i lo -j ACCEPT")
    assert choose("auto", survey(CNM.naming), "").flavour == flavour
    other = next(name for name in FLAVOURS if name != flavour)
    command(other, "-P FORWARD DROP")
    assert choose("auto", survey(CNM.naming), "").flavour == other
    take_to(handler(flavour), small())
    kept = choose("auto", survey(CNM.naming), "")
    assert kept.flavour == flavour
    assert kept.warning
    assert snapshot(kept.flavour)["flavour"] == flavour


@in_both_flavours
def test_docker_naming_is_refused_beside_a_docker_engine(flavour: str) -> None:
    refuse_docker_engine(DOCKER.naming, flavour, 0)
    command(flavour, "-t nat -N DOCKER")
    with pytest.raises(CnmError, match="Docker Engine"):
        refuse_docker_engine(DOCKER.naming, flavour, 0)
    refuse_docker_engine(CNM.naming, flavour, 0)


@in_each_backend
def test_a_chain_that_others_jump_to_stays(flavour: str) -> None:
    here = handler(flavour)
    take_to(here, small())
    command(flavour, "-A INPUT -j CNM")
    here.apply(plan_to(here, NOTHING).steps, lambda step: None)
    assert [line.text for line in saved(flavour)] == ["-A INPUT -j CNM"]
    chains = [item for item in handler(flavour).observe(None) if isinstance(item, Chain)]
    assert [(chain.table, chain.name) for chain in chains] == [("filter", "CNM")]


def test_compile_sorts_rules_as_they_stand() -> None:
    found = [item for item in compile_host(everything(), FACTS) if isinstance(item, Rule)]
    assert found == sorted(found, key=lambda rule: (rule.family, rule.table, rule.chain, rule.rank, rule.text))
    assert Iptables("iptables-nft").is_nft
