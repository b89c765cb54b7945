"""``manage.py rotate_keys``: exchange the keys by which hosts encrypt overlay networks for others, while packets flow."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from networks.services.actor import Actor
from networks.services.encryption import rotate_keys

ACTOR = Actor(name="shell", role="admin", via="shell")


class Command(BaseCommand):
    help = "Exchange the keys by which hosts encrypt overlay networks for others, while packets flow."

    def handle(self, *args: Any, **options: Any) -> None:
        found = rotate_keys(ACTOR)
        self.stdout.write(
            f"{found.begun} exchanges begin, {found.under_way} are under way: see GET /api/v1/associations"
        )
