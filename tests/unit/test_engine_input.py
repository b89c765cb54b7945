"""What a Docker client sends malformed is answered 400 in Docker's form, whatever part of it."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from networks.engine import filters, json_types
from networks.engine.call import Call
from networks.engine.errors import EngineError
from networks.engine.http import Connection, Exchange, Request
from networks.services.actor import Actor

MANY = {"Dns": ["10.0.0.1"], "Memory": 1 << 40, "PortBindings": {"80/tcp": None, "81/tcp": [{"HostPort": "9"}]}}


def read(body: Any, shape: Any) -> dict[str, Any]:
    exchange = Exchange(None, Request("POST", "/", {}, {}))  # type: ignore[arg-type]  # nothing is sent
    return Call(exchange, Actor(name="olga", role="operator", via="docker"), (1, 44), json.dumps(body).encode()).body(
        shape
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"Env": 5}, "cannot unmarshal number into Go struct field Env of type slice"),
        ({"Env": [5]}, "cannot unmarshal number into Go struct field Env of type string"),
        ({"Cmd": {}}, "field Cmd of type slice"),
        ({"HostConfig": []}, "cannot unmarshal array into Go struct field HostConfig of type struct"),
        (
            {"HostConfig": {"Memory": "x"}},
            "cannot unmarshal string into Go struct field HostConfig.Memory of type int64",
        ),
        ({"HostConfig": {"Memory": True}}, "cannot unmarshal bool"),
        ({"HostConfig": {"PortBindings": {"80/tcp": [5]}}}, "field HostConfig.PortBindings.80/tcp of type struct"),
        ({"NetworkingConfig": {"EndpointsConfig": {"bridge": 5}}}, "field NetworkingConfig.EndpointsConfig.bridge of"),
        ({"Labels": {"a": 1}}, "field Labels.a of type string"),
        ({"Volumes": ["/data"]}, "cannot unmarshal array into Go struct field Volumes of type struct"),
        ({"HostConfig": {"Mounts": [{"VolumeOptions": "x"}]}}, "field HostConfig.Mounts.VolumeOptions of type struct"),
    ],
)
def test_a_body_of_wrong_types_is_refused(body: Any, said: str) -> None:
    assert said in refusal(body, json_types.CONTAINER)


def test_a_volume_of_wrong_types_is_refused() -> None:
    """One label that is a number would be in every list from then on, and no client could read that."""
    assert "field Labels.a of type string" in refusal({"Name": "data", "Labels": {"a": 1}}, json_types.VOLUME)
    assert "field DriverOpts.a of type string" in refusal({"DriverOpts": {"a": []}}, json_types.VOLUME)


def refusal(body: Any, shape: Any) -> str:
    with pytest.raises(EngineError) as refused:
        read(body, shape)
    assert refused.value.status == 400
    return refused.value.message


def test_a_body_that_docker_would_take_is_taken() -> None:
    for body in (
        {"Image": "host", "Cmd": "echo", "Entrypoint": None, "Env": None, "HostConfig": MANY, "Unknown": 5},
        {"Cmd": ["a"], "ExposedPorts": {"80/tcp": {}}, "NetworkingConfig": {"EndpointsConfig": {"lan": None}}},
    ):
        assert read(body, json_types.CONTAINER) == body
    assert read(None, json_types.EXEC) == {}


def test_a_moment_out_of_all_time_is_refused() -> None:
    for text in ("1e20", "1e400", "nan", "9" * 400 + "h"):
        with pytest.raises(EngineError) as refused:
            filters.instant(text, datetime(2026, 5, 6, tzinfo=UTC))
        assert refused.value.status == 400


async def test_a_target_that_cannot_be_read_is_refused() -> None:
    async def application(exchange: Exchange) -> None:
        raise AssertionError("it is no request")

    ours, theirs = socket.socketpair()
    with theirs:
        connection = Connection(*await asyncio.open_connection(sock=ours), application)
        theirs.sendall(b"GET //[/ HTTP/1.1\r\nHost: docker\r\n\r\n")
        await asyncio.wait_for(connection.serve(), 5)
        answer = theirs.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "message" in json.loads(answer.partition(b"\r\n\r\n")[2])
