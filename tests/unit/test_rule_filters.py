"""Rules are found by what they name, in iptables' spelling and in nft's; those never hit; and sorted by their counters."""

from __future__ import annotations

from typing import Any

import pytest

from networks.cnm.text import NOTHING
from networks.rule_filters import filtered, ordered

TEXTS = (
    "-A FORWARD -s 10.1.0.0/16 -i br-+ -p tcp -m tcp --dport 80 -j ACCEPT",
    "-A CNM -d 10.2.0.5/32 ! -i cnm0 -o cnm0 -p tcp -m multiport --dports 90,100:110 -j ACCEPT",
    'iifname { "eth0", "eth1" } ip6 daddr fd00::/64 tcp dport 443 accept',
    "-A PREROUTING -p tcp -m tcp --dport 7 -j DNAT --to-destination 10.2.0.9:8080",
    "-A INPUT -m physdev --physdev-in veth7 -j DROP",
    "ip saddr 10.1.2.3-10.1.2.9 th dport 1000-1100 drop",
)


def rows() -> list[dict[str, Any]]:
    hits = (0, 7, None, 3, 0, 9)
    same = {
        "family": 4,
        "flavour": "iptables-nft",
        "table": "filter",
        "chain": "X",
        "owner": None,
        "why": NOTHING,
        "foreign_class": "x",
    }
    return [
        {**same, "text": text, "position": at, "packets": hit, "bytes": hit}
        for at, (text, hit) in enumerate(zip(TEXTS, hits, strict=True))
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"address": "10.1.2.3"}, [0, 5]),
        ({"address": "10.2.0.0/24"}, [1, 3]),
        ({"address": "fd00::7"}, [2]),
        ({"address": "10.9.9.9"}, []),
        ({"address": "nonsense"}, []),
        ({"interface": "cnm0"}, [1]),
        ({"interface": "br-abc"}, [0]),
        ({"interface": "eth1"}, [2]),
        ({"interface": "veth7"}, [4]),
        ({"interface": "eth"}, []),
        ({"port": "105"}, [1]),
        ({"port": "443"}, [2]),
        ({"port": "1050"}, [5]),
        ({"port": "8080"}, [3]),
        ({"hits": "never"}, [0, 4]),
        ({"hits": "some"}, [1, 3, 5]),
        ({"address": "10.1.0.1", "hits": "never"}, [0]),
        ({"flavour": "nftables"}, []),
        ({"q": "DNAT"}, [3]),
    ],
)
def test_rules_are_found_by_what_they_name(wanted: dict[str, str], found: list[int]) -> None:
    assert [rule["position"] for rule in filtered(rows(), **wanted)] == found


def test_rules_are_sorted_by_their_counters_and_unread_ones_are_the_least() -> None:
    assert [rule["position"] for rule in ordered(rows(), "-packets")] == [5, 1, 3, 0, 4, 2]
    assert [rule["position"] for rule in ordered(rows(), "nonsense")] == [0, 1, 2, 3, 4, 5]
