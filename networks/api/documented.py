"""What OpenAPI says of a view: one decorator, so that every operation has its errors and parameters."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers

from . import schemas

F = TypeVar("F", bound=Callable[..., Any])
Shape = type[serializers.Serializer[Any]]
_KNOWN = "known_parameters"

_DRY_RUN = OpenApiParameter(
    "dry_run", bool, description="Only the plan: what would change in the kernel. Nothing is written."
)
_WAIT = OpenApiParameter("wait", str, enum=["0", "1"], description="0: answer 202 with the operation at once.")
_HOST = OpenApiParameter("host", str, description="The host; left out: the first one. Lists take * for all.")
_ERRORS = {
    400: "The request is malformed.",
    401: "Not signed in.",
    403: "The role is too low.",
    404: "There is no such object.",
}
_WRITE_ERRORS = {
    409: "The request collides with what exists.",
    501: "Not supported here.",
    503: "The worker does not answer.",
}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # drf-spectacular registers by subclass
    target_class = "networks.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "networks.api.authentication.BrowserAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


def documented(
    summary: str,
    *,
    body: Shape | None = None,
    answer: Shape | None = None,
    status: int = 200,
    many: bool = False,
    write: bool = False,
    filters: tuple[str, ...] = (),
    beside: dict[str, Any] | None = None,
) -> Callable[[F], F]:
    """Describe a view's method: what it takes, what it answers (a list with *beside* its results), how it refuses."""
    parameters = [_HOST, *(OpenApiParameter(name, str) for name in filters)]
    if many:
        parameters += [OpenApiParameter(name, str) for name in ("q", "sort", "page", "page_size")]
    if write:
        parameters += [_DRY_RUN, _WAIT]
    responses: dict[int, Any] = {
        status: _page(answer, beside or {}) if many and answer else answer or OpenApiResponse(description="Done.")
    }
    if write:
        responses[202] = OpenApiResponse(schemas.Accepted, description="Accepted; follow the operation.")
        responses[200] = _or_plan(answer if status == 200 else None)
    for code, description in (_ERRORS | (_WRITE_ERRORS if write or body else {})).items():
        responses[code] = OpenApiResponse(schemas.Problem, description=description)
    names = tuple(parameter.name for parameter in parameters)
    describe = extend_schema(
        operation_id=_name(summary), summary=summary, request=body, responses=responses, parameters=parameters
    )

    def decorate(method: F) -> F:
        described = describe(method)
        setattr(described, _KNOWN, names)
        return described

    return decorate


def parameters_of(method: Callable[..., Any] | None) -> tuple[str, ...] | None:
    """The query parameters that a view's method was documented with; None for one that was not."""
    return getattr(method, _KNOWN, None)


def _or_plan(answer: Shape | None) -> Any:
    """What 200 holds: with ``dry_run`` the plan, else (where 200 is how the write answers) the object."""
    if answer is None:
        return OpenApiResponse(schemas.Preview, description="With dry_run: the plan; nothing was written.")
    both = PolymorphicProxySerializer(
        component_name=f"{answer.__name__}OrPreview",
        serializers=[answer, schemas.Preview],
        resource_type_field_name=None,
    )
    return OpenApiResponse(both, description="Done; with dry_run: the plan, and nothing was written.")


def _name(summary: str) -> str:
    """``List networks`` -> ``list_networks``: summaries are unique, and so are operation ids."""
    return re.sub(r"[^a-z0-9]+", "_", summary.lower()).strip("_")


_pages: dict[str, serializers.Serializer[Any]] = {}


def _page(answer: Shape, beside: dict[str, Any]) -> serializers.Serializer[Any]:
    name = f"{answer.__name__}List"
    if name not in _pages:
        _pages[name] = inline_serializer(
            name,
            {
                "count": serializers.IntegerField(),
                "page": serializers.IntegerField(required=False),
                "page_size": serializers.IntegerField(required=False),
                **beside,
                "results": answer(many=True),
            },
        )
    return _pages[name]
