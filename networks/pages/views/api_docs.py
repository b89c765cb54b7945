"""The documentation of the REST API, made here from its OpenAPI document: nothing of it comes from elsewhere."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator

from ..api_reference import Call, calls, objects
from ..base import PageRequest, api_of, page


@page(any_host=True)
def reference(request: PageRequest) -> HttpResponse:
    """All calls by what they are about; ``q`` narrows them by words of path and summary."""
    document = _document()
    everything = calls(document, api_of(request))
    words = request.GET.get("q", "").lower().split()
    found = [call for call in everything if all(word in _searched(call) for word in words)]
    return render(
        request,
        "api_docs.html",
        {
            "groups": [(tag, list(group)) for tag, group in groupby(found, key=lambda call: call.tag)],
            "found": len(found),
            "total": len(everything),
            "objects": objects(document) if not words else (),
            "q": request.GET.get("q", ""),
            "api": api_of(request),
        },
    )


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    """It follows from the code alone."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


def _searched(call: Call) -> str:
    return f"{call.tag} {call.method} {call.path} {call.summary}".lower()
