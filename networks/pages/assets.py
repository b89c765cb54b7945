"""The built browser side: which file, under which hashed name."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.templatetags.static import static

FOLDER = "dist"


class NotBuilt(Exception):
    """The browser side was not built, or its folder is not where the settings say."""


def address(name: str) -> str:
    """The address of ``app.js``, ``app.css``, ``icons.svg``, … Raises :class:`NotBuilt`."""
    names = manifest()
    if name not in names:
        raise NotBuilt(name)
    return static(f"{FOLDER}/{names[name]}")


def is_built() -> bool:
    try:
        return bool(manifest())
    except NotBuilt:
        return False


def manifest() -> dict[str, str]:
    """The names as built last: the manifest is read again when it has changed."""
    for folder in (Path(settings.STATIC_ROOT), Path(settings.BASE_DIR) / "static"):
        path = folder / FOLDER / "manifest.json"
        try:
            return _read(str(path), path.stat().st_mtime_ns)
        except FileNotFoundError:
            continue
    raise NotBuilt("manifest.json")


@lru_cache(maxsize=4)
def _read(path: str, _changed: int) -> dict[str, str]:
    return dict(json.loads(Path(path).read_text()))
