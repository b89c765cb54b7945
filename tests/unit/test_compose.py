"""A Compose file becomes a file of the desired state; what cannot be taken over is said, item by item."""

from __future__ import annotations

from typing import Any

import pytest

from networks.cnm.errors import InvalidSpec
from networks.services.compose import convert, read_variables
from networks.services.spec_topology import read_topology
from networks.services.yaml_text import read_yaml


def converted(text: str, **variables: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The document, which is sound, and path -> note."""
    found = convert(read_yaml(text).value, variables)
    read_topology(found.document)
    return dict(found.document), {note.path: str(note.sentence) for note in found.notes}


def service(body: str, **variables: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The container that a service with *body* (flow style, without braces) becomes, and the notes."""
    document, notes = converted(f"services: {{web: {{image: web, {body}}}}}", **variables)
    container = {
        key: value for key, value in document["containers"]["web"].items() if (key, value) != ("network", "default")
    }
    container.pop("image")
    return container, notes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("command: sh -c 'echo \"a b\"'", {"command": ["sh", "-c", 'echo "a b"']}),
        ("command: [sleep, 9], entrypoint: /x", {"command": ["sleep", "9"], "entrypoint": ["/x"]}),
        ("environment: {A: 1, B: true, C: x}", {"env": {"A": "1", "B": "true", "C": "x"}}),
        ("environment: [A=1, B=x=y, 'C=']", {"env": {"A": "1", "B": "x=y", "C": ""}}),
        (
            "ports: [80, '8080:80', '127.0.0.1:5000-5002:5000-5002/udp', '[::1]:9:9']",
            {"ports": ["80", "8080:80", "127.0.0.1:5000-5002:5000-5002/udp", "[::1]:9:9"]},
        ),
        (
            "ports: [{target: 80, published: 8080}, {target: 53, protocol: udp, host_ip: '::1'}]",
            {"ports": ["8080:80", "[::1]::53/udp"]},
        ),
        ("expose: [3000, '53/udp']", {"exposed_ports": ["3000", "53/udp"]}),
        (
            "dns: 10.0.0.53, dns_search: [a.b], dns_opt: [ndots:2]",
            {"dns": ["10.0.0.53"], "dns_search": ["a.b"], "dns_options": ["ndots:2"]},
        ),
        (
            "extra_hosts: ['a:192.0.2.1', 'b=192.0.2.2', 'c=[2001:db8::1]']",
            {"extra_hosts": ["a:192.0.2.1", "b:192.0.2.2", "c:2001:db8::1"]},
        ),
        (
            "extra_hosts: {a: 192.0.2.1, b: [192.0.2.2, 192.0.2.3]}",
            {"extra_hosts": ["a:192.0.2.1", "b:192.0.2.2", "b:192.0.2.3"]},
        ),
        ("restart: on-failure:3", {"restart_policy": {"name": "on-failure", "max_retries": 3}}),
        ("restart: always", {"restart_policy": {"name": "always"}}),
        ("restart: 'no'", {}),
        ("labels: [a=b, c]", {"labels": {"a": "b", "c": ""}}),
        (
            "hostname: h, user: '5', working_dir: /w, tty: true, stdin_open: yes, stop_signal: SIGINT",
            {
                "hostname": "h",
                "user": "5",
                "working_dir": "/w",
                "tty": True,
                "open_stdin": True,
                "stop_signal": "SIGINT",
            },
        ),
        (
            "stop_grace_period: 1m30s, mem_limit: 256m, cpus: 0.5, pids_limit: 9",
            {"stop_timeout": 90, "memory": 2**28, "cpus": 0.5, "pids_limit": 9},
        ),
        (
            "deploy: {resources: {limits: {cpus: '2', memory: 1gb, pids: 7}}}",
            {"cpus": 2.0, "memory": 2**30, "pids_limit": 7},
        ),
        (
            "volumes: ['/a:/b', '/a/../c:/d:ro,z', {type: bind, source: /e, target: /f, read_only: true}]",
            {"binds": ["/a:/b", "/c:/d:ro", "/e:/f:ro"]},
        ),
        (
            "tmpfs: /run, volumes: [{type: tmpfs, target: /t}, {type: tmpfs, target: /u, tmpfs: {size: 1m, mode: 448}}]",
            {"tmpfs": ["/run", "/t", "/u:size=1048576,mode=700"]},
        ),
        ("network_mode: host", {"network": "host"}),
        ("network_mode: 'container:other'", {"network": "container:other"}),
        ("links: [other, 'other:store']", {"links": ["other", "other:store"]}),
    ],
)
def test_what_a_service_says_is_taken_over(body: str, expected: dict[str, Any]) -> None:
    container, notes = service(body)
    assert container == expected
    assert notes == {}


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        ("build: .", "build", "called web"),
        ("healthcheck: {test: x}", "healthcheck", "not taken over"),
        ("cap_add: [NET_ADMIN]", "cap_add", "not taken over"),
        ("privileged: true", "privileged", "not taken over"),
        ("env_file: [.env]", "env_file", "not taken over"),
        ("volumes: ['data:/x']", "volumes.0", "no named volumes"),
        ("volumes: ['./src:/x']", "volumes.0", "absolute path"),
        ("volumes: ['/x']", "volumes.0", "There are no volumes"),
        ("volumes: [{type: npipe, target: /t}]", "volumes.0", "/t"),
        ("extends: {file: other.yaml, service: base}", "extends", "other.yaml"),
        ("deploy: {replicas: 3}", "deploy.replicas", "One container"),
        ("deploy: {placement: {}}", "deploy.placement", "not taken over"),
        ("environment: [SECRET]", "environment.SECRET", "has no value"),
        ("hostname: h$NOPE", "hostname", "NOPE"),
        ("ports: [{target: 80, mode: ingress}]", "ports.0.mode", "no swarm"),
        ("depends_on: [ghost]", "depends_on", "ghost"),
        ("scale: 2", "scale", "not taken over"),
    ],
)
def test_what_cannot_be_taken_over_is_said_at_its_place(body: str, path: str, said: str) -> None:
    _, notes = service(body)
    assert said in notes[f"services.web.{path}"]


def test_networks_with_their_addresses_options_and_names() -> None:
    document, notes = converted(
        """
services:
  web:
    image: web
    networks:
      front: {ipv4_address: 10.9.0.10, aliases: [www], mac_address: 02:42:0a:09:00:0a, gw_priority: 5, interface_name: wan0}
      back:
  api: {image: api, container_name: shop-api, networks: [back], links: [web]}
  out: {image: x, networks: [there]}
networks:
  front:
    driver: bridge
    internal: true
    attachable: true
    enable_ipv6: true
    labels: [team=blue]
    driver_opts: {com.docker.network.driver.mtu: 1400, foo: bar}
    ipam:
      config:
      - {subnet: 10.9.0.0/24, gateway: 10.9.0.1, ip_range: 10.9.0.128/25, aux_addresses: {nas: 10.9.0.5}}
      - {subnet: 2001:db8:9::/64}
  back: {name: shop_back}
  there: {external: true, name: theirs}
  unused: {}
"""
    )
    assert document["networks"] == {
        "front": {
            "internal": True,
            "attachable": True,
            "enable_ipv6": True,
            "subnets": [
                {"subnet": "10.9.0.0/24", "gateway": "10.9.0.1", "ip_range": "10.9.0.128/25", "aux_addresses": {"nas": "10.9.0.5"}},
                {"subnet": "2001:db8:9::/64"},
            ],
            "options": {"com.docker.network.driver.mtu": "1400"},
            "labels": {"team": "blue"},
        },
        "shop_back": {},
    }  # fmt: skip
    assert document["containers"]["web"]["networks"] == [
        {
            "network": "front",
            "ipv4": "10.9.0.10",
            "mac": "02:42:0a:09:00:0a",
            "aliases": ["www"],
            "driver_opts": {"com.docker.network.endpoint.ifname": "wan0"},
            "gw_priority": 5,
        },
        "shop_back",
    ]
    assert document["containers"]["shop-api"]["networks"] == [{"network": "shop_back", "aliases": ["api"]}]
    assert document["containers"]["out"]["network"] == "theirs"
    assert set(notes) == {"networks.front.driver_opts.foo", "networks.there", "networks.unused"}


def test_services_share_sandboxes_are_linked_by_their_keys_and_come_in_order() -> None:
    document, notes = converted(
        """
services:
  web: {image: w, depends_on: {api: {condition: service_healthy}}, network_mode: "service:api"}
  api: {image: a, container_name: backend, depends_on: [db], links: [db, "db:store"]}
  db: {image: d, container_name: base}
  debug: {image: x, profiles: [debug]}
"""
    )
    assert list(document["containers"]) == ["base", "backend", "web"]
    assert document["containers"]["web"]["network"] == "container:backend"
    assert document["containers"]["backend"]["links"] == ["base:db", "base:store"]
    assert document["networks"] == {"default": {}}
    assert "healthy" in notes["services.web.depends_on.api"]
    assert "profile" in notes["services.debug.profiles"]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$A", "1"),
        ("x${A}y", "x1y"),
        ("${E:-d}", "d"),
        ("${E-d}", ""),
        ("${N:-d}", "d"),
        ("${N-d}", "d"),
        ("${N:-${M:-deep}}", "deep"),
        ("${A:+yes}", "yes"),
        ("${E:+yes}", ""),
        ("${E+yes}", "yes"),
        ("${A:?no}", "1"),
        ("$$A costs $$5", "$A costs $5"),
        ("${N:-a:b}", "a:b"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str) -> None:
    container, notes = service(f"environment: {{X: '{text}'}}", A="1", E="")
    assert container["env"] == {"X": filled}
    assert notes == {}


@pytest.mark.parametrize("text", ["${A", "${}", "${A!}", "$", "${1}", "a$ b"])
def test_a_variable_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        service(f"environment: {{X: '{text}'}}", A="1")
    assert refused.value.field == "services.web.environment.X"
    assert "${NAME:-default}" in str(refused.value.remedy)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("services: {a: {image: '${TAG:?give one}'}}", "services.a.image"),
        ("services: {a: {}}", "services.a.image"),
        ("services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}", "services.a.depends_on"),
        ("services: {a: {image: x, networks: [ghost]}}", "services.a.networks.ghost"),
        ("services: {a: {image: x, container_name: c}, c: {image: x}}", "services.c.container_name"),
        ("services: [a]", "services"),
        ("services: {a: {image: x, mem_limit: lots}}", "services.a.mem_limit"),
        ("services: {a: {image: x, stop_grace_period: soon}}", "services.a.stop_grace_period"),
        ('services: {a: {image: x, command: "\'open"}}', "services.a.command"),
        ("{}", "services"),
        ("services: {a: {extends: b}, b: {extends: {service: a}}}", "services.b.extends"),
        ("services: {a: {extends: ghost}}", "services.a.extends"),
    ],
)
def test_what_contradicts_itself_is_refused_at_its_place(text: str, field: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        convert(read_yaml(text).value, {})
    assert refused.value.field == field


def test_a_file_of_variables() -> None:
    text = "# a comment\nTAG=1.2\nexport NAME='a b'\nURL=http://x#y # the address\n\nEMPTY=\nQ=\"it's\"\n"
    assert read_variables(text) == {"TAG": "1.2", "NAME": "a b", "URL": "http://x#y", "EMPTY": "", "Q": "it's"}
    with pytest.raises(InvalidSpec) as refused:
        read_variables("A=1\nnonsense")
    assert "Line 2" in str(refused.value.sentence)
