"""A service of a Compose file, as a container."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from networks.cnm.options import ENDPOINT_IFNAME
from networks.cnm.text import gettext_noop

from ..body import bad
from .notes import Notes
from .read import flag, listed, mapping, number, pairs, seconds, size, text, texts, words

DEFAULT_NETWORK = "default"
_IGNORED = frozenset({"depends_on", "networks", "network_mode", "container_name", "profiles", "attach", "name"})
"""Read elsewhere, or of no meaning beyond Compose itself."""


@dataclass(frozen=True, slots=True)
class Names:
    """What services and networks are called on the host."""

    containers: Mapping[str, str]
    networks: Mapping[str, str]


Reader = Callable[[Any, str, dict[str, Any], Notes], None]
"""Takes a key's value at a path over into the body."""


def container(
    key: str, value: Mapping[str, Any], path: str, names: Names, variables: Mapping[str, str], notes: Notes
) -> dict[str, Any]:
    """The body of the container that runs the service *key*."""
    body: dict[str, Any] = {"image": _image(key, value, path, notes)}
    for name, item in value.items():
        at = f"{path}.{name}"
        if name in _IGNORED or name in {"image", "build"} or name.startswith("x-") or item is None:
            continue
        if name in _PLAIN:
            body[_PLAIN[name]] = text(item)
        elif name in _FLAGS:
            body |= {_FLAGS[name]: True} if flag(item) else {}
        elif name in _LISTS:
            if found := texts(item, at):
                body.setdefault(_LISTS[name], []).extend(found)
        elif name in _READERS:
            _READERS[name](item, at, body, notes)
        elif name == "environment":
            _environment(item, at, body, variables, notes)
        elif name in {"links", "external_links"}:
            body.setdefault("links", []).extend(_link(text(one), names) for one in listed(item, at))
        else:
            notes.left_out(at)
    body |= _networks(key, value, path, names, notes)
    return body


def _image(key: str, value: Mapping[str, Any], path: str, notes: Notes) -> str:
    image = text(value.get("image"))
    if value.get("build") is not None:
        image = image or f"{key}:latest"
        notes.add(
            f"{path}.build",
            gettext_noop("Images are not built here: import or fetch one that is called {image}."),
            image=image,
        )
    if not image:
        raise bad(
            f"{path}.image",
            gettext_noop("Service {name} has no image."),
            gettext_noop("Give image; `host` is always there."),
            name=key,
        )
    return image


_PLAIN = {
    "hostname": "hostname",
    "domainname": "domainname",
    "user": "user",
    "working_dir": "working_dir",
    "stop_signal": "stop_signal",
    "mac_address": "mac",
}
_FLAGS = {"tty": "tty", "stdin_open": "open_stdin", "init": "init"}
_LISTS = {
    "dns": "dns",
    "dns_search": "dns_search",
    "dns_opt": "dns_options",
    "expose": "exposed_ports",
    "tmpfs": "tmpfs",
}


def _command(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    body[path.rpartition(".")[2]] = words(value, path)


def _environment(value: Any, path: str, body: dict[str, Any], variables: Mapping[str, str], notes: Notes) -> None:
    env = {}
    for name, item in pairs(value, path).items():
        if item is None and name not in variables:
            notes.add(
                f"{path}.{name}",
                gettext_noop("The variable {name} has no value among the given ones and is left out."),
                name=name,
            )
            continue
        env[name] = variables[name] if item is None else item
    if env:
        body["env"] = env


def _labels(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    if found := {name: item or "" for name, item in pairs(value, path).items()}:
        body["labels"] = found


def _extra_hosts(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    found = []
    if isinstance(value, Mapping):
        for name, addresses in value.items():
            found += [f"{name}:{_bare(text(address))}" for address in listed(addresses, f"{path}.{name}")]
    else:
        for item in texts(value, path):
            name, _, address = item.partition("=") if "=" in item else item.partition(":")
            found.append(f"{name}:{_bare(address)}")
    body["extra_hosts"] = found


def _bare(address: str) -> str:
    return address.removeprefix("[").removesuffix("]")


def _restart(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    name, _, most = ("no" if value is False else text(value)).partition(":")
    if name not in {"", "no"}:
        body["restart_policy"] = {"name": name, **({"max_retries": int(most)} if most.isdigit() else {})}


def _ports(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    found = [_port(item, f"{path}.{n}", notes) for n, item in enumerate(listed(value, path))]
    if found:
        body["ports"] = found


def _port(value: Any, path: str, notes: Notes) -> str:
    if not isinstance(value, Mapping):
        return text(value)
    for key in value:
        if key not in {"target", "published", "host_ip", "protocol", "mode", "name"}:
            notes.left_out(f"{path}.{key}")
    if text(value.get("mode")) == "ingress":
        notes.add(f"{path}.mode", gettext_noop("There is no swarm: the port is published on this host."))
    address, outer = text(value.get("host_ip")), text(value.get("published"))
    address = f"[{_bare(address)}]" if ":" in address else address
    head = f"{address}:{outer}:" if address else f"{outer}:" if outer else ""
    return f"{head}{text(value.get('target'))}" + (f"/{text(value['protocol'])}" if value.get("protocol") else "")


def _volumes(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    found = []
    for place, item in enumerate(listed(value, path)):
        at = f"{path}.{place}"
        if isinstance(item, Mapping) and text(item.get("type")) == "tmpfs":
            body.setdefault("tmpfs", []).append(_in_memory(item, at))
            continue
        bind = _long_volume(item, at, notes) if isinstance(item, Mapping) else _short_volume(text(item), at, notes)
        found += [bind] if bind else []
    if found:
        body["binds"] = found


def _in_memory(spec: Mapping[str, Any], path: str) -> str:
    """A folder in memory, in the short spelling of ``tmpfs``."""
    asked = mapping(spec.get("tmpfs"), f"{path}.tmpfs")
    options = [f"size={size(asked['size'], f'{path}.tmpfs.size')}"] if asked.get("size") else []
    options += [f"mode={int(number(asked['mode'], f'{path}.tmpfs.mode')):o}"] if asked.get("mode") else []
    return ":".join(filter(None, (text(spec.get("target")), ",".join(options))))


def _short_volume(spec: str, path: str, notes: Notes) -> str:
    source, colon, rest = spec.partition(":")
    target, _, options = rest.partition(":")
    if not colon or not target:
        notes.add(
            path,
            gettext_noop("There are no volumes without a name: {target} is a folder of the container itself."),
            target=spec,
        )
        return ""
    return _bind(source, target, "ro" in options.split(","), path, notes)


def _long_volume(spec: Mapping[str, Any], path: str, notes: Notes) -> str:
    if text(spec.get("type")) != "bind":
        notes.add(
            path,
            gettext_noop("There are no volumes without a name: {target} is a folder of the container itself."),
            target=text(spec.get("target")),
        )
        return ""
    return _bind(text(spec.get("source")), text(spec.get("target")), flag(spec.get("read_only")), path, notes)


def _bind(source: str, target: str, read_only: bool, path: str, notes: Notes) -> str:
    if not source.startswith("/"):
        relative = source.startswith((".", "~"))
        sentence = (
            gettext_noop("The folder {source} is relative to a file that is not on the host: give an absolute path.")
            if relative
            else gettext_noop(
                "There are no named volumes in what is taken over: {source} is left out. Add it to binds, or mount a folder of the host."
            )
        )
        notes.add(path, sentence, source=source)
        return ""
    return f"{posixpath.normpath(source)}:{target}" + (":ro" if read_only else "")


def _stop_time(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    body["stop_timeout"] = seconds(value, path)


def _memory(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    body["memory"] = size(value, path)


def _cpus(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    body["cpus"] = number(value, path)


def _pids(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    body["pids_limit"] = max(int(number(value, path)), 0)


def _deploy(value: Any, path: str, body: dict[str, Any], notes: Notes) -> None:
    """Limits are taken over; the rest is about a swarm."""
    given = mapping(value, path)
    limits = mapping(mapping(given.get("resources"), f"{path}.resources").get("limits"), f"{path}.resources.limits")
    for key, reader in (("memory", _memory), ("cpus", _cpus), ("pids", _pids)):
        if limits.get(key) is not None:
            reader(limits[key], f"{path}.resources.limits.{key}", body, notes)
    if text(given.get("replicas")) not in {"", "1"}:
        notes.add(
            f"{path}.replicas",
            gettext_noop("One container is made of the service, not {count}."),
            count=text(given["replicas"]),
        )
    for key in given:
        if key not in {"resources", "replicas", "mode"}:
            notes.left_out(f"{path}.{key}")


_READERS: Mapping[str, Reader] = {
    "command": _command,
    "entrypoint": _command,
    "labels": _labels,
    "extra_hosts": _extra_hosts,
    "restart": _restart,
    "ports": _ports,
    "volumes": _volumes,
    "stop_grace_period": _stop_time,
    "mem_limit": _memory,
    "cpus": _cpus,
    "pids_limit": _pids,
    "deploy": _deploy,
}


def _link(spec: str, names: Names) -> str:
    source, _, alias = spec.partition(":")
    named = names.containers.get(source, source)
    return f"{named}:{alias or source}" if (alias or source) != named else named


def _networks(key: str, value: Mapping[str, Any], path: str, names: Names, notes: Notes) -> dict[str, Any]:
    mode = text(value.get("network_mode"))
    if mode:
        kind, colon, other = mode.partition(":")
        if kind in {"service", "container"} and colon:
            return {"network": f"container:{names.containers.get(other, other) if kind == 'service' else other}"}
        return {"network": mode}
    given = value.get("networks")
    if isinstance(given, list):
        wanted: dict[str, Any] = {text(item): None for item in given}
    else:
        wanted = mapping(given, f"{path}.networks") or {DEFAULT_NETWORK: None}
    ways = [
        _attachment(key, name, mapping(item, f"{path}.networks.{name}"), f"{path}.networks.{name}", names, notes)
        for name, item in wanted.items()
    ]
    if len(ways) == 1 and set(ways[0]) == {"network"}:
        return ways[0]
    return {"networks": [way if len(way) > 1 else way["network"] for way in ways]}


def _attachment(key: str, name: str, value: Mapping[str, Any], path: str, names: Names, notes: Notes) -> dict[str, Any]:
    if name not in names.networks:
        raise bad(
            path,
            gettext_noop("The network {name} is not among the networks of the file."),
            gettext_noop("Declare it below networks."),
            name=name,
        )
    way: dict[str, Any] = {"network": names.networks[name]}
    aliases = texts(value.get("aliases"), f"{path}.aliases")
    if names.containers[key] != key:
        aliases.insert(0, key)  # a service is known by its key, whatever its container is called
    given = {
        "ipv4": text(value.get("ipv4_address")),
        "ipv6": text(value.get("ipv6_address")),
        "mac": text(value.get("mac_address")),
        "aliases": list(dict.fromkeys(aliases)),
    }
    way |= {field: item for field, item in given.items() if item}
    if value.get("interface_name"):
        way["driver_opts"] = {ENDPOINT_IFNAME: text(value["interface_name"])}
    if value.get("driver_opts"):
        way["driver_opts"] = way.get("driver_opts", {}) | {
            option: text(item) for option, item in mapping(value["driver_opts"], f"{path}.driver_opts").items()
        }
    if value.get("gw_priority"):
        way["gw_priority"] = int(number(value["gw_priority"], f"{path}.gw_priority"))
    for other in value:
        if other not in {
            "aliases",
            "ipv4_address",
            "ipv6_address",
            "mac_address",
            "interface_name",
            "driver_opts",
            "gw_priority",
        }:
            notes.left_out(f"{path}.{other}")
    return way
