"""What a face shows to the process that holds terminals: signed, for one thing, for half a minute, once."""

from __future__ import annotations

import secrets
from typing import Any

from django.core import signing

from networks.exec_sessions import SALT
from networks.models import Host

from .actor import Actor


def signed(actor: Actor, host: Host, verb: str, **subject: Any) -> str:
    """A ticket of *actor*'s to what *subject* names on *host*; who makes it has checked that *actor* may."""
    value = {
        "host": host.name,
        **subject,
        "user": actor.name,
        "via": actor.via,
        "verb": verb,
        "once": secrets.token_hex(16),
    }
    return signing.dumps(value, salt=SALT)
