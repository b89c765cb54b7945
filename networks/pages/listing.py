"""Lists: search, filters, order and paging, all in the address of the page; and the columns, which are kept for the person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.paginator import Page, Paginator
from django.http import HttpRequest

from .preferences import hidden_columns

T = TypeVar("T")
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a person may do without."""

    key: str
    label: str
    shown: bool


@dataclass(slots=True)
class Listing(Generic[T]):
    """One page of a list, with what was asked of it."""

    rows: Sequence[T]
    page: Page[T]
    q: str
    sort: str
    filters: dict[str, str]
    total: int
    """How many there are before search and filters."""
    name: str = ""
    """By which the person's choice of columns is kept."""
    columns: tuple[Column, ...] = ()

    @property
    def found(self) -> int:
        return self.page.paginator.count

    @property
    def shows(self) -> frozenset[str]:
        """The keys of the columns that are wanted."""
        return frozenset(column.key for column in self.columns if column.shown)

    @property
    def narrowed(self) -> bool:
        return bool(self.q or any(self.filters.values()))


def listing(
    request: HttpRequest,
    rows: Sequence[T],
    *,
    name: str,
    columns: Mapping[str, str],
    text: Callable[[T], str],
    orders: Mapping[str, Callable[[T], Any]],
    default: str,
    filters: Mapping[str, Callable[[T, str], bool]] | None = None,
    page_size: int | None = None,
) -> Listing[T]:
    """Narrow *rows* by ``?q=`` (every word must be in *text*) and by *filters*, order by ``?sort=``, cut out ``?page=``.

    *columns* are those that the person may leave out of the list called *name*: key -> label.
    """
    q = request.GET.get("q", "").strip()
    total = len(rows)
    words = q.lower().split()
    kept = [row for row in rows if all(word in text(row).lower() for word in words)] if words else list(rows)
    chosen = {key: request.GET.get(key, "") for key in filters or {}}
    for filtered, value in chosen.items():
        if value and filters:
            kept = [row for row in kept if filters[filtered](row, value)]
    sort = request.GET.get("sort", default)
    key = sort.removeprefix("-")
    if key not in orders:
        sort, key = default, default.removeprefix("-")
    kept.sort(key=orders[key], reverse=sort.startswith("-"))
    page = Paginator(kept, page_size or PAGE_SIZE).get_page(request.GET.get("page"))
    hidden = set(hidden_columns(request.user, name))
    shown = tuple(Column(key, label, key not in hidden) for key, label in columns.items())
    return Listing(list(page.object_list), page, q, sort, chosen, total, name, shown)
