"""The OCI runtime of this host, from its settings."""

from __future__ import annotations

import grp

from django.conf import settings

from .runtime.folders import Folders
from .runtime.runtime import Runtime

GROUP = "cnm"
"""The product's own group: it may read containers' logs."""


def build_runtime() -> Runtime:
    """The OCI runtime over the product's folders."""
    return Runtime(folders_of_host(), bind_roots=settings.BIND_ALLOWLIST)


def folders_of_host() -> Folders:
    """Where it keeps its things."""
    return Folders(state_dir=settings.STATE_DIR, run_dir=settings.RUN_DIR, group=_group())


def _group() -> int:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return 0
