"""``make join CONSOLE=https://…``: become one more host of a CNM Web whose console runs elsewhere.

The token of an admin there is asked for, or read from CNM_JOIN_TOKEN: it stands in no command line. What the console answers (how to reach
its PostgreSQL and its Redis, and the key that signs messages) goes into the file of settings, which root and the product's user read.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))

import configuration
import up
from layout import CONFIG, refuse, require_root, say

PATIENCE_S = 20
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def main() -> None:
    require_root()
    os.umask(0o022)
    there = configuration.kept()
    if CONFIG.exists() and "CNM_DATABASE_URL" not in there:
        refuse(f"this host has a CNM Web of its own ({CONFIG}): take it away first (make purge), then join.")
    if CONFIG.exists():
        say(f"This host has joined already: {CONFIG} says where its database is.")
    else:
        name = os.environ.setdefault("CNM_HOST_NAME", socket.gethostname())
        os.environ.update(ask(console_of(os.environ.get("CONSOLE", "")), token(), name), CNM_CONSOLE="false")
        configuration.check()
        configuration.configure()  # at once: the token is good for nobody any more
    up.main()


def console_of(text: str) -> str:
    """The address of the console, without a slash at its end. By HTTPS, for what it answers is secret."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        refuse("say where the console is: make join CONSOLE=https://console.example")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and os.environ.get("CNM_JOIN_PLAIN") != "true":
        refuse(
            f"{text} speaks no TLS, and what it answers is secret: give its https:// address,"
            " or set CNM_JOIN_PLAIN=true where nobody listens on the way."
        )
    return text.rstrip("/")


def token() -> str:
    given = os.environ.get("CNM_JOIN_TOKEN", "")
    return given or getpass.getpass("Join token (an admin of the console makes one): ").strip()


def ask(console: str, secret: str, name: str) -> dict[str, str]:
    """What the console tells a host that joins as *name*. Stops with its reason where it refuses."""
    body = json.dumps({"token": secret, "name": name}).encode()
    request = urllib.request.Request(  # noqa: S310  # an address that root typed
        f"{console}/api/v1/hosts/join", data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            settings: dict[str, str] = json.load(answer)["settings"]
            return settings
    except urllib.error.HTTPError as error:
        refuse(f"{console} refuses: {_said(error)}")
    except (OSError, ValueError, KeyError) as error:
        refuse(f"{console} does not answer as a console: {error}")
    return {}


def _said(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.load(error)
        return f"{problem['detail']} {problem.get('remedy', '')}".strip()
    except (ValueError, KeyError):
        return str(error)


if __name__ == "__main__":
    main()
