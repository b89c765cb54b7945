"""Django system checks: what is missing on a host, and settings that invite trouble, each with its remedy.

``manage.py check --database default`` shows them; ``make up`` does so at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from .cnm.errors import CnmError, from_json
from .cnm.facts import HostFacts
from .models import Host


@register(Tags.database)
def host_features(databases: Sequence[str] | None, **kwargs: Any) -> list[CheckMessage]:
    """A warning for each feature or right that this host's worker looked for in vain (``cnm.W001``), and one when it cannot start
    (``cnm.W003``; no error, for an error would keep people from migrating)."""
    if not databases:
        return []
    try:
        host = Host.objects.filter(name=settings.HOST_NAME).first()
    except DatabaseError:
        return []  # not migrated yet: there is nothing to say about the host
    if host is None:
        return []
    cannot_start = from_json(host.error) if host.error else None
    failed = [] if cannot_start is None else [_warning(cannot_start)]
    return failed + [
        Warning(f"{feature.key}: {feature.detail}", hint=str(feature.remedy), id="cnm.W001")
        for feature in HostFacts.from_json(host.facts).features
        if feature.present is False
    ]


def _warning(error: CnmError) -> CheckMessage:
    return Warning(f"The worker cannot start: {error.sentence}", hint=str(error.remedy), id="cnm.W003")


@register(Tags.security)
def exposed_settings(**kwargs: Any) -> list[CheckMessage]:
    """Settings that open the console to more than its users (``cnm.E001``, ``cnm.W002``)."""
    found: list[CheckMessage] = []
    for name in ("STATE_DIR", "RUN_DIR"):
        if ":" in str(getattr(settings, name)):
            hint = f"Choose another folder for CNM_{name}: a colon separates the layers of an overlay mount."
            found.append(Error(f"CNM_{name} has a colon in its path.", hint=hint, id="cnm.E001"))
    if "*" in settings.ALLOWED_HOSTS and not settings.DEBUG:
        hint = "Name the hosts that people type in CNM_ALLOWED_HOSTS."
        found.append(Warning("The console answers under any host name.", hint=hint, id="cnm.W002"))
    return found
