"""``/images`` and ``/commit``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.conf import settings

from networks.cnm import tarballs
from networks.cnm.errors import from_json
from networks.models import Container, Event, Host, Image, Operation
from networks.services import containers as container_services
from networks.services import images as services
from networks.services import uploads
from networks.services.actor import require

from . import filters as filtering
from . import image_shape
from .call import LONGEST_WAIT_S, Answer, Call, Ended, Steps, check_ended, dockers_words, stepped, written
from .changes import read_changes, read_config
from .container_shape import RUNNING
from .errors import EngineError, not_supported
from .http import JSON, Exchange
from .image_shape import id_of, tag_of
from .threads import in_thread
from .watching import Operations

_FILTERS = ("reference", "dangling", "label", "before", "since", "until")
_ABSENT = ("not found", "manifest unknown", "name unknown")
"""What registries say of an image that they have not."""
_QUEUE = 16
"""Pieces of an upload that may wait for the disk."""


def index(call: Call) -> Answer:
    wanted = filtering.read(call.query.get("filters", ""), _FILTERS)
    for name in ("before", "since", "until"):
        if wanted.get(name):
            raise not_supported(f"the filter {name} of images")
    if filtering.flag(wanted, "dangling"):
        return Answer(value=[])  # an image without a name is not kept
    return Answer(value=images_of(call.host, wanted))


def images_of(host: Host, wanted: filtering.Filters = MappingProxyType({})) -> list[dict[str, Any]]:
    """Those that the filters ask for: one item for all names of an image, the newest first."""
    used = Counter(Container.objects.filter(host=host).values_list("image", flat=True))
    groups: dict[str, list[Image]] = {}
    for row in Image.objects.filter(host=host, status="ready").order_by("-created_at"):
        named = not wanted.get("reference") or any(_refers(item, row) for item in wanted["reference"])
        if named and filtering.matches_labels(wanted.get("label", ()), (row.config or {}).get("Labels") or {}):
            groups.setdefault(id_of(row), []).append(row)
    return [
        image_shape.listed(rows[0], sorted(map(tag_of, rows)), sum(used[row.name] for row in rows))
        for rows in groups.values()
    ]


def inspect(call: Call, name: str) -> Answer:
    row = _needed(call, name)
    return Answer(value=image_shape.inspected(row, sorted(tag_of(other) for other in _same(call, row))))


def history(call: Call, name: str) -> Answer:
    row = _needed(call, name)
    layer = {
        "Id": id_of(row),
        "Created": int(row.created_at.timestamp()),
        "CreatedBy": row.source.partition(":")[0] if row.source else "",
        "Tags": sorted(tag_of(other) for other in _same(call, row)),
        "Size": row.size,
        "Comment": "",
    }
    return Answer(value=[layer])


def tag(call: Call, name: str) -> Steps[Answer]:
    row = _needed(call, name)
    repository = image_shape.plain_name(call.query.get("repo", ""))
    yield from written(call, lambda: services.tag_image(call.actor, row, _tagged(repository, call)))
    return Answer(201)


def remove(call: Call, name: str) -> Steps[Answer]:
    row = _needed(call, name)
    by_id = image_shape.plain_name(name).removesuffix(":latest") not in {row.name, row.name.removesuffix(":latest")}
    rows = _same(call, row) if by_id else [row]
    if len(rows) > 1 and not call.flag("force"):
        raise EngineError(
            409,
            f"conflict: unable to delete {id_of(row)[7:19]} (must be forced) - image is referenced in multiple repositories",
        )
    left = len(_same(call, row)) - len(rows)
    for item in rows:
        user = Container.objects.filter(
            host=call.host, image__in=[item.name, item.name.removesuffix(":latest")]
        ).first()
        if user is not None:
            what = "running" if user.status in RUNNING else "stopped"
            raise EngineError(
                409,
                f'conflict: unable to remove repository reference "{name}" (must force) - container {user.short_id} '
                f"is using its referenced image {id_of(item)[7:19]} ({what})",
            )
    gone: list[dict[str, str]] = []
    identity = id_of(row)
    for item in rows:
        yield from written(call, lambda item=item: services.remove_image(call.actor, item))  # type: ignore[misc]
        gone.append({"Untagged": tag_of(item)})
    return Answer(value=gone if left else [*gone, {"Deleted": identity}])


def commit(call: Call) -> Steps[Answer]:
    row = call.container(call.query.get("container", ""))
    repository = image_shape.plain_name(call.query.get("repo", ""))
    if not repository:
        raise not_supported("committing to an image without a name")
    name = _tagged(repository, call)
    for word in ("author", "comment"):
        if call.query.get(word):
            raise not_supported(f"the {word} of an image")
    changes = read_changes(call.exchange.request.repeated.get("changes", []), read_config(call.body()))
    with dockers_words():
        full = services.full_name(name)
    outcome = yield from written(call, lambda: container_services.commit_container(call.actor, row, full, changes))
    assert isinstance(outcome.subject, Image)  # noqa: S101  # what was made is there
    outcome.subject.refresh_from_db()
    return Answer(201, {"Id": id_of(outcome.subject)})


async def create(call: Call) -> None:
    """``docker import`` (an archive in the body) or ``docker pull``."""
    if call.query.get("fromSrc"):
        await _import(call)
    else:
        await _pull(call)


async def load(call: Call) -> None:
    """``docker load``: an archive of ``docker save`` or of an OCI tool, under the names that it has."""
    source = await _uploaded(call)
    try:
        names = await in_thread(_names_in, source)
    except BaseException:
        uploads.forget(source)
        raise
    first, *others = names
    operation = await in_thread(_begun, call, first, source, {})
    await _start(call.exchange)
    row = await _finished(call, operation)
    if row is None:
        return
    for name in others:
        await stepped(written(call, lambda name=name: services.tag_image(call.actor, row, name)))  # type: ignore[misc]
    for name in names:
        await _say(call.exchange, stream=f"Loaded image: {name}\n")


async def _import(call: Call) -> None:
    if call.query["fromSrc"] != "-":
        raise not_supported("importing from an address")
    repository = image_shape.plain_name(call.query.get("repo", ""))
    if not repository:
        raise not_supported("an image without a name")
    if call.query.get("message"):
        raise not_supported("the comment of an image")
    image_shape.check_platform(call.query.get("platform", ""))
    changes = read_changes(call.exchange.request.repeated.get("changes", []))
    name = _tagged(repository, call)
    source = await _uploaded(call)
    operation = await in_thread(_begun, call, name, source, changes)
    await _start(call.exchange)
    row = await _finished(call, operation)
    if row is not None:
        await _say(call.exchange, status=id_of(row))


async def _pull(call: Call) -> None:
    await call.exchange.body()
    reference = call.query.get("fromImage", "")
    tag = call.query.get("tag", "")
    if not reference:
        raise EngineError(400, "invalid reference format")
    image_shape.check_platform(call.query.get("platform", ""))
    if "@" in reference or tag.startswith("sha256:"):
        raise not_supported("pulling by digest")
    if ":" not in reference.rpartition("/")[2]:
        reference = f"{reference}:{tag or 'latest'}"
    name = image_shape.plain_name(reference)
    first = name.partition("/")[0]
    remote = (
        name
        if "/" in name and (set(".:") & set(first) or first == "localhost")
        else (f"docker.io/{name if '/' in name else f'library/{name}'}")
    )
    former = await in_thread(lambda: _identity(call.host, name))
    operation = await in_thread(_begun, call, name, f"docker://{remote}", {})
    async for step in _steps(operation.pk):
        if not call.exchange.started:
            await _start(call.exchange)
            place = remote.partition("/")[2].rpartition(":")[0]
            await _say(call.exchange, status=f"Pulling from {place}", id=name.rpartition(":")[2])
        await _say(call.exchange, status=step)
    await in_thread(operation.refresh_from_db)
    if operation.state == "failed" and not call.exchange.started:
        failure = _failure(operation)
        raise EngineError(404 if any(words in failure for words in _ABSENT) else 500, failure)
    if not call.exchange.started:
        await _start(call.exchange)
    row = await _finished(call, operation)
    if row is not None:
        news = "Image is up to date" if id_of(row) == former else "Downloaded newer image"
        await _say(call.exchange, status=f"Digest: {id_of(row)}")
        await _say(call.exchange, status=f"Status: {news} for {name}")


def _identity(host: Host, name: str) -> str:
    """The id of the image that is called so now; empty: none is."""
    row = Image.objects.filter(host=host, name=name, status="ready").first()
    return id_of(row) if row is not None else ""


async def _steps(operation_id: str) -> AsyncIterator[str]:
    """What is being done, every step of it, until the operation has ended."""
    place = 0
    async with contextlib.aclosing(Operations.here().each(operation_id)) as rows:  # type: ignore[type-var]
        async for row in rows:
            for number, step in await in_thread(_steps_since, operation_id, place):
                place = number
                yield step
            if row is None or row.finished:
                return


def _steps_since(operation_id: str, place: int) -> list[tuple[int, str]]:
    """The numbers of the events that told of a step, and the steps."""
    rows = Event.objects.filter(kind="operation", object_id=operation_id, op="put", number__gt=place).order_by("number")
    told = [(number, str(data.get("step", ""))) for number, data in rows.values_list("number", "data")]
    return [(number, step) for number, step in told if step]


def _tagged(repository: str, call: Call) -> str:
    """The name in ``repo`` and ``tag``; some clients send both in the first."""
    if ":" in repository.rpartition("/")[2]:
        return repository
    return f"{repository}:{call.query.get('tag') or 'latest'}"


def _begun(call: Call, name: str, source: str, changes: dict[str, Any]) -> Operation:
    try:
        with dockers_words():
            operation = services.import_image(call.actor, call.host, name, source, changes).operation
    except BaseException:
        if source.startswith(uploads.PREFIX):
            uploads.forget(source)
        raise
    assert operation is not None  # noqa: S101  # fetching always is work
    return operation


async def _finished(call: Call, operation: Operation) -> Image | None:
    """The image that was made; None: the client was told why there is none."""
    operation = check_ended(await Ended(operation, LONGEST_WAIT_S).wait())
    if operation.state == "failed":
        await _say(call.exchange, errorDetail={"message": _failure(operation)}, error=_failure(operation))
        return None
    return await in_thread(Image.objects.get, pk=operation.args["image"])


def _failure(operation: Operation) -> str:
    return str(from_json(operation.error).sentence) if operation.error else "the image could not be made"


async def _start(exchange: Exchange) -> None:
    await exchange.start(200, {"Content-Type": JSON})


async def _say(exchange: Exchange, **value: Any) -> None:
    await exchange.send(json.dumps(value).encode() + b"\r\n")


async def _uploaded(call: Call) -> str:
    """The archive in the body, kept for the worker; the source that names it. Raises CnmError, EngineError."""
    require(call.actor, "operator")
    pieces: queue.Queue[bytes | None] = queue.Queue(_QUEUE)

    def taken() -> Iterator[bytes]:
        while (piece := pieces.get()) is not None:
            yield piece

    work = asyncio.ensure_future(in_thread(uploads.keep, taken()))
    whole = False
    try:
        async for piece in call.exchange.pieces():
            while not work.done():
                try:
                    pieces.put_nowait(piece)
                    break
                except queue.Full:
                    await asyncio.sleep(0.01)
            if work.done():
                break  # it was refused: too large
        whole = True
    finally:
        if not work.done():
            await asyncio.to_thread(pieces.put, None)
        source = await work
        if not whole:
            uploads.forget(source)
    return source


def _names_in(source: str) -> list[str]:
    """The names that an archive of ``docker save`` gives its image. Raises EngineError."""
    path = Path(settings.UPLOAD_DIR) / source.removeprefix(uploads.PREFIX)
    try:
        with tarfile.open(path, tarinfo=tarballs.BoundedInfo) as archive:
            found = next(member for member in tarballs.members(archive) if member.name == "manifest.json")
            file = archive.extractfile(found)
            listed = json.loads(file.read(1 << 20)) if file is not None else []
    except StopIteration:
        raise EngineError(400, "the archive is none of docker save: it has no manifest.json") from None
    except (tarfile.TarError, KeyError, ValueError, OSError, EOFError) as error:
        raise EngineError(400, f"the archive is none of docker save: {error}") from None
    if not isinstance(listed, list) or len(listed) != 1:
        raise not_supported("an archive of several images")
    names = [image_shape.plain_name(str(name)) for name in listed[0].get("RepoTags") or ()]
    if not names:
        raise not_supported("an image without a name")
    return names


def _needed(call: Call, name: str) -> Image:
    row = image_shape.find(call.host, name)
    if row is None:
        wanted = image_shape.plain_name(name)
        full = wanted if ":" in wanted.rpartition("/")[2] else f"{wanted}:latest"
        raise EngineError(404, f"no such image: {wanted}: No such image: {full}")
    return row


def _same(call: Call, row: Image) -> list[Image]:
    return [other for other in Image.objects.filter(host=call.host, status="ready") if id_of(other) == id_of(row)] or [
        row
    ]


def _refers(pattern: str, row: Image) -> bool:
    name = tag_of(row)
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition(":")[0], pattern)
