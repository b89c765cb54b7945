"""A private PostgreSQL server for tests: a Unix socket in a folder that vanishes, run by an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

START_TIMEOUT_S = 60
USER = "nobody"
"""PostgreSQL refuses to run as root."""


class Postgres:
    """The server, running; ``url`` is what ``CNM_DATABASE_URL`` takes."""

    def __enter__(self) -> Self:
        # Host names have no capitals, and a folder in the place of one loses them.
        self._folder = Path(tempfile.mkdtemp(prefix="cnm-postgres-")).resolve()
        self._server: subprocess.Popen[bytes] | None = None
        user = pwd.getpwnam(USER)
        os.chown(self._folder, user.pw_uid, user.pw_gid)
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"postgres://{USER}@{quote(str(self._folder), safe='')}/postgres"

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait(timeout=20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        data = self._folder / "data"
        initdb = [_program("initdb"), "-D", data, "-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        done = subprocess.run(initdb, capture_output=True, text=True, timeout=120, check=False, **self._as_user())
        assert done.returncode == 0, done.stdout + done.stderr
        log = self._folder / "log"
        words = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", f"unix_socket_directories={self._folder}"]
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                [_program("postgres"), "-D", data, *words], stdout=output, stderr=output, **self._as_user()
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        ready = [_program("pg_isready"), "-q", "-h", self._folder]
        while subprocess.run(ready, check=False, timeout=20).returncode:
            assert time.monotonic() < deadline, log.read_text()
            assert self._server.poll() is None, log.read_text()
            time.sleep(0.05)

    def _as_user(self) -> dict[str, object]:
        return {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": [], "cwd": self._folder}


def _program(name: str) -> str:
    """The newest one; distributions keep the server's programs out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    assert found, f"{name} is missing: install the package postgresql (make tools)."
    return str(found[-1])
