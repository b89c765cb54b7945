"""Where each face answers."""

from django.urls import URLPattern, URLResolver, include, path

from networks.health import health
from networks.pages.views.api_docs import reference

urlpatterns: list[URLPattern | URLResolver] = [
    path("health", health),
    path("api/docs/", reference, name="api-docs"),
    path("api/", include("networks.api.urls")),
    path("", include("networks.pages.urls")),
]
handler404 = "networks.pages.views.absent.absent"
