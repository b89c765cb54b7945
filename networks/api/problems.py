"""Errors as ``application/problem+json`` (RFC 9457): one mapping from who must act to HTTP."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response

from networks.cnm.errors import CnmError
from networks.cnm.text import gettext_noop

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
STATUSES: Mapping[str, int] = {
    "invalid": 400,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "exhausted": 409,
    "unsupported": 501,
    "plugin_refused": 502,
    "unavailable": 503,
}
"""Codes that are not here are failures of a kernel or of ours: 500."""
_TITLES = {
    400: gettext_noop("Bad request"),
    401: gettext_noop("Not signed in"),
    403: gettext_noop("Forbidden"),
    404: gettext_noop("Not found"),
    405: gettext_noop("Method not allowed"),
    406: gettext_noop("Not acceptable"),
    409: gettext_noop("Conflict"),
    413: gettext_noop("Too large"),
    415: gettext_noop("Unsupported media type"),
    429: gettext_noop("Too many requests"),
    500: gettext_noop("Failed"),
    501: gettext_noop("Not supported"),
    502: gettext_noop("Refused by a plugin"),
    503: gettext_noop("Not available"),
}


_REMEDIES = {
    400: gettext_noop("Send JSON; see /api/docs/ for the shapes."),
    401: gettext_noop("Send a token as a header: Authorization: Bearer cnm_…"),
    403: gettext_noop("Ask an admin for the role."),
    404: gettext_noop("See /api/docs/ for what there is."),
    405: gettext_noop("See /api/docs/ for the methods of this address."),
    406: gettext_noop("Accept application/json."),
    413: gettext_noop("Send less at once; bulk writes can be cut into several."),
    415: gettext_noop("Send the header Content-Type: application/json."),
    429: gettext_noop("Wait a little; the header Retry-After says how long."),
    500: gettext_noop("Look into the log of the web process."),
}
"""What to do about the refusals that the framework makes before a service is asked."""
LONGEST_FIELD = 200


def problem(error: CnmError, operation: str = "") -> Response:
    """A refusal or failure of ours."""
    status = STATUSES.get(error.code, 500)
    return _response(
        status,
        code=error.code,
        detail=error.sentence.translated(gettext),
        remedy=error.remedy.translated(gettext),
        field=error.field,
        subject=error.subject,
        facts=error.facts,
        operation=operation,
    )


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler: every error that leaves a view."""
    if isinstance(error, CnmError):
        return problem(error)
    if isinstance(error, RequestDataTooBig):
        return _response(413, code="too_large", detail=gettext("The request is too large."))
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        code = error.get_codes()
        response = _response(
            error.status_code,
            code=code if isinstance(code, str) else "invalid",
            detail=_words(error.detail),
            remedy=getattr(error, "remedy", ""),
        )
        if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            response["WWW-Authenticate"] = "Bearer"
        wait = getattr(error, "wait", None)
        if wait:
            response["Retry-After"] = str(int(wait) + 1)
        return response
    log.exception("a request failed", exc_info=error)
    return _response(500, code="error", detail=gettext("CNM Web failed to answer; the reason is in its log."))


@csrf_exempt  # nothing is done here, and a script that mistyped an address must read so
def unknown_path(request: HttpRequest, *args: object, **kwargs: object) -> JsonResponse:
    """What is below /api/ and is not there."""
    detail = gettext("There is no {path}.").format(path=request.path)
    return JsonResponse(
        {
            "type": "about:blank",
            "title": gettext(_TITLES[404]),
            "status": 404,
            "code": "not_found",
            "detail": detail,
            "remedy": gettext(_REMEDIES[404]),
        },
        status=404,
        content_type=MEDIA_TYPE,
    )


def _words(detail: object) -> str:
    if isinstance(detail, list):
        return " ".join(map(_words, detail))
    if isinstance(detail, Mapping):
        return " ".join(f"{name}: {_words(item)}" for name, item in detail.items())
    return str(detail)


def _response(status: int, **members: Any) -> Response:
    body = {"type": "about:blank", "title": gettext(_TITLES.get(status, _TITLES[500])), "status": status}
    # A field may be a name that somebody sent: of any length, and with lone surrogates, which no UTF-8 can hold.
    members["field"] = members.get("field", "")[:LONGEST_FIELD].encode("utf-8", "backslashreplace").decode()
    members["remedy"] = members.get("remedy") or gettext(_REMEDIES.get(status, _REMEDIES[500]))
    return Response(
        body | {name: value for name, value in members.items() if value}, status=status, content_type=MEDIA_TYPE
    )
