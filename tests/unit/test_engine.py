"""The pure parts of the Docker face."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from networks.cnm.errors import Conflict
from networks.engine import events, filters, output, routes, times
from networks.engine.changes import read_changes, read_config
from networks.engine.container_body import check_unset, requested
from networks.engine.errors import WORDS, EngineError, translated
from networks.engine.image_shape import check_platform
from networks.engine.network_shape import requested as network_requested
from networks.engine.raw import DetachKeys
from networks.engine.system import architecture
from networks.logs import LogLine
from networks.services.spec_container import read_container
from networks.services.spec_network import read_network
from tests.testlib.bottle import REPOSITORY
from worker.runtime.images import changed_config

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
BODY: dict[str, Any] = {
    "Image": "web:1",
    "Cmd": ["serve"],
    "Env": ["A=1", "GONE"],
    "ExposedPorts": {"80/tcp": {}},
    "HostConfig": {
        "NetworkMode": "lan",
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8000-8010"}], "53/udp": [{"HostIp": "127.0.0.1"}]},
        "Links": ["/db:/web/store"],
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
        "NanoCpus": 1500000000,
        "Binds": ["/srv:/data:ro,z"],
        "Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b"}],
    },
    "NetworkingConfig": {
        "EndpointsConfig": {"lan": {"IPAMConfig": {"IPv4Address": "10.1.0.9"}, "Aliases": ["www"], "Links": ["x:y"]}}
    },
}


def test_a_body_of_docker_is_read_as_what_rest_would_be_asked() -> None:
    request = read_container(requested(BODY, "web", (1, 41)))
    assert (request.name, request.image, request.network, request.start) == ("web", "web:1", "lan", False)
    assert (str(request.ipv4), request.aliases, dict(request.env)) == ("10.1.0.9", ("www",), {"A": "1"})
    assert request.links == (("db", "store"), ("x", "y"))
    assert [(port.container_port, port.protocol, port.host_port, port.host_port_end) for port in request.ports] == [
        (80, "tcp", 8000, 8010),
        (53, "udp", 0, 0),
    ]
    assert (request.restart_policy, request.restart_max, request.cpus) == ("on-failure", 2, 1.5)
    assert request.binds == ("/srv:/data:ro", "/a:/b")


def test_several_networks_need_a_version_that_knows_them() -> None:
    two = {**BODY, "NetworkingConfig": {"EndpointsConfig": {"lan": {}, "wan": {"GwPriority": 3}}}}
    with pytest.raises(EngineError, match="cannot be connected to network endpoints: lan, wan"):
        requested(two, "web", (1, 43))
    request = read_container(requested(two, "web", (1, 44)))
    assert [(way.network, way.gw_priority) for way in request.networks] == [("wan", 3)]
    other = {**BODY, "NetworkingConfig": {"EndpointsConfig": {"wan": {}}}}
    assert read_container(requested(other, "web", (1, 41))).networks == (), "passed over, as Docker does"


def test_folders_in_memory_are_asked_for_in_two_ways() -> None:
    mounts = [
        {"Type": "tmpfs", "Target": "/more", "TmpfsOptions": {"SizeBytes": 2 << 20, "Mode": 0o1770}},
        {"Type": "bind", "Source": "/srv", "Target": "/srv", "ReadOnly": True},
        {"Type": "tmpfs", "Target": "/plain", "ReadOnly": True},
    ]
    host = {"Tmpfs": {"/fast": "size=1m", "/bare": ""}, "Mounts": mounts}
    value = requested({"Image": "host", "HostConfig": host}, "", (1, 44))
    assert value["tmpfs"] == ["/fast:size=1m", "/bare", "/more:size=2097152,mode=1770", "/plain:ro"]
    assert value["binds"] == ["/srv:/srv:ro"]


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"Privileged": True}, "a privileged container is not supported"),
        ({"Binds": ["a b:/data"]}, "includes invalid characters for a local volume name"),
        ({"Mounts": [{"Type": "volume", "Target": "/x"}]}, "an anonymous volume is not supported"),
        ({"Mounts": [{"Type": "npipe", "Target": "/x"}]}, "a mount of the type npipe"),
        ({"LogConfig": {"Type": "syslog"}}, "the log driver syslog"),
        ({"PortBindings": {"80/tcp": [{"HostPort": "many"}]}}, "invalid port specification: many"),
        ({"MaskedPaths": [], "ReadonlyPaths": []}, "another choice of masked paths"),
        ({"BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1}]}, "HostConfig.BlkioDeviceReadBps is not supported"),
        ({"MemorySwappiness": 0}, "another readiness to swap"),
        ({"CpuRealtimePeriod": 1000}, "real-time scheduling"),
        ({"Annotations": {"a": "b"}}, "an annotation"),
        ({"CgroupnsMode": "private"}, "a cgroup namespace of its own"),
        ({"OomScoreAdj": -1}, "another OOM score"),
        (
            {"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b", "BindOptions": {"NonRecursive": True}}]},
            "the mount option NonRecursive",
        ),
        ({"AutoRemove": True, "RestartPolicy": {"Name": "always"}}, "can't create 'AutoRemove' container"),
        ({"NetworkMode": "container:x", "Dns": ["10.0.0.1"]}, "conflicting options: dns and the network mode"),
        ({"NetworkMode": "host", "Links": ["a:b"]}, "host type networking can't be used with links"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(host: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=re.escape(said)):
        requested({"Image": "host", "HostConfig": host}, "", (1, 44))


def test_a_field_that_is_not_known_and_a_platform_are_refused_by_name() -> None:
    with pytest.raises(EngineError, match="Novelty of a container is not supported"):
        requested({"Image": "host", "Novelty": 1}, "", (1, 44))
    for wanted in ("", "linux", f"linux/{architecture()}"):
        check_platform(wanted)
    for wanted in ("linux/s390x", "windows"):
        with pytest.raises(EngineError, match=f"the platform {wanted} is not supported"):
            check_platform(wanted)


def test_a_variable_that_the_image_has_is_not_taken_away_and_that_is_said() -> None:
    check_unset({"Env": ["GONE", "COLOUR=red"]}, {"Env": ["COLOUR=green"]})
    for name in ("COLOUR", "PATH"):
        with pytest.raises(EngineError, match=f"taking away the variable {name} is not supported"):
            check_unset({"Env": [name]}, {"Env": ["COLOUR=green"]})


def test_what_clients_send_unasked_is_harmless() -> None:
    sent = {"MemorySwappiness": -1, "ShmSize": 0, "IpcMode": "", "CapAdd": None, "ConsoleSize": [1, 2], "Isolation": ""}
    sent |= {"LogConfig": {"Type": "", "Config": {}}, "RestartPolicy": {"Name": "no"}, "Devices": [], "PidsLimit": 0}
    assert read_container(requested({"Image": "host", "HostConfig": sent}, "", (1, 24))).network == "bridge"


def test_a_network_is_read_with_its_ipam() -> None:
    config = [{"Subnet": "10.5.0.7/24", "Gateway": "10.5.0.9", "AuxiliaryAddresses": {"p": "10.5.0.4"}}, {}]
    request = read_network(network_requested({"Name": "lan", "IPAM": {"Driver": "default", "Config": config}}))
    assert (str(request.subnets[0].subnet), str(request.subnets[0].gateway)) == ("10.5.0.0/24", "10.5.0.9")
    for body, status in (
        ({"Driver": "host"}, 403),
        ({"ConfigOnly": True}, 501),
        ({"IPAM": {"Options": {"a": "b"}}}, 501),
    ):
        with pytest.raises(EngineError) as refused:
            network_requested({"Name": "x", **body})
        assert refused.value.status == status


def test_filters_of_both_forms() -> None:
    for text in ('{"label": ["a=b", "c"]}', '{"label": {"a=b": true, "c": true, "d": false}}'):
        assert filters.read(text, ("label",)) == {"label": ("a=b", "c")}
    assert filters.matches_labels(("a=b", "c"), {"a": "b", "c": ""})
    assert not filters.matches_labels(("a=b", "c"), {"a": "b"})
    assert filters.matches_name(("^web$",), "web")
    assert not filters.matches_name(("^web$",), "webs")
    assert filters.matches_name(("[",), "a[b"), "no pattern, but a part of the name"
    with pytest.raises(EngineError, match="Invalid filter 'x'"):
        filters.read('{"x": ["1"]}', ("label",))
    assert filters.instant("10m", NOW) == NOW - timedelta(minutes=10)
    assert filters.instant("0.5", NOW) == datetime(1970, 1, 1, 0, 0, 0, 500000, UTC)
    assert filters.instant("2026-05-06T07:08:09Z", NOW) == NOW


def test_a_refusal_of_ours_becomes_dockers() -> None:
    told = translated(Conflict("A network with the name {name} exists already.", name="lan"))
    assert (told.status, told.message) == (409, "network with name lan already exists")


def test_every_sentence_that_is_mapped_is_one_of_ours() -> None:
    places = [*(REPOSITORY / "networks/services").glob("*.py"), *(REPOSITORY / "worker").rglob("*.py")]
    code = "\n".join(path.read_text() for path in places)
    assert [template for template in WORDS if f'"{template}"' not in code] == []


def test_frames_and_lines() -> None:
    assert output.framed("stderr", b"pro", False) == b"\x02\0\0\0\0\0\0\x03pro"
    assert output.framed("stderr", b"pro", True) == b"pro"
    assert output.failed("lost", False) == b"\x03\0\0\0\0\0\0\x04lost"
    choice = output.Choice(streams=frozenset({"stdout"}), tty=True, timestamps=True, since=NOW)
    lines = [
        LogLine("2026-05-06T07:08:08.000000001+00:00", "stdout", "early"),
        LogLine("2026-05-06T09:08:10.123456789+02:00", "stdout", "in time"),
        LogLine("2026-05-06T07:08:11.000000001+00:00", "stderr", "other"),
    ]
    assert choice.rendered(lines) == b"2026-05-06T07:08:10.123456789Z in time\n"
    both = output.Choice(streams=frozenset({"stdout", "stderr"}), tty=False)
    assert both.said("gap", NOW) == b"\x02\0\0\0\0\0\0\x06[gap]\n"
    assert choice.said("gap", NOW).endswith(b" [gap]\n"), "who asked for one stream is told in it"


@given(st.binary(max_size=30), st.integers(0, 30))
def test_detach_keys_are_found_however_they_come(data: bytes, cut: int) -> None:
    plain = data.replace(b"\x10\x11", b"")
    while b"\x10\x11" in plain:
        plain = plain.replace(b"\x10\x11", b"")
    keys = DetachKeys("")
    first, left = keys.split(plain[:cut])
    second, left_too = keys.split(plain[cut:])
    assert not left
    assert not left_too
    assert (first + second).rstrip(b"\x10") == plain.rstrip(b"\x10")
    assert DetachKeys("a,ctrl-b").split(b"xa\x02y") == (b"x", True)


def test_instructions_of_an_import() -> None:
    lines = ['CMD ["a", "b"]', "ENV A=1 B='x y'", "ENV C some words", "EXPOSE 80 53/udp", "LABEL k=v\nUSER me"]
    assert read_changes(lines) == {
        "Cmd": ["a", "b"],
        "Env": ["A=1", "B=x y", "C=some words"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Labels": {"k": "v"},
        "User": "me",
    }
    with pytest.raises(EngineError, match="NOSUCH is not a valid change command"):
        read_changes(["NOSUCH 1"])


def test_a_configuration_that_comes_with_a_commit() -> None:
    config = read_config({"Cmd": "serve", "Env": ["A=1"], "Hostname": "box", "Healthcheck": None, "Volumes": {}})
    assert read_changes(["ENV B=2", "USER me"], config) == {"Cmd": ["serve"], "Env": ["A=1", "B=2"], "User": "me"}
    with pytest.raises(EngineError, match="Volumes in the configuration of an image is not supported"):
        read_config({"Volumes": {"/data": {}}})
    before = {"Env": ["A=0", "C=3"], "Labels": {"k": "v"}, "Cmd": ["old"]}
    after = changed_config(before, {"Env": ["A=1"], "Labels": {"l": "w"}, "Cmd": ["new"]})
    assert after == {"Env": ["A=1", "C=3"], "Labels": {"k": "v", "l": "w"}, "Cmd": ["new"]}


def _state(state: str, **more: Any) -> dict[str, Any]:
    way = {
        "network": {"id": "n1", "name": "lan"},
        "ipv4": "10.0.0.2/24" if state in {"running", "stopping"} else "",
        "ipv6": "",
    }
    value = {"name": "web", "image": "web:latest", "labels": {"k": "v"}, "state": state, "wanted": "running"}
    return {**value, "endpoints": [way], "started_at": "t1", "exit_code": None, "stop_signal": "SIGINT", **more}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, _state("created"), ["create"]),
        (_state("starting"), _state("running"), ["connect", "start"]),
        (_state("running"), _state("stopping", wanted="stopped"), ["kill"]),
        (_state("stopping"), _state("exited", wanted="stopped", exit_code=0), ["disconnect", "die", "stop"]),
        (_state("running"), _state("restarting", exit_code=1), ["disconnect", "die"]),
        (_state("running"), _state("running", started_at="t2"), ["disconnect", "die", "connect", "start"]),
        (_state("running"), _state("running", endpoints=[]), ["disconnect"]),
        (_state("running"), _state("removing"), ["disconnect", "kill", "die"]),
        (_state("exited"), _state("exited", name="www"), ["rename"]),
        (_state("exited"), None, ["destroy"]),
    ],
)
def test_what_docker_says_follows_from_before_and_after(before: Any, after: Any, told: list[str]) -> None:
    change = events.Change(kind="container", id="c1", before=before, after=after, at=NOW)
    found = events.said(change)
    assert sorted(event["Action"] for event in found) == sorted(told)
    for event in found:
        assert event["time"] * 10**9 == event["timeNano"]
        if event["Type"] == "container":
            assert (event["id"], event["Actor"]["Attributes"]["image"]) == ("c1", "web")


def test_how_long_ago_in_dockers_words() -> None:
    for seconds, words in ((0, "Less than a second"), (61, "About a minute"), (7200, "2 hours"), (10**6, "11 days")):
        assert times.ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_an_unknown_path_is_refused_and_so_is_a_wrong_method() -> None:
    for method, path, status in (("GET", "/nosuch", 404), ("DELETE", "/version", 405)):
        with pytest.raises(EngineError) as refused:
            routes.find(method, path)
        assert refused.value.status == status
    with pytest.raises(EngineError, match="Swarm mode is not supported"):
        routes.find("POST", "/swarm/init")[0](None)


def test_the_documentation_lists_what_is_answered() -> None:
    text = (REPOSITORY / "docs/docker-compatibility.md").read_text()
    listed = {tuple(row) for row in re.findall(r"^\| (GET|HEAD|POST|PUT|DELETE) \| `([^`]+)` \|$", text, re.MULTILINE)}
    assert listed == {(method, path.replace("*}", "}")) for method, path in routes.answered()}
