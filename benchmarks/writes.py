"""How often a throw-away host's rules were written."""

from __future__ import annotations

from tests.testlib.bottle import Bottle
from worker.firewall.generation import Generation


def rule_generation(bottle: Bottle) -> int:
    """The number of rule transactions that the throw-away host has seen (nf_tables' generation id)."""
    return int(bottle.python(read_generation))


def read_generation() -> int:
    """Runs inside."""
    return Generation().read() or 0
