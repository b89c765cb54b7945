"""The web process's application: HTTP by Django, WebSockets by Channels, for browsers that come from our own pages only."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnmweb.settings")
http = get_asgi_application()  # loads the apps, which the imports below need

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from networks.live.origin import SameOrigin  # noqa: E402
from networks.live.routing import urlpatterns  # noqa: E402

application = ProtocolTypeRouter({"http": http, "websocket": SameOrigin(AuthMiddlewareStack(URLRouter(urlpatterns)))})
