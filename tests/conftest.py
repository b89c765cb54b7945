"""What every test may use: throw-away hosts (:mod:`tests.testlib.bottle`) and a host in the database (:mod:`tests.testlib.world`)."""

from hypothesis import settings

from tests.testlib.bottle import bottle, bottles, uplink_bottle
from tests.testlib.world import django_db_modify_db_settings, world

__all__ = ["bottle", "bottles", "django_db_modify_db_settings", "uplink_bottle", "world"]

# How long an example takes says something about the machine's load, and nothing about the code. A run is the same sample each
# time; `make test-long` looks for other examples.
settings.register_profile("sample", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("sample")
