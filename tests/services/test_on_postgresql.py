"""What several hosts share is a PostgreSQL server: the use cases are as right there as on SQLite."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.testlib.bottle import REPOSITORY
from tests.testlib.postgres import Postgres

FILES = ("test_at_once.py", "test_failed.py", "test_steady.py", "test_odd_text.py")


@pytest.mark.timeout(600)
def test_the_use_cases_hold_on_postgresql() -> None:
    with Postgres() as server:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *(f"tests/services/{name}" for name in FILES)],
            cwd=REPOSITORY,
            env=os.environ | {"CNM_DATABASE_URL": server.url},
            capture_output=True,
            text=True,
            timeout=560,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
