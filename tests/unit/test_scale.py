"""What docs/scale.md says of a thousand hosts is what its simulation counts."""

from __future__ import annotations

import re

import pytest

from benchmarks.scale import main
from tests.testlib.bottle import REPOSITORY


def counted(said: str) -> dict[str, int]:
    rows = re.findall(r"^ *(\S.*?) {2,}([\d,]+)(?: MiB)?$", said, re.MULTILINE)
    return {name: int(number.replace(",", "")) for name, number in rows}


def test_what_a_change_costs_does_not_grow_with_the_hosts(capsys: pytest.CaptureFixture[str]) -> None:
    of_size = {}
    for hosts in (4, 16):
        main(hosts, 10, 5)
        of_size[hosts] = counted(capsys.readouterr().out)
    for hosts, found in of_size.items():
        others = (hosts - 1) * 10
        assert (found["forwarding"], found["neighbour"], found["name"]) == (others, others, others + 10)
        assert found["hosts concerned, at most"] == hosts - 1
    change = ("steps of the change on each host concerned", "bytes of netlink for it")
    assert [of_size[4][name] for name in change] == [of_size[16][name] for name in change] == [3, 136]


def test_the_page_says_what_is_counted() -> None:
    page = (REPOSITORY / "docs" / "scale.md").read_text()
    assert "three steps (a forwarding entry, a neighbour, a name), 136 bytes of netlink" in page
