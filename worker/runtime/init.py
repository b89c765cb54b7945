"""A small init for containers, where the host has one: it reaps orphans and passes signals on, as the first process of the container.

It is mounted into root filesystems that know nothing of the host's libraries, so only one that needs none will do. Docker calls its own
``docker-init`` (tini); catatonit is that of Podman.
"""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

from networks.cnm.errors import Unsupported
from networks.cnm.text import gettext_noop

PROGRAMS = ("docker-init", "catatonit", "tini-static", "tini")
_PLACES = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/libexec/docker:/usr/libexec/podman:/usr/libexec/catatonit"
_INTERPRETER = 3
"""PT_INTERP (elf(5)): the program is put together by a dynamic linker."""
NO_INIT = gettext_noop("This host has no init that can run in any container: a program without libraries.")
INSTALL_INIT = gettext_noop("Install the package tini or catatonit (docker.io brings one, too).")


def needed_init() -> Path:
    """As :func:`find_init`. Raises Unsupported where there is none."""
    found = find_init()
    if found is None:
        raise Unsupported(NO_INIT, remedy=INSTALL_INIT, field="init")
    return found


def find_init(path: str = "") -> Path | None:
    """The first of :data:`PROGRAMS` that needs no libraries, in *path* (default: the environment's and the usual places)."""
    where = path or f"{os.environ.get('PATH', '')}:{_PLACES}"
    for name in PROGRAMS:
        found = shutil.which(name, path=where)
        if found is not None and is_static(Path(found)):
            return Path(found).resolve()
    return None


def is_static(program: Path) -> bool:
    """Whether *program* is an ELF executable that names no dynamic linker."""
    try:
        with program.open("rb") as file:
            head = file.read(64)
            if len(head) < 52 or head[:4] != b"\x7fELF" or head[4] not in {1, 2}:
                return False
            order = "<" if head[5] == 1 else ">"
            wide = head[4] == 2
            start = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)[0]
            size, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
            file.seek(start)
            table = file.read(size * count)
        return all(struct.unpack_from(f"{order}I", table, size * n)[0] != _INTERPRETER for n in range(count))
    except (OSError, struct.error):
        return False
