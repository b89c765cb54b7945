"""Archives whose headers claim more than anybody has memory for."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from networks.cnm import tarballs
from networks.cnm.errors import InvalidSpec
from networks.engine import images
from networks.engine.errors import EngineError
from networks.services import uploads
from worker.runtime.oci_layout import archive_kind

MOST = 16 << 20


def archive(path: Path, names: list[str], *, kind: bytes = b"", claimed: int = 0) -> Path:
    """A packed archive of *names*, before them a header of *kind* that has *claimed* bytes."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        if kind:
            head = tarfile.TarInfo("././@LongLink")
            head.type, head.size = kind, claimed
            file.write(head.tobuf(tarfile.GNU_FORMAT))
            for _ in range(claimed >> 20):
                file.write(b"a" * (1 << 20))
        content = json.dumps([{"RepoTags": ["web:1"]}]).encode()
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_that_claims_much_is_refused_and_not_read(tmp_path: Path, settings: Any, kind: bytes) -> None:
    settings.UPLOAD_DIR = tmp_path
    path = archive(tmp_path / "bomb", ["manifest.json"], kind=kind, claimed=MOST * 2)
    tracemalloc.start()
    try:
        with pytest.raises(EngineError, match="a header of"):
            images._names_in(f"{uploads.PREFIX}bomb")
        with pytest.raises(InvalidSpec, match="a header of"):
            archive_kind(path)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def test_an_archive_with_long_names_is_read_and_none_of_its_members_is_kept(tmp_path: Path, settings: Any) -> None:
    settings.UPLOAD_DIR = tmp_path
    names = [f"{'long' * 50}/{number}" for number in range(300)]
    path = archive(tmp_path / "much", [*names, "manifest.json"])
    assert images._names_in(f"{uploads.PREFIX}much") == ["web:1"]
    assert archive_kind(path) == "docker-archive"
    with tarfile.open(path, tarinfo=tarballs.BoundedInfo) as tar:
        assert [member.name for member in tarballs.members(tar)] == [*names, "manifest.json"]
        assert tar.members == []
    archive(tmp_path / "other", ["x"])
    with pytest.raises(EngineError, match="it has no manifest"):
        images._names_in(f"{uploads.PREFIX}other")
