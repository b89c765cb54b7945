"""A body of ``POST /containers/create`` as a body of REST's ``POST /containers``. Pure.

What is asked for and cannot be had is refused by name: a wrong success would be worse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from networks.cnm.names import OBJECT_NAME

from . import health_shape
from .errors import EngineError, not_supported
from .network_shape import attachment, links

PREDEFINED_MODES = {"": "bridge", "default": "bridge"}
_NOTHING: tuple[Any, ...] = (None, "", 0, False, [], {})
_HOST = frozenset(
    (
        "AutoRemove",
        "Binds",
        "ConsoleSize",
        "ContainerIDFile",
        "CpuPeriod",
        "CpuQuota",
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "ExtraHosts",
        "Init",
        "Links",
        "LogConfig",
        "Memory",
        "Mounts",
        "NanoCpus",
        "NetworkMode",
        "PidsLimit",
        "PortBindings",
        "PublishAllPorts",
        "RestartPolicy",
        "Runtime",
        "Tmpfs",
    )
)
"""Fields of HostConfig that are read here, or are the client's own business."""
_CONFIG = frozenset(
    (
        "ArgsEscaped",
        "AttachStderr",
        "AttachStdin",
        "AttachStdout",
        "Cmd",
        "Domainname",
        "Entrypoint",
        "Env",
        "ExposedPorts",
        "Healthcheck",
        "HostConfig",
        "Hostname",
        "Image",
        "Labels",
        "MacAddress",
        "NetworkDisabled",
        "NetworkingConfig",
        "OpenStdin",
        "Shell",
        "StdinOnce",
        "StopSignal",
        "StopTimeout",
        "Tty",
        "User",
        "Volumes",
        "WorkingDir",
    )
)
"""Fields of the body that are read here, or ask for nothing of a container."""
_ALWAYS_SET = ("PATH", "HOSTNAME", "TERM", "HOME")
_UNSUPPORTED_HOST: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "Privileged": ("a privileged container", ()),
    "CapAdd": ("a further capability", ()),
    "CapDrop": ("fewer capabilities", ()),
    "Devices": ("a device", ()),
    "DeviceRequests": ("a device request (GPU)", ()),
    "DeviceCgroupRules": ("a device rule", ()),
    "PidMode": ("another pid namespace", ("private",)),
    "IpcMode": ("another ipc namespace", ("private", "shareable")),
    "UTSMode": ("another uts namespace", ()),
    "UsernsMode": ("a user namespace", ("host",)),
    "ReadonlyRootfs": ("a read-only root filesystem", ()),
    "SecurityOpt": ("a security option", ()),
    "ShmSize": ("another size of /dev/shm", (64 << 20,)),
    "Ulimits": ("a limit of resources (ulimit)", ()),
    "Sysctls": ("a sysctl of the container", ()),
    "VolumesFrom": ("volumes of another container", ()),
    "VolumeDriver": ("a volume driver", ("local",)),
    "CgroupParent": ("a parent control group", ()),
    "CpuShares": ("a relative weight of CPU time", ()),
    "CpusetCpus": ("a set of CPUs", ()),
    "CpusetMems": ("a set of memory nodes", ()),
    "CpuRealtimeRuntime": ("real-time scheduling", ()),
    "BlkioWeight": ("a weight of disk access", ()),
    "MemoryReservation": ("a soft memory limit", ()),
    "MemorySwap": ("a limit of swap", (-1,)),
    "OomKillDisable": ("switching off the kernel's OOM killer", ()),
    "OomScoreAdj": ("another OOM score", ()),
    "Annotations": ("an annotation", ()),
    "CgroupnsMode": ("a cgroup namespace of its own", ("host",)),
    "CpuRealtimePeriod": ("real-time scheduling", ()),
    "Isolation": ("another isolation", ("default",)),
    "GroupAdd": ("a further group", ()),
    "StorageOpt": ("a storage option", ()),
}
"""Fields of HostConfig that are not supported -> what they ask for, and the values that ask for nothing."""
_EMPTY_ASKS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "MemorySwappiness": ("another readiness to swap", (None, -1)),
    "MaskedPaths": ("another choice of masked paths", (None,)),
    "ReadonlyPaths": ("another choice of read-only paths", (None,)),
}
"""Fields of HostConfig whose empty value asks for something, too -> what they ask for, and all values that ask for nothing."""
_UNSUPPORTED_CONFIG: Mapping[str, str] = {
    "OnBuild": "a build trigger",
}
_MOUNT = ("Type", "Source", "Target", "ReadOnly", "BindOptions", "VolumeOptions", "Consistency")
_LOG_DRIVERS = ("", "json-file", "k8s-file")
_PERIOD = 100_000
"""Microseconds: Docker's default period of the CPU quota."""

Canonical = Callable[[str], str]


def requested(
    body: Mapping[str, Any], name: str, version: tuple[int, int], canonical: Canonical = lambda reference: reference
) -> dict[str, Any]:
    """What REST is asked for. *canonical*: the name of the network that a reference means. Raises EngineError."""
    host: Mapping[str, Any] = body.get("HostConfig") or {}
    _check_supported(body, host)
    mode = _mode(body, host, canonical)
    mounts: list[Mapping[str, Any]] = host.get("Mounts") or []
    value: dict[str, Any] = {
        "name": name,
        "image": body.get("Image") or "",
        "command": _words(body.get("Cmd")) or [],
        "entrypoint": _entrypoint(body.get("Entrypoint")),
        "env": [item for item in body.get("Env") or () if "=" in item],
        "network": mode,
        "ports": _ports(host.get("PortBindings") or {}),
        "publish_all": bool(host.get("PublishAllPorts")),
        "exposed_ports": sorted(body.get("ExposedPorts") or {}),
        "links": [_link(item) for item in host.get("Links") or ()],
        "hostname": body.get("Hostname") or "",
        "domainname": body.get("Domainname") or "",
        "dns": host.get("Dns") or [],
        "dns_search": host.get("DnsSearch") or [],
        "dns_options": host.get("DnsOptions") or [],
        "extra_hosts": [_extra_host(item) for item in host.get("ExtraHosts") or ()],
        "user": body.get("User") or "",
        "working_dir": body.get("WorkingDir") or "",
        "tty": bool(body.get("Tty")),
        "open_stdin": bool(body.get("OpenStdin")),
        "stdin_once": bool(body.get("StdinOnce")),
        "init": bool(host.get("Init")),
        "restart_policy": _policy(host.get("RestartPolicy") or {}),
        "memory": int(host.get("Memory") or 0),
        "cpus": _cpus(host),
        "pids_limit": max(0, int(host.get("PidsLimit") or 0)),
        "binds": [
            *map(_bind, host.get("Binds") or ()),
            *(_mount(item) for item in mounts if item.get("Type") != "tmpfs"),
        ],
        "tmpfs": [
            *(f"{path}:{options}".rstrip(":") for path, options in (host.get("Tmpfs") or {}).items()),
            *(_in_memory(item) for item in mounts if item.get("Type") == "tmpfs"),
        ],
        "labels": body.get("Labels") or {},
        "auto_remove": bool(host.get("AutoRemove")),
        "start": False,
    }
    if check := health_shape.requested(body.get("Healthcheck") or {}):
        value["healthcheck"] = check
    if body.get("StopSignal"):
        value["stop_signal"] = body["StopSignal"]
    if body.get("StopTimeout") is not None:
        value["stop_timeout"] = int(body["StopTimeout"])
    _check_conflicts(mode, value, body)
    _attach(value, mode, body, version, canonical)
    return value


def _mode(body: Mapping[str, Any], host: Mapping[str, Any], canonical: Canonical) -> str:
    if body.get("NetworkDisabled"):
        return "none"
    mode = str(host.get("NetworkMode") or "")
    if mode.startswith("container:"):
        return mode
    mode = PREDEFINED_MODES.get(mode, mode)
    return mode if mode in {"bridge", "host", "none"} else canonical(mode)


def _attach(
    value: dict[str, Any], mode: str, body: Mapping[str, Any], version: tuple[int, int], canonical: Canonical
) -> None:
    """Where the container is plugged in: EndpointsConfig by networks, of which the one of the mode is the first."""
    given = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    if len(given) > 1 and version < (1, 44):
        raise EngineError(400, f"Container cannot be connected to network endpoints: {', '.join(sorted(given))}")
    ways = {canonical(PREDEFINED_MODES.get(name, name)): config for name, config in given.items()}
    if version < (1, 44):  # one that is not the mode's is passed over, as in Docker
        ways = {name: config for name, config in ways.items() if name == mode}
    exclusive = mode in {"host", "none"} or mode.startswith("container:")
    if exclusive and any(name != mode for name in ways):
        raise EngineError(
            400, "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
        )
    first = attachment(ways.pop(mode, None)) if not exclusive else {}
    if body.get("MacAddress") and not exclusive:
        first.setdefault("mac", body["MacAddress"])
    for config in given.values():
        value["links"] += [item for item in map(_link, links(config)) if item not in value["links"]]
    priority = first.pop("gw_priority", 0)
    value.update(first)
    listed = [{"network": name, **attachment(config)} for name, config in ways.items() if name != mode]
    if priority or (listed and mode == "bridge"):
        own = {name: value.pop(name) for name in list(first)}
        listed.insert(0, {"network": mode, "gw_priority": priority, **own})
    if listed:
        value["networks"] = listed


def _check_supported(body: Mapping[str, Any], host: Mapping[str, Any]) -> None:
    for name, given in host.items():
        what, harmless = _UNSUPPORTED_HOST.get(name, (f"HostConfig.{name}", ()))
        what, nothing = _EMPTY_ASKS.get(name, (what, (*_NOTHING, *harmless)))
        if name not in _HOST and given not in nothing:
            raise not_supported(what)
    for name, given in body.items():
        if name not in _CONFIG and given not in _NOTHING:
            raise not_supported(_UNSUPPORTED_CONFIG.get(name, f"{name} of a container"))
    # Compose v1 names the place of each bind here, too.
    if set(body.get("Volumes") or {}) - {_target(bind) for bind in host.get("Binds") or ()}:
        raise not_supported("an anonymous volume")
    log = host.get("LogConfig") or {}
    if log.get("Type") not in (None, *_LOG_DRIVERS):
        raise not_supported(f"the log driver {log['Type']}")
    if log.get("Config"):
        raise not_supported("an option of a log driver")
    if host.get("Runtime") not in {None, "", "crun", "runc"}:
        raise EngineError(400, f"unknown or invalid runtime name: {host['Runtime']}")


def check_unset(body: Mapping[str, Any], image: Mapping[str, Any]) -> None:
    """A variable without a value (``-e NAME`` where the client has none) is taken away: refused where there is one to take away."""
    there = {*_ALWAYS_SET, *(entry.partition("=")[0] for entry in image.get("Env") or ())}
    for item in body.get("Env") or ():
        if "=" not in item and item in there:
            raise not_supported(f"taking away the variable {item}")


def _check_conflicts(mode: str, value: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """What Docker refuses together, in its words (daemon/container.go, ``runconfig``)."""
    shares = mode.startswith("container:")
    undefined = "can't be used with links. This would result in undefined behavior"
    conflicts = (
        (shares and value["hostname"], "hostname and the network mode"),
        (shares and value["links"], f"container type network {undefined}"),
        (mode == "host" and value["links"], f"host type networking {undefined}"),
        (shares and value["dns"], "dns and the network mode"),
        (shares and value["extra_hosts"], "custom host-to-IP mapping and the network mode"),
        ((shares or mode == "host") and body.get("MacAddress"), "mac-address and the network mode"),
        (shares and (value["ports"] or value["publish_all"]), "port publishing and the container type network mode"),
        (shares and value["exposed_ports"], "port exposing and the container type network mode"),
    )
    for conflict, words in conflicts:
        if conflict:
            raise EngineError(400, f"conflicting options: {words}")
    if value["auto_remove"] and value["restart_policy"]["name"] != "no":
        raise EngineError(400, "can't create 'AutoRemove' container with restart policy")


def _words(value: Any) -> list[str] | None:
    if value is None:
        return None
    return [value] if isinstance(value, str) else list(value)


def _entrypoint(value: Any) -> list[str] | None:
    words = _words(value)
    if not words:
        return None
    return [] if words == [""] else words  # an empty one takes the image's away


def _ports(bindings: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = []
    for key, listed in bindings.items():
        number, _, protocol = str(key).partition("/")
        for binding in listed or ():
            port = str(binding.get("HostPort") or "")
            first, _, last = port.partition("-")
            try:
                value: dict[str, Any] = {"container_port": int(number), "host_port": int(first or 0)}
                if last and last != first:
                    value["host_port_end"] = int(last)
            except ValueError:
                raise EngineError(400, f"invalid port specification: {port or key}") from None
            address = str(binding.get("HostIp") or "").strip("[]")
            result.append({**value, "protocol": protocol or "tcp", **({"host_address": address} if address else {})})
    return result


def _link(text: str) -> str:
    """``source:alias``, also as Docker itself stores it: ``/source:/recipient/alias``."""
    source, _, alias = str(text).partition(":")
    source = source.lstrip("/")
    return f"{source}:{alias.rpartition('/')[2] or source}"


def _extra_host(text: str) -> str:
    """``name:address``; newer clients may write ``name=address``."""
    name, equals, address = str(text).partition("=")
    return f"{name}:{address.strip('[]')}" if equals and ":" not in name else str(text)


def _policy(value: Mapping[str, Any]) -> dict[str, Any]:
    name = str(value.get("Name") or "no")
    count = int(value.get("MaximumRetryCount") or 0)
    if name not in {"no", "always", "on-failure", "unless-stopped"}:
        raise EngineError(400, f"invalid restart policy '{name}'")
    if count and name != "on-failure":
        raise EngineError(400, "invalid restart policy: maximum retry count can only be used with 'on-failure'")
    return {"name": name, "max_retries": count}


def _cpus(host: Mapping[str, Any]) -> float:
    nano, quota = int(host.get("NanoCpus") or 0), int(host.get("CpuQuota") or 0)
    if nano and quota > 0:
        raise EngineError(400, "conflicting options: Nano CPUs and CPU Quota cannot both be set")
    return nano / 10**9 if nano else max(0, quota) / (int(host.get("CpuPeriod") or 0) or _PERIOD)


def _target(bind: str) -> str:
    return [*bind.split(":"), ""][1]


def _bind(text: str) -> str:
    source, _, rest = str(text).partition(":")
    if not source.startswith("/") and not OBJECT_NAME.match(source):
        raise EngineError(400, f'create {source}: "{source}" includes invalid characters for a local volume name')
    target, _, modes = rest.partition(":")
    wanted = [mode for mode in modes.split(",") if mode not in {"", "rw", "z", "Z", "rprivate", "private"}]
    if wanted not in ([], ["ro"]):
        raise not_supported(f"the mount option {wanted[0]}")
    return f"{source}:{target}" + (":ro" if wanted else "")


def _in_memory(value: Mapping[str, Any]) -> str:
    for name, item in value.items():
        if name not in {"Type", "Target", "TmpfsOptions", "ReadOnly", "Consistency"} and item:
            raise not_supported(f"the mount option {name}")
    options = value.get("TmpfsOptions") or {}
    if options.get("Options"):
        raise not_supported("the mount option TmpfsOptions.Options")
    words = [f"size={options['SizeBytes']}"] if options.get("SizeBytes") else []
    words += [f"mode={options['Mode']:o}"] if options.get("Mode") else []
    words += ["ro"] if value.get("ReadOnly") else []
    return f"{value.get('Target')}:{','.join(words)}".rstrip(":")


def _mount(value: Mapping[str, Any]) -> str:
    kind = value.get("Type")
    if kind not in {"bind", "volume"}:
        raise not_supported(f"a mount of the type {kind or 'none'}")
    if kind == "volume" and not value.get("Source"):
        raise not_supported("an anonymous volume")
    if kind == "bind" and not str(value.get("Source") or "").startswith("/"):
        raise EngineError(400, 'invalid mount config for type "bind": invalid mount path: mount path must be absolute')
    if kind == "volume" and not OBJECT_NAME.match(str(value["Source"])):
        raise EngineError(400, f'invalid mount config for type "volume": {value["Source"]} is no name of a volume')
    if any((value.get("VolumeOptions") or {}).values()):
        raise not_supported("an option of a mounted volume")
    options = value.get("BindOptions") or {}
    propagation = options.get("Propagation")
    if propagation not in {None, "", "rprivate", "private"}:
        raise not_supported(f"the mount propagation {propagation}")
    # CreateMountpoint is a wish that the mount itself refuses where there is no source.
    for known, given in ((_MOUNT, value), (("Propagation", "CreateMountpoint"), options)):
        for name, item in given.items():
            if name not in known and item:
                raise not_supported(f"the mount option {name}")
    return f"{value.get('Source')}:{value.get('Target')}" + (":ro" if value.get("ReadOnly") else "")
