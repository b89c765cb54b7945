"""Which flavour of iptables is written follows from what stands on the host."""

from __future__ import annotations

import pytest

from networks.cnm.errors import Conflict, Unsupported
from worker.firewall.flavour import LEGACY, NFT, Seen, choose

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
    ],
)
def test_the_choice_follows_what_stands(legacy: Seen, nft: Seen, command: str, expected: str) -> None:
    choice = choose("auto", {LEGACY: legacy, NFT: nft}, command)
    assert choice.flavour == expected
    assert str(choice.reason).endswith(".")
    assert not choice.warning


def test_staying_where_the_other_flavour_drops_is_warned_of() -> None:
    choice = choose("iptables", {LEGACY: Seen(True, ours=True), NFT: Seen(True, drops=True)}, NFT)
    assert choice.flavour == LEGACY
    assert NFT in str(choice.warning)


def test_two_flavours_that_drop_are_refused() -> None:
    with pytest.raises(Conflict, match="Both"):
        choose("auto", {LEGACY: Seen(True, drops=True), NFT: Seen(True, drops=True)}, NFT)


def test_what_is_not_built_or_not_installed_is_refused_with_a_remedy() -> None:
    for setting, seen in (("nftables", EMPTY), ("auto", ABSENT)):
        with pytest.raises(Unsupported) as refused:
            choose(setting, {LEGACY: seen, NFT: seen}, NFT)
        assert str(refused.value.remedy)
