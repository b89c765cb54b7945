"""``make restart``: replace our processes while containers run, with the settings that the file has now."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import configuration
import services
from layout import CURRENT, refuse, require_root, say
from up import bootstrap, make_folders, wait_until_ready, where


def main() -> None:
    require_root()
    if not CURRENT.exists():
        refuse("it is not installed here: run make up first.")
    configuration.check()
    make_folders()
    bootstrap()  # settings that cannot be used stop here, and the processes go on with the former ones
    services.restart()
    wait_until_ready()
    say(f"CNM Web was restarted; it is at {where()}")


if __name__ == "__main__":
    main()
