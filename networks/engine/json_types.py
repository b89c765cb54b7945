"""The JSON types of what clients send: checked once where a body is read, so that all behind it finds what it looks for. Pure.

As in Go, null is everywhere, and fields that nobody here reads are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import EngineError


@dataclass(frozen=True, slots=True)
class Each:
    """An object with values of one shape under names of any kind."""

    shape: Any


_WORDS = (str, [str])
_NAMED = Each(str)
_ENDPOINT = {
    "IPAMConfig": {"IPv4Address": str, "IPv6Address": str, "LinkLocalIPs": [str]},
    "Links": [str],
    "Aliases": [str],
    "MacAddress": str,
    "DriverOpts": _NAMED,
    "GwPriority": int,
}
_HOST_CONFIG = {
    "NetworkMode": str,
    "Init": bool,
    "PortBindings": Each([{}]),
    "Links": [str],
    "Dns": [str],
    "DnsSearch": [str],
    "DnsOptions": [str],
    "ExtraHosts": [str],
    "RestartPolicy": {"Name": str, "MaximumRetryCount": int},
    "Memory": int,
    "NanoCpus": int,
    "CpuQuota": int,
    "CpuPeriod": int,
    "PidsLimit": int,
    "Binds": [str],
    "Mounts": [
        {
            "Type": str,
            "Source": str,
            "Target": str,
            "BindOptions": {"Propagation": str},
            "VolumeOptions": {},
            "TmpfsOptions": {"SizeBytes": int, "Mode": int},
        }
    ],
    "Tmpfs": _NAMED,
    "LogConfig": {"Type": str, "Config": Each(str)},
    "Runtime": str,
}
_COMMON = {"Cmd": _WORDS, "Entrypoint": _WORDS, "Env": [str], "User": str, "WorkingDir": str}
HEALTH_CHECK: Mapping[str, Any] = {
    "Test": [str],
    "Interval": int,
    "Timeout": int,
    "StartPeriod": int,
    "StartInterval": int,
    "Retries": int,
}
CONTAINER: Mapping[str, Any] = {
    **_COMMON,
    "Image": str,
    "Hostname": str,
    "Domainname": str,
    "MacAddress": str,
    "ExposedPorts": Each({}),
    "Volumes": Each({}),
    "Labels": _NAMED,
    "StopSignal": str,
    "StopTimeout": int,
    "HostConfig": _HOST_CONFIG,
    "Healthcheck": HEALTH_CHECK,
    "NetworkingConfig": {"EndpointsConfig": Each(_ENDPOINT)},
}
UPDATE: Mapping[str, Any] = {"RestartPolicy": {"Name": str, "MaximumRetryCount": int}}
EXEC: Mapping[str, Any] = {**_COMMON, "DetachKeys": str}
CONNECT: Mapping[str, Any] = {"Container": str, "EndpointConfig": _ENDPOINT}
NETWORK: Mapping[str, Any] = {
    "Name": str,
    "Driver": str,
    "Options": _NAMED,
    "Labels": _NAMED,
    "IPAM": {
        "Driver": str,
        "Options": _NAMED,
        "Config": [{"Subnet": str, "Gateway": str, "IPRange": str, "AuxiliaryAddresses": _NAMED, "AuxAddress": _NAMED}],
    },
}
VOLUME: Mapping[str, Any] = {"Name": str, "Driver": str, "DriverOpts": _NAMED, "Labels": _NAMED}
_KINDS = {str: "string", int: "int64", dict: "struct", list: "slice"}
_SENT = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}


def check(value: Any, shape: Any, where: str = "") -> None:
    """Raises EngineError 400 where *value* is not of *shape*: a type, a list with the shape of its items, an object with those of its
    fields, ``Each``, or a tuple of several that may be."""
    if value is None:
        return
    sent, kind = type(value), _kind(shape, value)
    if sent is not kind:
        field = where or "value"
        raise EngineError(
            400, f"json: cannot unmarshal {_SENT[sent]} into Go struct field {field} of type {_KINDS[kind]}"
        )
    if isinstance(shape, tuple):
        shape = next(item for item in shape if _kind(item, value) is kind)
    if isinstance(shape, list):
        for item in value:
            check(item, shape[0], where)
    elif isinstance(shape, Each):
        for name, item in value.items():
            check(item, shape.shape, f"{where}.{name}")
    elif isinstance(shape, Mapping):
        for name, inner in shape.items():
            check(value.get(name), inner, f"{where}.{name}" if where else name)


def _kind(shape: Any, value: Any) -> type:
    """The Python type that *value* should be of."""
    if isinstance(shape, tuple):
        kinds = [_kind(item, value) for item in shape]
        return type(value) if type(value) in kinds else kinds[-1]
    if isinstance(shape, list):
        return list
    return dict if isinstance(shape, Each | Mapping) else shape
