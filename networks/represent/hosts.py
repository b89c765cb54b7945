"""Hosts, and leave to become one."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from networks.cnm.associations import spi_of
from networks.cnm.facts import Feature
from networks.cnm.plugins import Plugin
from networks.models import Host, JoinToken, SecurityAssociation

from .values import Json, at, said


def _feature(known: Feature) -> Json:
    return {"key": known.key, "present": known.present, "detail": str(known.detail), "remedy": str(known.remedy)}


def plugin(known: Plugin) -> Json:
    """A plugin as its host's worker last saw it."""
    return {
        "name": known.name,
        "address": known.address,
        "implements": list(known.implements),
        "scope": known.scope,
        "state": "degraded" if known.degraded else "ready",
        "problem": said(known.problem.to_json()),
        "since": known.since or None,
        "owed": known.owed,
    }


def host(row: Host) -> Json:
    """A host, with what its worker last said of it."""
    facts = row.facts
    return {
        "id": row.name,
        "name": row.name,
        "hostname": facts.get("hostname", ""),
        "kernel": facts.get("kernel", ""),
        "addresses": facts.get("addresses", []),
        "nameservers": facts.get("nameservers", []),
        "devices": [{"name": name, "mtu": mtu} for name, mtu in facts.get("devices", [])],
        "features": [_feature(Feature.from_json(value)) for value in facts.get("features", [])],
        "plugins": [plugin(Plugin.from_json(value)) for value in facts.get("plugins", [])],
        "firewall_backend": row.firewall_backend,
        "firewall_reason": said(facts.get("firewall_reason")),
        "firewall_warning": said(facts.get("firewall_warning")),
        "facts_at": at(row.facts_at),
        "heartbeat_at": at(row.heartbeat_at),
        "alive": is_alive(row),
        "connections": _connections(row),
        "drained": row.drained,
        "removing": row.removing,
        "error": row.error,
        "worker_version": row.worker_version,
        "settings": row.settings,
    }


def _connections(row: Host) -> Json | None:
    """How full the kernel's table of connections was at the last heartbeat; null where that is not known."""
    if not row.most_connections:
        return None
    percent = 100 * row.connections // row.most_connections
    return {"tracked": row.connections, "most": row.most_connections, "percent": percent}


def is_alive(row: Host) -> bool:
    """Whether the host's worker was heard of lately."""
    heard = row.heartbeat_at
    return heard is not None and timezone.now() - heard < timedelta(seconds=settings.HEARTBEAT_STALE_S)


def silent_hosts() -> list[str]:
    """The names of those whose workers were not heard of lately."""
    return [row.name for row in Host.objects.only("name", "heartbeat_at").order_by("name") if not is_alive(row)]


def association(row: SecurityAssociation) -> Json:
    """One direction between two hosts, without its key."""
    return {
        "id": row.pk,
        "spi": f"{spi_of(row.pk):#010x}",
        "sender": row.sender.name,
        "receiver": row.receiver.name,
        "state": "used" if row.used_at else "held" if row.held_at else "made",
        "made_at": at(row.made_at),
        "held_at": at(row.held_at),
        "used_at": at(row.used_at),
    }


def join_token(row: JoinToken) -> Json:
    """Leave to join, without its secret."""
    return {
        "id": row.pk,
        "created_by": row.created_by,
        "created_at": at(row.created_at),
        "expires_at": at(row.expires_at),
        "used_at": at(row.used_at),
        "host": row.host.name if row.host else None,
    }
