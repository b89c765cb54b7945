"""What every test may use: throw-away hosts (:mod:`tests.testlib.bottle`) and a host in the database (:mod:`tests.testlib.world`)."""

from tests.testlib.bottle import bottle, bottles, uplink_bottle
from tests.testlib.world import django_db_modify_db_settings, world

__all__ = ["bottle", "bottles", "django_db_modify_db_settings", "uplink_bottle", "world"]
