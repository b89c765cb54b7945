"""Paths that are opened as if a folder were ``/``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from worker.runtime.kernel_calls import open_in

RENAMING = """
import os
os.mkdir("one"); os.mkdir("two"); open("one/it", "w").close(); print(flush=True)
while True:
    os.rename("one/it", "two/it"); os.rename("two/it", "one/it")
"""
LOOKS = 10_000


def test_a_path_with_dots_is_opened_while_somebody_renames_without_end(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for folder in (root / "usr/lib", elsewhere):
        folder.mkdir(parents=True)
    (root / "file").touch()
    (root / "usr/lib/link").symlink_to("../../file")
    command = [sys.executable, "-c", RENAMING]
    with subprocess.Popen(command, cwd=elsewhere, stdout=subprocess.PIPE) as renaming:
        try:
            assert renaming.stdout is not None
            renaming.stdout.readline()
            for _ in range(LOOKS):
                with open_in(root, "usr/lib/link", os.O_PATH):
                    pass
            assert renaming.poll() is None, "somebody renamed all the time"
        finally:
            renaming.kill()
