"""A request as what somebody else would type for it: a REST call by curl, Docker's own commands, a file of the desired state. Pure.

No secret is ever among it: the token is a variable of the shell, and of an environment variable whose name says that it is secret only the
name is given.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from networks.cnm.health import HealthCheck
from networks.cnm.text import Text, gettext_noop
from networks.services.operations import SECRET_WORDS
from networks.services.spec_container import AttachRequest, ContainerRequest, attachments_of
from networks.services.spec_network import NetworkRequest
from networks.services.spec_topology import (
    Declaration,
    container_document,
    network_document,
    short_port,
)
from networks.services.topology_file import write_file

HIDDEN = "…"
"""What stands in the place of a value that is not given away."""
R = TypeVar("R", NetworkRequest, ContainerRequest)


@dataclass(frozen=True, slots=True)
class Copy:
    """Something to copy: what it is called, its text, and what it leaves out."""

    kind: str
    """``curl``, ``docker`` or ``yaml``."""
    text: str
    notes: tuple[Text, ...] = ()


def copies_of_network(request: NetworkRequest, api: str, query: str = "") -> tuple[Copy, ...]:
    """*api*: the address of the REST API, such as ``https://host/api/v1/``; *query* is added to addresses below it."""
    body = {"name": request.name, **network_document(request)}
    return (
        Copy("curl", curl("POST", f"{api}networks{query}", body)),
        Copy("docker", commands([docker_network(request)])),
        Copy("yaml", write_file(Declaration(networks=(request,)))),
    )


def copies_of_container(request: ContainerRequest, api: str, query: str = "") -> tuple[Copy, ...]:
    """As :func:`copies_of_network`; the values of secret environment variables stay here."""
    plain = without_secrets(request)
    hidden = tuple(name for name in request.env if plain.env[name] != request.env[name])
    notes: tuple[Text, ...] = ()
    if hidden:
        notes = (Text.of(gettext_noop("The values of {names} are left out: fill them in."), names=", ".join(hidden)),)
    lines, missing = docker_container(plain)
    body = {**({"name": request.name} if request.name else {}), **container_document(plain)}
    found = [Copy("curl", curl("POST", f"{api}containers{query}", body), notes)]
    if lines:
        given = (
            (Text.of(gettext_noop("Docker takes {names} from its own environment."), names=", ".join(hidden)),)
            if hidden
            else ()
        )
        found.append(Copy("docker", commands(lines), (*given, *missing)))
    else:
        found.append(Copy("docker", "", missing))
    if request.name:
        found.append(Copy("yaml", write_file(Declaration(containers=(plain,))), notes))
    return tuple(found)


def without_secrets(request: ContainerRequest) -> ContainerRequest:
    """*request* with the values of variables hidden whose names say that they are secret."""
    return replace(
        request,
        env={name: HIDDEN if value and _is_secret(name) else value for name, value in request.env.items()},
    )


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_WORDS)


def curl(method: str, address: str, body: Mapping[str, Any]) -> str:
    """A call that reads the token from the shell's variable ``TOKEN``."""
    return " \\\n  ".join(
        (
            f"curl -sS -X {method} {shlex.quote(address)}",
            '-H "Authorization: Bearer $TOKEN"',
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}",
        )
    )


def commands(lines: Iterable[Sequence[str]]) -> str:
    """Command lines for a shell; a long one goes on in the next line."""
    return "\n".join(_command(words) for words in lines)


def _command(words: Sequence[str]) -> str:
    """The words, each option on a line of its own where there are many."""
    quoted = [shlex.quote(word) for word in words]
    if sum(map(len, quoted)) < 100:
        return " ".join(quoted)
    text = ""
    for number, word in enumerate(quoted):
        starts_option = words[number].startswith("--") and "=" in words[number]
        text += (" \\\n  " if starts_option else " " if number else "") + word
    return text


def docker_network(request: NetworkRequest) -> list[str]:
    """``docker network create``."""
    words = ["docker", "network", "create", f"--driver={request.driver}"]
    for flag, given in (
        ("--internal", request.internal),
        ("--attachable", request.attachable),
        ("--ipv6", request.enable_ipv6),
    ):
        words += [flag] if given else []
    words += [f"--ipam-driver={request.ipam_driver}"] if request.ipam_driver != "default" else []
    words += [f"--ipam-opt={key}={value}" for key, value in request.ipam_options.items()]
    for subnet in request.subnets:
        words.append(f"--subnet={subnet.subnet}")
        words += [f"--gateway={subnet.gateway}"] if subnet.gateway else []
        words += [f"--ip-range={subnet.ip_range}"] if subnet.ip_range else []
        words += [f"--aux-address={name}={address}" for name, address in subnet.aux_addresses.items()]
    words += [f"--opt={key}={value}" for key, value in request.options.items()]
    words += [f"--label={key}={value}" for key, value in request.labels.items()]
    return [*words, request.name]


def docker_container(request: ContainerRequest) -> tuple[list[list[str]], tuple[Text, ...]]:
    """``docker run``, or ``create``, ``network connect`` and ``start`` for several networks; and what Docker has no word for."""
    if request.kind != "process":
        return [], (Text.of(gettext_noop("Docker has no containers without a process of its own.")),)
    notes = []
    if request.image == "host":
        notes.append(Text.of(gettext_noop("The image `host` is CNM Web's own: name another for Docker.")))
    if any(port.allowed_sources for port in request.ports):
        notes.append(
            Text.of(gettext_noop("Docker has no word for who may reach a published port: it is open to everybody."))
        )
    ways = [attach for _, attach in attachments_of(request)]
    first = next((way for way in ways if not _needs_connect(way)), None)
    later = [way for way in ways if way is not first]
    whole = request.start and not later
    words = ["docker", "run", "--detach"] if whole else ["docker", "create"]
    lines = [[*words, *_options(request, first), *_image(request)]]
    if not whole:
        notes += [Text.of(gettext_noop("Give the container a name in place of NAME."))] if not request.name else []
        name = request.name or "NAME"
        lines += [["docker", "network", "disconnect", "bridge", name]] if later and first is None else []
        lines += [_connect(way, name) for way in later]
        lines += [["docker", "start", name]] if request.start else []
    return lines, tuple(notes)


def _needs_connect(way: AttachRequest) -> bool:
    """Whether only ``docker network connect`` has options for all of it."""
    return bool(way.driver_opts or way.gw_priority)


def _connect(way: AttachRequest, name: str) -> list[str]:
    words = ["docker", "network", "connect", *(f"--alias={alias}" for alias in way.aliases)]
    words += [f"--ip={way.ipv4}"] if way.ipv4 else []
    words += [f"--ip6={way.ipv6}"] if way.ipv6 else []
    words += [f"--driver-opt={_csv(f'{key}={value}')}" for key, value in way.driver_opts.items()]
    words += [f"--gw-priority={way.gw_priority}"] if way.gw_priority else []
    return [*words, way.network, name]


def _csv(text: str) -> str:
    """A value of an option that Docker splits at commas."""
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def _options(request: ContainerRequest, way: AttachRequest | None) -> list[str]:
    words = [f"--name={request.name}"] if request.name else []
    words += [f"--hostname={request.hostname}"] if request.hostname else []
    words += [f"--domainname={request.domainname}"] if request.domainname else []
    words += _network(request, way)
    words += [f"--publish={short_port(replace(port, allowed_sources=()))}" for port in request.ports]
    words += ["--publish-all"] if request.publish_all else []
    words += [f"--expose={number}/{protocol}" for number, protocol in request.exposed_ports]
    words += [f"--link={source}:{alias or source}" for source, alias in request.links]
    for flag, values in (("dns", request.dns), ("dns-search", request.dns_search), ("dns-option", request.dns_options)):
        words += [f"--{flag}={value}" for value in values]
    words += [f"--add-host={name}:{address}" for name, address in request.extra_hosts]
    words += [f"--env={name}" if value == HIDDEN else f"--env={name}={value}" for name, value in request.env.items()]
    words += [f"--volume={bind}" for bind in request.binds]
    words += [f"--tmpfs={folder}" for folder in request.tmpfs]
    words += [f"--label={key}={value}" for key, value in request.labels.items()]
    words += [f"--user={request.user}"] if request.user else []
    words += [f"--workdir={request.working_dir}"] if request.working_dir else []
    words += ["--tty"] if request.tty else []
    words += ["--interactive"] if request.open_stdin else []
    words += ["--init"] if request.init else []
    if request.restart_policy != "no":
        words.append(f"--restart={request.restart_policy}" + (f":{request.restart_max}" if request.restart_max else ""))
    words += [f"--stop-signal={request.stop_signal}"] if request.stop_signal else []
    words += [f"--stop-timeout={request.stop_timeout}"] if request.stop_timeout != 10 else []
    words += _probed(request.healthcheck)
    words += [f"--memory={request.memory}"] if request.memory else []
    words += [f"--cpus={request.cpus:g}"] if request.cpus else []
    words += [f"--pids-limit={request.pids_limit}"] if request.pids_limit else []
    words += ["--rm"] if request.auto_remove else []
    return words


def _probed(check: Mapping[str, Any]) -> list[str]:
    if not check:
        return []
    kind, *command = check["test"]
    line = command[0] if kind == "CMD-SHELL" else shlex.join(command)
    plain = HealthCheck(test=("CMD", "true"))
    times = [
        name
        for name in ("interval", "timeout", "start_period", "start_interval")
        if check[name] != getattr(plain, name)
    ]
    return [
        f"--health-cmd={line}",
        *(f"--health-{name.replace('_', '-')}={check[name]:g}s" for name in times),
        *([f"--health-retries={check['retries']}"] if check["retries"] != plain.retries else []),
    ]


def _network(request: ContainerRequest, way: AttachRequest | None) -> list[str]:
    if way is None:
        return [f"--network={request.network}"] if request.network != "bridge" and not request.networks else []
    words = [f"--network={way.network}"] if way.network != "bridge" else []
    words += [f"--ip={way.ipv4}"] if way.ipv4 else []
    words += [f"--ip6={way.ipv6}"] if way.ipv6 else []
    words += [f"--mac-address={way.mac}"] if way.mac else []
    return [*words, *(f"--network-alias={alias}" for alias in way.aliases)]


def _image(request: ContainerRequest) -> list[str]:
    """The image with its command; of an entrypoint the first word alone is an option, the others come before the command."""
    if request.entrypoint is None:
        return [request.image, *request.command]
    first, *rest = request.entrypoint or ("",)
    return [f"--entrypoint={first}", request.image, *rest, *request.command]
