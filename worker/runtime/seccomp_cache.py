"""The seccomp profile as the runtime compiled it, kept for the next container.

libseccomp needs some 10 ms to compile the profile, as long as everything else together. crun leaves the result beside a
container and takes one by an annotation (crun(1), ``run.oci.seccomp_bpf_data``); where it does not know the annotation,
it compiles the profile, which stays in ``config.json`` all the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .folders import Folders, make_folder

ANNOTATION = "run.oci.seccomp_bpf_data"
COMPILED = "seccomp.bpf"
INSTRUCTION_BYTES = 8
"""Of a ``struct sock_filter`` (linux/filter.h)."""


class SeccompCache:
    """Compiled profiles by what they were compiled from and by whom; below ``run_dir``, so a reboot forgets them."""

    def __init__(self, folders: Folders, program: str) -> None:
        self._folder = folders.run_dir / "seccomp"
        self._runtime_root = folders.runtime_root
        found = os.stat(program)
        self._maker = f"{program} {found.st_mtime_ns} {found.st_size} {os.uname().release}"
        self._known: dict[str, str] = {}

    def annotations(self, profile: Mapping[str, Any]) -> dict[str, str]:
        """What hands the compiled *profile* to the runtime; nothing when it was not compiled yet."""
        key = self._key(profile)
        if key not in self._known:
            try:
                self._known[key] = base64.b64encode((self._folder / key).read_bytes()).decode()
            except FileNotFoundError:
                return {}
        return {ANNOTATION: self._known[key]}

    def keep(self, profile: Mapping[str, Any], container_id: str) -> None:
        """Keep what the runtime compiled for a container that it has just made from *profile* without our help."""
        key = self._key(profile)
        if key in self._known:
            return
        try:
            content = (self._runtime_root / container_id / COMPILED).read_bytes()
        except FileNotFoundError:
            return  # this runtime does not leave it
        if not content or len(content) % INSTRUCTION_BYTES:
            return
        make_folder(self._folder, 0o700)
        draft: Path = self._folder / f".{key}.{os.getpid()}"
        draft.write_bytes(content)
        draft.rename(self._folder / key)

    def _key(self, profile: Mapping[str, Any]) -> str:
        return hashlib.sha256(f"{self._maker}\n{json.dumps(profile, sort_keys=True)}".encode()).hexdigest()
