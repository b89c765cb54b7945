"""``manage.py bootstrap``: what must be in the database before the first process starts. Run again, it changes nothing.

It is run at each start and restart, for it takes the environment's settings of this host into the database, too.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from cnmweb import env
from networks import feed
from networks.cnm.errors import CnmError
from networks.cnm.facts import HostFacts
from networks.models import Host
from networks.services.boot import start_stopped
from networks.services.images import ensure_host_image
from networks.services.networks import ensure_defaults
from networks.services.users import ensure_admin

FACTS_TIMEOUT_S = 60


class Command(BaseCommand):
    help = (
        "Make this host's row, its predefined networks and the first admin, and take its settings from the environment."
    )

    requires_system_checks = ()  # they load every page, and `migrate` before it and `make up` at its end run them

    def handle(self, *args: Any, **options: Any) -> None:
        facts = _facts()
        try:
            with feed.transaction("bootstrap"):  # settings that are refused leave the former ones whole
                host = _host()
                ensure_defaults(host, facts)
                ensure_host_image(host)
                self._ensure_admin()
        except CnmError as error:
            raise CommandError(f"{error.field}: {error}" if error.field else str(error)) from error
        if not (settings.RUN_DIR / "kernel.pid").exists():  # no worker has run since the boot, or since `make down`
            self._start_stopped(host)

    def _ensure_admin(self) -> None:
        name = env.text("CNM_ADMIN_USER", "admin")
        given = env.text("CNM_ADMIN_PASSWORD")
        password = given or secrets.token_urlsafe(12)
        if ensure_admin(name, password):
            # Said before it is kept: whatever ends this program, nobody is left with a password that was not shown.
            self.stdout.write(f"The first admin is {name}." + ("" if given else f" Password (shown once): {password}"))
            self.stdout.flush()

    def _start_stopped(self, host: Host) -> None:
        _, refused = start_stopped(host)
        for container, error in refused:
            self.stderr.write(f"Container {container.name} was not started: {error}")


def _host() -> Host:
    wanted = {
        name: list(value) if isinstance(value, tuple) else value for name, value in settings.HOST_SETTINGS.items()
    }
    if not env.flag("CNM_CONSOLE", True) and not Host.objects.filter(name=settings.HOST_NAME).exists():
        raise CommandError(
            f"this host ({settings.HOST_NAME}) joined a CNM Web that knows it no more: an admin removed it there."
            " Take it away (make purge), and let it join again (make join)."
        )
    host, created = Host.objects.get_or_create(name=settings.HOST_NAME, defaults={"settings": wanted})
    if created or host.settings != wanted:
        host.settings = wanted
        host.save(update_fields=["settings"])
        feed.put("host", host)
    return host


def _facts() -> HostFacts:
    """What anybody may read of this host now. A program of the worker's reads it: this side never asks the kernel."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "worker.facts"],
            cwd=settings.BASE_DIR,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=FACTS_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise CommandError(f"the routes and addresses of this host could not be read: {error.stderr}") from error
    return HostFacts.from_json(json.loads(done.stdout))
