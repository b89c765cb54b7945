"""What is imported of a Compose file is what Compose itself reads in it: compared with ``docker compose config`` of the same file.

Whatever Compose knows of a service either stands in the import as it does there, or is among the notes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from networks.services.compose import convert
from networks.services.compose.read import seconds, size
from networks.services.spec_container import ContainerRequest
from networks.services.spec_topology import read_topology
from networks.services.yaml_text import read_yaml

from .composing import PLUGIN

VARIABLES = {"TAG": "1.2", "EMPTY": "", "DB_PASSWORD": "s3cret$"}
SHOP = """
name: shop
x-common: &common
  restart: unless-stopped
  labels: {team: blue}
  environment: {LOG: debug, TAG: "${TAG:-9}", NONE: "${NOTHING:-}", PRICE: $$5}
services:
  web:
    <<: *common
    image: nginx:${TAG}
    command: ["nginx", "-g", "daemon off;"]
    ports:
    - "8080:80"
    - "127.0.0.1:8443:443"
    - "6060:6060/udp"
    - "3000-3002"
    - "9090-9091:8080-8081"
    - "[::1]:81:81"
    - "0.0.0.0::82"
    - {target: 53, published: "5353", protocol: udp, host_ip: 127.0.0.1}
    - {target: 9000}
    - {target: 84, published: 8400-8402, mode: host}
    networks:
      front: {aliases: [www, site], ipv4_address: 10.9.0.10, priority: 1000}
      back:
    links: ["api:backend"]
    depends_on: [api]
    extra_hosts: ["printer:192.0.2.9", "v6=[2001:db8::1]"]
    dns: 10.0.0.53
    dns_search: [example.org]
    dns_opt: ["ndots:2"]
    expose: ["3000", 4000, "53/udp"]
    hostname: webhost
    domainname: example.org
    stop_grace_period: 1m30s
    init: true
    healthcheck: {test: ["CMD", "true"], interval: 30s}
    logging: {driver: json-file}
    sysctls: {net.core.somaxconn: 1024}
    cap_add: [NET_ADMIN]
    mem_limit: 256m
    cpus: 0.5
    tmpfs: [/run, "/tmp:size=64m"]
    ulimits: {nofile: 1024}
  api:
    image: api
    container_name: shop-api
    build: .
    entrypoint: /bin/sh -c "echo 'a b' $$HOME"
    environment: [A=1, "B=x y", EMPTY, "PASSWORD=${DB_PASSWORD:?wanted}"]
    networks: [back]
    user: "1000:1000"
    working_dir: /srv
    tty: true
    stdin_open: true
    stop_signal: SIGINT
    restart: on-failure:3
    volumes: ["/srv/data:/data:ro", "cache:/cache", "./src:/src", {type: bind, source: /etc/ssl, target: /ssl}]
    deploy: {resources: {limits: {cpus: "1.5", memory: 1g, pids: 50}}}
    secrets: [token]
    shm_size: 64m
  side: {image: busybox, network_mode: "service:api", pid: "service:api"}
  onhost: {image: busybox, network_mode: host, cpu_shares: 5}
  debug: {image: busybox, profiles: [debug]}
networks:
  front:
    driver: bridge
    driver_opts: {com.docker.network.driver.mtu: "1400"}
    ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1, ip_range: 10.9.0.128/25, aux_addresses: {nas: 10.9.0.5}}]}
    labels: [team=blue]
  back: {internal: true, name: shop_back, enable_ipv6: true}
volumes: {cache: {}}
secrets: {token: {file: ./token}}
"""
EXTENDED = """
services:
  base:
    image: ${IMAGE:-app}:${TAG-x}
    environment: {BOOL: true, NUMBER: 5, FLOAT: 1.50, TEXT: "it's", FROM_HERE: base}
    labels: {a: b, tier: base}
    ports: ["8000:80"]
    networks: {default: {aliases: [core]}}
    command: serve
    restart: always
  blog:
    extends: {service: base}
    command: python -c 'print("hi there")' --flag=a\\ b
    environment: [FROM_HERE=blog, MORE=1]
    labels: ["tier=front", "flag"]
    ports: ["8001:81/tcp"]
    dns: [10.0.0.53]
  shop:
    extends: blog
    ports: ["8001:81", "8002:82/sctp"]
    restart: "no"
    mac_address: 02:42:ac:11:65:43
    pids_limit: 10
    volumes:
    - {type: tmpfs, target: /scratch, tmpfs: {size: 1048576}}
    - {type: volume, source: data, target: /data}
  tiny: {image: x, hostname: "a.b", init: false, stop_grace_period: 500ms, tmpfs: /t, external_links: ["shop:alias"], command: }
networks: {default: {driver_opts: {com.docker.network.bridge.name: br-x}}}
volumes: {data: {}}
"""
ELSEWHERE = {
    "build",
    "depends_on",
    "profiles",
    "container_name",
    "networks",
    "network_mode",
    "deploy",
    "volumes",
    "mac_address",
}
"""Keys of a service that are compared by what they come to, or that the tests of the import are about."""
LIMITS = {"cpus", "memory", "pids"}


def compose_reads(folder: Path, text: str) -> dict[str, Any]:
    """The file as Compose itself has read it, with all that is implied filled in."""
    (folder / "compose.yaml").write_text(text)
    docker = shutil.which("docker")
    command = [str(PLUGIN)] if PLUGIN.exists() else [docker or "docker", "compose"]
    done = subprocess.run(
        [*command, "-f", "compose.yaml", "config", "--format", "json"],
        cwd=folder,
        env={**VARIABLES, "HOME": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.replace("$$", "$"))
    return found


def ports_of_compose(service: Mapping[str, Any]) -> set[tuple[str, str, int, str]]:
    return {
        (port.get("host_ip", ""), port.get("published", ""), port["target"], port["protocol"])
        for port in service.get("ports") or ()
    }


def ports_of(request: ContainerRequest) -> set[tuple[str, str, int, str]]:
    return {
        (
            str(port.host_address or ""),
            f"{port.host_port or ''}" + (f"-{port.host_port_end}" if port.host_port_end else ""),
            port.container_port,
            port.protocol,
        )
        for port in request.ports
    }


def said_by_compose(name: str, service: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, Any]:
    """What of a service has a counterpart, in one spelling."""
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    restart, _, most = (service.get("restart") or "no").partition(":")
    return {
        "image": service["image"],
        "command": tuple(service.get("command") or ()),
        "entrypoint": tuple(service.get("entrypoint") or ()),
        "env": {key: value for key, value in (service.get("environment") or {}).items() if value is not None},
        "labels": service.get("labels") or {},
        "ports": ports_of_compose(service),
        "expose": {item if "/" in item else f"{item}/tcp" for item in service.get("expose") or ()},
        "restart": (restart, int(most or 0)),
        "plain": [service.get(key, "") for key in ("hostname", "domainname", "user", "working_dir")],
        "flags": [bool(service.get(key)) for key in ("tty", "stdin_open", "init")],
        "stop": (service.get("stop_signal", ""), seconds(service.get("stop_grace_period", "10s"), "")),
        "dns": [service.get(key) or [] for key in ("dns", "dns_search", "dns_opt")],
        "extra_hosts": {tuple(item.split("=", 1)) for item in service.get("extra_hosts") or ()},
        "links": set(service.get("links") or ()) | set(service.get("external_links") or ()),
        "limits": (
            size(service.get("mem_limit", limits.get("memory", 0)), ""),
            float(service.get("cpus", limits.get("cpus", 0))),
            int(service.get("pids_limit", limits.get("pids", 0))),
        ),
        "networks": {
            key: {known: value for known, value in (way or {}).items() if known in {"aliases", "ipv4_address"}}
            for key, way in (service.get("networks") or {}).items()
        },
        "mode": service.get("network_mode", ""),
        "mac": service.get("mac_address", ""),
        "tmpfs": {path.partition(":")[0] for path in service.get("tmpfs") or ()}
        | {item["target"] for item in service.get("volumes") or () if item["type"] == "tmpfs"},
    }


def said_here(
    name: str, request: ContainerRequest, key_of: Mapping[str, str], networks: Mapping[str, str]
) -> dict[str, Any]:
    """The same of the container that the import makes of the service *name*."""
    ways = request.networks or (() if request.network.startswith("container:") or request.network == "host" else None)
    named = {request.network: {}} if ways is None else {way.network: way for way in ways}
    attached: dict[str, Any] = {}
    for network, way in named.items():
        aliases = [alias for alias in (way.aliases if way else ()) if alias != name]
        attached[networks.get(network, network)] = {
            key: value
            for key, value in (("aliases", aliases), ("ipv4_address", str(way.ipv4 or "") if way else ""))
            if value
        }
    kind, _, other = request.network.partition(":")
    return {
        "image": request.image,
        "command": request.command,
        "entrypoint": request.entrypoint or (),
        "env": dict(request.env),
        "labels": dict(request.labels),
        "ports": ports_of(request),
        "expose": {f"{number}/{protocol}" for number, protocol in request.exposed_ports},
        "restart": (request.restart_policy, request.restart_max),
        "plain": [request.hostname, request.domainname, request.user, request.working_dir],
        "flags": [request.tty, request.open_stdin, request.init],
        "stop": (request.stop_signal, request.stop_timeout),
        "dns": [list(map(str, request.dns)), list(request.dns_search), list(request.dns_options)],
        "extra_hosts": {(name, str(address)) for name, address in request.extra_hosts},
        "links": {f"{key_of.get(source, source)}:{alias}" if alias else source for source, alias in request.links},
        "limits": (request.memory, request.cpus, request.pids_limit),
        "networks": {} if kind in {"container", "host"} else attached,
        "mode": f"service:{key_of[other]}" if kind == "container" else request.network if kind == "host" else "",
        "mac": request.mac or next((way.mac for way in request.networks if way.mac), ""),
        "tmpfs": {str(folder).partition(":")[0] for folder in request.tmpfs},
    }


@pytest.mark.parametrize("text", [SHOP, EXTENDED], ids=["shop", "extended"])
def test_the_import_says_what_compose_reads_or_notes_it(tmp_path: Path, text: str) -> None:
    project = compose_reads(tmp_path, text)
    found = convert(read_yaml(text).value, VARIABLES)
    declared = {request.name: request for request in read_topology(found.document).containers}
    container = {key: service.get("container_name", key) for key, service in project["services"].items()}
    assert set(container.values()) == set(declared)
    key_of = {name: key for key, name in container.items()}
    networks = {item["name"].removeprefix(f"{project['name']}_"): key for key, item in project["networks"].items()}
    networks |= {item["name"]: key for key, item in project["networks"].items()}
    noted = {note.path for note in found.notes}
    for key, service in project["services"].items():
        theirs = said_by_compose(key, service, project)
        ours = said_here(key, declared[container[key]], key_of, networks)
        assert ours == theirs, key
        compared = (
            theirs.keys() | ELSEWHERE | {"environment", "dns_search", "dns_opt", "hostname", "domainname", "user"}
        )
        compared |= {"working_dir", "tty", "stdin_open", "init", "stop_signal", "stop_grace_period", "external_links"}
        compared |= {"mem_limit", "cpus", "pids_limit"}
        for left in service.keys() - compared:
            assert f"services.{key}.{left}" in noted, f"{key}.{left} is neither taken over nor noted"
        for number, volume in enumerate(service.get("volumes") or ()):
            made = any(bind.split(":")[1] == volume["target"] for bind in declared[container[key]].binds)
            assert made or volume["type"] == "tmpfs" or f"services.{key}.volumes.{number}" in noted
