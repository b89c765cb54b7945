"""Where each face answers."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("networks.api.urls")),
    path("", include("networks.pages.urls")),
]
