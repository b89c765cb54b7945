"""Containers, and what they are made of and opened for: images and terminals."""

from __future__ import annotations

from networks.cnm import names
from networks.host_ports import published_on
from networks.models import Container, Endpoint, ExecSession, Image
from networks.models.choices import ContainerKind

from .endpoints import bare_endpoint, port
from .related import related
from .values import Json, at, ref


def container(row: Container) -> Json:
    """A container with its endpoints, ports and links."""
    spec, endpoints = row.spec, related(row, "endpoints")
    return {
        "id": row.id,
        "short_id": row.short_id,
        "name": row.name,
        "kind": row.kind,
        "image": row.image,
        "command": spec.get("command", []),
        "entrypoint": spec.get("entrypoint"),
        "env": spec.get("env", {}),
        "hostname": spec.get("hostname") or row.short_id,
        "domainname": spec.get("domainname", ""),
        "user": spec.get("user", ""),
        "working_dir": spec.get("working_dir", ""),
        "tty": spec.get("tty", False),
        "init": spec.get("init", False),
        "dns": spec.get("dns", []),
        "dns_search": spec.get("dns_search", []),
        "dns_options": spec.get("dns_options", []),
        "extra_hosts": [":".join(pair) for pair in spec.get("extra_hosts", [])],
        "exposed_ports": [f"{number}/{protocol}" for number, protocol in spec.get("exposed_ports", [])],
        "publish_all": spec.get("publish_all", False),
        "stop_signal": row.stop_signal,
        "stop_timeout": spec.get("stop_timeout", 10),
        "healthcheck": spec.get("healthcheck") or {},
        "health": row.health_status,
        "memory": spec.get("memory", 0),
        "cpus": spec.get("cpus", 0.0),
        "pids_limit": spec.get("pids_limit", 0),
        "binds": spec.get("binds", []),
        "tmpfs": spec.get("tmpfs", []),
        "labels": row.labels,
        "network_mode": row.network_mode,
        "state": "paused" if row.paused else row.status,
        "wanted": row.wanted,
        "pid": row.pid,
        "exit_code": row.exit_code,
        "error": row.error,
        "restart_policy": {"name": row.restart_policy, "max_retries": row.restart_max},
        "restart_count": row.restart_count,
        "auto_remove": row.auto_remove,
        "created_at": at(row.created_at),
        "created_by": row.created_by,
        "started_at": at(row.started_at),
        "finished_at": at(row.finished_at),
        "host": row.host.name,
        "sandbox": sandbox_of(row),
        "endpoints": [
            bare_endpoint(item) | {"network": ref(item.network), "gateway": _gateway(item)}
            for item in endpoints
            if not item.removing
        ],
        "ports": [port(item, published_on(endpoints)) for item in related(row, "ports") if not item.removing],
        "links": [{"id": item.id, "source": ref(item.source), "alias": item.alias} for item in related(row, "links")],
        "linked_by": [
            {"id": item.id, "recipient": ref(item.recipient), "alias": item.alias} for item in related(row, "linked_by")
        ],
        "files": row.files,
    }


def sandbox_of(row: Container) -> str:
    """The name under /run/netns of the sandbox that the container is in; empty: the host's own. Of a Docker Engine's container the path
    that the engine gave."""
    if row.network_mode == "host":
        return ""
    if row.kind == ContainerKind.DOCKER:
        return row.adopted_path
    return names.sandbox_name(row.shares_id or row.id)


def _gateway(row: Endpoint) -> str:
    if row.joined is not None:
        return next((text for text in row.joined["gateways"] if ":" not in text), "")
    return next((subnet.gateway for subnet in related(row.network, "subnets") if ":" not in subnet.cidr), "")


def image(row: Image) -> Json:
    """An image."""
    return {
        "id": row.pk,
        "name": row.name,
        "kind": row.kind,
        "source": row.source,
        "status": row.status,
        "digest": row.digest,
        "size": row.size,
        "config": row.config,
        "error": row.error,
        "created_at": at(row.created_at),
        "host": row.host.name,
    }


def exec_session(row: ExecSession) -> Json:
    """A terminal in a container, open or ended. Reads its container."""
    return {
        "id": row.pk,
        "host": row.container.host.name,
        "container": ref(row.container),
        "command": row.command,
        "user": row.user,
        "working_dir": row.working_dir,
        "tty": row.tty,
        "state": row.state,
        "created_by": row.created_by,
        "created_at": at(row.created_at),
        "started_at": at(row.started_at),
        "ended_at": at(row.ended_at),
        "exit_code": row.exit_code,
        "reason": row.reason,
        "error": row.error,
    }
