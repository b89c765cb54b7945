"""``manage.py worker_error``: why this host's worker cannot start, in words; nothing where it can."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from networks.cnm.errors import from_json
from networks.models import Host


class Command(BaseCommand):
    help = "Say why this host's worker cannot start."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        error = Host.objects.filter(name=settings.HOST_NAME).values_list("error", flat=True).first()
        if error:
            self.stdout.write(str(from_json(error)))
