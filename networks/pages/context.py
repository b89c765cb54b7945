"""What the frame of every page shows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from networks.cnm.names import EVERY_HOST
from networks.models import Container, Drift, FeedCounter, Host, Network
from networks.represent import is_alive

from .words import for_scripts

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "theme"


def theme_of(request: HttpRequest) -> str:
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    return theme if theme in THEMES else "auto"


def console(request: HttpRequest) -> dict[str, Any]:
    """Values for ``templates/base.html``; cheap for people who are not signed in."""
    values: dict[str, Any] = {"theme": theme_of(request), "words": for_scripts()}
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return values
    counter = request.feed_at if hasattr(request, "feed_at") else FeedCounter.objects.filter(pk=1).first()
    host = getattr(request, "host", None) or Host.objects.order_by("id").first()
    every = getattr(request, "every_host", False)
    hosts = list(Host.objects.order_by("id")) if every else [host] if host else []
    silent = [one.name for one in hosts if not is_alive(one)]
    here = {"host__in": hosts}
    return values | {
        "feed_epoch": counter.epoch if counter else "",
        "feed_n": counter.last if counter else 0,
        "host_name": host.name if host else "",
        "host_names": getattr(request, "host_names", []),
        "every_host": every,
        "host_alive": bool(hosts) and not silent,
        "hosts_silent": silent,
        "live_host": EVERY_HOST if every else host.name if host else "",
        "nav_drift": Drift.objects.filter(**here, resolved_at=None).count(),
        "nav_failed": Container.objects.filter(**here, status="failed").count()
        + Network.objects.filter(**here, status="failed").count(),
    }
