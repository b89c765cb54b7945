"""OCI image layouts on disk (image-spec ``image-layout.md``): reading one, and making one around a tar archive."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import platform
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from networks.cnm import tarballs
from networks.cnm.errors import InvalidSpec
from networks.cnm.text import gettext_noop

TAG = "cnm"
"""The tag that an image has in a layout of ours."""
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
CHUNK = 1 << 20
_TELLING = {"oci-layout", "index.json", "manifest.json"}
"""Files by which an archive is known."""
COMPRESSIONS: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.GzipFile),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
"""First bytes of a compressed file, and what reads it."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a layout says of its one image."""

    id: str
    """The digest of its configuration without ``sha256:``; Docker's image id."""
    digest: str
    """The digest of its manifest."""
    config: dict[str, Any]
    """The ``config`` member: Env, Cmd, Entrypoint, …"""


def read_layout(layout: Path) -> Described:
    """What the image tagged ``cnm`` is. Raises InvalidSpec for a layout that does not hold together."""
    try:
        index = json.loads((layout / "index.json").read_bytes())
        digest = index["manifests"][0]["digest"]
        manifest = json.loads(_blob(layout, digest).read_bytes())
        config_digest = manifest["config"]["digest"]
        config = json.loads(_blob(layout, config_digest).read_bytes())
        return Described(config_digest.removeprefix("sha256:"), digest, dict(config.get("config") or {}))
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InvalidSpec(
            gettext_noop("The image is not a valid OCI image: {cause}."),
            remedy=gettext_noop("Make it again with a current tool."),
            field="source",
            cause=f"{type(error).__name__}: {error}",
        ) from error


def _blob(layout: Path, digest: str) -> Path:
    kind, _, value = digest.partition(":")
    if kind != "sha256" or len(value) != 64 or not value.isalnum():
        raise ValueError(f"{digest!r} is no digest")
    return layout / "blobs" / "sha256" / value


def archive_kind(path: Path) -> str:
    """What a tar archive is: ``docker-archive`` (docker save), ``oci-archive`` or ``rootfs`` (docker export)."""
    try:
        with _open(path) as file, tarfile.open(fileobj=file, mode="r|", tarinfo=tarballs.BoundedInfo) as tar:
            empty, names = True, set()
            for member in tarballs.members(tar):
                empty = False
                names |= {member.name.removeprefix("./")} & _TELLING
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise _no_tar(path, error) from error
    if empty:
        raise _no_tar(path, "it is empty")
    if {"oci-layout", "index.json"} <= names:
        return "oci-archive"
    return "docker-archive" if "manifest.json" in names else "rootfs"


def make_layout(layout: Path, archive: Path) -> None:
    """Make *layout* hold one image of one layer: the root filesystem in *archive*, packed or not."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layer = _add_layer(blobs, archive)
    config = _add_json(
        blobs,
        {
            "architecture": MACHINES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        },
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **config},
        "layers": [{"mediaType": LAYER, **layer}],
    }
    entry = {
        "mediaType": MANIFEST,
        **_add_json(blobs, manifest),
        "annotations": {"org.opencontainers.image.ref.name": TAG},
    }
    (layout / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def _add_layer(blobs: Path, archive: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    size = 0
    draft = blobs / "layer"
    with _open(archive) as source, draft.open("wb") as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    draft.rename(blobs / digest.hexdigest())
    return {"digest": f"sha256:{digest.hexdigest()}", "size": size}


def _add_json(blobs: Path, value: dict[str, Any]) -> dict[str, Any]:
    content = json.dumps(value, sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        start = file.read(8)
    for mark, opener in COMPRESSIONS:
        if start.startswith(mark):
            return cast(IO[bytes], opener(path))
    return path.open("rb")


def _no_tar(path: Path, cause: object) -> InvalidSpec:
    return InvalidSpec(
        gettext_noop("{path} is no tar archive that can be read: {cause}."),
        remedy=gettext_noop("Give a tar archive, plain or packed with gzip, bzip2 or xz."),
        field="source",
        path=str(path),
        cause=cause,
    )
