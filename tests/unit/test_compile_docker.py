"""What a Docker Engine's container on our networks needs of us: a link to take, rules, ports and a name; nothing in its sandbox."""

from __future__ import annotations

from dataclasses import replace

from networks.cnm.names import inner_device, veth_device
from networks.cnm.resources import (
    Address,
    EtcFile,
    HandedVeth,
    NameRecord,
    NameServer,
    PortReservation,
    Process,
    Route,
    Sandbox,
    Veth,
)
from tests.testlib.desired import published
from worker.diff import diff
from worker.order import stage

from .compiled import ON_WEB, WEB, compiled, container, endpoint, only, rules

THEIRS = container(
    32,
    endpoint(32, WEB, "172.18.0.9/16"),
    name="api",
    kind="docker",
    adopted_path="/var/run/docker/netns/0123456789ab",
    ports=(published(),),
)


def test_a_container_of_docker_gets_a_link_and_what_is_around_it() -> None:
    alone, both = compiled(ON_WEB), compiled(ON_WEB, THEIRS)
    fresh = {resource.key for resource in both} - {resource.key for resource in alone}
    kinds = {key[0] for key in fresh}
    assert kinds == {"handed", "name", "port", "rule"}
    link = only(both, HandedVeth)
    assert isinstance(link, HandedVeth)
    own = THEIRS.endpoints[0]
    assert (link.name, link.inner) == (veth_device(own.id), inner_device(own.id))
    assert link.mac == "02:42:ac:12:00:09"
    assert "api" in str(link.why)
    for kind in (Sandbox, Veth, Address, Route, EtcFile, NameServer, Process):
        assert not [one for one in both if isinstance(one, kind) and one.owner.name.startswith("api")], kind
    assert "api" in only(both, NameRecord, endpoint_id=own.id).names  # type: ignore[attr-defined]
    held = [one for one in both if isinstance(one, PortReservation)]
    assert {one.target for one in held} == {("172.18.0.9", 80)}
    assert any("172.18.0.9:80" in line for line in rules(both, "nat", "CNM"))


def test_where_the_other_end_is_makes_no_difference() -> None:
    """The engine takes it: what is observed then names neither its name nor its MAC."""
    resources = compiled(ON_WEB, THEIRS)
    link = only(resources, HandedVeth)
    assert isinstance(link, HandedVeth)
    seen = HandedVeth(name=link.name, bridge=link.bridge, mtu=link.mtu, hairpin=link.hairpin)
    assert not diff([link], [seen])
    assert diff([link], [replace(seen, bridge="")])


def test_a_link_comes_after_its_bridge_and_goes_before_it() -> None:
    resources = compiled(THEIRS)
    made = {step.kind: stage(step) for step in diff(resources, [])}
    assert made["handed"] > made["bridge"]
    gone = {step.kind: stage(step) for step in diff([], resources)}
    assert gone["handed"] < gone["bridge"]


def test_one_that_does_not_run_needs_nothing() -> None:
    stopped = replace(THEIRS, live=False)
    assert {one.key for one in compiled(ON_WEB, stopped)} == {one.key for one in compiled(ON_WEB)}
