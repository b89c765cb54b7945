"""What a use case gives back."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Model

from networks.cnm.text import Text
from networks.models import Operation


@dataclass(frozen=True, slots=True)
class Outcome:
    """The object (None when it was removed for good), the operation that makes it real (None: nothing to do in a kernel), and
    what the caller should know though nothing is wrong."""

    subject: Model | None
    operation: Operation | None = None
    warnings: tuple[Text, ...] = ()
    others: tuple[Operation, ...] = ()
    """Those of other hosts, where it was about several."""
