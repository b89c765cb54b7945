"""A private PostgreSQL server for tests: a Unix socket in a folder that vanishes, run by an ordinary user."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from .certificates import Certificate

START_TIMEOUT_S = 60
USER = "nobody"
"""PostgreSQL refuses to run as root."""


class Postgres:
    """The server, running; ``url`` is what ``CNM_DATABASE_URL`` takes.

    *namespace* is a network namespace's file in which it also listens on TCP, at *address*, and wants a password (``tcp_url``).
    *connections* at most are open at once; by default as many as those who never change a setting have. With a *certificate* it speaks
    TLS there, and nothing else.
    """

    def __init__(
        self, namespace: str = "", address: str = "", connections: int = 100, certificate: Certificate | None = None
    ) -> None:
        self._certificate = certificate
        self._namespace, self._address = namespace, address
        self._connections = connections
        self._password = secrets.token_hex(8)

    def __enter__(self) -> Self:
        # Host names have no capitals, and a folder in the place of one loses them.
        self._folder = Path(tempfile.mkdtemp(prefix="cnm-postgres-")).resolve()
        self._server: subprocess.Popen[bytes] | None = None
        user = pwd.getpwnam(USER)
        os.chown(self._folder, user.pw_uid, user.pw_gid)
        self._folder.chmod(0o755)  # the product's own user connects, too
        try:
            self._initialise()
            self.start()
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

    @property
    def tcp_url(self) -> str:
        url = f"postgres://{USER}:{self._password}@{self._address}:5432/postgres"
        return f"{url}?sslmode=verify-full&sslrootcert={self._certificate.public}" if self._certificate else url

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        """At once: whoever is connected is cut off."""
        server, self._server = self._server, None
        if server is not None:
            server.send_signal(signal.SIGQUIT)  # not KILL, which leaves its shared memory to the machine
            server.wait(timeout=20)

    def restart(self) -> None:
        """As at a power cut, with what was committed still there."""
        self.stop()
        self.start()

    def log(self) -> str:
        """All that the server has said."""
        return (self._folder / "log").read_text(errors="replace")

    def _initialise(self) -> None:
        data = self._folder / "data"
        word = self._folder / "password"
        word.write_text(self._password)
        word.chmod(0o644)
        initdb = [_program("initdb"), "-D", data, "-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        # As most servers sort: by a language's rules, and not by bytes.
        initdb += ["--locale-provider=icu", "--icu-locale=en-US", "--auth-host=scram-sha-256", f"--pwfile={word}"]
        done = subprocess.run(
            initdb, capture_output=True, text=True, timeout=120, check=False, **_as_user(self._folder)
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if self._namespace:
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"{'hostssl' if self._certificate else 'host'} all all samenet scram-sha-256\n")
        if self._certificate is not None:
            user = pwd.getpwnam(USER)
            for name, path in (("server.crt", self._certificate.public), ("server.key", self._certificate.private)):
                shutil.copy(path, data / name)
                os.chown(data / name, user.pw_uid, user.pw_gid)
                (data / name).chmod(0o600)

    def start(self) -> None:
        log = self._folder / "log"
        listen = f"listen_addresses={self._address}"
        words = ["-c", listen, "-c", "fsync=off", "-c", f"unix_socket_directories={self._folder}"]
        words += ["-c", f"max_connections={self._connections}", *(["-c", "ssl=on"] if self._certificate else [])]
        who = pwd.getpwnam(USER)
        drop = ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--pdeathsig=QUIT"]
        command = [*drop, _program("postgres"), "-D", str(self._folder / "data"), *words]
        if self._namespace:
            command = ["nsenter", f"--net={self._namespace}", *command]
        with log.open("ab") as output:
            self._server = subprocess.Popen(command, stdout=output, stderr=output, cwd=self._folder)
        deadline = time.monotonic() + START_TIMEOUT_S
        ready = [_program("pg_isready"), "-q", "-h", self._folder]
        while subprocess.run(ready, check=False, timeout=20).returncode:
            assert time.monotonic() < deadline, log.read_text()
            assert self._server.poll() is None, log.read_text()
            time.sleep(0.05)


def _as_user(folder: Path) -> dict[str, object]:
    return {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": [], "cwd": folder}


def _program(name: str) -> str:
    """The newest one; distributions keep the server's programs out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    assert found, f"{name} is missing: install the package postgresql (make tools)."
    return str(found[-1])
