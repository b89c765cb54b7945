"""One scenario of ``docker`` commands, which a real Docker Engine and CNM Web both play; what each answers, made comparable."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

IMAGE = "base:1"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Docker = Callable[..., Done]
"""Runs ``docker WORDS``."""

STEPS: tuple[tuple[str, ...], ...] = (
    ("network", "create", "--subnet", "10.91.0.0/24", "--gateway", "10.91.0.254", "--label", "team=blue", "lan"),
    ("network", "create", "-o", "com.docker.network.driver.mtu=1400", "--internal", "inner"),
    ("run", "-d", "--name", "db", "--network", "lan", "--ip", "10.91.0.10", "--network-alias", "store", IMAGE, "sleep", "900"),
    ("run", "-d", "--name", "web", "--network", "lan", "-p", "8081:80", "-p", "127.0.0.1:8082:81/udp", "-h", "box",
     "-e", "A=1", "--dns", "10.0.0.53", "--add-host", "up:192.0.2.1", "--label", "k=v", IMAGE, "sleep", "900"),
    ("run", "-d", "--name", "leg", "--expose", "99", IMAGE, "sleep", "900"),
    ("run", "-d", "--name", "rec", "--link", "leg:l", "--restart", "on-failure:2", IMAGE, "sleep", "900"),
    ("run", "-d", "--name", "bare", "--network", "none", IMAGE, "sleep", "900"),
    ("run", "-d", "--name", "shared", "--network", "container:web", IMAGE, "sleep", "900"),
    ("network", "connect", "--alias", "second", "inner", "web"),
    ("exec", "db", "cat", "/etc/hosts"),
    ("exec", "rec", "cat", "/etc/hosts"),
    ("exec", "rec", "env"),
    ("exec", "web", "cat", "/etc/hosts"),
    ("exec", "web", "cat", "/etc/resolv.conf"),
    ("exec", "web", "hostname"),
    ("port", "web"),
    ("exec", "web", "sh", "-c", "exit 3"),
    ("exec", "web", "nosuch"),
    ("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7"),
    ("run", "--rm", IMAGE, "nosuch"),
    ("network", "create", "lan"),
    ("network", "create", "bridge"),
    ("network", "create", "-d", "host", "other"),
    ("network", "create", "-d", "nosuch", "other"),
    ("network", "create", "--subnet", "10.91.0.128/25", "other"),
    ("network", "rm", "lan"),
    ("network", "rm", "bridge"),
    ("network", "rm", "nosuch"),
    ("network", "connect", "lan", "web"),
    ("network", "connect", "lan", "nosuch"),
    ("network", "connect", "nosuch", "web"),
    ("network", "connect", "lan", "shared"),
    ("network", "disconnect", "lan", "leg"),
    ("network", "ls", "--filter", "type=x"),
    ("network", "ls", "--filter", "nosuch=x"),
    ("rm", "web"),
    ("rm", "nosuch"),
    ("run", "-d", "--name", "web", IMAGE, "true"),
    ("run", "-d", "--name", "clash", "-p", "8081:80", IMAGE, "sleep", "9"),
    ("rm", "-f", "clash"),
    ("run", "-d", "--name", "addr", "--ip", "172.17.0.9", IMAGE, "sleep", "9"),
    ("rm", "-f", "addr"),
    ("run", "-d", "--name", "addr", "--network", "lan", "--ip", "10.91.0.10", IMAGE, "sleep", "9"),
    ("rm", "-f", "addr"),
    ("run", "-d", "--name", "addr", "--network", "inner", "--ip", "172.18.0.9", IMAGE, "sleep", "9"),
    ("rm", "-f", "addr"),
    ("create", "--network", "container:web", "-p", "1:1", IMAGE, "true"),
    ("create", "--network", "container:web", "--dns", "10.0.0.1", IMAGE, "true"),
    ("create", "--network", "host", "--link", "leg:l", IMAGE, "true"),
    ("create", "--link", "nosuch:l", IMAGE, "true"),
    ("create", "nosuch:1"),
    ("image", "inspect", "nosuch:1"),
    ("start", "nosuch"),
    ("stop", "-t", "0", "leg"),
    ("start", "rec"),
    ("kill", "leg"),
    ("wait", "leg"),
    ("start", "leg"),
    ("exec", "rec", "cat", "/etc/hosts"),
    ("rename", "leg", "web"),
    ("logs", "nosuch"),
    ("exec", "db", "sh", "-c", "mkdir -p /d/e; echo one >/d/e/one; ln -s /d /l"),
    ("cp", "db:/d/e/one", "/run/one"),
    ("cp", "/run/one", "db:/d/two"),
    ("cp", "/run/one", "db:/l/three"),
    ("exec", "db", "ls", "/d"),
    ("cp", "db:/l/.", "/run/tree"),
    ("cp", "db:/nosuch", "/run/x"),
    ("cp", "db:/proc/1/status", "/run/x"),
    ("cp", "/run/one", "db:/nosuch/x"),
    ("cp", "/run/one", "db:/d/e/one/x"),
    ("cp", "nosuch:/x", "/run/x"),
    ("cp", "/run/one", "leg:/tmp/one"),
    ("exec", "db", "ln", "-s", "loop", "/loop"),
    ("cp", "db:/loop", "/run/loop"),
    ("cp", "db:/loop/x", "/run/x"),
    ("cp", "/run/one", "db:/loop/x"),
    ("cp", f"db:/d/{'n' * 300}", "/run/x"),
    ("cp", "/run/one", f"db:/d/{'n' * 300}/x"),
    ("cp", "db:/d/two/x", "/run/x"),
    ("run", "-d", "--name", "quits", "--restart", "always", "--stop-signal", "USR1", IMAGE, "sh", "-c",
     "trap 'exit 7' USR1; echo up; while :; do sleep 0.1; done"),
    ("run", "--rm", "--network", "container:quits", IMAGE, "sleep", "1"),
    ("stop", "quits"),
    ("inspect", "-f", "{{.State.ExitCode}} {{.RestartCount}}", "quits"),
    ("start", "quits"),
    ("kill", "quits"),
    ("wait", "quits"),
    ("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}", "quits"),
    ("run", "--rm", "--network", "container:quits", IMAGE, "true"),
    ("volume", "create", "--label", "a=b", "vol"),
    ("run", "-d", "--name", "well", "--health-cmd", "true", "--health-interval", "1h", "--health-retries", "5",
     "-v", "vol:/vol", IMAGE, "sleep", "900"),
    ("volume", "rm", "vol"),
    ("volume", "rm", "nosuch"),
    ("volume", "inspect", "nosuch"),
    ("volume", "create", "-d", "nosuch", "other"),
    ("volume", "create", "a/b"),
    ("volume", "ls"),
    ("pause", "db"),
    ("pause", "db"),
    ("exec", "db", "true"),
    ("rm", "db"),
    ("unpause", "db"),
    ("unpause", "db"),
    ("pause", "nosuch"),
    ("run", "-d", "--name", "ini", "--init", IMAGE, "sleep", "900"),
    ("exec", "ini", "cat", "/proc/1/cmdline"),
    ("pause", "ini"),
    ("stop", "-t", "5", "ini"),
    ("pause", "ini"),
    ("unpause", "ini"),
    ("kill", "-s", "NOSUCH", "db"),
    ("system", "df", "--format", "{{.Type}}"),
)  # fmt: skip
INSPECTED = ("db", "web", "leg", "rec", "bare", "shared", "ini", "well")
NETWORKS = ("lan", "inner", "bridge", "host", "none")


@dataclass(slots=True)
class Played:
    """What one side answered: place -> value. A place is a command, or an object with the path of a value in it."""

    values: dict[str, Any] = field(default_factory=dict)


def play(docker: Docker) -> Played:
    """Play the scenario on one side."""
    played = Played()
    known: dict[str, str] = {}
    for words in STEPS:
        done = docker(*words)
        name = " ".join(words)
        if words[0] == "port":  # the command line prints them in any order
            done = replace(done, out="".join(sorted(done.out.splitlines(keepends=True))))
        played.values[f"{name} -> code"] = done.code
        played.values[f"{name} -> stdout"] = done.out
        played.values[f"{name} -> stderr"] = done.err
    for kind, names in (("container", INSPECTED), ("network", NETWORKS)):
        for name in names:
            value = json.loads(docker(kind, "inspect", name).out)[0]
            known[value["Id"]] = f"<id of {name}>"
            for place, item in _flat(value):
                played.values[f"inspect {name}: {place}"] = item
    _make_comparable(played.values, known)
    return played


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flat(item, f"{place}.{name}" if place else str(name))
    else:
        yield place, value


_VARYING = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<short id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r"02:42(:[0-9a-f]{2}){4}"), "<mac>"),
)


_ECHOED = re.compile(r"HostConfig\.(BlkioDevice\w+|Ulimits)$")
"""Lists that are empty or null as the client happened to send them: one version of the command line does so, another not."""


def _make_comparable(values: dict[str, Any], known: Mapping[str, str]) -> None:
    """Put names in the place of what differs from run to run: ids, times, pids."""

    def plain(text: str) -> str:
        for long, name in known.items():
            text = text.replace(long, name).replace(long[:12], name)
        for pattern, name in _VARYING:
            text = pattern.sub(name, text)
        return text

    for place in list(values):
        value = values.pop(place)
        if _ECHOED.search(place):
            value = value or None
        text = plain(json.dumps(value))
        values[plain(place)] = "<pid>" if place.endswith("State.Pid") and value else json.loads(text)


def differences(one: Played, other: Played) -> dict[str, tuple[Any, Any]]:
    """Place -> both values, where they differ; what is not there is None."""
    places = sorted({*one.values, *other.values})
    pairs = {place: (one.values.get(place), other.values.get(place)) for place in places}
    return {place: pair for place, pair in pairs.items() if pair[0] != pair[1]}
