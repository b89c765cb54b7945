"""Signing in and out."""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from .. import assets, lockout
from ..base import not_built


@sensitive_post_parameters("password")
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    if not assets.is_built():
        return not_built(request)
    target = _target(request)
    if request.user.is_authenticated:
        return redirect(target)
    context: dict[str, Any] = {"next": target, "name": "", "error": "", "insecure": _is_insecure(request)}
    if request.method != "POST":
        return render(request, "sign_in.html", context)
    name = request.POST.get("username", "")[:150].replace("\x00", "")
    context["name"] = name
    wait = lockout.locked_for(request, name)
    if wait is not None:
        minutes = math.ceil(wait.total_seconds() / 60)
        context["error"] = ngettext(
            "Too many failed attempts. Try again in %(n)d minute.",
            "Too many failed attempts. Try again in %(n)d minutes.",
            minutes,
        ) % {"n": minutes}
        return render(request, "sign_in.html", context, status=429)
    user = authenticate(request, username=name, password=request.POST.get("password", ""))
    if user is None:
        lockout.failed(request, name)
        context["error"] = _("The name or the password is wrong.")
        return render(request, "sign_in.html", context, status=401)
    login(request, user)
    lockout.note("session.begin", user.get_username(), {"address": lockout.address_of(request)})
    return redirect(target)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        lockout.note("session.end", request.user.get_username(), {})
    logout(request)
    return redirect("login")


def _target(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL)


def _is_insecure(request: HttpRequest) -> bool:
    """Whether the password would travel readable over a network."""
    name = request.get_host().rsplit(":", 1)[0].strip("[]")
    return not request.is_secure() and name not in {"localhost", "127.0.0.1", "::1", "testserver"}
