"""``make restart``: replace our processes while containers run."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import services
from layout import CURRENT, refuse, require_root, say
from up import address, wait_until_ready


def main() -> None:
    require_root()
    if not CURRENT.exists():
        refuse("it is not installed here: run make up first.")
    services.restart()
    wait_until_ready()
    say(f"CNM Web was restarted; it is at {address()}")


if __name__ == "__main__":
    main()
