"""Where a host's plugins are: sockets and files in a few folders, as Docker looks for them (``docs/extend/plugin_api.md``).

``NAME.sock`` (or ``NAME/NAME.sock``) is a socket that the plugin listens at; ``NAME.spec`` holds one address; ``NAME.json`` holds an
address with what TLS needs. The first folder that knows a name has it, and in one folder the first of these three.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from networks.cnm.plugins import PLUGIN_NAME

MOST_BYTES = 1 << 16
"""How long a file that names a plugin may be."""
SCHEMES = {"unix": 0, "tcp": 80, "http": 80, "https": 443}
"""How a plugin's address may begin, and the port where it names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a connection by TLS needs: files, and whether the other side is to prove who it is."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a plugin listens."""

    name: str
    url: str = ""
    socket: str = ""
    """The path of its socket; empty where it is reached by TCP."""
    host: str = ""
    port: int = 0
    tls: Tls | None = None
    identity: str = ""
    """Changes where the plugin was started anew, as far as can be told from here: by its socket's inode, or by our own boot."""
    fault: str = ""
    """Why the file that names it cannot be used; empty where it can."""


def find_plugins(folders: Iterable[Path], besides: str = "") -> dict[str, Address]:
    """Every plugin that *folders* name, by its name, sorted. A folder that is not there holds none. The socket *besides* is our own: we
    are no plugin of ourselves."""
    found: dict[str, Address] = {}
    for folder in folders:
        for address in _in_folder(folder):
            if not besides or address.socket != besides:
                found.setdefault(address.name, address)
    return dict(sorted(found.items()))


def _in_folder(folder: Path) -> Iterator[Address]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for suffix in (".sock", "", ".spec", ".json"):
        for entry in names:
            name = entry.removesuffix(suffix)
            if not entry.endswith(suffix) or not PLUGIN_NAME.match(name):
                continue
            path = folder / entry / f"{entry}.sock" if not suffix else folder / entry
            try:
                found = os.stat(path)
            except OSError:
                continue
            address = _at_socket(name, path, found) if suffix in {".sock", ""} else _in_file(name, path, found)
            if address is not None:
                yield address


def _at_socket(name: str, path: Path, found: os.stat_result) -> Address | None:
    if not stat.S_ISSOCK(found.st_mode):
        return None
    return Address(name=name, url=f"unix://{path}", socket=str(path), identity=_identity(found))


def _in_file(name: str, path: Path, found: os.stat_result) -> Address | None:
    if not stat.S_ISREG(found.st_mode):
        return None
    identity = f"{_boot()}:{_identity(found)}"
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode()
        if path.suffix == ".spec":
            return _read_url(name, text.strip(), None, identity)
        value = _read_json(text)
        if not isinstance(value, Mapping):
            raise ValueError("it holds no JSON object")
        return _read_url(name, str(value.get("Addr") or ""), _read_tls(value.get("TLSConfig")), identity)
    except (OSError, ValueError) as error:
        return Address(name=name, url=str(path), identity=identity, fault=f"{path}: {error}")


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _read_tls(value: Any) -> Tls | None:
    """Without an authority of its own the machine's are asked; only who says so themselves is not asked to prove who they are."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("TLSConfig is no JSON object")
    texts = [str(value.get(key) or "") for key in ("CAFile", "CertFile", "KeyFile")]
    return Tls(ca=texts[0], cert=texts[1], key=texts[2], verified=value.get("InsecureSkipVerify") is not True)


def _read_url(name: str, url: str, tls: Tls | None, identity: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"{url!r} is no address: it begins with none of {', '.join(f'{item}://' for item in SCHEMES)}")
    if parts.scheme == "unix":
        path = parts.netloc + parts.path
        if not path.startswith("/"):
            raise ValueError(f"{url!r} names no path from the root")
        return Address(name=name, url=url, socket=path, identity=identity)
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host")
    parts.hostname.encode("idna")  # as every connection does: what cannot be a name is the file's fault, a ValueError
    if tls is None and parts.scheme == "https":
        tls = Tls()
    port = parts.port or (SCHEMES["https"] if tls else SCHEMES[parts.scheme])
    return Address(name=name, url=url, host=parts.hostname, port=port, tls=tls, identity=identity)


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _identity(found: os.stat_result) -> str:
    return f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}"
