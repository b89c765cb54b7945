"""``manage.py bootstrap``: what must be in the database before the first process starts. Run again, it changes nothing."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from cnmweb import env
from networks import feed
from networks.models import Host
from networks.services.images import ensure_host_image
from networks.services.networks import ensure_defaults
from networks.services.users import ensure_admin


class Command(BaseCommand):
    help = "Make this host's row, its predefined networks and the first admin, where they are not there yet."

    def handle(self, *args: Any, **options: Any) -> None:
        host = _host()
        ensure_defaults(host)
        ensure_host_image(host)
        name = env.text("CNM_ADMIN_USER", "admin")
        given = env.text("CNM_ADMIN_PASSWORD")
        password = given or secrets.token_urlsafe(12)
        if ensure_admin(name, password):
            self.stdout.write(f"The first admin is {name}." + ("" if given else f" Password (shown once): {password}"))


def _host() -> Host:
    wanted = {
        name: list(value) if isinstance(value, tuple) else value for name, value in settings.HOST_SETTINGS.items()
    }
    with feed.transaction("bootstrap"):
        host, created = Host.objects.get_or_create(name=settings.HOST_NAME, defaults={"settings": wanted})
        if created or host.settings != wanted:
            host.settings = wanted
            host.save(update_fields=["settings"])
            feed.put("host", host)
    return host
