"""A face that is connected to a container's streams hears all of them, or hears that it does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from networks.cnm import frames
from networks.cnm.frames import Frame, Frames
from worker.runtime.folders import Folders
from worker.runtime.joining import await_connected
from worker.runtime.records import Pid, Record, mark, write_record
from worker.sessions.joined import Joined
from worker.sessions.session import Client

ID = "a" * 12
RUN = "1.0"
Lab = tuple[Folders, Record, socket.socket]


class Face:
    """What a face hears, and its way to type."""

    def __init__(self, reader: asyncio.StreamReader, joined: Joined, client: Client) -> None:
        self._reader = reader
        self._whole = Frames()
        self._heard: list[Frame] = []
        self.joined = joined
        self.client = client

    async def hears(self, until: Callable[[list[Any]], bool]) -> list[Any]:
        """States, and printed bytes, as soon as they are as wanted."""
        async with asyncio.timeout(10):
            while not until(said := [_plain(item) for item in self._heard]):
                data = await self._reader.read(1 << 16)
                assert data, f"it said no more than {said}"
                self._heard += self._whole.feed(data)
        return said


def _plain(item: Frame) -> Any:
    return item.json() if item.kind == frames.STATE else item.data if item.kind == frames.STDOUT else item.kind


@asynccontextmanager
async def a_face(folders: Folders) -> AsyncIterator[Face]:
    ours, theirs = socket.socketpair()
    reader, back = await asyncio.open_connection(sock=ours)
    _, writer = await asyncio.open_connection(sock=theirs)
    client = Client(writer)
    joined = Joined(folders, ID, client)
    yield Face(reader, joined, client)
    joined.detach(client)
    for one in (writer, back):
        one.close()
        await one.wait_closed()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A container that was made and whose command was not executed yet; its conmon listens."""
    folders = Folders(state_dir=tmp_path / "state", run_dir=tmp_path / "run")
    folders.bundle(ID).mkdir(parents=True)
    folders.run(ID).mkdir(parents=True)
    record = write_record(folders, Record(container_id=ID, run=RUN, pid=Pid(1 << 22, 1)))
    conmon = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.chdir(folders.bundle(ID)):  # the whole path is longer than a socket's name can be
        conmon.bind("attach")
    conmon.listen()
    with conmon:
        yield folders, record, conmon


def is_noted(folders: Folders) -> bool:
    return any(json.loads(file.read_text())["run"] == RUN for file in folders.joining(ID).iterdir() if not file.suffix)


async def test_what_was_printed_is_heard_although_what_was_typed_was_not_read(lab: Lab) -> None:
    folders, record, conmon = lab
    async with a_face(folders) as face:
        face.joined.type(face.client, b"typed")
        channel, _ = await asyncio.to_thread(conmon.accept)
        mark(folders, record, started=True)
        # It has typed when that is acknowledged; conmon ends without having read it, as at `yes | docker run -i … true`.
        await face.hears(lambda said: frames.TAKEN in said)
        channel.send(b"\x02first")
        channel.send(b"\x02last")
        channel.close()
        said = await face.hears(lambda said: any(isinstance(item, dict) and item["state"] == "left" for item in said))
        assert b"".join(item for item in said if isinstance(item, bytes)) == b"firstlast"


async def test_a_connection_that_conmon_never_took_is_told_as_not_whole(lab: Lab) -> None:
    folders, record, conmon = lab
    async with a_face(folders) as face:
        await face.hears(lambda said: {"state": "joined", "run": RUN, "whole": True} in said)
        mark(folders, record, started=True)
        conmon.close()  # with the connection still in its queue
        await face.hears(lambda said: {"state": "left", "whole": False} in said)


async def test_who_comes_after_a_start_that_did_not_wait_is_told_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    folders, record, _ = lab
    monkeypatch.setattr("worker.runtime.joining.PATIENCE_S", 0.05)
    noted = folders.joining(ID)
    noted.mkdir(parents=True)
    (noted / "0").write_text(json.dumps({"process": {"number": 1, "started": Pid.of(1).started}, "run": ""}))
    assert await_connected(folders, record).unawaited
    async with a_face(folders) as face:  # before the runtime has said that the command was executed
        await face.hears(lambda said: {"state": "joined", "run": RUN, "whole": False} in said)


async def test_a_start_waits_for_those_who_are_noted(lab: Lab) -> None:
    folders, record, _ = lab
    async with a_face(folders) as face:
        assert await asyncio.to_thread(await_connected, folders, record) == record
        assert is_noted(folders)
        await face.hears(lambda said: {"state": "joined", "run": RUN, "whole": True} in said)
