"""Keys as the database keeps them: encrypted under a key that follows from ``CNM_SECRET_KEY``, which no database holds.

Every host of a console has that secret; it is told when it joins. Who reads the database alone, or a copy of it, learns no key.
"""

from __future__ import annotations

import base64
import os
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

from networks.cnm.errors import Conflict
from networks.cnm.text import gettext_noop

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PURPOSE = b"cnm: keys of security associations"
_NONCE_BYTES = 12


def seal(key: bytes, sender: str, receiver: str) -> str:
    """*key* as text for the database: good for what the host *sender* sends to *receiver*, and for no other pair."""
    nonce = os.urandom(_NONCE_BYTES)
    return base64.b64encode(nonce + _cipher().encrypt(nonce, key, _pair(sender, receiver))).decode()


def unseal(sealed: str, sender: str, receiver: str) -> bytes:
    """The key again. Raises :class:`Conflict` where it was sealed under another secret, or was tampered with."""
    from cryptography.exceptions import InvalidTag

    try:
        data = base64.b64decode(sealed, validate=True)
        return _cipher().decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _pair(sender, receiver))
    except (InvalidTag, ValueError) as error:
        raise Conflict(
            gettext_noop(
                "The key by which host {sender} sends to host {receiver} cannot be opened: it was sealed under another CNM_SECRET_KEY."
            ),
            remedy=gettext_noop(
                "Give all hosts the console's CNM_SECRET_KEY and run make restart there: keys are made anew then."
            ),
            sender=sender,
            receiver=receiver,
        ) from error


def _pair(sender: str, receiver: str) -> bytes:
    """Names of hosts hold no zero byte."""
    return f"{sender}\0{receiver}".encode()


def _cipher() -> AESGCM:
    return _cipher_under(settings.SECRET_KEY)


@lru_cache(maxsize=1)
def _cipher_under(secret: str) -> AESGCM:
    # Imported when a key is made or opened: most processes do neither, and it takes 70 ms.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode()))
