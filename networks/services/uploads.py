"""Archives that people send with their browser: kept in a folder of the web's own until the worker takes them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from networks.cnm.errors import InvalidSpec
from networks.cnm.text import gettext_noop
from networks.models import Host

from . import kept
from .actor import Actor
from .operations import check_alive

PREFIX = "upload:"
"""Begins the source of an image that was sent; the rest names a file in the folder of uploads."""
KEPT_S = 24 * 3600
"""What nobody has taken for so long never will be."""


def keep(chunks: Iterable[bytes]) -> str:
    """Write an archive down; the source that names it. Raises :class:`InvalidSpec` where it is too large, keeping nothing."""
    folder = Path(settings.UPLOAD_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget_old(folder)
    name = secrets.token_hex(16)
    path, written = folder / name, 0
    try:
        with path.open("xb") as file:
            for chunk in chunks:
                written += len(chunk)
                if written > settings.UPLOAD_MAX_BYTES:
                    raise InvalidSpec(
                        gettext_noop("The archive is larger than {most} MiB."),
                        remedy=gettext_noop("Copy it to the host and give its path, or raise CNM_UPLOAD_MAX_MIB."),
                        field="file",
                        most=settings.UPLOAD_MAX_BYTES // 2**20,
                    )
                file.write(chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if not written:
        path.unlink(missing_ok=True)
        raise InvalidSpec(
            gettext_noop("The archive is empty."), remedy=gettext_noop("Choose a tar archive."), field="file"
        )
    return PREFIX + name


def bring(actor: Actor, host: Host, source: str) -> None:
    """Have what *source* names lie where the worker of *host* looks for it. Raises Unavailable, and then it stays here."""
    check_alive(actor, host)
    if not kept.is_here(host):
        kept.send_upload(actor, host, Path(settings.UPLOAD_DIR) / source.removeprefix(PREFIX))
        forget(source)


def forget(source: str) -> None:
    """Delete what *source* names, where the worker was never asked to take it."""
    (Path(settings.UPLOAD_DIR) / source.removeprefix(PREFIX)).unlink(missing_ok=True)


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        if time.time() - path.lstat().st_mtime > KEPT_S:
            path.unlink(missing_ok=True)
