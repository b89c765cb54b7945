"""WebSockets bring cookies along from any page of the web, so the page they come from is looked at."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.http.request import validate_host


class _Denier(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.close()


class SameOrigin:
    """Lets through a handshake whose Origin is the very host it was sent to, or one of ``CNM_TRUSTED_ORIGINS``.

    A client that is no browser sends no Origin; it has no cookies of somebody else to misuse.
    """

    def __init__(self, application: Any) -> None:
        self.application = application
        self._deny = _Denier.as_asgi()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        headers = {name.decode("latin1").lower(): value.decode("latin1") for name, value in scope.get("headers", [])}
        return await (self.application if _is_ours(headers) else self._deny)(scope, receive, send)


def _is_ours(headers: dict[str, str]) -> bool:
    host = headers.get("host", "")
    name = urlsplit(f"//{host}").hostname or ""
    name = f"[{name}]" if ":" in name else name
    allowed = settings.ALLOWED_HOSTS or (["localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    if not validate_host(name, allowed):
        return False
    origin = headers.get("origin", "")
    return not origin or urlsplit(origin).netloc == host or origin in settings.CSRF_TRUSTED_ORIGINS
