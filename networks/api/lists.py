"""Lists: filtered and sorted by documented names only, in pages. Which parameters there are is checked before (``base.CnmView``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from networks.cnm.errors import InvalidSpec
from networks.cnm.text import gettext_noop
from networks.services.body import bad

PAGE_SIZE = 50
MOST = 500


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

    *filters* and *sorts* map a parameter to a look-up or column; *search* are the columns that ``q`` looks into.
    """
    parameters = request.query_params
    for name, look_up in (filters or {}).items():
        if name in parameters:
            _check_choice(rows.model, look_up, name, parameters[name])
            rows = rows.filter(**{look_up: parameters[name]})
    if parameters.get("q"):
        found = Q()
        for column in search:
            found |= Q(**{f"{column}__icontains": parameters["q"]})
        rows = rows.filter(found)
    rows = _sorted(rows, parameters.get("sort", ""), sorts or {})
    page, size = _page(parameters)
    chosen = rows[(page - 1) * size : page * size]
    return _answer(rows.count(), page, size, [describe(row) for row in chosen])


def listed_values(
    request: Request,
    values: Sequence[dict[str, Any]],
    represent: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    *,
    sorts: Sequence[str] = (),
    search: Callable[[dict[str, Any]], str] | None = None,
    beside: Mapping[str, Any] | None = None,
) -> Response:
    """One page of *values*, which are filtered already and in their natural order, each as *represent* shows it.

    *search* gives the text of a value that ``q`` looks into (None: that was done too); *beside* stands beside the results.
    """
    if search is not None and (q := request.query_params.get("q", "").lower()):
        values = [value for value in values if q in search(value).lower()]
    asked = request.query_params.get("sort", "")
    if asked:
        name = _sort_name(asked, sorts)
        # Counters of rules that were not read are None: they sort as the least, whatever they are compared with.
        values = sorted(values, key=lambda value: (value[name] is not None, value[name]), reverse=asked.startswith("-"))
    page, size = _page(request.query_params)
    return _answer(
        len(values),
        page,
        size,
        [represent(value) for value in values[(page - 1) * size : page * size]],
        **(beside or {}),
    )


def _answer(count: int, page: int, size: int, results: list[Any], **beside: Any) -> Response:
    return Response({"count": count, "page": page, "page_size": size, **beside, "results": results})


def _check_choice(model: type[Model], column: str, name: str, value: str) -> None:
    """What a column never says is a mistake, and an empty list would hide it."""
    field = next((field for field in model._meta.concrete_fields if field.name == column), None)
    allowed = [str(choice) for choice, _ in field.flatchoices] if field is not None else []
    if allowed and value not in allowed:
        raise bad(
            name,
            gettext_noop("{value} is not a {name}."),
            gettext_noop("Give one of: {allowed}."),
            value=repr(value),
            name=name,
            allowed=", ".join(allowed),
        )


def _sorted(rows: QuerySet[Model], asked: str, sorts: Mapping[str, str]) -> QuerySet[Model]:
    if not asked:
        return rows
    column = sorts[_sort_name(asked, tuple(sorts))]
    return rows.order_by(("-" if asked.startswith("-") else "") + column, "pk")


def _sort_name(asked: str, sorts: Sequence[str]) -> str:
    name = asked.removeprefix("-")
    if name not in sorts:
        raise InvalidSpec(
            gettext_noop("This list cannot be sorted by {name}."),
            remedy=gettext_noop("Sort by one of {known}; a dash before it turns the order round.")
            if sorts
            else gettext_noop("It has one order: leave sort out."),
            field="sort",
            name=repr(name),
            known=", ".join(sorts),
        )
    return name


def _page(parameters: Mapping[str, str]) -> tuple[int, int]:
    return _number(parameters, "page", 1, 10**6), _number(parameters, "page_size", PAGE_SIZE, MOST)


def _number(parameters: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = parameters.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 9) or not 1 <= int(text) <= most:
        raise InvalidSpec(
            gettext_noop("{name} is a whole number from 1 to {most}."),
            remedy=gettext_noop("Give such a number, or leave it out."),
            field=name,
            name=name,
            most=most,
        )
    return int(text)
