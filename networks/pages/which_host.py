"""Which host a page is about. Where there are several, its address says so: ``/@NAME/containers/``, or ``/@*/containers/`` for all.

So an address means the same in every tab and to whoever it is sent, and what a page posts goes to the host that the page was about,
whatever was chosen elsewhere meanwhile. An address without a host is sent on to the one that the person chose last; a page that was
opened by such an address, while there was one host, says with what it sends which host it is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import get_script_prefix, is_valid_path, reverse, set_script_prefix
from django.utils.encoding import iri_to_uri

from networks.cnm.errors import NotFound
from networks.cnm.names import EVERY_HOST
from networks.cnm.text import gettext_noop
from networks.live.session import HOST_LOOKED_AT
from networks.models import Host
from networks.models.operation import about
from networks.services.find import find_host

_ADDRESSED = re.compile(r"/@([^/]+)(/.*)?\Z", re.DOTALL)
NO_PAGES = ("/api/", "/ws/", "/static/")
"""What has no host in its address."""
ASKED_BY_PAGE = "X-Live-Refresh"
"""The header of what a page's script asks for it. The address may name no host: that of a page that was opened while there was one
host, or that is about none. It is answered at once: to a script, being sent on says that nobody is signed in."""
OF_PAGE, OF_PAGE_FIELD = "X-Page-Host", "page_host"
"""The header of what a page's script sends, and the field of its forms, that names the host which the page is about."""


class HostInAddress:
    """Takes the host out of a page's address, so that all that the page leads to and posts to is of the same host."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        before = get_script_prefix()
        try:
            return self._answer(request)
        finally:
            set_script_prefix(before)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        found = _ADDRESSED.match(request.path_info)
        if found is None:
            return self.get_response(request)
        name, rest = found[1], found[2] or "/"
        if rest.startswith(NO_PAGES):
            return redirect(rest + ("?" + request.META["QUERY_STRING"] if request.META.get("QUERY_STRING") else ""))
        request.host_asked = name  # type: ignore[attr-defined]  # networks.pages.base.PageRequest
        request.path_info = rest
        set_script_prefix(prefix_of(name))
        return self.get_response(request)


def split(path: str) -> tuple[str, str]:
    """What stands before a page's own path, and that path: ``/@web-1/`` and ``/drift/``, or ``/`` and ``/drift/``."""
    found = _ADDRESSED.match(path)
    return (prefix_of(found[1]), found[2] or "/") if found else ("/", path)


def prefix_of(host: str) -> str:
    return f"/@{host}/"


def settle(request: Any, *, every: bool, any_host: bool = False) -> HttpResponse | None:
    """Find the host that *request* (a ``PageRequest``) is about; or the answer that has to come before: another address, or the question.

    *every*: whether the page can be about all hosts. *any_host*: it is about none, so what names one that is gone is as good.
    Raises :class:`NotFound` where the address names none.
    """
    request.host_names = names = list(Host.objects.order_by("id").values_list("name", flat=True))
    if any_host:
        _forget_gone(request, names)
    asked = getattr(request, "host_asked", None)
    of_page = "" if asked else _of_page(request)
    if any_host and of_page not in {*names, EVERY_HOST}:
        of_page = ""
    wanted = asked or of_page or _chosen(request, names)
    request.every_host = wanted == EVERY_HOST
    addressed = request.method in {"GET", "HEAD"} and not request.path_info.startswith(NO_PAGES)
    sent_on = asked is None and len(names) > 1 and addressed
    if sent_on and ASKED_BY_PAGE not in request.headers:
        return redirect(iri_to_uri(prefix_of(wanted)) + request.get_full_path()[1:])
    try:
        request.host = _found(names[0] if request.every_host and names else wanted, of_page)
    except NotFound:
        set_script_prefix("/")  # what the refusal's page leads to
        raise
    if request.every_host and not every:
        return _ask(request)
    if sent_on or (of_page and len(names) > 1):
        set_script_prefix(prefix_of(wanted))  # what it leads to names the host
    return None


def _forget_gone(request: Any, names: list[str]) -> None:
    """Take a host that is not there out of the address, as if it had named none."""
    if getattr(request, "host_asked", None) not in {None, *names, EVERY_HOST}:
        request.host_asked, request.path = None, request.path_info
        set_script_prefix("/")


def _of_page(request: Any) -> str:
    """The host that the page is about which sends *request*; empty where it does not say."""
    return str(request.headers.get(OF_PAGE) or request.POST.get(OF_PAGE_FIELD) or "")


def _found(name: str | None, of_page: str) -> Host:
    try:
        return find_host(name)
    except NotFound:
        if not of_page:
            raise
        raise NotFound(
            gettext_noop("The page was about host {name}, which is not there any more. Nothing was changed."),
            remedy=gettext_noop("Load the page again to see what is there now."),
            name=of_page,
        ) from None


def _chosen(request: Any, names: list[str]) -> str | None:
    """What the person chose to look at, as long as there is one of that name; else the only, or first, host."""
    chosen = request.session.get(HOST_LOOKED_AT)
    if chosen in names or (chosen == EVERY_HOST and len(names) > 1):
        return str(chosen)
    if chosen is not None:
        del request.session[HOST_LOOKED_AT]
    return names[0] if names else None


def one_host(request: Any) -> Host:
    """The host that a stream is of, which is no page: the one in its address, else that of the page that asks, else the chosen one.

    Raises :class:`NotFound`.
    """
    names = list(Host.objects.order_by("id").values_list("name", flat=True))
    return find_host(getattr(request, "host_asked", None) or _of_page(request) or _chosen(request, names))


def _ask(request: Any) -> HttpResponse:
    """The page is about one host: which?"""
    rest = request.get_full_path().removeprefix(iri_to_uri(get_script_prefix()))
    choices = [(name, iri_to_uri(prefix_of(name)) + rest) for name in request.host_names]
    status = 200 if request.method in {"GET", "HEAD"} else 400
    return render(request, "which_host.html", {"choices": choices}, status=status)


def hosts_of(request: Any) -> list[Host]:
    """The hosts that the page is about."""
    return list(Host.objects.order_by("id")) if request.every_host else [request.host]


def on_host(request: Any, column: str = "host") -> dict[str, Host]:
    """The condition for rows of a list, whose *column* is their host."""
    return {} if request.every_host else {column: request.host}


def done_there(request: Any) -> Q:
    """As :func:`on_host`, for the log of activity."""
    return Q() if request.every_host else about(request.host)


def address_at(host: str, name: str, *args: Any) -> str:
    """The address of the page *name* of an object of *host*, from whichever page."""
    here, there = get_script_prefix(), reverse(name, args=args)
    if here == "/" or not host:
        return there
    return iri_to_uri(prefix_of(host)) + there.removeprefix(iri_to_uri(here))


def address_of_any(name: str, *args: Any) -> str:
    """The address of the page *name* with HOST where its host's name belongs, for a script that learns of hosts as they join."""
    return prefix_of("HOST") + reverse(name, args=args).removeprefix(iri_to_uri(get_script_prefix()))


def host_of_page(request: Any) -> str:
    """The host that a page is about whose own address names none; empty for one whose address does, or that is about none."""
    if getattr(request, "host_asked", None) is not None or not hasattr(request, "host"):
        return ""
    return EVERY_HOST if request.every_host else str(request.host.name)


def list_of(path: str) -> str:
    """Where the object of the page *path* would stand among its like; empty where there is no such page."""
    url = f"/{path.split('/')[1]}/"
    return url if url != "//" and is_valid_path(url) else ""
