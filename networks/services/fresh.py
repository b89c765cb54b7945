"""Rows as they are now, for use cases: what was read before the transaction may have changed meanwhile."""

from __future__ import annotations

from django.db.models import Model

from networks.cnm.errors import NotFound
from networks.cnm.text import gettext_noop
from networks.models import Container
from networks.models.choices import Wanted


def refresh(*rows: Model) -> None:
    """Read *rows* again, in place. Inside ``feed.transaction`` nobody else writes, so they stay true until it commits.

    Raises :class:`NotFound` when one is gone.
    """
    for row in rows:
        kept = {name: row._state.fields_cache[name] for name in ("host",) if name in row._state.fields_cache}
        try:
            row.refresh_from_db()
        except type(row).DoesNotExist:
            raise NotFound(
                gettext_noop("{name} was removed meanwhile."),
                remedy=gettext_noop("See the list of what there is."),
                name=row,
            ) from None
        row._state.fields_cache |= kept


def check_not_removed(container: Container) -> None:
    """Raises :class:`NotFound` for a container whose removal somebody has asked for."""
    if container.wanted == Wanted.REMOVED:
        raise NotFound(
            gettext_noop("Container {name} is being removed."),
            remedy=gettext_noop("Run a new one."),
            name=container.name,
        )
