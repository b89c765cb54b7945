"""The handler of the host's IPsec on this kernel: its policies are real, its states are refused, for there is no ESP here.

``tests/vm/test_encryption.py`` has a kernel with ESP.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace

import pytest

from networks.cnm.desired import Association, HostSettings
from networks.cnm.errors import Conflict, KernelRefused
from networks.cnm.resources import Resource, XfrmPolicy, XfrmState
from tests.testlib.bottle import inside
from tests.unit.test_compile_encryption import FACTS, association, container, host, remote
from worker.apply.xfrm import XfrmHandler
from worker.compile import compile_host
from worker.diff import diff
from worker.machine import Machine

pytestmark = pytest.mark.kernel
KEY = bytes(range(36))


def wanted(*associations: Association, **settings: object) -> list[Resource]:
    made = host(container(5), remotes=(remote(9),), associations=associations)
    made = replace(made, settings=HostSettings(**settings))  # type: ignore[arg-type]
    return [item for item in compile_host(made, FACTS) if isinstance(item, XfrmPolicy | XfrmState)]


def machine() -> Machine:
    return Machine([XfrmHandler(lambda state: KEY)])


def take_to(here: Machine, desired: Sequence[Resource]) -> list[str]:
    """Apply what is missing; a full look and one by keys must find nothing to do then. What was done."""
    plan = diff(desired, here.observe(None))
    applied = here.apply(plan)
    if applied.error is not None:
        raise applied.error
    for seen in (here.observe(None), here.observe({resource.key for resource in desired})):
        assert [step.describe() for step in diff(desired, seen)] == []
    return [step.describe() for step in plan]


def ip(*words: str) -> str:
    done = subprocess.run(["ip", "xfrm", *words], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout


@inside
def test_policies_come_are_missed_and_go() -> None:
    here = machine()
    assert len(take_to(here, wanted())) == 2
    assert ip("policy").count("udp dport 4790") == 2
    ip("policy", "delete", "src", "0.0.0.0/0", "dst", "0.0.0.0/0", "proto", "udp", "dport", "4790", "dir", "out")
    assert [step.split(" udp")[0] for step in take_to(here, wanted())] == [
        "create xfrm policy dir out src 0.0.0.0/0 dst 0.0.0.0/0"
    ]
    moved = take_to(here, wanted(encrypted_port=4791))
    assert len(moved) == 4, "two go and two come"
    foreign = "src 198.51.100.0/24 dst 203.0.113.0/24 proto udp dport 4790 dir out"
    ip("policy", "add", *foreign.split(), "tmpl", "proto", "esp", "mode", "transport")
    take_to(here, ())
    assert ip("policy").count("udp dport") == 1, "what is not ours stays"


@inside
def test_the_policy_of_a_stranger_is_named_and_stays() -> None:
    foreign = "src 0.0.0.0/0 dst 0.0.0.0/0 proto udp dport 4790 dir in"
    ip("policy", "add", *foreign.split(), "priority", "7", "tmpl", "proto", "esp", "reqid", "1", "mode", "transport")
    before = ip("policy")
    with pytest.raises(Conflict, match="xfrm policy dir in"):
        take_to(machine(), wanted())
    assert ip("policy") == before


@inside
def test_a_kernel_without_esp_refuses_the_state_and_is_left_as_it_was() -> None:
    here = machine()
    take_to(here, wanted())
    before = ip("policy")
    with pytest.raises(KernelRefused, match=r"create xfrm state .* spi 0x00000108.*Requested AEAD algorithm not found"):
        take_to(here, wanted(association(8, "one", "two"), association(7, "two", "one")))
    assert ip("policy") == before, "and nothing is left half-made"
