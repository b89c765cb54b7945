"""What every test may use: throw-away hosts (see :mod:`tests.testlib.bottle`)."""

from tests.testlib.bottle import bottle, bottles, uplink_bottle

__all__ = ["bottle", "bottles", "uplink_bottle"]
