"""Host, tokens, users, and a person's own settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from networks import represent
from networks.cnm.errors import CnmError, InvalidSpec, NotFound
from networks.cnm.text import gettext_noop
from networks.load import load_facts
from networks.models import ApiToken, User
from networks.models.choices import Role
from networks.services import tokens as token_use_cases
from networks.services import users as user_use_cases

from ..base import PageRequest, page
from ..context import THEME_COOKIE, THEMES
from ..form import Form
from ..listing import listing
from ..preferences import choices_of, zone_named, zones
from ..way_back import only_post, way_back
from ..words import ROLE_WORDS
from .hosts import hosts_card

ROLES = ("viewer", "operator", "admin")
EXPIRIES = ("", "7", "30", "90", "365")
MAX_NAME = 64
_MISSING_FIRST = (False, None, True)
LISTS = ("activity", "containers", "images", "links", "networks", "operations", "tokens", "users")
"""Whose columns can be chosen."""
MOST_COLUMNS = 20
NEVER = "9999"
"""Sorts after every time."""


@page(every=True)
def host(request: PageRequest) -> HttpResponse:
    value = represent.host(request.host)
    features = sorted(
        load_facts(request.host).features, key=lambda feature: (_MISSING_FIRST.index(feature.present), feature.key)
    )
    return render(
        request,
        "host.html",
        {
            "host": value,
            "features": features,
            "listeners": request.host.facts.get("listeners", []),
            "version": settings.VERSION,
            **hosts_card(request),
        },
    )


@page(write="viewer", any_host=True)
def tokens(request: PageRequest) -> HttpResponse:
    form = Form(request.POST if request.method == "POST" else {"role": "viewer", "days": "30"})
    secret = ""
    if request.method == "POST":
        try:
            secret = _create_token(request, form)
            form = Form({"role": "viewer", "days": "30"})
        except CnmError as error:
            form.refuse(error)
    rows = ApiToken.objects.select_related("user")
    if request.user.role != Role.ADMIN:
        rows = rows.filter(user=request.user)
    found = listing(
        request,
        [represent.token(row) for row in rows],
        name="tokens",
        columns={"prefix": _("Begins with"), "role": _("Role"), "user": _("Of"), "used": _("Last used")},
        text=lambda row: f"{row['name']} {row['prefix']} {row['user']}",
        orders={
            "name": lambda row: row["name"].lower(),
            "user": lambda row: (row["user"], row["name"].lower()),
            "used": lambda row: row["last_used_at"] or "",
            "ends": lambda row: row["expires_at"] or NEVER,
        },
        default="name",
        filters={"role": lambda row, value: row["role"] == value},
    )
    allowed = ROLES[: ROLES.index(request.user.role) + 1]
    return render(
        request,
        "tokens.html",
        {
            "listing": found,
            "every_role": ROLE_WORDS.items(),
            "form": form,
            "secret": secret,
            **_role_choice(allowed),
            "expiries": [(days, _("after {n} days").format(n=days) if days else _("never")) for days in EXPIRIES],
            "now": timezone.now().isoformat(),
        },
        status=400 if form.problem else 200,
    )


def _role_choice(roles: Sequence[str]) -> dict[str, Any]:
    """The roles to choose from in a form, and what each may do."""
    return {
        "roles": [(role, ROLE_WORDS[role]) for role in roles],
        "role_help": " · ".join(str(Role(role).label) for role in roles),
    }


def _create_token(request: PageRequest, form: Form) -> str:
    name = _name(form.value("name"), MAX_NAME)
    role, days = form.value("role"), form.value("days")
    if role not in ROLES or days not in EXPIRIES:
        raise InvalidSpec(gettext_noop("Choose a role and an end from the lists."), field="role")
    expires = timezone.now() + timedelta(days=int(days)) if days else None
    _token, secret = token_use_cases.create_token(request.actor, request.user, name, role, expires)
    return secret


def _name(text: str, most: int) -> str:
    name = text.strip()
    if not name or len(name) > most or not name.isprintable():
        raise InvalidSpec(
            gettext_noop("A name of 1 to {most} printable characters is wanted."),
            remedy=gettext_noop("Say what it is for."),
            field="name",
            most=most,
        )
    return name


@only_post
@page(write="viewer", any_host=True)
def revoke(request: PageRequest, token_id: int) -> HttpResponse:
    token = ApiToken.objects.select_related("user").filter(pk=token_id).first()
    if token is None or (token.user_id != request.user.pk and request.user.role != Role.ADMIN):
        raise NotFound(
            gettext_noop("There is no such token."), remedy=gettext_noop("It may have been revoked already.")
        )
    token_use_cases.revoke(request.actor, token)
    messages.success(request, _("Token {name} was revoked.").format(name=token.name))
    return redirect("tokens")


@page("admin", write="admin", any_host=True)
def users(request: PageRequest) -> HttpResponse:
    form = Form(request.POST if request.method == "POST" else {"role": "viewer"})
    if request.method == "POST":
        try:
            name = _name(form.value("name"), 150)
            user_use_cases.check_password("password", form.value("password"), User(username=name))
            role = form.value("role")
            if role not in ROLES:
                raise InvalidSpec(gettext_noop("Choose a role from the list."), field="role")
            user_use_cases.create_user(request.actor, name, form.value("password"), role)
            messages.success(request, _("User {name} was added.").format(name=name))
            return redirect("users")
        except CnmError as error:
            form.refuse(error)
    found = listing(
        request,
        [represent.user(row) for row in User.objects.order_by("username")],
        name="users",
        columns={"role": _("Role"), "active": _("Active"), "login": _("Last signed in")},
        text=lambda row: f"{row['name']} {row['role']}",
        orders={
            "name": lambda row: row["name"].lower(),
            "role": lambda row: (ROLES.index(row["role"]), row["name"].lower()),
            "login": lambda row: row["last_login"] or "",
        },
        default="name",
        filters={"role": lambda row, value: row["role"] == value},
    )
    return render(
        request,
        "users.html",
        {
            "listing": found,
            "form": form,
            **_role_choice(ROLES),
        },
        status=400 if form.problem else 200,
    )


@page("admin", write="admin", any_host=True)
def user(request: PageRequest, name: str) -> HttpResponse:
    """Role, whether they may sign in, and a new password."""
    person = user_use_cases.find_user(name)
    form = Form(request.POST if request.method == "POST" else {"role": person.role, "active": _tick(person)})
    if request.method == "POST":
        try:
            if form.value("role") not in ROLES:
                raise InvalidSpec(gettext_noop("Choose a role from the list."), field="role")
            user_use_cases.update_user(
                request.actor,
                person,
                role=form.value("role"),
                active=form.flag("active"),
                password=form.value("password") or None,
            )
            if person.pk == request.user.pk and form.value("password"):
                update_session_auth_hash(request, User.objects.get(pk=person.pk))
            messages.success(request, _("User {name} was changed.").format(name=person.username))
            return redirect("users")
        except CnmError as error:
            form.refuse(error)
    return render(
        request,
        "user.html",
        {"person": represent.user(person), "form": form, **_role_choice(ROLES)},
        status=400 if form.problem else 200,
    )


def _tick(person: User) -> str:
    return "on" if person.is_active else ""


@page(write="viewer", any_host=True)
def preferences(request: PageRequest) -> HttpResponse:
    """Theme, language, time zone, one's own password."""
    form = Form(request.POST if request.method == "POST" else {})
    if request.method == "POST":
        try:
            if not request.user.check_password(form.value("old_password")):
                raise InvalidSpec(gettext_noop("This is not your present password."), field="old_password")
            user_use_cases.check_password("new_password", form.value("new_password"), request.user)
            request.user.set_password(form.value("new_password"))
            request.user.save(update_fields=["password"])
            update_session_auth_hash(request, request.user)
            messages.success(request, _("Your password was changed. Other sessions of yours are signed out."))
            return redirect("preferences")
        except CnmError as error:
            form.refuse(error)
    return render(
        request,
        "preferences.html",
        {
            "form": form,
            "languages": settings.LANGUAGES,
            "zones": zones(),
            "chosen": request.user.preferences,
            "now": timezone.now(),
        },
        status=400 if form.problem else 200,
    )


@only_post
def look(request: HttpRequest) -> HttpResponse:
    """Remember the theme of this browser, and the language and the time zone of whoever is signed in."""
    response = redirect(way_back(request, request.POST.get("next", "")))
    theme, language, zone = (request.POST.get(name) for name in ("theme", "language", "zone"))
    if theme in THEMES:
        _remember(response, THEME_COOKIE, theme)
    if language == "":
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
    elif language in dict(settings.LANGUAGES):
        _remember(response, settings.LANGUAGE_COOKIE_NAME, language)  # for the page to sign in
    else:
        language = None
    if request.user.is_authenticated:
        choices = {"language": language, "zone": zone if zone == "" or zone_named(zone or "") else None}
        if keys := request.POST.getlist("keys"):
            choices["keys"] = "off" if keys[-1] == "off" else ""
        with choices_of(request.user) as kept:
            kept.update({name: value for name, value in choices.items() if value is not None})
    return response


@only_post
@page(write="viewer", any_host=True)
def columns(request: PageRequest) -> HttpResponse:
    """Remember which columns of a list the person wants to see."""
    name, known, shown = request.POST.get("list", ""), request.POST.getlist("column"), request.POST.getlist("show")
    if name in LISTS and all(key.isidentifier() and len(key) <= MAX_NAME for key in known[:MOST_COLUMNS]):
        hidden = [key for key in known[:MOST_COLUMNS] if key not in shown]
        with choices_of(request.user) as kept:
            kept["columns"] = {**kept.get("columns", {}), name: hidden}
    return redirect(way_back(request, request.headers.get("Referer", "")))


def _remember(response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(
        name, value, max_age=365 * 86400, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE, httponly=True
    )
