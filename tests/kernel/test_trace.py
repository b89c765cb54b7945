"""A trace agrees with real packets: our own modes, other programs' rules, and random ones, in both flavours."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.kernel.foreign_rules import hand_written, random_foreign
from tests.kernel.trace_lab import Lab, Mode, compare, random_mode
from tests.testlib.bottle import Bottle
from worker.firewall.flavour import BACKENDS

pytestmark = pytest.mark.kernel

SAMPLE_SEED = 20
MATRIX_SAMPLE, RANDOM_SAMPLE = 4, 2
"""Scenarios of each kind and flavour in the short run; each is some 70 to 110 conversations."""
LONG_MATRIX, LONG_RANDOM = 150, 150
IN_ONE_HOST = 12
FOREIGN = tuple(foreign.name for foreign in hand_written(BACKENDS[0]))


def matrix(flavour: str) -> list[Mode]:
    """Every combination of our own modes, shuffled by a fixed seed."""
    axes = itertools.product(
        (True, False),  # icc
        (False, True),  # internal
        (True, False),  # masquerade
        ("nat", "nat-unprotected", "routed"),
        (True, False),  # proxy (else hairpin and loopback by rules)
        (True, False),  # hardening
        ("all", "none", "lan", "loopback", "allowed"),
        (True, False),  # bridge-nf
        (True, False),  # IPv6
    )
    modes = [Mode(flavour, *values) for values in axes if not (values[1] and values[3] != "nat")]
    random.Random(SAMPLE_SEED).shuffle(modes)
    return modes


def walk_matrix(flavour: str, first: int, count: int) -> list[str]:
    """Inside: the wrong predictions of some of the matrix, one host taken from mode to mode."""
    Path("/run/cnm").mkdir(exist_ok=True)
    lab, wrong = Lab(flavour), []
    for mode in matrix(flavour)[first : first + count]:
        lab.take_to(mode)
        wrong += compare(lab, mode, str(mode))
    return wrong


def walk_foreign(flavour: str, name: str) -> list[str]:
    """Inside: a host with the rules of another program beside ours."""
    Path("/run/cnm").mkdir(exist_ok=True)
    lab = Lab(flavour)
    mode = Mode(flavour, proxy=name != "translations", ipv6=name in {"nobody", "ufw"})
    lab.take_to(mode)
    next(foreign for foreign in hand_written(flavour) if foreign.name == name).apply()
    return list(compare(lab, mode, name))


def walk_random(flavour: str, seed: int) -> list[str]:
    """Inside: random modes and random rules of *seed*."""
    Path("/run/cnm").mkdir(exist_ok=True)
    dice = random.Random(seed)
    lab, mode = Lab(flavour), random_mode(dice, flavour)
    lab.take_to(mode)
    foreign = random_foreign(dice, flavour, dice.randint(1, 10))
    foreign.apply()
    wrong = list(compare(lab, mode, f"seed {seed}: {mode}"))
    return [*wrong, *foreign.lines, foreign.nft] if wrong else []


def report(wrong: list[str]) -> None:
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("flavour", BACKENDS)
def test_predictions_equal_packets_in_our_own_modes(uplink_bottle: Bottle, flavour: str) -> None:
    report(uplink_bottle.call(walk_matrix, flavour, 0, MATRIX_SAMPLE, timeout=150))


@pytest.mark.parametrize("flavour", BACKENDS)
@pytest.mark.parametrize("name", FOREIGN)
def test_predictions_equal_packets_beside_other_programs_rules(uplink_bottle: Bottle, flavour: str, name: str) -> None:
    report(uplink_bottle.call(walk_foreign, flavour, name, timeout=150))


@pytest.mark.parametrize("flavour", BACKENDS)
def test_predictions_equal_packets_under_random_rules(flavour: str) -> None:
    for seed in range(SAMPLE_SEED, SAMPLE_SEED + RANDOM_SAMPLE):
        with Bottle(uplink=True) as bottle:
            report(bottle.call(walk_random, flavour, seed, timeout=150))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("flavour", BACKENDS)
def test_predictions_equal_packets_in_many_modes(flavour: str) -> None:
    for first in range(MATRIX_SAMPLE, MATRIX_SAMPLE + LONG_MATRIX, IN_ONE_HOST):
        with Bottle(uplink=True) as bottle:
            report(bottle.call(walk_matrix, flavour, first, IN_ONE_HOST, timeout=600))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("flavour", BACKENDS)
def test_predictions_equal_packets_under_many_random_rules(flavour: str) -> None:
    begin = int(os.environ.get("CNM_TRACE_SEED", "1000"))
    for seed in range(begin, begin + LONG_RANDOM):
        with Bottle(uplink=True) as bottle:
            report(bottle.call(walk_random, flavour, seed, timeout=150))


SETS = """
create callers hash:net family inet
add callers 192.0.2.128/25
add callers 172.31.0.0/24
create doors hash:ip,port family inet
add doors 172.30.0.2,tcp:80
add doors 172.30.0.3,udp:80
create both list:set
add both callers
"""
IPSET_RULES = (
    ("-m", "set", "--match-set", "callers", "src", "-p", "udp", "-j", "DROP"),
    ("-m", "set", "--match-set", "doors", "dst,dst", "-p", "tcp", "-j", "REJECT"),
    ("-m", "set", "!", "--match-set", "both", "src", "-p", "tcp", "--dport", "81", "-j", "DROP"),
)


def walk_ipsets(flavour: str) -> list[str]:
    """Inside: rules that ask for sets of ipset."""
    Path("/run/cnm").mkdir(exist_ok=True)
    lab, mode = Lab(flavour), Mode(flavour)
    lab.take_to(mode)
    subprocess.run(["ipset", "restore"], input=SETS, text=True, check=True)
    for rule in IPSET_RULES:
        subprocess.run(
            ["iptables-legacy" if "legacy" in flavour else "iptables-nft", "-I", "FORWARD", *rule], check=True
        )
    unknown = {rule.text for rule in lab.observe()[0].rules() if "--match-set" in rule.text and rule.opaque}
    return [*compare(lab, mode, "ipset"), *unknown]


@pytest.mark.parametrize("flavour", BACKENDS)
def test_predictions_equal_packets_where_rules_ask_for_sets_of_ipset(uplink_bottle: Bottle, flavour: str) -> None:
    report(uplink_bottle.call(walk_ipsets, flavour, timeout=150))
