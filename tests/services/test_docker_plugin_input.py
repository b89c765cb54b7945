"""Whatever a Docker Engine's plugin protocol is spoken with: never a failure of ours, always a refusal in the protocol's form, and
nothing changed by what was refused."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from networks.docker_plugin import app, call
from networks.engine import call as steps
from networks.engine.http import Request
from networks.models import Endpoint, Operation
from tests.testlib.hostile import EXAMPLES, ODD_TEXTS, junk
from tests.testlib.world import World

Speak = Callable[[str, bytes], tuple[int, Any]]
NETWORK, ENDPOINT, NEW = "d0" * 32, "e0" * 32, "f0" * 32
CIDR, V6 = "10.30.0.0/24", "fd00:30::/64"
POOL = {
    "Pool": "10.31.0.0/24",
    "Gateway": "10.31.0.1/24",
    "AddressSpace": "cnm-local",
    "AuxAddresses": {"r": "10.31.0.9/24"},
}
IDS = {"NetworkID": NETWORK, "EndpointID": ENDPOINT}
PORT = {"Proto": 6, "IP": "10.30.0.2", "Port": 80, "HostIP": "0.0.0.0", "HostPort": 8080, "HostPortEnd": 8080}
GENERIC, PORTS, EXPOSED = (
    "com.docker.network.generic",
    "com.docker.network.portmap",
    "com.docker.network.endpoint.exposedports",
)
MADE = {
    "NetworkID": NEW,
    "Options": {
        GENERIC: {"cnm.name": "shop", "com.docker.network.driver.mtu": "1400"},
        "com.docker.network.enable_ipv6": False,
        "com.docker.network.internal": True,
    },
    "IPv4Data": [POOL],
    "IPv6Data": [],
}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "Plugin.Activate": {},
    "NetworkDriver.GetCapabilities": {},
    "NetworkDriver.CreateNetwork": MADE,
    "NetworkDriver.DeleteNetwork": {"NetworkID": NETWORK},
    "NetworkDriver.CreateEndpoint": {
        "NetworkID": NETWORK,
        "EndpointID": NEW,
        "Interface": {"Address": "10.30.0.77/24", "AddressIPv6": "", "MacAddress": "02:42:0a:1e:00:4d"},
        "Options": {EXPOSED: [{"Proto": 17, "Port": 53}]},
    },
    "NetworkDriver.EndpointOperInfo": IDS,
    "NetworkDriver.DeleteEndpoint": IDS,
    "NetworkDriver.Join": {**IDS, "SandboxKey": "/run/docker/netns/0123456789ab"},
    "NetworkDriver.Leave": IDS,
    "NetworkDriver.DiscoverNew": {"DiscoveryType": 1, "DiscoveryData": {"Address": "192.0.2.7", "self": True}},
    "NetworkDriver.DiscoverDelete": {"DiscoveryType": 1, "DiscoveryData": {"Address": "192.0.2.7", "self": False}},
    "NetworkDriver.ProgramExternalConnectivity": {**IDS, "Options": {PORTS: [PORT]}},
    "NetworkDriver.RevokeExternalConnectivity": IDS,
    "IpamDriver.GetCapabilities": {},
    "IpamDriver.GetDefaultAddressSpaces": {},
    "IpamDriver.RequestPool": {
        "AddressSpace": "cnm-local",
        "Pool": "10.32.0.0/24",
        "SubPool": "10.32.0.128/25",
        "Options": {"cnm.driver": "bridge"},
        "V6": False,
    },
    "IpamDriver.ReleasePool": {"PoolID": CIDR},
    "IpamDriver.RequestAddress": {
        "PoolID": CIDR,
        "Address": "10.30.0.99",
        "Options": {"RequestAddressType": "com.docker.network.gateway.none"},
    },
    "IpamDriver.ReleaseAddress": {"PoolID": CIDR, "Address": "10.30.0.5"},
}
"""A body for every call of the protocol, which is answered without an error."""
UNREAD = {"AddressSpace", "IP", "DiscoveryData"}
"""Fields that nothing here depends on: they are passed over, as a program in Go passes them over."""


class Spoken:
    """A call, as the HTTP connection gives it to the plugin; and its answer."""

    def __init__(self, path: str, content: bytes) -> None:
        self.request = Request("POST", path, {}, {})
        self._content = content
        self.answered: tuple[int, Any] | None = None

    async def body(self) -> bytes:
        return self._content

    async def answer(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.answered = status, json.loads(content)


@pytest.fixture
def speak(world: World, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Speak:
    """To the plugin; all in this thread, in its transaction."""
    settings.HOST_NAME = world.host.name

    async def here(work: Callable[..., Any], *words: Any) -> Any:
        return work(*words)

    async def ended(waits: steps.Ended) -> Operation:
        world.work()
        return Operation.objects.get(pk=waits.operation.pk)

    for module in (app, call, steps):
        monkeypatch.setattr(module, "in_thread", here)
    monkeypatch.setattr(steps.Ended, "wait", ended)

    def spoken(name: str, content: bytes) -> tuple[int, Any]:
        exchange = Spoken(f"/{name}", content)
        with pytest.raises(StopIteration):  # without a loop, in which there would be another connection to the database
            app.handle(exchange).send(None)  # type: ignore[arg-type]  # as much of one as it needs
        assert exchange.answered is not None
        return exchange.answered

    return spoken


@pytest.fixture
def scene(speak: Speak) -> None:
    """A network of an engine, with an endpoint that has joined it."""
    pool = {"Pool": CIDR, "Gateway": "10.30.0.1/24"}
    for name, body in (
        ("NetworkDriver.CreateNetwork", {"NetworkID": NETWORK, "IPv4Data": [pool]}),
        ("NetworkDriver.CreateEndpoint", {**IDS, "Interface": {"Address": "10.30.0.5/24"}}),
        ("NetworkDriver.Join", {**IDS, "SandboxKey": "/run/docker/netns/0123456789ab"}),
    ):
        status, value = speak(name, json.dumps(body).encode())
        assert (status, value.get("Err")) == (200, None), (name, value)
    assert Endpoint.objects.get(pk=ENDPOINT).container.status == "running"


def database() -> dict[str, list[dict[str, Any]]]:
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in apps.get_models()}


def refused(value: Any) -> bool:
    """Whether an answer is a refusal: a sentence where network drivers have it, and where IPAM drivers have it."""
    assert isinstance(value, dict), value
    if not value.get("Err"):
        return False
    assert value == {"Err": value["Err"], "Error": value["Err"]}
    assert isinstance(value["Err"], str)
    return True


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a body."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


def exchanged(value: Any, path: tuple[Any, ...], other: Any, *, leave_out: bool = False) -> Any:
    """*value* with *other* at *path*, or with nothing there."""
    if not path:
        return other
    copied = dict(value) if isinstance(value, dict) else list(value)
    if leave_out and len(path) == 1:
        del copied[path[0]]
    else:
        copied[path[0]] = exchanged(copied[path[0]], path[1:], other, leave_out=leave_out)
    return copied


def test_there_is_a_body_for_every_call(speak: Speak, scene: None) -> None:
    assert {f"/{name}" for name in BODIES} == set(app.HANDLERS)
    for name, body in BODIES.items():
        with transaction.atomic():
            status, value = speak(name, json.dumps(body).encode())
            assert (status, refused(value)) == (200, False), (name, value)
            transaction.set_rollback(True)


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_body_that_no_engine_would_send(
    speak: Speak, scene: None, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = database()

    @EXAMPLES
    @given(data=st.data())
    def attempt(data: st.DataObject) -> None:
        body: Any = BODIES[name]
        for _ in range(data.draw(st.integers(1, 3))):
            path = data.draw(st.sampled_from(places(body)))
            kind = data.draw(st.sampled_from(["junk", "junk", "text", "inside", "missing", "more"]))
            if kind == "missing":
                body = exchanged(body, path, {}, leave_out=True)
            elif kind == "more":
                body = (
                    {**body, data.draw(st.sampled_from(ODD_TEXTS)): data.draw(junk)} if isinstance(body, dict) else body
                )
            else:
                value = data.draw(st.sampled_from(ODD_TEXTS) if kind == "text" else junk)
                body = exchanged(body, path, [value] if kind == "inside" else value)
        attempt_one(body)

    def attempt_one(body: Any) -> None:
        with transaction.atomic():
            status, value = speak(name, json.dumps(body).encode())
            assert status == 200, (body, value)
            if refused(value):
                assert database() == before, body
            transaction.set_rollback(True)

    attempt()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_field_of_another_type_is_named(speak: Speak, scene: None, name: str) -> None:
    """Every field that is read, with every kind of value that it is not."""
    before = database()
    kinds: list[Any] = [["x"], {"x": 1}, "x", 7, 0.5, True]
    for path in places(BODIES[name]):
        if not path or UNREAD & {key for key in path if isinstance(key, str)}:
            continue
        present: Any = BODIES[name]
        for key in path:
            present = present[key]
        for other in kinds:
            if type(other) is type(present):
                continue
            with transaction.atomic():
                _, value = speak(name, json.dumps(exchanged(BODIES[name], path, other)).encode())
                assert refused(value), (path, other)
                assert database() == before, (path, other)
                transaction.set_rollback(True)
            named = [key for key in path if isinstance(key, str)][-1]
            assert named in value["Err"], (path, other, value)


@pytest.mark.parametrize("outside", ["10.33.0.0/25", "10.0.0.0/8", "fd00::/120"])
def test_a_part_of_a_pool_is_inside_it(speak: Speak, scene: None, outside: str) -> None:
    """Addresses would be taken from it."""
    asked = {"Pool": "10.32.0.0/24", "SubPool": outside}
    _, value = speak("IpamDriver.RequestPool", json.dumps(asked).encode())
    assert refused(value)
    assert "SubPool" in value["Err"]
    _, value = speak("IpamDriver.RequestAddress", json.dumps({"PoolID": f"{CIDR},{outside}"}).encode())
    assert refused(value)
    assert "PoolID" in value["Err"]


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'"x"', b"7", b"\xff\xfe\x00", b"{}{}", b"[" * 100_000, b'{"a":' * 20_000, b'{"NetworkID": ' + b"9" * 6000 + b"}"],
    ids=range(9),
)  # fmt: skip
def test_bytes_that_are_no_call(speak: Speak, scene: None, content: bytes) -> None:
    before = database()
    for name in BODIES:
        status, value = speak(name, content)
        assert (status, refused(value)) == (200, True), name
    assert database() == before
