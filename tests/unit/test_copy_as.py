"""A request as curl, as Docker's own commands, as YAML: quoted for a shell, understood by Docker's parser, and without secrets."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from networks.copy_as import commands, copies_of_container, copies_of_network, docker_container, docker_network
from networks.services.spec_container import read_container
from networks.services.spec_network import read_network
from networks.services.topology_file import read_file

API = "https://cnm.example/api/v1/"
FLAGS: dict[str, dict[str, bool]] = json.loads(
    (Path(__file__).resolve().parents[1] / "data/docker_flags.json").read_text()
)
"""What ``docker <command> --help`` of Docker 28.2 lists: flag -> whether it takes a value."""
SYSCTLS = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=1"
WEB: dict[str, Any] = {
    "name": "web",
    "image": "web:1",
    "command": ["sh", "-c", "echo 'a b' $X; rm -rf /"],
    "entrypoint": ["/e", "--x"],
    "env": {"A": "b c", "DB_PASSWORD": "s3cret", "API_TOKEN": "cnm_abc", "E": ""},
    "network": "app",
    "ipv4": "10.4.0.5",
    "ipv6": "2001:db8::5",
    "mac": "02:42:0a:04:00:05",
    "aliases": ["shop"],
    "ports": ["8080:80", "127.0.0.1::53/udp", "[::1]:9:9", "8000-8002:90"],
    "publish_all": True,
    "exposed_ports": ["7/udp"],
    "links": ["db:store"],
    "hostname": "h",
    "domainname": "d.example",
    "dns": ["10.0.0.53"],
    "dns_search": ["a.b"],
    "dns_options": ["ndots:2"],
    "extra_hosts": ["up:192.0.2.1"],
    "user": "1:1",
    "working_dir": "/w",
    "tty": True,
    "open_stdin": True,
    "restart_policy": {"name": "on-failure", "max_retries": 3},
    "stop_signal": "SIGINT",
    "stop_timeout": 33,
    "memory": 2**28,
    "cpus": 0.5,
    "pids_limit": 9,
    "binds": ["/a:/b:ro"],
    "labels": {"k": "v w"},
}


def parsed(line: str) -> tuple[str, list[tuple[str, str]], list[str]]:
    """A line as the shell, then Docker's parser, takes it: the command, its options, and the rest."""
    words = shlex.split(line)
    assert words.pop(0) == "docker"
    command = next(name for name in sorted(FLAGS, key=len, reverse=True) if words[: len(name.split())] == name.split())
    rest = words[len(command.split()) :]
    options = []
    while rest and rest[0].startswith("-"):
        flag, equals, value = rest.pop(0).removeprefix("--").partition("=")
        assert flag == "detach" or FLAGS[command][flag] == bool(equals), flag
        options.append((flag, value))
    return command, options, rest


def lines(text: str) -> list[str]:
    return text.replace(" \\\n", " ").splitlines()


def copies(body: dict[str, Any]) -> dict[str, Any]:
    return {copy.kind: copy for copy in copies_of_container(read_container(body), API)}


def test_every_option_reaches_docker_as_it_was_meant() -> None:
    (line,) = lines(copies(WEB)["docker"].text)
    command, options, rest = parsed(line)
    assert command == "run"
    assert rest == ["web:1", "--x", "sh", "-c", "echo 'a b' $X; rm -rf /"]
    assert options == [
        ("detach", ""),
        ("name", "web"),
        ("hostname", "h"),
        ("domainname", "d.example"),
        ("network", "app"),
        ("ip", "10.4.0.5"),
        ("ip6", "2001:db8::5"),
        ("mac-address", "02:42:0a:04:00:05"),
        ("network-alias", "shop"),
        ("publish", "8080:80"),
        ("publish", "127.0.0.1::53/udp"),
        ("publish", "[::1]:9:9"),
        ("publish", "8000-8002:90"),
        ("publish-all", ""),
        ("expose", "7/udp"),
        ("link", "db:store"),
        ("dns", "10.0.0.53"),
        ("dns-search", "a.b"),
        ("dns-option", "ndots:2"),
        ("add-host", "up:192.0.2.1"),
        ("env", "A=b c"),
        ("env", "DB_PASSWORD"),
        ("env", "API_TOKEN"),
        ("env", "E="),
        ("volume", "/a:/b:ro"),
        ("label", "k=v w"),
        ("user", "1:1"),
        ("workdir", "/w"),
        ("tty", ""),
        ("interactive", ""),
        ("restart", "on-failure:3"),
        ("stop-signal", "SIGINT"),
        ("stop-timeout", "33"),
        ("memory", str(2**28)),
        ("cpus", "0.5"),
        ("pids-limit", "9"),
        ("entrypoint", "/e"),
    ]


def test_no_secret_is_given_away_and_what_is_left_out_is_said() -> None:
    for copy in copies(WEB).values():
        assert "s3cret" not in copy.text
        assert "cnm_abc" not in copy.text
        assert any("DB_PASSWORD, API_TOKEN" in str(note) for note in copy.notes), copy.kind
    assert '"Authorization: Bearer $TOKEN"' in copies(WEB)["curl"].text


def test_curl_sends_the_body_that_makes_the_same() -> None:
    plain = {key: value for key, value in WEB.items() if key != "env"} | {"env": {"A": "it's $5 `x`"}}
    words = shlex.split(copies(plain)["curl"].text)
    assert words[:4] == ["curl", "-sS", "-X", "POST"]
    assert words[4] == f"{API}containers"
    assert read_container(json.loads(words[words.index("-d") + 1])) == read_container(plain)


def test_the_yaml_is_a_file_of_the_desired_state() -> None:
    plain = {key: value for key, value in WEB.items() if key != "env"}
    assert read_file(copies(plain)["yaml"].text)[0].containers == (read_container(plain),)


def test_several_networks_are_connected_before_the_start() -> None:
    body = {
        "name": "two",
        "image": "x",
        "networks": [
            {"network": "db", "driver_opts": {"com.docker.network.endpoint.sysctls": SYSCTLS}, "gw_priority": 3},
            {"network": "app", "ipv4": "10.4.0.5"},
            {"network": "third", "aliases": ["t"]},
        ],
    }
    found = lines(copies(body)["docker"].text)
    assert [line.split()[1:3] for line in found] == [
        ["create", "--name=two"],
        ["network", "connect"],
        ["network", "connect"],
        ["start", "two"],
    ]
    assert parsed(found[0])[1:] == ([("name", "two"), ("network", "app"), ("ip", "10.4.0.5")], ["x"])
    _, options, rest = parsed(found[1])
    assert dict(options)["driver-opt"].startswith('"com.docker'), "Docker splits this option at commas"
    assert rest == ["db", "two"]
    assert parsed(found[2])[1:] == ([("alias", "t")], ["third", "two"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "docker run --detach host"),
        ({"start": False, "name": "a"}, "docker create --name=a host"),
        ({"network": "host"}, "docker run --detach --network=host host"),
        ({"network": "none", "auto_remove": True}, "docker run --detach --network=none --rm host"),
        ({"network": "container:web"}, "docker run --detach --network=container:web host"),
        ({"entrypoint": []}, "docker run --detach --entrypoint= host"),
    ],
)
def test_modes(body: dict[str, Any], expected: str) -> None:
    found, _ = docker_container(read_container(body))
    assert commands(found) == expected
    parsed(expected)


def test_what_docker_has_no_word_for_is_said() -> None:
    shown = copies(
        {"image": "x", "ports": [{"container_port": 80, "host_port": 8080, "allowed_sources": ["10.0.0.0/8"]}]}
    )
    assert "--publish=8080:80" in shown["docker"].text
    assert "open to everybody" in str(shown["docker"].notes[0])
    assert "yaml" not in shown, "without a name there is no file"
    alone = copies({"kind": "sandbox", "name": "a"})["docker"]
    assert (alone.text, len(alone.notes)) == ("", 1)


def test_a_network() -> None:
    body = {
        "name": "app",
        "internal": True,
        "attachable": True,
        "enable_ipv6": True,
        "subnets": [
            {
                "subnet": "10.4.0.0/24",
                "gateway": "10.4.0.1",
                "ip_range": "10.4.0.128/25",
                "aux_addresses": {"nas": "10.4.0.9"},
            },
            {"subnet": "2001:db8::/64"},
        ],
        "options": {"com.docker.network.bridge.enable_icc": "false"},
        "labels": {"t": "x y"},
    }
    request = read_network(body)
    _, options, rest = parsed(commands([docker_network(request)]).replace(" \\\n", " "))
    assert rest == ["app"]
    assert options == [
        ("driver", "bridge"),
        ("internal", ""),
        ("attachable", ""),
        ("ipv6", ""),
        ("subnet", "10.4.0.0/24"),
        ("gateway", "10.4.0.1"),
        ("ip-range", "10.4.0.128/25"),
        ("aux-address", "nas=10.4.0.9"),
        ("subnet", "2001:db8::/64"),
        ("opt", "com.docker.network.bridge.enable_icc=false"),
        ("label", "t=x y"),
    ]
    shown = {copy.kind: copy.text for copy in copies_of_network(request, API)}
    words = shlex.split(shown["curl"])
    assert words[4] == f"{API}networks"
    assert read_network(json.loads(words[-1])) == request
    assert read_file(shown["yaml"])[0].networks == (request,)
