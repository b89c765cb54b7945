"""``python -m tests.testlib.scratch manage.py …``: a management command over folders that vanish afterwards."""

from __future__ import annotations

import os
import runpy
import sys
import tempfile


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cnm-scratch-") as folder:
        os.environ |= {"CNM_STATE_DIR": folder, "CNM_RUN_DIR": folder}
        sys.argv = sys.argv[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
