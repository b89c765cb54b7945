"""The web process's application: HTTP by Django, WebSockets by Channels, for browsers that come from our own pages only.

Views are synchronous, so a request runs in one of a pool of threads from its first middleware to its last. Django's own ASGI handler
makes a thread for each request and goes to and fro between it and the event loop: three times the work for a short answer, and a
new database connection each time. Only answers that go on for long (a log that is followed) are left to it: they would keep a thread.
"""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnmweb.settings")
gc.disable()  # while everything is loaded there is much to go through, and nothing to collect
endless = get_asgi_application()  # loads the apps, which the imports below need
short = get_wsgi_application()

from a2wsgi import WSGIMiddleware  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import re_path  # noqa: E402

from networks.live.origin import SameOrigin  # noqa: E402
from networks.live.routing import urlpatterns  # noqa: E402

THREADS = 32
"""Requests at once; each may wait for the kernel. More wait in line."""
ENDLESS = r"^(api/v1/containers/[^/]+/logs|containers/[^/]+/log/)$"

application = ProtocolTypeRouter(
    {
        "http": URLRouter([re_path(ENDLESS, endless), re_path("", WSGIMiddleware(short, workers=THREADS))]),
        "websocket": SameOrigin(AuthMiddlewareStack(URLRouter(urlpatterns))),
    }
)

import_module(settings.ROOT_URLCONF)  # every view is loaded now, and not while the first request waits
gc.enable()
gc.collect()
gc.freeze()  # what is loaded by now stays: the collector need not go through it again and again
