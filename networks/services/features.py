"""Refusing up front what a host's kernel was seen to lack."""

from __future__ import annotations

from networks.cnm.errors import Unsupported
from networks.cnm.facts import HostFacts
from networks.cnm.text import gettext_noop
from networks.load import load_facts
from networks.models import Host

from .spec_container import ContainerRequest

NEEDS = {"memory": "limit.memory", "cpus": "limit.cpu", "pids_limit": "limit.pids", "init": "program.init"}
"""Field of a request -> the feature that it needs."""


def require_feature(host: Host, facts: HostFacts, key: str, field: str) -> None:
    """Raises :class:`Unsupported` when *host* is known to lack the feature; what nobody has looked for may be there."""
    feature = facts.feature(key)
    if feature is not None and feature.present is False:
        raise Unsupported(
            gettext_noop("Host {host} cannot do this: {detail}"),
            remedy=feature.remedy,
            field=field,
            host=host.name,
            detail=feature.detail,
        )


def check_container(host: Host, request: ContainerRequest) -> None:
    """Whether *host* can keep what *request* asks for."""
    facts = load_facts(host)
    for field, key in NEEDS.items():
        if getattr(request, field):
            require_feature(host, facts, key, field)
    for number, port in enumerate(request.ports):
        if port.host_address is not None and port.host_address.version == 6:
            require_feature(host, facts, "ipv6", f"ports.{number}")
