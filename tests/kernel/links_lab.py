"""A network, a container with its endpoint, and looks at what became of them: for the tests of links."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from networks.cnm.plan import Action, Step
from networks.cnm.resources import Address, Bridge, Key, Owner, Resource, Route, Sandbox, Veth
from worker.apply.links import LinksHandler
from worker.diff import diff

NETWORK = Owner(kind="network", id="a" * 64, name="web")
CONTAINER = Owner(kind="container", id="b" * 64, name="one")
ENDPOINT = Owner(kind="endpoint", id="c" * 64)
BRIDGE = "br-aaaaaaaaaaaa"
SANDBOX = "cnm-bbbbbbbbbbbb"
VETH = "cvcccccccccccc"
ADOPTED = "/run/netns/theirs"


def network(*, ipv6: bool = False, mtu: int = 1500, name: str = BRIDGE) -> tuple[Resource, ...]:
    found: tuple[Resource, ...] = (
        Bridge(owner=NETWORK, name=name, mtu=mtu, ipv6=ipv6),
        Address(owner=NETWORK, device=name, address=ip_interface("172.30.0.1/16")),
    )
    if ipv6:
        found += (Address(owner=NETWORK, device=name, address=ip_interface("fd00:30::1/64")),)
    return found


def container(*, ipv6: bool = False, mtu: int = 1500, number: int = 2, adopted: str = "") -> tuple[Resource, ...]:
    owner, endpoint = replace(CONTAINER, name=f"container-{number}"), replace(ENDPOINT, name=f"container-{number}")
    sandbox, veth = (SANDBOX, VETH) if number == 2 else (f"cnm-{number:012x}", f"cv{number:012x}")
    high, low = divmod(number, 256)
    found: tuple[Resource, ...] = (
        Sandbox(owner=owner, name=sandbox, ipv6=ipv6, adopted_path=adopted),
        Veth(
            owner=endpoint,
            name=veth,
            bridge=BRIDGE,
            sandbox=sandbox,
            ifname="eth0",
            mac=f"02:42:ac:1e:{high:02x}:{low:02x}",
            mtu=mtu,
        ),
        Address(owner=endpoint, sandbox=sandbox, device="eth0", address=ip_interface(f"172.30.{high}.{low}/16")),
        Route(
            owner=endpoint,
            sandbox=sandbox,
            destination=ip_network("0.0.0.0/0"),
            gateway=ip_address("172.30.0.1"),
            device="eth0",
        ),
    )
    if ipv6:
        address = ip_interface(f"fd00:30::{number:x}/64")
        found += (
            Address(owner=endpoint, sandbox=sandbox, device="eth0", address=address),
            Route(
                owner=endpoint,
                sandbox=sandbox,
                destination=ip_network("::/0"),
                gateway=ip_address("fd00:30::1"),
                device="eth0",
            ),
        )
    return found


def keys(resources: Sequence[Resource]) -> set[Key]:
    return {resource.key for resource in resources}


def take_to(handler: LinksHandler, desired: Sequence[Resource]) -> list[Step]:
    """Apply what a full look says is missing for *desired*; then a full look and one by keys must find nothing to do."""
    plan = diff(desired, handler.observe(None))
    done: list[Step] = []
    for stage_steps in (
        [step for step in plan if step.action is Action.DELETE],
        [step for step in plan if step.action is not Action.DELETE],
    ):
        handler.apply(stage_steps, done.append)
    assert {id(step) for step in done} == {id(step) for step in plan}
    assert_settled(handler, desired)
    return done


def assert_settled(handler: LinksHandler, desired: Sequence[Resource]) -> None:
    for current in (handler.observe(None), handler.observe(keys(desired))):
        assert [step.describe() for step in diff(desired, current)] == []


def missing(handler: LinksHandler, desired: Sequence[Resource]) -> set[str]:
    plan = diff(desired, handler.observe(keys(desired)))
    assert keys([step.resource for step in plan]) == keys([s.resource for s in diff(desired, handler.observe(None))])
    return {f"{step.action} {step.kind}" for step in plan}


def sh(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def ip(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(sh("ip", "-d", "-j", *words) or "[]")
    return found


def in_sandbox(*words: str) -> list[dict[str, Any]]:
    return ip("-n", SANDBOX, *words)


def wait_for(handler: LinksHandler, desired: Sequence[Resource], expected: set[str]) -> set[str]:
    """A namespace that was deleted lets its links go a moment later."""
    for _ in range(200):
        found = {f"{step.action} {step.kind}" for step in diff(desired, handler.observe(keys(desired)))}
        if found == expected:
            return missing(handler, desired)
        subprocess.run(["sleep", "0.01"], check=True)
    return found


def reaches(address: str) -> bool:
    """Whether the sandbox reaches *address* soon: a bridge that was down lets IPv6 through only after a while (RFC 4862, 5.4)."""
    ping = ("ip", "netns", "exec", SANDBOX, "busybox", "ping", "-c1", "-W1", address)
    return any(
        subprocess.run(ping, check=False, capture_output=True).returncode == 0 or time.sleep(0.2) for _ in range(10)
    )
