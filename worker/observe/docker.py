"""Whose a Docker Engine's rules are: its containers and networks, by its socket where that may be read. Only ever asked, never told."""

from __future__ import annotations

import http.client
import json
import logging
import socket
from typing import Any

log = logging.getLogger(__name__)
SOCKET = "/run/docker.sock"
TIMEOUT_S = 2.0
MOST_BYTES = 16 << 20


def observe_docker(path: str = SOCKET) -> list[dict[str, Any]]:
    """Every container and network of the engine: kind, name, addresses, the ids of a container's endpoints, and the bridge of a network.
    Nothing where nobody answers."""
    try:
        containers, networks = _ask(path, "/containers/json"), _ask(path, "/networks")
    except (OSError, ValueError, http.client.HTTPException) as error:
        if not isinstance(error, FileNotFoundError):
            log.info("the Docker Engine does not say whose its rules are: %s", error)
        return []
    bridges = [one for one in networks if one.get("Driver") == "bridge"]
    return [*map(_container, containers), *map(_network, bridges)]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def _ask(path: str, what: str) -> list[dict[str, Any]]:
    connection = _Connection(path)
    try:
        connection.request("GET", what)
        answer = connection.getresponse()
        text = answer.read(MOST_BYTES)
        if answer.status != 200:
            raise ValueError(f"{what}: {answer.status}")
        found = json.loads(text)
        return found if isinstance(found, list) else []
    finally:
        connection.close()


def _container(item: dict[str, Any]) -> dict[str, Any]:
    networks = (item.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = [
        str(one[name])
        for one in networks.values()
        for name in ("IPAddress", "GlobalIPv6Address")
        if isinstance(one, dict) and one.get(name)
    ]
    names = item.get("Names") or [item.get("Id", "")[:12]]
    endpoints = [str(one["EndpointID"]) for one in networks.values() if isinstance(one, dict) and one.get("EndpointID")]
    name = str(names[0]).lstrip("/")
    return {"kind": "container", "name": name, "addresses": addresses, "endpoints": endpoints}


def _network(item: dict[str, Any]) -> dict[str, Any]:
    options = item.get("Options") or {}
    bridge = options.get("com.docker.network.bridge.name") or f"br-{str(item.get('Id', ''))[:12]}"
    subnets = [str(one["Subnet"]) for one in (item.get("IPAM") or {}).get("Config") or () if one.get("Subnet")]
    return {"kind": "network", "name": str(item.get("Name", "")), "bridge": bridge, "addresses": subnets}
