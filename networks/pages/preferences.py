"""What a person chose for every page: language, time zone, the columns of lists. Kept with the user, whatever browser they use."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation

from networks.models import User

ZONE_COOKIE = "zone"
"""The browser's own time zone: its script writes it, for whoever has chosen none."""


class PersonsOwn:
    """Speaks the language of whoever is signed in and shows times in their zone.

    Without a choice it is what the browser asks for: its ``Accept-Language`` (which Django's own middleware has seen to), and the
    zone in its cookie.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        chosen = _chosen(request)
        language = chosen.get("language", "")
        if language in dict(settings.LANGUAGES):
            translation.activate(language)
            request.LANGUAGE_CODE = language
        zone = zone_named(chosen.get("zone", "")) or zone_named(request.COOKIES.get(ZONE_COOKIE, ""))
        with timezone.override(zone):  # None: the zone of the settings
            response = self.get_response(request)
        if language:
            response.headers["Content-Language"] = language
        return response


def _chosen(request: HttpRequest) -> dict[str, Any]:
    user = request.user
    return user.preferences if user.is_authenticated else {}


@lru_cache(maxsize=64)
def zone_named(name: str) -> zoneinfo.ZoneInfo | None:
    """The time zone of that name, if there is one."""
    if name not in zones():
        return None
    return zoneinfo.ZoneInfo(name)


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """The zones that this host knows, by name."""
    return tuple(sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}))


def hidden_columns(user: Any, name: str) -> list[str]:
    """The columns that a person does not want to see in a list."""
    return list(user.preferences.get("columns", {}).get(name, ()))


@contextmanager
def choices_of(user: User) -> Iterator[dict[str, Any]]:
    """A person's choices, to be changed; an empty one is taken back. Whatever else of theirs is saved meanwhile waits, and stays."""
    with transaction.atomic():
        person = User.objects.select_for_update().get(pk=user.pk)
        yield person.preferences
        kept = person.preferences
        person.preferences = {name: value for name, value in kept.items() if value not in ("", None, [], {})}
        person.save(update_fields=["preferences"])
    user.preferences = person.preferences
