"""The images of a host: fetched, imported, committed, removed.

An image is a folder named by its id with ``rootfs/`` and ``image.json``; a name is a small file that says an id. A
container keeps to the id that it started with, so a name may move on while older containers live; a folder goes when no
name, no container and no other image needs it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from networks.cnm.desired import ProcessSpec
from networks.cnm.errors import Conflict, InvalidSpec, NotFound
from networks.cnm.names import new_id, short
from networks.cnm.text import gettext_noop

from . import host_image, image_tools, oci_layout
from .bundle import ETC_FILES, ImageConfig
from .folders import Folders, make_folder
from .layers import copy_layer, disk_usage, remove_devices
from .rootfs import ROOT, Layer

Progress = Callable[[str], None]
UPLOAD_KEPT_S = 24 * 3600
"""An archive that was sent and that no operation has taken for so long has none."""
MOST_LAYERS = 30
"""Commits on top of one another at most: the options of a mount are one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image that is ready to be used."""

    name: str
    id: str
    digest: str = ""
    size: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    """The OCI configuration: Env, Cmd, Entrypoint, ExposedPorts, User, WorkingDir, …"""
    base: str = ""
    """The id of the image that lies below this one (``host`` too); empty: it is whole."""


HOST = Image(name=host_image.NAME, id=host_image.NAME, config=host_image.CONFIG)


class ImageStore:
    """The images below ``state_dir/images``. Safe to use from several processes."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders

    def get(self, name: str) -> Image:
        """Raises NotFound with a remedy when the host has no image of that name."""
        if name == HOST.name:
            return HOST
        try:
            image_id = json.loads(self._name_file(name).read_text())["id"]
        except FileNotFoundError:
            raise NotFound(
                gettext_noop("The image {image} is not on this host."),
                remedy=gettext_noop("Import or fetch it first, then start the container again."),
                field="image",
                image=name,
            ) from None
        return self._read(image_id, name)

    def names(self) -> dict[str, str]:
        """Every name and the id it stands for; ``host`` is always there."""
        result = {HOST.name: HOST.id}
        for file in sorted(self._names.glob("*.json")):
            value = json.loads(file.read_text())
            result[value["name"]] = value["id"]
        return result

    def for_container(self, container_id: str, name: str) -> Image:
        """The image of a container: the one of its first start for as long as it exists."""
        note = self.folders.container(container_id) / "image.json"
        with contextlib.suppress(FileNotFoundError):
            value = json.loads(note.read_text())
            if value["name"] == name:
                return HOST if value["id"] == HOST.id else self._read(value["id"], name)
        with self._lock():
            image = self.get(name)
            self.folders.make_container(container_id)
            _write_json(note, {"name": name, "id": image.id})
        return image

    def layers(self, image: Image) -> tuple[Layer, ...]:
        """The overlays that its root filesystem is made of, in the order in which they are mounted."""
        own = []
        while image.id != HOST.id:
            own.append(self._rootfs(image.id))
            if not image.base:
                return (Layer(ROOT, tuple(own)),)
            image = HOST if image.base == HOST.id else self._read(image.base, image.base)
        skeleton = host_image.skeleton(self.folders.images)
        result = [Layer(ROOT, (*own, skeleton / "rootfs"))]
        for name in host_image.program_folders():
            parts = [layer / name for layer in own if _is_real_folder(layer / name)]
            result.append(Layer(name, (*parts, skeleton / "hidden" / name, Path("/") / name)))
        return tuple(result)

    def fetch(self, name: str, source: str, progress: Progress = lambda line: None) -> Image:
        """Fetch *source* (``docker://…``, ``oci:…``, ``oci-archive:…``, ``docker-archive:…``, ``dir:…``) under *name*.

        *progress* is called with a line of text now and then. Takes as long as the network does: a thing of the slow
        worker.
        """
        _refuse_host(name)
        image_tools.check_source(source)
        with self._draft() as draft:
            image_tools.copy_to_layout(source, draft / "layout", progress)
            check = image_tools.health_check(source, draft)
            return self._unpack(name, draft, progress, {"Healthcheck": check} if check else {})

    def import_tar(
        self,
        name: str,
        path: Path,
        progress: Progress = lambda line: None,
        changes: Mapping[str, Any] | None = None,
    ) -> Image:
        """Make an image of a tar archive: of a root filesystem, or one that ``docker save`` or an OCI tool wrote.

        *changes* (in OCI's spelling) go over the configuration of a root filesystem, which has none of its own.
        """
        _refuse_host(name)
        _check_archive(path)
        kind = oci_layout.archive_kind(path)
        if kind != "rootfs":
            return self.fetch(name, f"{kind}:{path}", progress)
        with self._draft() as draft:
            progress("Reading the archive")
            oci_layout.make_layout(draft / "layout", path)
            return self._unpack(name, draft, progress, changes or {})

    def tag(self, name: str, new: str) -> Image:
        """Let *new* stand for the image called *name* too. Raises NotFound."""
        _refuse_host(name)
        _refuse_host(new)
        with self._lock():
            image = self.get(name)
            file = self._name_file(new)
            former = json.loads(file.read_text())["id"] if file.exists() else ""
            _write_json(file, {"name": new, "id": image.id})
            if former not in {"", image.id}:
                self._collect(former)
        return image

    def commit(
        self,
        container_id: str,
        name: str,
        process: ProcessSpec | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Image:
        """Make an image of what a container wrote, on top of the image it started from.

        Its /etc/hosts, /etc/hostname and /etc/resolv.conf are never part of it. The new configuration is the old
        image's with the container's own (*process*) over it, and *changes* (in OCI's spelling) over both.
        """
        _refuse_host(name)
        base = self._base_of(container_id)
        if self._depth(base) >= MOST_LAYERS:
            raise InvalidSpec(
                gettext_noop("The image of container {container} already lies on {count} others."),
                remedy=gettext_noop("Export its files to a tar archive and import that."),
                container=short(container_id),
                count=MOST_LAYERS,
            )
        with self._draft() as draft:
            rootfs = draft / "image" / "rootfs"
            rootfs.mkdir(parents=True)
            upper = self.folders.upper(container_id)
            without = {f"etc/{file}" for file in ETC_FILES}
            for part in sorted(upper.iterdir(), key=lambda path: path.name != ROOT) if upper.is_dir() else ():
                top = part.name == ROOT
                copy_layer(part, rootfs if top else rootfs / part.name, without if top else ())
            config = changed_config(committed_config(base.config, process), changes or {})
            image = Image(name=name, id=new_id(), size=disk_usage(rootfs), config=config, base=base.id)
            return self._keep(image, draft / "image")

    def remove(self, name: str) -> None:
        """Take the name away, and the image's files when nothing else needs them. A name that is not there is fine."""
        _refuse_host(name)
        with self._lock():
            file = self._name_file(name)
            if file.exists():
                image_id = json.loads(file.read_text())["id"]
                file.unlink()
                self._collect(image_id)

    def forget_container(self, container_id: str) -> None:
        """Call before a container's folder is deleted: its image may have lived for it alone."""
        note = self.folders.container(container_id) / "image.json"
        try:
            value = json.loads(note.read_text())
        except FileNotFoundError:
            return
        note.unlink()
        if value["id"] == HOST.id:
            return
        with self._lock():
            self._collect(value["id"])

    def tidy(self) -> None:
        """Delete what a fetch or a removal that was cut off left; only while no other runs: at the slow worker's start."""
        for pattern in (".draft-*", ".gone-*"):
            for folder in self.folders.images.glob(pattern):
                shutil.rmtree(folder, ignore_errors=True)
        for sent in self.folders.images.glob("upload-*"):
            if time.time() - sent.lstat().st_mtime > UPLOAD_KEPT_S:
                sent.unlink(missing_ok=True)

    def _unpack(self, name: str, draft: Path, progress: Progress, changes: Mapping[str, Any] | None = None) -> Image:
        described = oci_layout.read_layout(draft / "layout")
        config = {**described.config, **(changes or {})}
        if config != described.config:  # another configuration makes another image of the same files
            told = f"{described.id} {json.dumps(config, sort_keys=True)}"
            described = replace(described, id=hashlib.sha256(told.encode()).hexdigest(), config=config)
        made = draft / "image"
        made.mkdir()
        if self._folder(described.id).is_dir():
            size = self._read(described.id, name).size  # another name of it is here already
        else:
            progress("Unpacking")
            image_tools.unpack(draft / "layout", made / "rootfs")
            remove_devices(made / "rootfs")
            size = disk_usage(made / "rootfs")
        image = Image(name=name, id=described.id, digest=described.digest, size=size, config=described.config)
        return self._keep(image, made)

    def _keep(self, image: Image, made: Path) -> Image:
        """Move a finished folder to its place and let the name stand for it: the moment at which an image exists."""
        with self._lock():
            folder = self._folder(image.id)
            if not folder.is_dir():
                _write_json(made / "image.json", {key: value for key, value in asdict(image).items() if key != "name"})
                made.chmod(0o700)
                made.rename(folder)
            file = self._name_file(image.name)
            former = json.loads(file.read_text())["id"] if file.exists() else ""
            _write_json(file, {"name": image.name, "id": image.id})
            if former not in {"", image.id}:
                self._collect(former)
        return image

    def _collect(self, image_id: str) -> None:
        """Delete an image that nothing needs any more, then what only it needed. The caller holds the lock."""
        if image_id == HOST.id or not self._folder(image_id).is_dir() or image_id in self._needed():
            return
        base = self._read(image_id, "").base
        gone = self.folders.images / f".gone-{image_id}"
        self._folder(image_id).rename(gone)
        shutil.rmtree(gone)
        if base:
            self._collect(base)

    def _needed(self) -> set[str]:
        result = set(self.names().values())
        for note in self.folders.containers.glob("*/image.json"):
            result.add(json.loads(note.read_text())["id"])
        for note in self.folders.images.glob("*/image.json"):
            result.add(json.loads(note.read_text())["base"])
        return result

    def _base_of(self, container_id: str) -> Image:
        try:
            value = json.loads((self.folders.container(container_id) / "image.json").read_text())
        except FileNotFoundError:
            raise Conflict(
                gettext_noop("Container {container} never ran, so there is nothing to commit."),
                remedy=gettext_noop("Start it first."),
                container=short(container_id),
            ) from None
        return HOST if value["id"] == HOST.id else self._read(value["id"], value["name"])

    def _depth(self, image: Image) -> int:
        depth = 1
        while image.base and image.base != HOST.id:
            image = self._read(image.base, "")
            depth += 1
        return depth

    def _read(self, image_id: str, name: str) -> Image:
        try:
            value = json.loads((self._folder(image_id) / "image.json").read_text())
        except FileNotFoundError:
            raise NotFound(
                gettext_noop("The files of image {image} are gone from this host."),
                remedy=gettext_noop("Import or fetch it again."),
                field="image",
                image=name or short(image_id),
            ) from None
        return Image(**value, name=name)

    def _folder(self, image_id: str) -> Path:
        if not image_id.isalnum():
            raise ValueError(f"{image_id!r} is no image id.")
        return self.folders.images / image_id

    def _rootfs(self, image_id: str) -> Path:
        return self._folder(image_id) / "rootfs"

    @property
    def _names(self) -> Path:
        return self.folders.images / "names"

    def _name_file(self, name: str) -> Path:
        """Made from a hash, because a name may hold slashes and be long."""
        return self._names / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        make_folder(self._names, 0o700)
        with (self._names / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _draft(self) -> Iterator[Path]:
        """A folder beside the images for what is not ready; it is gone afterwards."""
        make_folder(self.folders.images, 0o700)
        folder = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.folders.images))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def committed_config(config: Mapping[str, Any], process: ProcessSpec | None) -> dict[str, Any]:
    """The configuration of an image committed from a container with *process*, as ``docker commit`` makes it."""
    result = dict(config)
    if process is None:
        return result
    image = ImageConfig.from_oci(config)
    environment = dict(entry.partition("=")[::2] for entry in image.env) | dict(process.env)
    result["Env"] = [f"{name}={value}" for name, value in environment.items()]
    if process.entrypoint is not None:
        result["Entrypoint"] = list(process.entrypoint)
        result["Cmd"] = list(process.args)
    elif process.args:
        result["Cmd"] = list(process.args)
    if process.user:
        result["User"] = process.user
    if process.working_dir:
        result["WorkingDir"] = process.working_dir
    return result


def changed_config(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """*config* with *changes* over it, both in OCI's spelling: variables, labels and ports join those that are there."""
    result = {**config, **changes}
    for name in ("Labels", "ExposedPorts"):
        if changes.get(name):
            result[name] = {**(config.get(name) or {}), **changes[name]}
    if changes.get("Env"):
        entries = [*(config.get("Env") or ()), *changes["Env"]]
        result["Env"] = [
            f"{name}={value}" for name, value in dict(item.partition("=")[::2] for item in entries).items()
        ]
    return result


def _check_archive(path: Path) -> None:
    try:
        regular = path.is_absolute() and stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        regular = False
    if not regular:
        raise InvalidSpec(
            gettext_noop("{path} is no regular file on the host."),
            remedy=gettext_noop("Give the absolute path of a tar archive on the host itself; links are not followed."),
            field="source",
            path=str(path),
        )


def _refuse_host(name: str) -> None:
    if name == HOST.name:
        raise Conflict(
            gettext_noop("The image “host” is built in."),
            remedy=gettext_noop("Choose another name."),
            field="name",
        )


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(value))
    draft.rename(path)
