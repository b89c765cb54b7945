"""What others change in nftables costs us what it touches: our own tables are read again only where they may have changed."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.kernel.rules_lab import command, handler, nft, plan_to, port, small, take_to
from tests.testlib.bottle import inside
from worker.firewall.backend import Script
from worker.firewall.flavour import NFTABLES
from worker.firewall.iptables import Iptables
from worker.firewall.nft import backend as nft_backend
from worker.firewall.nft import listing
from worker.firewall.nft.backend import Nft
from worker.kernel import nft_watch
from worker.kernel.nft_message import IPV4, IPV6
from worker.kernel.nft_watch import NftWatch

pytestmark = pytest.mark.kernel
OURS = [(IPV4, "cnm"), (IPV6, "cnm")]


@inside
def test_a_change_names_its_tables_and_leaves_the_others_known() -> None:
    nft("add table ip cnm")
    nft("add table inet guests")
    watch = NftWatch()
    first = watch.generation()
    nft("add chain inet guests forward")
    nft("add table ip6 others")
    now = watch.untouched(OURS, first)
    assert now == first + 2
    assert watch.untouched([*OURS, (1, "guests")], first) is None
    nft("add chain ip cnm CNM")
    assert watch.untouched(OURS, now) is None
    last = watch.generation()
    assert watch.untouched(OURS, last) == last
    subprocess.run(["nft", "-f", "-"], input="add chain inet guests a\ndelete table ip cnm\n", check=True, text=True)
    assert watch.untouched(OURS, last) is None


@inside
def test_what_the_kernel_had_to_drop_counts_as_changed() -> None:
    nft("add table ip cnm")
    nft("add table ip guests")
    nft("add set ip guests many { type ipv4_addr; }")
    nft_watch._RECEIVE_BYTES = 4096
    watch = NftWatch()
    first = watch.generation()
    elements = ", ".join(f"10.0.{at // 250}.{at % 250}" for at in range(5000))
    subprocess.run(["nft", "-f", "-"], input=f"add element ip guests many {{ {elements} }}", check=True, text=True)
    assert watch.untouched(OURS, first) is None
    # From there on it hears again.
    last = watch.generation()
    nft("flush set ip guests many")
    nft("delete table ip guests")
    assert watch.untouched(OURS, last) in {None, last + 2}
    last = watch.generation()
    nft("add table ip guests")
    assert watch.untouched(OURS, last) == last + 1


@inside
def test_our_rules_are_not_read_again_for_what_others_do() -> None:
    here = handler(NFTABLES)
    wanted = small(*(port(100 + at, 20000 + at, 1000 + at) for at in range(100)))
    here.apply(plan_to(here, wanted).steps, lambda step: None)
    read: list[str] = []
    whole = nft_backend.list_table

    def counting(family: str, name: str) -> list[dict[str, object]]:
        read.append(family)
        return whole(family, name)

    nft_backend.list_table = counting
    nft("add table inet guests")
    command("iptables-nft", "-A INPUT -i eth9 -j DROP")
    assert not plan_to(here, wanted)
    # Nor for our own change after it.
    more = small(*(port(100 + at, 20000 + at, 1000 + at) for at in range(101)))
    here.apply(plan_to(here, more).steps, lambda step: None)
    nft("delete table inet guests")
    assert not plan_to(here, more)
    assert read == []
    nft("delete element ip cnm ports { tcp . 20007 }")
    assert [step.action for step in plan_to(here, more)]
    assert read == ["ip", "ip6"]
    take_to(here, more)


@inside
def test_of_several_writers_the_one_that_touched_our_tables_is_named() -> None:
    here = handler(NFTABLES)
    wanted = small(port(20, 8080, 80))
    take_to(here, wanted)
    here.backend.writer()
    nft("delete element ip cnm ports { tcp . 8080 }")
    command("iptables-nft", "-A INPUT -i eth9 -j DROP")
    assert plan_to(here, wanted)
    assert here.backend.writer().startswith("nft (")
    assert here.backend.writer() == ""
    take_to(here, wanted)  # what we write ourselves is nobody else's
    assert not plan_to(here, wanted)
    assert here.backend.writer() == ""


@inside
def test_iptables_over_nf_tables_is_read_again_for_its_own_tables_alone() -> None:
    here = Iptables("iptables-nft")
    command("iptables-nft", "-A INPUT -i eth9 -j DROP")
    since = here.generation()
    assert since is not None
    nft("add table inet guests")
    Nft().carry_out({})
    assert here.untouched(since) == since + 1
    command("iptables-nft", "-A INPUT -i eth8 -j DROP")
    assert here.untouched(since) is None


@inside
def test_iptables_over_nf_tables_does_not_name_its_own_program_as_a_writer() -> None:
    here = Iptables("iptables-nft")
    assert here.generation() is not None
    here.carry_out({family: Script({"filter": ("-N CNMX", "-A CNMX -j ACCEPT")}) for family in (4, 6)})
    since = here.generation()
    assert since is not None
    assert here.untouched(since) == since
    assert here.writer() == ""
    nft("flush chain ip filter CNMX")
    assert here.untouched(since) is None
    assert re.fullmatch(r"nft \(\d+\)", here.writer())


@inside
def test_whoever_touches_any_table_is_named_once_and_we_ourselves_are_not() -> None:
    here = handler(NFTABLES)
    wanted = small(port(20, 8080, 80))
    take_to(here, wanted)
    assert here.backend.strangers() == ""
    nft("add table inet guests")
    take_to(here, small(port(20, 8081, 80)))  # what is heard before we write is not forgotten
    nft("add table ip cnm_traffic")
    command("iptables-nft", "-A INPUT -i eth9 -j DROP")
    assert re.fullmatch(r"nft \(\d+\), iptables-nft \(\d+\)|nft \(\d+\), iptables \(\d+\)", here.backend.strangers())
    assert here.backend.strangers() == ""


@inside
def test_the_audit_lists_again_what_was_touched_and_everything_for_its_counters() -> None:
    take_to(handler(NFTABLES), small(port(20, 8080, 80)))
    nft("add table inet guests")
    nft("add table ip others")
    known = listing.Ruleset()
    whole, listed = listing.list_table, []

    def counting(family: str, name: str) -> list[dict[str, object]]:
        listed.append(f"{family} {name}")
        return whole(family, name)

    listing.list_table = counting
    first = known.look()
    assert sorted(listed) == ["inet guests", "ip cnm", "ip others"]
    ours = known.ours(4)
    assert [line.text for line in ours.lines if "8080" in line.text]
    listed.clear()
    nft("add chain inet guests forward")
    nft("delete table ip others")
    second = known.look(counters=False)
    assert listed == ["inet guests"]
    assert known.ours(4) is ours
    assert [item for item in second if item not in first] == [
        item for item in second if item.get("chain", {}).get("name") == "forward"
    ]
    nft("delete element ip cnm ports { tcp . 8080 }")
    listed.clear()
    known.look(counters=False)
    assert listed == ["ip cnm"]
    assert len(known.ours(4).lines) == len(ours.lines) - 1
    known.look()
    assert sorted(listed) == ["inet guests", "ip cnm", "ip cnm"]
    assert known.look() == listing.Ruleset().look()
