"""``make purge``: take everything away, the database and the images too."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import down
from layout import CACHE, CONFIG, LOGS, PREFIX, STATE, USER, refuse, require_root, run, say, user_exists


def main() -> None:
    require_root()
    if os.environ.get("CNM_YES") != "1":
        if not sys.stdin.isatty():
            refuse("this deletes the database and all images: say so with CNM_YES=1.")
        if input("Delete the database, all images and all files of containers? [yes/no] ").strip() != "yes":
            refuse("nothing was deleted.")
    down.main()
    for folder in (STATE, LOGS, PREFIX, CACHE, CONFIG.parent):
        shutil.rmtree(folder, ignore_errors=True)
    if user_exists():
        run(["userdel", USER])
    say("CNM Web is gone from this host.")


if __name__ == "__main__":
    main()
