"""Reading several queries' worth of one state, whatever others commit meanwhile.

What is shown or compiled is made of several queries. Each of them sees what was committed when it began: a network that the first one
named may be gone by the second. Inside :func:`steady` all see what the first one saw. Nobody waits for a reader, and a reader for nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Model, QuerySet

from networks.cnm.errors import NotFound
from networks.cnm.text import gettext_noop

M = TypeVar("M", bound=Model)


@contextmanager
def steady() -> Iterator[None]:
    """Inside, all reads see one state; for reads alone. In a transaction that has begun already, its own rules hold: in one that
    writes nobody else does."""
    if connection.in_atomic_block:
        yield
        return
    begun = _deferred if connection.vendor == "sqlite" else transaction.atomic
    with begun():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@contextmanager
def _deferred() -> Iterator[None]:
    """A transaction of SQLite that does not begin with the lock of the one writer, as all others do."""
    connection.ensure_connection()
    mode = connection.transaction_mode  # type: ignore[attr-defined]  # SQLite's alone has it
    with ExitStack() as stack:
        connection.transaction_mode = "DEFERRED"  # type: ignore[attr-defined]
        try:
            stack.enter_context(transaction.atomic())
        finally:
            connection.transaction_mode = mode  # type: ignore[attr-defined]
        yield


class Steady(QuerySet[M]):
    """Rows that are fetched together with what is related to them: all of one state."""

    def _fetch_all(self) -> None:
        if self._result_cache is None and self._prefetch_related_lookups:  # type: ignore[attr-defined]
            with steady():
                super()._fetch_all()  # type: ignore[misc]
        else:
            super()._fetch_all()  # type: ignore[misc]


def gone(row: Model) -> NotFound:
    """The refusal of a request about a row that was there a moment ago."""
    return NotFound(
        gettext_noop("{name} was removed meanwhile."),
        remedy=gettext_noop("See the list of what there is."),
        name=row,
    )
