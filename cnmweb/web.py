"""The web process's application: HTTP by Django, WebSockets by Channels, for browsers that come from our own pages only.

Views are synchronous, so a request runs in one of a pool of threads from its first middleware to its last. Django's own ASGI handler
makes a thread for each request and goes to and fro between it and the event loop: three times the work for a short answer, and a
new database connection each time. Only answers that go on for long (a log that is followed) are left to it: they would keep a thread.
"""

from importlib import import_module
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.wsgi import get_wsgi_application
from django.db import connections

short = get_wsgi_application()  # loads the apps, which the imports below need

from a2wsgi import WSGIMiddleware  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import re_path  # noqa: E402

from networks.live.origin import SameOrigin  # noqa: E402
from networks.live.routing import urlpatterns  # noqa: E402

THREADS = 32
"""Requests at once; each may wait for the kernel. More wait in line."""
ENDLESS = r"^(api/v1/containers/[^/]+/logs|(?:@[^/]+/)?containers/[^/]+/log/)$"
"""With the host in the address or without (``networks.pages.which_host``)."""


class Endless(ASGIHandler):
    """Django's own handler. The connections to the database of a request's thread end with it: nobody would use them again."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().handle(scope, receive, send)
        finally:
            await sync_to_async(connections.close_all)()


application = ProtocolTypeRouter(
    {
        "http": URLRouter([re_path(ENDLESS, Endless()), re_path("", WSGIMiddleware(short, workers=THREADS))]),
        "websocket": SameOrigin(AuthMiddlewareStack(URLRouter(urlpatterns))),
    }
)

for module in (settings.ROOT_URLCONF, "cnmweb.celery"):
    import_module(module)  # every view, and what wakes the worker, is loaded now, and not while the first request waits
