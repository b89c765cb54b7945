"""Where to go on after something that was asked of one page: back to it, as long as it is ours and can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from .which_host import list_of, split

_POSTED_TO = "posted_to"


def only_post(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view that is only posted to: nobody is led to its address."""
    made: Any = require_POST(view)
    setattr(made, _POSTED_TO, True)
    return made  # type: ignore[no-any-return]


def way_back(request: HttpRequest, url: str) -> str:
    """*url*; the list that it is of where it is only posted to, and the dashboard where it is not ours."""
    if not url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    prefix, path = split(urlsplit(url).path)
    if not _is_posted_to(unquote(path)):
        return url
    listed = list_of(path)
    return prefix if not listed or _is_posted_to(listed) else prefix + listed[1:]


def _is_posted_to(path: str) -> bool:
    try:
        return hasattr(resolve(path).func, _POSTED_TO)
    except Resolver404:
        return False
