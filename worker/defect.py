"""A failure that is our own fault."""

from __future__ import annotations

from networks.cnm.errors import CnmError
from networks.cnm.text import gettext_noop


def defect(error: Exception) -> CnmError:
    """*error*, which nobody foresaw, in words."""
    return CnmError(
        gettext_noop("CNM Web itself failed: {cause}."),
        remedy=gettext_noop("Look at the worker's log, then repair or delete the object."),
        cause=f"{type(error).__name__}: {error}",
    )
