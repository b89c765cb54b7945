"""Lists: filtered and sorted by documented names only, in pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from networks.cnm.errors import InvalidSpec
from networks.cnm.text import gettext_noop

PAGE_SIZE = 50
MOST = 500
_OWN = ("page", "page_size", "sort", "q", "format", "host")


def listed(
    request: Request,
    rows: QuerySet[Any],
    describe: Callable[[Any], dict[str, Any]],
    *,
    filters: Mapping[str, str] | None = None,
    sorts: Mapping[str, str] | None = None,
    search: tuple[str, ...] = (),
) -> Response:
    """One page of *rows*.

    *filters* and *sorts* map a parameter to a look-up or column; *search* are the columns that ``q`` looks into. A parameter that is
    not known is refused: a filter that is silently not applied is worse than none.
    """
    filters, sorts = filters or {}, sorts or {}
    parameters = request.query_params
    for name in parameters:
        if name not in filters and name not in _OWN:
            raise InvalidSpec(
                gettext_noop("This list has no filter {name}."),
                remedy=gettext_noop("It has {known}."),
                field=name,
                name=repr(name),
                known=", ".join((*filters, *_OWN[:4])),
            )
    for name, look_up in filters.items():
        if name in parameters:
            rows = rows.filter(**{look_up: parameters[name]})
    if parameters.get("q") and search:
        found = Q()
        for column in search:
            found |= Q(**{f"{column}__icontains": parameters["q"]})
        rows = rows.filter(found)
    rows = _sorted(rows, parameters.get("sort", ""), sorts)
    page, size = _number(parameters, "page", 1, 10**6), _number(parameters, "page_size", PAGE_SIZE, MOST)
    count = rows.count()
    chosen = rows[(page - 1) * size : page * size]
    return Response({"count": count, "page": page, "page_size": size, "results": [describe(row) for row in chosen]})


def _sorted(rows: QuerySet[Model], asked: str, sorts: Mapping[str, str]) -> QuerySet[Model]:
    if not asked:
        return rows
    name = asked.removeprefix("-")
    if name not in sorts:
        raise InvalidSpec(
            gettext_noop("This list cannot be sorted by {name}."),
            remedy=gettext_noop("Sort by one of {known}."),
            field="sort",
            name=repr(name),
            known=", ".join(sorts) or "nothing",
        )
    return rows.order_by(("-" if asked.startswith("-") else "") + sorts[name], "pk")


def _number(parameters: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = parameters.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= most:
        raise InvalidSpec(gettext_noop("{name} is a whole number from 1 to {most}."), field=name, name=name, most=most)
    return int(text)
