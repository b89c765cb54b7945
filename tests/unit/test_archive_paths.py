"""Paths in containers as Docker's clients mean them."""

from __future__ import annotations

import stat

import pytest

from worker.archive.paths import Meant, clean, go_mode, meant


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("/a/b", "/a/b"),
        ("a", "/a"),
        ("//a//b", "/a/b"),
        ("/a/", "/a/"),
        ("/a/.", "/a/."),
        (".", "/."),
        ("/", "/"),
        ("/a/../../b", "/b"),
        ("/../..", "/"),
        ("/a/..", "/"),
        ("/a/./b/", "/a/b/"),
    ],
)
def test_paths_are_cleaned_and_keep_what_says_that_a_folder_is_meant(path: str, cleaned: str) -> None:
    assert clean(path) == cleaned


def test_a_link_at_the_end_is_meant_itself_unless_a_folder_is() -> None:
    assert meant("/a/link") == Meant("/a/", "link", "link")
    assert meant("/a/link/") == Meant("/a/link/", "", "link")
    assert meant("/a/link/.") == Meant("/a/link/", ".", ".")
    assert meant("/") == Meant("/", "", "/")
    assert [meant(path).is_folder for path in ("/", "/.", "/a", "/a/")] == [True, True, False, True]


def test_modes_are_told_in_gos_bits() -> None:
    # From a Docker Engine: a link, a folder, a file.
    assert go_mode(stat.S_IFLNK | 0o777) == 134218239
    assert go_mode(stat.S_IFDIR | 0o755) == 2147484141
    assert go_mode(stat.S_IFREG | 0o644) == 420
    assert go_mode(stat.S_IFDIR | stat.S_ISVTX | 0o777) == (1 << 31 | 1 << 20 | 0o777)
