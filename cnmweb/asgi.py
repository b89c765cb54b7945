"""The ASGI entry: HTTP by Django, WebSocket by Channels."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnmweb.settings")
application = get_asgi_application()
