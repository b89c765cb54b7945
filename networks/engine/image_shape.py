"""Images in Docker's shapes, and finding one by what a Docker client calls it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from networks.models import Host, Image

from .errors import EngineError, not_supported
from .system import architecture
from .times import rfc3339

_REGISTRY = ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/")
HEX = frozenset("0123456789abcdef")
_HASH_LENGTH = 64


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a container's description needs of its image, which may be gone."""

    id: str = ""
    size: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)


def check_platform(wanted: str) -> None:
    """Raises EngineError for another system (``linux/arm64``) than the host's; a variant (``/v8``) is passed over."""
    system, _, machine = wanted.lower().partition("/")
    if system not in {"", "linux"} or machine.partition("/")[0] not in {"", architecture()}:
        raise not_supported(f"the platform {wanted}")


def id_of(row: Image) -> str:
    """``sha256:…``: the image's digest; of one without (``host``) a hash of its name."""
    digest = row.digest.removeprefix("sha256:")
    if len(digest) == _HASH_LENGTH and HEX.issuperset(digest):
        return f"sha256:{digest}"
    return f"sha256:{hashlib.sha256((digest or row.name).encode()).hexdigest()}"


def facts(row: Image | None) -> ImageFacts:
    return ImageFacts(id_of(row), row.size, row.config or {}) if row is not None else ImageFacts()


def plain_name(name: str) -> str:
    """A name without Docker Hub's own address, which clients put before it."""
    for beginning in _REGISTRY:
        if name.startswith(beginning):
            return name.removeprefix(beginning)
    return name


def find(host: Host, reference: str) -> Image | None:
    """The image called *reference*, with or without its tag, or whose id is it or begins so."""
    name = plain_name(reference)
    rows = host.images.filter(status="ready")
    found = rows.filter(name=name).first() or rows.filter(name=f"{name}:latest").first()
    if found is not None:
        return found
    wanted = reference.removeprefix("sha256:")
    if len(wanted) < 4 or not HEX.issuperset(wanted):
        return None
    matching = [row for row in rows if id_of(row).removeprefix("sha256:").startswith(wanted)]
    return matching[0] if len({id_of(row) for row in matching}) == 1 else None


def needed(host: Host, reference: str) -> Image:
    """As :func:`find`. Raises EngineError 404."""
    row = find(host, reference)
    if row is None:
        tagged = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
        raise EngineError(404, f"No such image: {plain_name(tagged)}")
    return row


def tag_of(row: Image) -> str:
    return row.name if ":" in row.name.rpartition("/")[2] else f"{row.name}:latest"


def listed(row: Image, tags: list[str], containers: int) -> dict[str, Any]:
    """An item of ``GET /images/json``."""
    return {
        "Id": id_of(row),
        "ParentId": "",
        "RepoTags": tags,
        "RepoDigests": [],
        "Created": int(row.created_at.timestamp()),
        "Size": row.size,
        "SharedSize": -1,
        "VirtualSize": row.size,
        "Labels": (row.config or {}).get("Labels"),
        "Containers": containers,
    }


_NO_CONFIG: Mapping[str, Any] = {
    "Env": None,
    "Cmd": None,
    "Entrypoint": None,
    "User": "",
    "WorkingDir": "",
    "ExposedPorts": None,
    "Volumes": None,
    "Labels": None,
}
"""Also the container that built an image, of which nothing is kept: Compose v1 asks for it in every version of the API."""


def inspected(row: Image, tags: list[str]) -> dict[str, Any]:
    """What ``GET /images/{name}/json`` gives."""
    return {
        "Id": id_of(row),
        "RepoTags": tags,
        "RepoDigests": [],
        "Parent": "",
        "Comment": "",
        "Created": rfc3339(row.created_at),
        "DockerVersion": "",
        "Author": "",
        "Config": {**_NO_CONFIG, **(row.config or {})},
        "ContainerConfig": _NO_CONFIG,
        "Architecture": architecture(),
        "Os": "linux",
        "Size": row.size,
        "VirtualSize": row.size,
        "GraphDriver": {"Data": None, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": [id_of(row)]},
        "Metadata": {"LastTagTime": rfc3339(row.created_at)},
    }
