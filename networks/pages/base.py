"""What every view does alike: who asks, which host, how a refusal looks, and the way from a plan to its confirmation."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial, wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import get_script_prefix
from django.utils.translation import gettext as _

from networks.cnm.errors import (
    CnmError,
    Conflict,
    Exhausted,
    Forbidden,
    InvalidSpec,
    NotFound,
    Unavailable,
    Unsupported,
)
from networks.cnm.errors import from_json as error_from_json
from networks.models import FeedCounter, Host, Operation
from networks.services import operations
from networks.services.actor import Actor, require
from networks.services.outcome import Outcome
from networks.services.preview import Preview, preview

from . import assets
from .plan_view import PlanView, preview_view
from .which_host import list_of, settle

WAIT_S = 6.0
"""How long a page waits for the kernel before it goes on and shows the operation as running."""

STATUS = {
    InvalidSpec: 400,
    NotFound: 404,
    Exhausted: 409,
    Conflict: 409,
    Forbidden: 403,
    Unsupported: 501,
    Unavailable: 503,
}

View = Callable[..., HttpResponseBase]
Look = Callable[[Callable[[], Any]], Preview]


class PageRequest(HttpRequest):
    """A request of somebody who is signed in."""

    actor: Actor
    host: Host
    """The one that the page is about; of a page about all, the first."""
    host_asked: str
    """The host in the address, where one is."""
    host_names: list[str]
    every_host: bool
    """Whether the page is about all hosts (``networks.pages.which_host``)."""
    is_page: bool
    feed_at: FeedCounter | None
    """The place in the feed when the page was begun."""


def page(
    role: str = "viewer", *, write: str = "operator", every: bool = False, any_host: bool = False
) -> Callable[[View], View]:
    """A view for people who are signed in with at least *role*; whatever is not a GET needs *write* too.

    *every*: it can be about all hosts at once. *any_host*: it is about none in particular.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def inner(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
            request.is_page = True
            if not assets.is_built():
                return not_built(request)
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            request.actor = Actor(
                name=request.user.get_username(), role=request.user.role, via="page", request_id=uuid.uuid4().hex
            )
            # Before anything else is read: what changes while the page is made comes to it as news.
            request.feed_at = FeedCounter.objects.filter(pk=1).first()
            try:
                elsewhere = settle(request, every=every or any_host, any_host=any_host)
                if elsewhere is not None:
                    return elsewhere
                require(request.actor, role)
                if request.method not in {"GET", "HEAD"}:
                    require(request.actor, write)
                return view(request, *args, **kwargs)
            except CnmError as error:
                return problem(request, error)

        return inner

    return wrap


def not_built(request: HttpRequest) -> HttpResponse:
    return render(request, "not_built.html", status=503)


def problem(request: HttpRequest, error: CnmError) -> HttpResponse:
    """A refusal as a page of its own, for where there is no form to show it in."""
    return render(
        request,
        "problem.html",
        {
            "sentence": error.sentence.translated(_),
            "remedy": error.remedy.translated(_),
            "code": error.code,
            "refused": error.facts.get("refused"),
            "list_url": _list_of(request),
        },
        status=status_of(error),
    )


def _list_of(request: HttpRequest) -> str:
    """Where the object of this address would stand among its like; empty where there is no such page."""
    url = list_of(request.path_info)
    return get_script_prefix() + url[1:] if url and url != request.path_info else ""


def status_of(error: CnmError) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def done(request: PageRequest, outcome: Outcome, said: str, to: str, *args: Any) -> HttpResponse:
    """After a write: wait a little for the kernel, say how it went, and go on to a page."""
    for warning in outcome.warnings:
        messages.warning(request, warning.translated(_))
    report(request, outcome.operation, said)
    for operation in outcome.others:
        report(request, operation, said)
    return redirect(to, *args)


def report(request: PageRequest, operation: Operation | None, said: str) -> None:
    """Wait a little for an operation, and say in a message how it went."""
    if operation is None:
        messages.success(request, said)
        return
    operation = operations.wait(operation, WAIT_S)
    if operation.state == "failed":
        messages.error(request, failure(operation))
    elif operation.state == "done":
        messages.success(request, said)
    else:
        messages.info(
            request,
            _("{said} The kernel is not ready yet: operation {number} goes on.").format(
                said=said, number=operation.number
            ),
        )


def failure(operation: Operation) -> str:
    """Why an operation failed, with what helps."""
    if not operation.error:
        return _("Operation {number} failed.").format(number=operation.number)
    error = error_from_json(operation.error)
    return f"{error.sentence.translated(_)} {error.remedy.translated(_)}".strip()


def api_of(request: HttpRequest) -> str:
    """The address of the REST API, as this request reached us."""
    return request.build_absolute_uri("/api/v1/")


def host_for_api(request: PageRequest) -> str:
    """What names the page's host to the REST API, as a query; nothing where there is one host."""
    return "?" + urlencode({"host": request.host.name}) if len(request.host_names) > 1 else ""


def plan_of(
    request: PageRequest, use_case: Callable[[], Any], *, creates: bool = False, look: Look | None = None
) -> PlanView:
    """What *use_case* would change in the kernel. *look*: how that is found, where it is not about the request's host alone."""
    return preview_view((look or partial(preview, request.host))(use_case), creates=creates)


def confirm(
    request: PageRequest,
    use_case: Callable[[], Outcome],
    *,
    title: str,
    question: str,
    button: str,
    said: str,
    back: str,
    to: tuple[Any, ...],
    danger: bool = True,
    look: Look | None = None,
    extra: dict[str, Any] | None = None,
) -> HttpResponse:
    """The plan of *use_case* first; with a POST that has seen the same plan, the deed."""
    plan = plan_of(request, use_case, look=look)
    if request.method == "POST" and request.POST.get("plan") == plan.digest:
        return done(request, use_case(), said, *to)
    context = {
        "title": title,
        "question": question,
        "button": button,
        "back": back,
        "plan": plan,
        "danger": danger,
        "changed": request.method == "POST" and "plan" in request.POST,
        **(extra or {}),
    }
    return render(request, "confirm.html", context)
