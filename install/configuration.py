"""The file of settings, ``/etc/cnm/cnm.env``, and what the installer itself reads from it.

systemd reads the same file (``EnvironmentFile=``), so it is written and read by systemd's rules: see systemd.exec(5).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from layout import CONFIG, CURRENT, RUN, STATE, USER, refuse, run

ONCE = ("CNM_ADMIN_PASSWORD", "CNM_ADMIN_USER", "CNM_YES", "CNM_DEMO_PORT", "CNM_JOIN_TOKEN", "CNM_JOIN_PLAIN")
"""Read at one run and never kept."""
FIXED = {"CNM_STATE_DIR": str(STATE), "CNM_RUN_DIR": str(RUN), "CNM_STATIC_ROOT": str(CURRENT / "staticfiles")}
"""Where the installer puts things: it owns these folders, and takes them away."""
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, and answered by loopback
_HEAD = "# Settings of CNM Web, one NAME=value a line; see docs/settings.md. Then: make restart\n"
_ESCAPED = '"\\`$'


def configure() -> bool:
    """Keep the CNM_* variables of the first start; later ones are changed in the file."""
    if CONFIG.exists():
        return False
    CONFIG.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = CONFIG.with_suffix(".new")
    new.touch(mode=0o640)
    new.chmod(0o640)  # it may hold a password
    new.write_text(_HEAD + "".join(f"{name}={quote(value)}\n" for name, value in sorted(given().items())))
    new.rename(CONFIG)
    return True


def given() -> dict[str, str]:
    """The settings in this run's own environment."""
    return {name: value for name, value in os.environ.items() if name.startswith("CNM_") and name not in ONCE}


def ignored() -> list[str]:
    """Settings of this run's environment that the file, made by an earlier run, does not have."""
    there = kept()
    return [name for name, value in sorted(given().items()) if there.get(name) != value]


def check() -> None:
    """Stop, before anything is changed, at settings that an installed product cannot have."""
    for source in (given(), kept()):
        for name, fixed in FIXED.items():
            if source.get(name, fixed) != fixed:
                refuse(
                    f"{name}={source[name]} cannot be used: an installed CNM Web keeps its files in {fixed}."
                    f" Mount or link another place there, and leave {name} out."
                )
        bind(source)


def kept() -> dict[str, str]:
    """The settings of the file."""
    try:
        text = CONFIG.read_text()
    except FileNotFoundError:
        return {}
    values = {}
    for line in text.splitlines():
        name, found, value = line.strip().partition("=")
        if found and name.startswith("CNM_"):
            values[name] = unquote(value)
    return values


def configuration() -> dict[str, str]:
    """The ``CNM_*`` variables that every process gets."""
    return {**kept(), **FIXED}


def quote(value: str) -> str:
    """*value* as it stands in the file. Raises SystemExit for one that takes more than a line."""
    if "\n" in value:
        refuse(f"a setting cannot hold a line break: {value!r}.")
    if value and not any(character in " \t'\"\\" for character in value):
        return value
    return '"' + "".join(f"\\{character}" if character in _ESCAPED else character for character in value) + '"'


def unquote(text: str) -> str:
    """The inverse of :func:`quote`, for whatever a person may write, by systemd's rules."""
    text = text.strip()
    if text.startswith("'"):
        return text[1:].partition("'")[0]
    quoted = text.startswith('"')
    value, escaped = "", False
    for character in text[1:] if quoted else text:
        if escaped:
            value += character if character in _ESCAPED or not quoted else f"\\{character}"
            escaped = False
        elif character == "\\":
            escaped = True
        elif quoted and character == '"':
            break
        else:
            value += character
    return value


def bind(values: Mapping[str, str] | None = None) -> tuple[str, int]:
    """Address and port of the console: ``CNM_BIND``, an IPv6 address in brackets."""
    said = (configuration() if values is None else values).get("CNM_BIND", "127.0.0.1:8000")
    address, _, port = said.rpartition(":")
    if not address or not port.isdigit() or not 0 < int(port) < 65536 or (":" in address) != address.startswith("["):
        refuse(f"CNM_BIND={said} cannot be used: give an address and a port, such as 127.0.0.1:8000 or [::1]:8000.")
    return address.strip("[]"), int(port)


def has_console() -> bool:
    """Whether this host has a web process. One that joined another's console has none, unless its settings say so."""
    return configuration().get("CNM_CONSOLE", "true").lower() not in {"0", "false", "no", "off"}


def address() -> str:
    """Where this host itself finds the console."""
    host, port = bind()
    host = EVERY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


BASE = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": str(STATE),
    "PYTHONPATH": str(CURRENT),
    "PYTHONDONTWRITEBYTECODE": "1",
    "DJANGO_SETTINGS_MODULE": "cnmweb.settings",
    "C_FORCE_ROOT": "1",  # Celery asks whether root is meant: the kernel worker is root's by design
    **FIXED,
}
"""What every process gets beside the settings of the file. Nothing of the caller's environment leaks in, and nothing here is secret."""


def environment() -> dict[str, str]:
    """The whole environment of the product's processes."""
    return {**kept(), **BASE}


def manage(*words: str, env: Mapping[str, str] | None = None, show: bool = False) -> str:
    """A management command of the installed product, as the product's own user; what it printed, unless it was shown at once."""
    command = [CURRENT / "venv/bin/python", CURRENT / "manage.py", *words]
    return run(command, cwd=CURRENT, env={**environment(), **(env or {})}, user=USER, show=show)
