"""A plan is carried out whole or not at all; a full pass goes on for everybody else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import pytest

from networks.cnm.errors import Conflict, KernelRefused
from networks.cnm.plan import Plan, Step
from networks.cnm.resources import Bridge, Key, Owner, Resource, Sandbox, Sysctl
from worker.diff import diff, patch
from worker.machine import Machine

ONE = Owner(kind="network", id="1" * 64)
TWO = Owner(kind="network", id="2" * 64)


class Memory:
    """A handler over a dictionary, told at which key it fails and with what."""

    def __init__(self, kinds: Collection[str], fails: dict[Key, Exception] | None = None) -> None:
        self.kinds = frozenset(kinds)
        self.state: dict[Key, Resource] = {}
        self.fails = fails or {}

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        return [found for key, found in self.state.items() if keys is None or key in keys]

    def apply(self, steps: Sequence[Step], done: Callable[[Step], None]) -> None:
        for step in steps:
            if step.key in self.fails:
                raise self.fails[step.key]
            if step.after is None:
                self.state.pop(step.key, None)
            else:
                self.state[step.key] = step.after
            done(step)


FORWARD = Sysctl(name="net.ipv4.ip_forward", value="1")
FIRST = Bridge(name="br-1", owner=ONE)
SECOND = Bridge(name="br-2", owner=TWO)
BOX = Sandbox(name="cnm-1", owner=ONE)
WANTED = (FORWARD, FIRST, SECOND, BOX)


def machine(**fails: Exception) -> tuple[Machine, Memory, Memory]:
    by_name = {("bridge", "br-1"): fails.get("first"), ("bridge", "br-2"): fails.get("second")}
    links = Memory({"bridge", "sandbox"}, {key: error for key, error in by_name.items() if error})
    sysctls = Memory({"sysctl"})
    return Machine([links, sysctls]), links, sysctls


def test_a_plan_that_succeeds_leaves_what_was_wanted_and_nothing_more_to_do() -> None:
    host, _, _ = machine()
    applied = host.apply(diff(WANTED, ()))
    assert not applied.failed
    assert set(host.observe(None)) == set(WANTED)
    assert not diff(WANTED, host.observe(None))


def test_a_failing_step_has_those_before_it_undone() -> None:
    host, links, sysctls = machine(second=KernelRefused("no"))
    applied = host.apply(diff(WANTED, ()))
    assert [step.key for step, _ in applied.failed] == [SECOND.key]
    assert {step.key for step in applied.undone} == {FORWARD.key, FIRST.key}
    assert not applied.left
    assert not links.state
    assert not sysctls.state


def test_a_change_is_undone_to_what_was_before() -> None:
    host, links, _ = machine(second=KernelRefused("no"))
    before = Bridge(name="br-1", mtu=1400)
    links.state[before.key] = before
    host.apply(diff((FIRST, SECOND), (before,)))
    assert links.state == {before.key: before}


def test_what_cannot_be_undone_is_reported_as_left() -> None:
    host, links, _ = machine(second=KernelRefused("no"))
    plan = diff((FIRST, SECOND), ())
    original = links.apply

    def once_then_refuse(steps: Sequence[Step], done: Callable[[Step], None]) -> None:
        if any(step.after is None for step in steps):
            raise OSError(16, "busy")
        original(steps, done)

    links.apply = once_then_refuse  # type: ignore[method-assign]
    applied = host.apply(plan)
    assert [step.key for step in applied.left] == [FIRST.key]
    assert not applied.undone


def test_an_error_of_the_system_names_the_step_and_the_cause() -> None:
    host, _, _ = machine(first=OSError(1, "Operation not permitted"))
    applied = host.apply(diff((FIRST,), ()))
    assert isinstance(applied.error, KernelRefused)
    assert "bridge br-1" in str(applied.error)
    assert "Operation not permitted" in str(applied.error)
    assert applied.error.facts["errno"] == 1


def test_a_conflict_stays_a_conflict() -> None:
    host, _, _ = machine(first=Conflict("taken"))
    assert isinstance(host.apply(diff((FIRST,), ())).error, Conflict)


def test_a_full_pass_leaves_out_the_broken_network_and_goes_on_for_the_others() -> None:
    host, links, sysctls = machine(first=KernelRefused("no"))
    applied = host.apply_what_can_be(diff(WANTED, ()), lambda owner: owner.id)
    assert [step.key for step, _ in applied.failed] == [FIRST.key]
    assert set(links.state) == {SECOND.key}, "the broken network's sandbox is left out too"
    assert set(sysctls.state) == {FORWARD.key}


def test_progress_is_told_of_every_step() -> None:
    host, _, _ = machine()
    seen: list[Key] = []
    host.apply(diff(WANTED, ()), lambda step: seen.append(step.key))
    assert sorted(seen) == sorted(resource.key for resource in WANTED)


def test_two_handlers_of_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="bridge"):
        Machine([Memory({"bridge"}), Memory({"bridge"})])


def test_whole_kinds_are_observed_whole() -> None:
    host, _, _ = machine()
    host.apply(diff(WANTED, ()))
    assert set(host.observe([FORWARD.key], whole={"bridge"})) == {FORWARD, FIRST, SECOND, BOX}


def test_the_plan_of_a_state_against_itself_is_empty() -> None:
    assert not diff(WANTED, WANTED)
    assert patch(WANTED, diff(WANTED, WANTED)) == WANTED
    assert isinstance(diff(WANTED, ()), Plan)
