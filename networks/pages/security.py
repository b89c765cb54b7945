"""Headers that hold a page to what it came with: no inline script, no inline style, nothing from elsewhere, no framing."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # the style sheet draws ticks and arrows from data addresses
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
DOCUMENTATION = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(
    "script-src 'self'", "script-src 'self' 'unsafe-inline'"
)
"""For the API's documentation alone, whose kit writes style and script into its page."""


class SecurityHeaders(MiddlewareMixin):
    """Sets the policy on every answer that has none of its own."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_documentation = request.resolver_match is not None and request.resolver_match.view_name == "api-docs"
        response.headers.setdefault("Content-Security-Policy", DOCUMENTATION if is_documentation else POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        if getattr(request, "is_page", False):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
