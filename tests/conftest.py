"""What every test may use: throw-away hosts (:mod:`tests.testlib.bottle`) and a host in the database (:mod:`tests.testlib.world`)."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.testlib.bottle import bottle, bottles, uplink_bottle
from tests.testlib.world import django_db_modify_db_settings, world

__all__ = ["bottle", "bottles", "django_db_modify_db_settings", "uplink_bottle", "world"]

# How long an example takes says something about the machine's load, and nothing about the code. A run is the same sample each
# time; `make test-long` looks for other examples.
settings.register_profile("sample", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("sample")

LONGEST_FIRST = ("packaging", "product", "browser", "kernel", "live", "golden")
"""Folders whose modules take minutes, in the order in which they are handed out. The many short ones of the other folders come
last, so that the processes of a run end together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Within a folder the order stays as it was shuffled."""
    items.sort(key=lambda item: _turn(item.path))


def _turn(path: Path) -> int:
    folder = path.relative_to(Path(__file__).parent).parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)
