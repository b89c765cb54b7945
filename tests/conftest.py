"""What every test may use: throw-away hosts (:mod:`tests.testlib.bottle`) and a host in the database (:mod:`tests.testlib.world`)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings
from hypothesis import settings

from tests.testlib.bottle import bottle, bottles, uplink_bottle
from tests.testlib.world import django_db_modify_db_settings, world

__all__ = ["bottle", "bottles", "django_db_modify_db_settings", "uplink_bottle", "world"]

# How long an example takes says something about the machine's load, and nothing about the code. A run is the same sample each
# time; `make test-long` looks for other examples.
settings.register_profile("sample", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("sample")

LONGEST_FIRST = ("packaging", "browser", "product", "multihost", "kernel", "live", "api", "services", "golden")
"""Folders whose modules take minutes, in the order in which they are handed out. The many short ones of the other folders come
last, so that the processes of a run end together."""


# Dozens of processes of the product are started: none compiles again what another has compiled.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure() -> None:
    """The catalogues as they are now: a test of words needs no `make` before it."""
    for catalogue in (Path(__file__).parents[1] / "locale").rglob("*.po"):
        compiled = catalogue.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < catalogue.stat().st_mtime:
            beside = compiled.with_suffix(f".{os.getpid()}")  # another process of the run may do the same
            subprocess.run(["msgfmt", f"--output-file={beside}", catalogue], check=True)
            beside.replace(compiled)


@pytest.fixture(autouse=True, scope="session")
def cheap_passwords() -> Iterator[None]:
    """Hashing a password is made to take long, and most of these tests only need somebody who is signed in."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Within a folder the order stays as it was shuffled."""
    items.sort(key=lambda item: _turn(item.path))


def _turn(path: Path) -> int:
    folder = path.relative_to(Path(__file__).parent).parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)
