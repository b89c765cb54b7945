"""Which backend of rules is written follows from what stands on the host."""

from __future__ import annotations

import pytest

from networks.cnm.errors import Conflict, Unsupported
from worker.firewall.flavour import LEGACY, NFT, NFTABLES, Seen, choose

EMPTY = Seen(available=True)
ABSENT = Seen(available=False)


@pytest.mark.parametrize(
    ("legacy", "nft", "command", "expected"),
    [
        (EMPTY, EMPTY, NFT, NFT),
        (EMPTY, EMPTY, LEGACY, LEGACY),
        (EMPTY, EMPTY, "", NFT),
        (Seen(True, rules=3), EMPTY, NFT, LEGACY),
        (EMPTY, Seen(True, rules=3), LEGACY, NFT),
        (Seen(True, rules=3), Seen(True, rules=3), LEGACY, LEGACY),
        (EMPTY, ABSENT, NFT, LEGACY),
        (Seen(True, rules=3), Seen(True, drops=True), LEGACY, NFT),
        (Seen(True, rules=3, ours=True), Seen(True, rules=9), NFT, LEGACY),
        (ABSENT, ABSENT, "", NFTABLES),
    ],
)
def test_the_choice_follows_what_stands(legacy: Seen, nft: Seen, command: str, expected: str) -> None:
    choice = choose("auto", {LEGACY: legacy, NFT: nft, NFTABLES: EMPTY}, command)
    assert choice.flavour == expected
    assert str(choice.reason).endswith(".")
    assert not choice.warning


@pytest.mark.parametrize(
    ("setting", "kept", "ours", "expected"),
    [
        ("nftables", "", "", NFTABLES),
        ("nftables", NFT, NFT, NFTABLES),
        ("auto", "", NFTABLES, NFTABLES),
        ("auto", NFTABLES, "", NFTABLES),
        ("auto", NFTABLES, NFT, NFT),
        ("auto", LEGACY, "", LEGACY),
        ("iptables", NFTABLES, NFTABLES, NFT),
        ("iptables", NFTABLES, "", NFT),
    ],
)
def test_a_choice_is_kept_until_the_setting_asks_for_another(setting: str, kept: str, ours: str, expected: str) -> None:
    seen = {
        flavour: Seen(True, rules=int(flavour == ours), ours=flavour == ours) for flavour in (LEGACY, NFT, NFTABLES)
    }
    assert choose(setting, seen, NFT, kept=kept).flavour == expected


def test_staying_where_another_flavour_drops_is_warned_of() -> None:
    for flavour, setting in ((LEGACY, "iptables"), (NFTABLES, "nftables"), (NFTABLES, "auto")):
        seen = {LEGACY: EMPTY, NFT: Seen(True, drops=True), NFTABLES: EMPTY, flavour: Seen(True, ours=True)}
        choice = choose(setting, seen, NFT)
        assert choice.flavour == flavour
        assert NFT in str(choice.warning)
    # A chain of somebody else's in nftables itself drops whatever we write, and wherever.
    for setting in ("iptables", "nftables"):
        assert NFTABLES in str(
            choose(setting, {LEGACY: ABSENT, NFT: EMPTY, NFTABLES: Seen(True, drops=True)}, NFT).warning
        )


def test_two_flavours_that_drop_are_refused() -> None:
    with pytest.raises(Conflict, match="Both"):
        choose("auto", {LEGACY: Seen(True, drops=True), NFT: Seen(True, drops=True), NFTABLES: EMPTY}, NFT)


@pytest.mark.parametrize(("setting", "kept"), [("nftables", ""), ("auto", NFTABLES)])
def test_nftables_is_refused_where_iptables_drops_what_it_accepts(setting: str, kept: str) -> None:
    with pytest.raises(Conflict, match="iptables-nft drops forwarded packets") as refused:
        choose(setting, {LEGACY: EMPTY, NFT: Seen(True, drops=True), NFTABLES: EMPTY}, NFT, kept=kept)
    assert refused.value.field == "CNM_FIREWALL"


def test_a_move_that_would_leave_the_administrators_rules_behind_is_refused() -> None:
    seen = {LEGACY: EMPTY, NFT: Seen(True, rules=9, ours=True, user_rules=True), NFTABLES: EMPTY}
    with pytest.raises(Conflict, match="Your own rules"):
        choose("nftables", seen, NFT)
    assert choose("auto", seen, NFT).flavour == NFT


def test_what_is_not_installed_or_not_dockers_is_refused_with_a_remedy() -> None:
    for setting, names, native in (
        ("auto", "cnm", ABSENT),
        ("iptables", "cnm", EMPTY),
        ("nftables", "cnm", ABSENT),
        ("nftables", "docker", EMPTY),
        ("auto", "docker", EMPTY),
    ):
        with pytest.raises(Unsupported) as refused:
            choose(setting, {LEGACY: ABSENT, NFT: ABSENT, NFTABLES: native}, "", names)
        assert str(refused.value.remedy)
