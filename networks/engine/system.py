"""``/_ping``, ``/version``, ``/info``: what this engine is."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from networks.cnm.plugins import NETWORK_DRIVER
from networks.load import load_facts
from networks.models import Container, Image
from networks.models.choices import ContainerStatus
from worker.drivers import DRIVERS

from .call import Answer, Call
from .times import rfc3339
from .versions import LEAST, NOW, spelled

_STOPPED = (ContainerStatus.EXITED, ContainerStatus.CREATED, ContainerStatus.FAILED)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
"""Names of the kernel -> names of Go, which Docker uses."""


async def ping(call: Call) -> None:
    """Asked before every command of the CLI, so nothing is looked up."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
        "Swarm": "inactive",
    }
    await call.exchange.answer(200, b"OK", headers)


def version(call: Call) -> Answer:
    kernel = platform.release()
    details = {
        "ApiVersion": spelled(NOW),
        "Arch": architecture(),
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": f"python{platform.python_version()}",
        "KernelVersion": kernel,
        "MinAPIVersion": spelled(LEAST),
        "Os": "linux",
    }
    return Answer(
        value={
            "Platform": {"Name": "CNM Web"},
            "Components": [{"Name": "Engine", "Version": settings.VERSION, "Details": details}],
            "Version": settings.VERSION,
            "ApiVersion": spelled(NOW),
            "MinAPIVersion": spelled(LEAST),
            "GitCommit": "",
            "GoVersion": f"python{platform.python_version()}",
            "Os": "linux",
            "Arch": architecture(),
            "KernelVersion": kernel,
            "BuildTime": "",
        }
    )


def info(call: Call) -> Answer:
    host = call.host
    containers = Container.objects.filter(host=host)
    running = containers.filter(status__in=[ContainerStatus.RUNNING, ContainerStatus.STOPPING]).count()
    paused = sum(row.paused for row in containers.exclude(paused_run=""))
    able = {item.key: str(item.detail) for item in load_facts(host).features if item.present}
    forwarding = host.settings.get("ip_forward", True)
    plugins = [item.name for item in load_facts(host).plugins if NETWORK_DRIVER in item.implements]
    value: dict[str, Any] = {
        "ID": f"cnm:{host.name}",
        "Name": str(host.facts.get("hostname") or platform.node()),
        "Containers": containers.count(),
        "ContainersRunning": running - paused,
        "ContainersPaused": paused,
        "ContainersStopped": containers.filter(status__in=_STOPPED).count(),
        "Images": Image.objects.filter(host=host).count(),
        "Driver": "overlay2",
        "DriverStatus": [],
        "Plugins": {
            "Volume": [],
            "Network": sorted({*DRIVERS, *plugins} - {"remote"}),  # a plugin's networks name the plugin itself
            "Authorization": None,
            "Log": ["k8s-file"],
        },
        "MemoryLimit": "limit.memory" in able,
        "SwapLimit": False,
        "CpuCfsPeriod": "limit.cpu" in able,
        "CpuCfsQuota": "limit.cpu" in able,
        "PidsLimit": "limit.pids" in able,
        "IPv4Forwarding": bool(forwarding),
        "BridgeNfIptables": "bridge-nf" in able,
        "BridgeNfIp6tables": "bridge-nf" in able,
        "Debug": settings.DEBUG,
        "SystemTime": rfc3339(timezone.now()),
        "LoggingDriver": "k8s-file",
        "CgroupDriver": "none",
        "KernelVersion": str(host.facts.get("kernel") or platform.release()),
        "OperatingSystem": _system_name(),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {"InsecureRegistryCIDRs": [], "IndexConfigs": {}, "Mirrors": []},
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "DockerRootDir": str(settings.STATE_DIR),
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": settings.VERSION,
        "Runtimes": {"crun": {"path": "crun"}},
        "DefaultRuntime": "crun",
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": Path(able.get("program.init", "")).name,
        "SecurityOptions": ["name=seccomp,profile=default"],
        "FirewallBackend": {"Driver": host.firewall_backend},
        "Warnings": [],
    }
    return Answer(value=value)


def architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _system_name() -> str:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return "Linux"
    return next((line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), "Linux")
