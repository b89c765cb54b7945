"""Where a product of the tests keeps its data: in a file of its own, or in a database of its own on the run's PostgreSQL server.

Both are copied, so that migrations run once a session.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

SERVER = "CNM_TEST_POSTGRES_URL"
"""The variable that names the run's server (:mod:`tests.testlib.on_postgresql`); without it products keep their data in files."""


class Database(Protocol):
    """The data of one product, which outlive a reboot."""

    server: str
    """Where it is, and copies of it can be."""
    env: dict[str, str]
    """What the product is told of it."""

    def keep(self) -> str:
        """Keep a copy of what there is now, for other products; its name. Nobody is connected."""

    def begin_with(self, kept: str) -> None:
        """Begin with what :meth:`keep` kept."""

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """One statement behind the product's back, committed; its rows."""

    def close(self) -> None:
        """Take it away."""


class InState:
    """A file of the state folder, which is copied with it."""

    def __init__(self, state: Path) -> None:
        self.server = ""
        self.env: dict[str, str] = {}
        self._file = state / "db/cnm.sqlite3"

    def keep(self) -> str:
        return ""

    def begin_with(self, kept: str) -> None:
        pass

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self._file, timeout=20)) as database, database:
            return database.execute(statement).fetchall()

    def close(self) -> None:
        pass


class OnServer:
    """A database on the server *url*."""

    def __init__(self, url: str) -> None:
        self.server = url
        self._name = _new_name()
        self._create(self._name)
        self.env = {"CNM_DATABASE_URL": urlunsplit(urlsplit(url)._replace(path=f"/{self._name}"))}

    def keep(self) -> str:
        name = _new_name()
        self._create(name, self._name)
        return name

    def begin_with(self, kept: str) -> None:
        self.close()
        self._create(self._name, kept)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.env["CNM_DATABASE_URL"], autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def close(self) -> None:
        self._tell(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self._name)))

    def _create(self, name: str, template: str = "template0") -> None:
        words = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._tell(words.format(sql.Identifier(name), sql.Identifier(template)))

    def _tell(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement)


def database_for(state: Path, server: str | None = None) -> Database:
    """A new, empty one on *server* (empty: in *state*), by default of the kind that this run is about."""
    server = os.environ.get(SERVER, "") if server is None else server
    return OnServer(server) if server else InState(state)


def _new_name() -> str:
    return f"product_{uuid.uuid4().hex[:12]}"
