"""Containers in Docker's shapes. Pure but for what the rows lead to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_interface
from typing import Any

from networks.cnm.errors import from_json
from networks.cnm.health import STARTING
from networks.host_ports import published_on
from networks.models import Container, Endpoint, PublishedPort
from networks.represent import sandbox_of

from . import health_shape, volumes
from .image_shape import ImageFacts
from .times import ago, rfc3339

RUNNING = ("running", "stopping")
_STATES = {"starting": "created", "stopping": "running", "failed": "created"}
_ANY4, _ANY6 = "0.0.0.0", "::"  # noqa: S104  # shown, not bound
MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def state_of(row: Container) -> str:
    """Docker's word for what a container is."""
    if row.status == "failed" and row.finished_at is not None:
        return "exited"
    if row.paused:
        return "paused"
    return _STATES.get(row.status, row.status)


def status_of(row: Container, now: datetime) -> str:
    """The column STATUS of ``docker ps``."""
    state = state_of(row)
    if state in {"running", "paused"}:
        health = row.health_status
        word = "Paused" if state == "paused" else "health: starting" if health == STARTING else health
        return f"Up {ago(row.started_at or now, now)}" + (f" ({word})" if word else "")
    if state in {"exited", "restarting"}:
        word = "Exited" if state == "exited" else "Restarting"
        return f"{word} ({row.exit_code or 0}) {ago(row.finished_at or now, now)} ago"
    return {"created": "Created", "removing": "Removal In Progress"}.get(state, state)


def listed(row: Container, image: ImageFacts, others: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """An item of ``GET /containers/json``. *others*: ids of the networks ``host`` and ``none`` by name."""
    spec = row.spec
    command = " ".join([*_entrypoint(spec, image), *_command(spec, image)])
    return {
        "Id": row.pk,
        "Names": [f"/{row.name}", *(f"/{link.recipient.name}/{link.alias}" for link in row.linked_by.all())],
        "Image": familiar(row.image),
        "ImageID": image.id,
        "Command": command,
        "Created": int(row.created_at.timestamp()),
        "Ports": _listed_ports(row),
        "Labels": row.labels,
        "State": state_of(row),
        "Status": status_of(row, now),
        "HostConfig": {"NetworkMode": _mode(row)},
        "NetworkSettings": {"Networks": _networks(row, others)},
        "Mounts": [_mount(bind) for bind in spec.get("binds", ())],
    }


def inspected(row: Container, image: ImageFacts, others: Mapping[str, str], folder: str) -> dict[str, Any]:
    """What ``GET /containers/{id}/json`` gives. *folder*: where its files are on the host."""
    spec = row.spec
    line = [*_entrypoint(spec, image), *_command(spec, image)]
    return {
        "Id": row.pk,
        "Created": rfc3339(row.created_at),
        "Path": line[0] if line else "",
        "Args": line[1:],
        "State": _state(row),
        "Image": image.id,
        "ResolvConfPath": f"{folder}/resolv.conf",
        "HostnamePath": f"{folder}/hostname",
        "HostsPath": f"{folder}/hosts",
        "LogPath": f"{folder}/log",
        "Name": f"/{row.name}",
        "RestartCount": row.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(row),
        "GraphDriver": {"Data": None, "Name": "overlay2"},
        "Mounts": [_mount(bind) for bind in spec.get("binds", ())],
        "Config": _config(row, image),
        "NetworkSettings": _network_settings(row, others),
    }


def familiar(image: str) -> str:
    """An image's name as people type it."""
    return image.removesuffix(":latest")


def _state(row: Container) -> dict[str, Any]:
    state = state_of(row)
    error = str(from_json(row.error).sentence) if row.error else ""
    return {
        "Status": state,
        "Running": state in {"running", "paused"},
        "Paused": state == "paused",
        "Restarting": state == "restarting",
        "OOMKilled": row.oom_killed,
        "Dead": False,
        "Pid": (row.pid or 0) if state in {"running", "paused"} else 0,
        "ExitCode": 128 if row.status == "failed" and row.exit_code is None else row.exit_code or 0,
        "Error": error,
        "StartedAt": rfc3339(row.started_at),
        "FinishedAt": rfc3339(row.finished_at),
        **({"Health": health_shape.shown(row)} if row.has_health_check else {}),
    }


def _config(row: Container, image: ImageFacts) -> dict[str, Any]:
    spec = row.spec
    environment = dict(item.partition("=")[::2] for item in image.config.get("Env") or ()) | spec.get("env", {})
    exposed = {f"{number}/{protocol}": {} for number, protocol in spec.get("exposed_ports", ())}
    attached = not spec.get("open_stdin", False)
    return {
        "Hostname": _hostname(row),
        "Domainname": spec.get("domainname", ""),
        "User": spec.get("user", "") or image.config.get("User") or "",
        "AttachStdin": spec.get("stdin_once", False),
        "AttachStdout": attached,
        "AttachStderr": attached,
        **({"ExposedPorts": exposed} if exposed else {}),
        "Tty": spec.get("tty", False),
        "OpenStdin": spec.get("open_stdin", False),
        "StdinOnce": spec.get("stdin_once", False),
        "Env": [f"{name}={value}" for name, value in environment.items()] or None,
        "Cmd": _command(spec, image) or None,
        "Image": familiar(row.image),
        "Volumes": None,
        "WorkingDir": spec.get("working_dir", "") or image.config.get("WorkingDir") or "",
        "Entrypoint": _entrypoint(spec, image) or None,
        "OnBuild": None,
        "Labels": {**(image.config.get("Labels") or {}), **row.labels},
        **health_shape.config(spec),
        **({"StopSignal": row.stop_signal} if spec.get("stop_signal") or row.stop_signal != "SIGTERM" else {}),
        **({"StopTimeout": spec["stop_timeout"]} if spec.get("stop_timeout", 10) != 10 else {}),
    }


def _entrypoint(spec: Mapping[str, Any], image: ImageFacts) -> list[str]:
    own = spec.get("entrypoint")
    return list(own) if own is not None else _words(image.config.get("Entrypoint"))


def _command(spec: Mapping[str, Any], image: ImageFacts) -> list[str]:
    own = list(spec.get("command") or ())
    return own or ([] if spec.get("entrypoint") is not None else _words(image.config.get("Cmd")))


def _words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _hostname(row: Container) -> str:
    named = row.shares if row.shares_id and row.shares is not None else row
    return str(named.spec.get("hostname") or named.short_id)


def _mode(row: Container) -> str:
    return "default" if row.network_mode == "bridge" else row.network_mode


def _host_config(row: Container) -> dict[str, Any]:
    spec = row.spec
    legacy = [f"/{link.source.name}:/{row.name}/{link.alias}" for link in row.links.all() if _on_default_bridge(row)]
    return {
        "Binds": list(spec.get("binds", ())) or None,
        "ContainerIDFile": "",
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": _mode(row),
        "PortBindings": _bindings(row),
        "RestartPolicy": {"Name": row.restart_policy, "MaximumRetryCount": row.restart_max},
        "AutoRemove": row.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": None,
        "CapAdd": None,
        "CapDrop": None,
        "CgroupnsMode": "host",
        "Dns": spec.get("dns", []),
        "DnsOptions": spec.get("dns_options", []),
        "DnsSearch": spec.get("dns_search", []),
        "ExtraHosts": [":".join(pair) for pair in spec.get("extra_hosts", ())] or None,
        **({"Init": True} if spec.get("init") else {}),
        "GroupAdd": None,
        "IpcMode": "private",
        "Cgroup": "",
        "Links": legacy or None,
        "OomScoreAdj": 0,
        "PidMode": "",
        "Privileged": False,
        "PublishAllPorts": spec.get("publish_all", False),
        "ReadonlyRootfs": False,
        "SecurityOpt": None,
        **({"Tmpfs": dict(item.partition(":")[::2] for item in spec["tmpfs"])} if spec.get("tmpfs") else {}),
        "UTSMode": "",
        "UsernsMode": "",
        "ShmSize": 64 << 20,
        "Runtime": "crun",
        "Isolation": "",
        "CpuShares": 0,
        "Memory": spec.get("memory", 0),
        "NanoCpus": round(spec.get("cpus", 0.0) * 10**9),
        "CgroupParent": "",
        "BlkioWeight": 0,
        "BlkioWeightDevice": [],
        "ConsoleSize": [0, 0],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumBandwidth": 0,
        "IOMaximumIOps": 0,
        "CpuPeriod": 0,
        "CpuQuota": 0,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": "",
        "CpusetMems": "",
        "Devices": [],
        "DeviceCgroupRules": None,
        "DeviceRequests": None,
        "MemoryReservation": 0,
        "MemorySwap": 0,
        "MemorySwappiness": None,
        "OomKillDisable": False,
        "PidsLimit": spec.get("pids_limit") or None,
        "Ulimits": [],
        "MaskedPaths": list(MASKED),
        "ReadonlyPaths": list(READ_ONLY),
    }


def _bindings(row: Container) -> dict[str, list[dict[str, str]]]:
    """What was asked for; ports that were only exposed, and published all together, were not."""
    result: dict[str, list[dict[str, str]]] = {}
    for port in sorted(_ports(row), key=lambda port: port.activation, reverse=True):
        if row.spec.get("publish_all") and not port.wanted_host_port:
            continue
        wanted = str(port.wanted_host_port or "")
        if port.wanted_host_port_end:
            wanted = f"{wanted}-{port.wanted_host_port_end}"
        key = f"{port.container_port}/{port.protocol}"
        result.setdefault(key, []).append({"HostIp": port.host_address, "HostPort": wanted})
    return result


def _network_settings(row: Container, others: Mapping[str, str]) -> dict[str, Any]:
    running = row.status in RUNNING
    networks = _networks(row, others)
    bridge = networks.get("bridge", {}) if _on_default_bridge(row) else {}
    sandbox = sandbox_of(row) if running else ""
    return {
        "Bridge": "",
        "SandboxID": row.shares_id or row.pk if running else "",
        "SandboxKey": f"/run/netns/{sandbox}" if sandbox else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": _open_ports(row) if running else {},
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": bridge.get("EndpointID", ""),
        "Gateway": bridge.get("Gateway", ""),
        "GlobalIPv6Address": bridge.get("GlobalIPv6Address", ""),
        "GlobalIPv6PrefixLen": bridge.get("GlobalIPv6PrefixLen", 0),
        "IPAddress": bridge.get("IPAddress", ""),
        "IPPrefixLen": bridge.get("IPPrefixLen", 0),
        "IPv6Gateway": bridge.get("IPv6Gateway", ""),
        "MacAddress": bridge.get("MacAddress", ""),
        "Networks": networks,
    }


def _networks(row: Container, others: Mapping[str, str]) -> dict[str, Any]:
    if row.network_mode in {"host", "none"}:
        return {row.network_mode: {**_NO_ENDPOINT, "NetworkID": others.get(row.network_mode, "")}}
    return {item.network.name: _endpoint(row, item) for item in row.endpoints.all() if not item.removing}


_NO_ENDPOINT: Mapping[str, Any] = {
    "IPAMConfig": None,
    "Links": None,
    "Aliases": None,
    "MacAddress": "",
    "DriverOpts": None,
    "GwPriority": 0,
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "DNSNames": None,
}


def _endpoint(row: Container, item: Endpoint) -> dict[str, Any]:
    ipv4 = ip_interface(item.ipv4) if item.ipv4 else None
    ipv6 = ip_interface(item.ipv6) if item.ipv6 else None
    up = bool(ipv4 or ipv6)
    gateways = {":" in subnet.cidr: subnet.gateway for subnet in item.network.subnets.all()} if up else {}
    wanted = {"IPv4Address": item.wanted_ipv4, "IPv6Address": item.wanted_ipv6}
    own = not item.network.predefined
    linked = [f"{link.source.name}:{link.alias}" for link in row.links.all()] if own else []
    names = [row.name, *item.aliases, row.short_id, _hostname(row)] if own else []
    return {
        **_NO_ENDPOINT,
        "IPAMConfig": {name: address for name, address in wanted.items() if address} or None,
        "Links": linked or None,
        "Aliases": list(item.aliases) or None,
        "MacAddress": item.mac or item.wanted_mac,
        "GwPriority": item.gw_priority,
        "NetworkID": item.network_id,
        "EndpointID": item.pk if up else "",
        "Gateway": gateways.get(False, ""),
        "IPAddress": str(ipv4.ip) if ipv4 else "",
        "IPPrefixLen": ipv4.network.prefixlen if ipv4 else 0,
        "IPv6Gateway": gateways.get(True, "") if ipv6 else "",
        "GlobalIPv6Address": str(ipv6.ip) if ipv6 else "",
        "GlobalIPv6PrefixLen": ipv6.network.prefixlen if ipv6 else 0,
        "DNSNames": list(dict.fromkeys(filter(None, names))) or None,
    }


def _on_default_bridge(row: Container) -> bool:
    return any(item.network.predefined for item in row.endpoints.all() if not item.removing)


def _ports(row: Container) -> list[PublishedPort]:
    return [port for port in row.ports.all() if not port.removing]


def _addresses(row: Container, port: PublishedPort) -> list[str]:
    """Where a published port is opened; every address is told as two, as Docker does."""
    address = port.host_address or published_on(row.endpoints.all())
    return [address] if address else [_ANY4, _ANY6]


def _open_ports(row: Container) -> dict[str, Any]:
    result: dict[str, Any] = {f"{number}/{protocol}": None for number, protocol in row.spec.get("exposed_ports", ())}
    for port in _ports(row):
        key = f"{port.container_port}/{port.protocol}"
        found = [{"HostIp": address, "HostPort": str(port.host_port)} for address in _addresses(row, port)]
        if port.host_port:
            result[key] = [*(result.get(key) or ()), *found]
    return result


def _listed_ports(row: Container) -> list[dict[str, Any]]:
    if row.status not in RUNNING:
        return []
    result: list[dict[str, Any]] = []
    for key, found in _open_ports(row).items():
        number, _, protocol = key.partition("/")
        private = {"PrivatePort": int(number), "Type": protocol}
        result += [{"IP": item["HostIp"], **private, "PublicPort": int(item["HostPort"])} for item in found or ()]
        if not found:
            result.append(private)
    return result


def _mount(bind: str) -> Mapping[str, Any]:
    if not bind.startswith("/"):
        return volumes.mounted(bind)
    source, target, *mode = bind.split(":")
    return {
        "Type": "bind",
        "Source": source,
        "Destination": target,
        "Mode": mode[0] if mode else "",
        "RW": mode != ["ro"],
        "Propagation": "rprivate",
    }
