"""Takes an archive out of the web's folder: what the web can still write is never opened by root where it lies."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from networks.cnm.errors import InvalidSpec, NotFound
from networks.cnm.text import gettext_noop

_NAME = re.compile(r"[0-9a-f]{32}\Z")


@contextmanager
def taken(uploads: Path, own: Path, name: str) -> Iterator[Path]:
    """The archive *name*, moved from *uploads* into *own* (a folder of root's on the same filesystem); deleted at the end.

    A rename moves a symbolic link itself, and in *own* nobody can swap it any more, so the check of its kind holds. Raises
    NotFound when it is gone, InvalidSpec when it is no plain file.
    """
    if not _NAME.match(name):
        raise InvalidSpec(gettext_noop("{name} is not the name of an upload."), field="source", name=repr(name))
    path = own / f"upload-{name}"
    try:
        if not path.exists():  # a former worker may have died over it
            os.rename(uploads / name, path)
        if not stat.S_ISREG(path.lstat().st_mode):
            raise InvalidSpec(gettext_noop("What was sent is no plain file."), field="source")
        yield path
    except FileNotFoundError:
        raise NotFound(
            gettext_noop("The archive that was sent is not there any more."), remedy=gettext_noop("Send it again.")
        ) from None
    finally:
        path.unlink(missing_ok=True)
