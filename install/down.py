"""``make down``: stop everything and take all kernel state of ours away. Database, images and files stay."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import services
import units
from configuration import environment
from layout import CURRENT, RUN, require_root, run, say
from processes import programs


def main() -> None:
    require_root()
    if not CURRENT.exists():
        say("CNM Web is not installed here.")
        return
    say("CNM Web: make down")
    services.stop(["web", "engine", "monitor", "slow", "kernel"])
    if RUN.exists():
        say("  stopping containers")
        say("  " + run([CURRENT / "venv/bin/python", "-m", "worker.down"], cwd=CURRENT, env=environment()).strip())
    services.stop([program.name for program in programs()])
    services.stop_supervisor()
    shutil.rmtree(RUN, ignore_errors=True)
    for folder in units.plugin_folders():
        with contextlib.suppress(OSError):
            folder.rmdir()
    say("  The kernel is as it was. Database and images stay; `make up` brings all of it back.")


if __name__ == "__main__":
    main()
