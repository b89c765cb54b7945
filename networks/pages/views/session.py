"""Signing in and out."""

from __future__ import annotations

import math
from typing import Any

from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from networks import refused_form

from .. import assets, lockout
from ..base import PageRequest, not_built, page
from ..way_back import only_post, way_back

REFUSED_FORM = "X-Refused-Form"
"""The header by which scripts know such a refusal; its value is the cause (``networks.refused_form``)."""


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


@only_post
def sign_out(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        lockout.note("session.end", request.user.get_username(), {})
    logout(request)
    return redirect("login")


def refuse_form(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """The answer to a form that may not come from a page of ours (``CSRF_FAILURE_VIEW``), with the way back."""
    if not assets.is_built():
        return not_built(request)
    signed_in, match = request.user.is_authenticated, request.resolver_match
    signing_in = match is not None and match.url_name == "login"
    if signed_in and signing_in:  # in another tab: there is nothing left to do
        return redirect(_target(request))
    cause = refused_form.cause(reason, signed_in=signed_in, signing_in=signing_in)
    response = _refused_in_frame(request, cause) if signed_in else _refused(request, cause)
    response.headers[REFUSED_FORM] = cause
    return response


@never_cache
def _refused(request: HttpRequest, cause: str) -> HttpResponse:
    """For who is not signed in: the page to do so."""
    sentence, remedy = refused_form.words(cause)
    context = {
        "next": _target(request) if "next" in request.POST else _page_before(request),
        "name": request.POST.get("username", "")[:150],
        "error": f"{sentence.translated(_)} {remedy.translated(_)}",
        "insecure": _is_insecure(request),
    }
    return render(request, "sign_in.html", context, status=403)


@page(write="viewer", any_host=True)
def _refused_in_frame(request: PageRequest, cause: str) -> HttpResponse:
    sentence, remedy = refused_form.words(cause)
    context = {
        "sentence": sentence.translated(_),
        "remedy": remedy.translated(_),
        "code": "refused_form",
        "again": _page_before(request),
    }
    return render(request, "problem.html", context, status=403)


def _page_before(request: HttpRequest) -> str:
    """The page of ours that the form was on."""
    return way_back(request, request.headers.get("Referer", ""))


def _target(request: HttpRequest) -> str:
    return way_back(request, request.POST.get("next") or request.GET.get("next") or "")


def _is_insecure(request: HttpRequest) -> bool:
    """Whether the password would travel readable over a network."""
    name = request.get_host().rsplit(":", 1)[0].strip("[]")
    return not request.is_secure() and name not in {"localhost", "127.0.0.1", "::1", "testserver"}
