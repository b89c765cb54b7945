"""The WebSocket addresses."""

from django.urls import path

from .consumer import LiveConsumer
from .terminal import TerminalConsumer

urlpatterns = [
    path("ws/live/", LiveConsumer.as_asgi()),
    path("ws/terminals/<str:session>/", TerminalConsumer.as_asgi()),
]
