"""``pytest -p tests.testlib.on_postgresql``: every test of the run on one PostgreSQL server, which lives as long as the run.

A process of the run has a database of its own there (pytest-django's), and so has each product. The run fails where the server
had to end a deadlock or to refuse a connection, whatever became of the test in which that was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from .databases import SERVER
from .postgres import Postgres

FORBIDDEN = ("deadlock detected", "too many clients", "remaining connection slots", "out of shared memory")
_server: list[Postgres] = []
_seen: list[str] = []


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Before pytest-django reads the settings. The processes of a distributed run inherit the environment."""
    if SERVER not in os.environ:
        server = Postgres(connections=400)
        server.__enter__()
        _server.append(server)
        os.environ |= {SERVER: server.url, "CNM_DATABASE_URL": server.url}
    return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    for server in _server:
        _seen.extend(line for line in server.log().splitlines() if any(word in line for word in FORBIDDEN))
    if _seen:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _seen:
        terminalreporter.section("what PostgreSQL should never have had to say", red=True)
        terminalreporter.write_line("\n".join(_seen))


def pytest_unconfigure() -> None:
    while _server:
        _server.pop().close()
