"""Lists: search, filters, order and paging, all in the address of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.paginator import Page, Paginator
from django.http import HttpRequest

T = TypeVar("T")
PAGE_SIZE = 50


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

    @property
    def found(self) -> int:
        return self.page.paginator.count

    @property
    def narrowed(self) -> bool:
        return bool(self.q or any(self.filters.values()))


def listing(
    request: HttpRequest,
    rows: Sequence[T],
    *,
    text: Callable[[T], str],
    orders: Mapping[str, Callable[[T], Any]],
    default: str,
    filters: Mapping[str, Callable[[T, str], bool]] | None = None,
    page_size: int = PAGE_SIZE,
) -> Listing[T]:
    """Narrow *rows* by ``?q=`` (every word must be in *text*) and by *filters*, order by ``?sort=``, cut out ``?page=``."""
    q = request.GET.get("q", "").strip()
    total = len(rows)
    words = q.lower().split()
    kept = [row for row in rows if all(word in text(row).lower() for word in words)] if words else list(rows)
    chosen = {name: request.GET.get(name, "") for name in filters or {}}
    for name, value in chosen.items():
        if value and filters:
            kept = [row for row in kept if filters[name](row, value)]
    sort = request.GET.get("sort", default)
    key = sort.removeprefix("-")
    if key not in orders:
        sort, key = default, default.removeprefix("-")
    kept.sort(key=orders[key], reverse=sort.startswith("-"))
    page = Paginator(kept, page_size).get_page(request.GET.get("page"))
    return Listing(list(page.object_list), page, q, sort, chosen, total)
