"""Archives that are sent with a browser: from the web's folder into root's, and nothing else that lies there."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from networks.cnm.errors import InvalidSpec, NotFound
from networks.services import uploads
from worker.runtime.uploads import taken


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    settings.UPLOAD_DIR = tmp_path / "uploads"
    (tmp_path / "own").mkdir()
    return tmp_path


def test_what_was_sent_is_taken_once_and_then_gone(folder: Path) -> None:
    source = uploads.keep([b"a tar", b" archive"])
    name = source.removeprefix(uploads.PREFIX)
    with taken(folder / "uploads", folder / "own", name) as path:
        assert path.read_bytes() == b"a tar archive"
        assert list((folder / "uploads").iterdir()) == []
    assert list((folder / "own").iterdir()) == []
    with pytest.raises(NotFound), taken(folder / "uploads", folder / "own", name):
        pass


def test_too_much_and_nothing_leave_nothing_behind(folder: Path, settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 5
    for chunks in ([b"123", b"456"], []):
        with pytest.raises(InvalidSpec) as refusal:
            uploads.keep(chunks)
        assert refusal.value.field == "file"
    assert list((folder / "uploads").iterdir()) == []


def test_root_opens_no_link_and_no_other_path(folder: Path) -> None:
    secret = folder / "secret"
    secret.write_text("root's alone")
    (folder / "uploads").mkdir()
    (folder / "uploads" / ("a" * 32)).symlink_to(secret)
    for name in ("a" * 32, "../secret"):
        with pytest.raises(InvalidSpec), taken(folder / "uploads", folder / "own", name):
            pass
    assert secret.read_text() == "root's alone"
    assert list((folder / "own").iterdir()) == []
