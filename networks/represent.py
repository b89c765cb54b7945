"""Rows as the JSON that REST, the feed and the pages show: one shape for all faces.

The functions read related rows through the default managers; a caller that describes many objects passes a queryset from
:func:`prepared`, which fetches what they need in a constant number of queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings
from django.db.models import Count, Model, Prefetch, Q, QuerySet
from django.utils import timezone

from networks.cnm import names
from networks.cnm.desired import HostSettings

from .host_ports import published_on
from .models import (
    Activity,
    ApiToken,
    Container,
    Drift,
    Endpoint,
    Host,
    Image,
    Link,
    Moment,
    Network,
    Operation,
    PublishedPort,
    Subnet,
    User,
)

Json = dict[str, Any]
BRIDGE_NAME = "com.docker.network.bridge.name"


def _at(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _ref(row: Any) -> Json:
    return {"id": row.pk, "name": row.name}


def _said(text: Json | None) -> Json | None:
    """A stored sentence, or nothing where nothing is said."""
    return text if text and text["template"] else None


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
        "features": facts.get("features", []),
        "firewall_backend": row.firewall_backend,
        "firewall_reason": _said(facts.get("firewall_reason")),
        "firewall_warning": _said(facts.get("firewall_warning")),
        "facts_at": _at(row.facts_at),
        "heartbeat_at": _at(row.heartbeat_at),
        "alive": is_alive(row),
        "error": row.error,
        "worker_version": row.worker_version,
        "settings": row.settings,
    }


def is_alive(row: Host) -> bool:
    """Whether the host's worker was heard of lately."""
    heard = row.heartbeat_at
    return heard is not None and timezone.now() - heard < timedelta(seconds=settings.HEARTBEAT_STALE_S)


def network(row: Network) -> Json:
    """A network with its subnets and endpoints."""
    naming = HostSettings(names=row.host.settings.get("names", "cnm")).naming
    return {
        "id": row.id,
        "short_id": row.short_id,
        "name": row.name,
        "driver": row.driver,
        "scope": row.scope,
        "internal": row.internal,
        "attachable": row.attachable,
        "enable_ipv6": row.enable_ipv6,
        "predefined": row.predefined,
        "subnets": [_subnet(row, item) for item in row.subnets.all()],
        "options": row.options,
        "labels": row.labels,
        "bridge": bridge_of(row, naming.bridge),
        "mtu": int(row.options.get("com.docker.network.driver.mtu", 0)) or row.host.facts.get("default_mtu", 1500),
        "status": row.status,
        "error": row.error,
        "activation": row.activation,
        "created_at": _at(row.created_at),
        "created_by": row.created_by,
        "host": row.host.name,
        "endpoints": [
            _endpoint(item) | {"container": _ref(item.container)} for item in row.endpoints.all() if not item.removing
        ],
    }


def bridge_of(row: Network, default: str) -> str:
    """The bridge device of a network; empty for drivers without one."""
    if row.driver != "bridge":
        return ""
    given = row.options.get(BRIDGE_NAME, "")
    return given or (default if row.predefined else names.bridge_device(row.id))


def _subnet(row: Network, item: Any) -> Json:
    subnet, pool = ip_network(item.cidr), ip_network(item.ip_range or item.cidr)
    addresses = (text.partition("/")[0] for endpoint in row.endpoints.all() for text in (endpoint.ipv4, endpoint.ipv6))
    in_use = sum(1 for address in addresses if address and ip_address(address) in subnet)
    withheld = 2 if pool.version == 4 and pool.prefixlen < 31 and not item.ip_range else 0
    gateway = 1 if item.gateway and ip_address(item.gateway) in pool else 0
    room = pool.num_addresses - withheld - gateway - len(item.reserved)
    return {
        "subnet": item.cidr,
        "gateway": item.gateway,
        "ip_range": item.ip_range,
        "aux_addresses": item.reserved,
        "in_use": in_use,
        "available": min(max(room - in_use, 0), 2**63 - 1),
    }


def _endpoint(row: Endpoint) -> Json:
    return {
        "id": row.id,
        "ipv4": row.ipv4,
        "ipv6": row.ipv6,
        "mac": row.mac,
        "aliases": row.aliases,
        "interface": row.ifname,
        "device": names.veth_device(row.id),
        "gw_priority": row.gw_priority,
        "sysctls": row.sysctls,
    }


def endpoint(row: Endpoint) -> Json:
    """An endpoint that stands alone, with both that it joins."""
    return _endpoint(row) | {"network": _ref(row.network), "container": _ref(row.container)}


def port(row: PublishedPort, default: str = "") -> Json:
    """A published port; *default* is where those without an address of their own are published."""
    return {
        "id": row.id,
        "protocol": row.protocol,
        "host_address": row.host_address or default,
        "host_port": row.host_port,
        "container_port": row.container_port,
        "allowed_sources": row.allowed_sources,
    }


def link(row: Link) -> Json:
    """A link."""
    return {"id": row.id, "recipient": _ref(row.recipient), "source": _ref(row.source), "alias": row.alias}


def container(row: Container) -> Json:
    """A container with its endpoints, ports and links."""
    spec, endpoints = row.spec, _related(row, "endpoints")
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
        "dns": spec.get("dns", []),
        "dns_search": spec.get("dns_search", []),
        "dns_options": spec.get("dns_options", []),
        "extra_hosts": [":".join(pair) for pair in spec.get("extra_hosts", [])],
        "exposed_ports": [f"{number}/{protocol}" for number, protocol in spec.get("exposed_ports", [])],
        "publish_all": spec.get("publish_all", False),
        "stop_signal": spec.get("stop_signal", "SIGTERM"),
        "stop_timeout": spec.get("stop_timeout", 10),
        "memory": spec.get("memory", 0),
        "cpus": spec.get("cpus", 0.0),
        "pids_limit": spec.get("pids_limit", 0),
        "binds": spec.get("binds", []),
        "labels": row.labels,
        "network_mode": row.network_mode,
        "state": row.status,
        "wanted": row.wanted,
        "pid": row.pid,
        "exit_code": row.exit_code,
        "error": row.error,
        "restart_policy": {"name": row.restart_policy, "max_retries": row.restart_max},
        "restart_count": row.restart_count,
        "auto_remove": row.auto_remove,
        "created_at": _at(row.created_at),
        "created_by": row.created_by,
        "started_at": _at(row.started_at),
        "finished_at": _at(row.finished_at),
        "host": row.host.name,
        "sandbox": sandbox_of(row),
        "endpoints": [
            _endpoint(item) | {"network": _ref(item.network), "gateway": _gateway(item)}
            for item in endpoints
            if not item.removing
        ],
        "ports": [port(item, published_on(endpoints)) for item in _related(row, "ports") if not item.removing],
        "links": [{"id": item.id, "source": _ref(item.source), "alias": item.alias} for item in _related(row, "links")],
        "linked_by": [
            {"id": item.id, "recipient": _ref(item.recipient), "alias": item.alias}
            for item in _related(row, "linked_by")
        ],
        "files": row.files,
    }


def sandbox_of(row: Container) -> str:
    """The name under /run/netns of the sandbox that the container is in; empty: the host's own."""
    if row.network_mode == "host":
        return ""
    return names.sandbox_name(row.shares_id or row.id)


def _gateway(row: Endpoint) -> str:
    return next((subnet.gateway for subnet in _related(row.network, "subnets") if ":" not in subnet.cidr), "")


def operation(row: Operation, *, full: bool = False) -> Json:
    """An operation; *full* adds the plan, step by step."""
    value = {
        "id": row.id,
        "number": row.number,
        "host": row.host.name,
        "verb": row.verb,
        "subject": {"kind": row.subject_kind, "id": row.subject_id, "name": row.subject_name},
        "state": row.state,
        "queue": row.queue,
        "created_by": row.created_by,
        "created_at": _at(row.created_at),
        "started_at": _at(row.started_at),
        "finished_at": _at(row.finished_at),
        "step": row.step,
        "done_steps": row.done_steps,
        "total_steps": row.total_steps,
        "plan_summary": (row.plan or {}).get("summary"),
        "result": row.result,
        "error": row.error,
    }
    return value | {"plan": row.plan} if full else value


def drift(row: Drift) -> Json:
    """A difference between what is asked for and the kernel."""
    return {
        "id": row.pk,
        "host": row.host.name,
        "key": row.difference.get("key", []),
        "kind": row.kind,
        "resource_kind": row.resource_kind,
        "text": row.text,
        "difference": row.difference.get("fields", {}),
        "owner": row.owner,
        "why": row.why,
        "writer": row.writer,
        "detected_at": _at(row.detected_at),
        "resolved_at": _at(row.resolved_at),
    }


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
        "created_at": _at(row.created_at),
        "host": row.host.name,
    }


def activity(row: Activity) -> Json:
    """Who did what."""
    return {
        "id": row.pk,
        "at": _at(row.at),
        "actor": row.actor,
        "via": row.via,
        "verb": row.verb,
        "subject": {"kind": row.subject_kind, "id": row.subject_id, "name": row.subject_name},
        "request": row.request,
        "request_id": row.request_id,
        "operation": row.operation_id,
    }


def moment(row: Moment) -> Json:
    return {"id": row.pk, "at": _at(row.at), "by": row.by, "note": row.note}


def token(row: ApiToken) -> Json:
    """A token without its secret."""
    return {
        "id": row.pk,
        "name": row.name,
        "prefix": row.prefix,
        "role": row.role,
        "user": row.user.username,
        "created_at": _at(row.created_at),
        "expires_at": _at(row.expires_at),
        "last_used_at": _at(row.last_used_at),
    }


def user(row: User) -> Json:
    """A person who may sign in."""
    return {
        "id": row.pk,
        "name": row.username,
        "role": row.role,
        "active": row.is_active,
        "last_login": _at(row.last_login),
    }


DESCRIBERS: Mapping[str, Callable[[Any], Json]] = {
    "host": host,
    "network": network,
    "container": container,
    "operation": operation,
    "drift": drift,
    "image": image,
    "activity": activity,
}
"""The kinds that the feed speaks of."""
SINGLE_ROWS = frozenset({"operation", "activity", "drift"})
"""Kinds whose representation is that of one row (and its host's name), so the row that was just written has it all."""
_MODELS: Mapping[type[Model], Callable[[Any], Json]] = {
    Host: host,
    Network: network,
    Container: container,
    Endpoint: endpoint,
    Link: link,
    Operation: operation,
    Drift: drift,
    Image: image,
    Activity: activity,
    ApiToken: token,
    Moment: moment,
    User: user,
}


def current(row: Model | None) -> Json | None:
    """The representation of *row* as the database has it now; None for nothing, and for what is gone."""
    if row is None or row.pk is None:
        return None
    fresh = prepared(type(row)).filter(pk=row.pk).first()
    return _MODELS[type(row)](fresh) if fresh is not None else None


def of(kind: str, row: Model) -> Json:
    """The representation of one row of a kind that the feed speaks of."""
    return DESCRIBERS[kind](row)


_SHOWN = (
    "container",
    "network",
    "position",
    "ipv4",
    "ipv6",
    "mac",
    "aliases",
    "ifname",
    "gw_priority",
    "sysctls",
    "removing",
)
_OF_NETWORK = ("network__name", "network__internal", "network__options")


def _in_list(name: str, rows: QuerySet[Any]) -> Prefetch[Any]:
    """Fetch what is related in a plain list: Django makes a query object for each row otherwise, which takes half of the time."""
    return Prefetch(name, queryset=rows, to_attr=f"shown_{name.rpartition('__')[2]}")


def _related(row: Model, name: str) -> Sequence[Any]:
    """The rows that *row* is related with by *name*: those that :func:`prepared` fetched, else the database is asked."""
    found = row.__dict__.get(f"shown_{name}")
    return found if found is not None else list(getattr(row, name).all())


def prepared(model: type[Model]) -> QuerySet[Any]:
    """All rows of *model* with what their representation needs, in a constant number of queries."""
    live_endpoints = Endpoint.objects.filter(removing=False)
    if model is Network:
        named = live_endpoints.select_related("container").only(*_SHOWN, "container__name")
        return Network.objects.select_related("host").prefetch_related("subnets", Prefetch("endpoints", queryset=named))
    if model is Container:
        # Only names of what is around it: rows of containers carry much text, and a network may have a thousand.
        ways = live_endpoints.select_related("network").only(*_SHOWN, *_OF_NETWORK)
        sources = Link.objects.select_related("source").only("alias", "recipient", "source__name")
        recipients = Link.objects.select_related("recipient").only("alias", "source", "recipient__name")
        gateways = _in_list("network__subnets", Subnet.objects.all())
        return Container.objects.select_related("host").prefetch_related(
            _in_list("endpoints", ways.prefetch_related(gateways)),
            _in_list("ports", PublishedPort.objects.all()),
            _in_list("links", sources),
            _in_list("linked_by", recipients),
        )
    related = {Endpoint: ("network", "container"), Link: ("recipient", "source"), ApiToken: ("user",)}
    wanted = related.get(model, ("host",) if model in {Operation, Drift, Image} else ())
    return model._default_manager.select_related(*wanted)


RECENT = 50
"""Operations and activity rows that a snapshot holds."""


def everything() -> dict[str, dict[str, Json]]:
    """The state that a fresh page starts from: kind -> id -> representation."""
    operations = prepared(Operation).filter(Q(state__in=["pending", "running"]) | Q(pk__in=_latest(Operation)))
    rows: dict[str, QuerySet[Any]] = {
        "host": Host.objects.all(),
        "network": prepared(Network),
        "container": prepared(Container),
        "operation": operations,
        "drift": prepared(Drift).filter(resolved_at=None),
        "image": prepared(Image),
        "activity": Activity.objects.filter(pk__in=_latest(Activity)),
    }
    return {kind: {str(_id(kind, row)): of(kind, row) for row in query} for kind, query in rows.items()}


def _latest(model: type[Model]) -> list[Any]:
    return list(model._default_manager.values_list("pk", flat=True)[:RECENT])


def _id(kind: str, row: Any) -> Any:
    return row.name if kind == "host" else row.pk


def counts() -> dict[str, int]:
    """Containers by state, for dashboards."""
    return {row["status"]: row["n"] for row in Container.objects.values("status").annotate(n=Count("pk"))}
