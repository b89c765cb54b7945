"""Where each face answers."""

from django.urls import URLPattern, URLResolver, include, path

from networks.health import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("health", health),
    path("api/", include("networks.api.urls")),
    path("", include("networks.pages.urls")),
]
