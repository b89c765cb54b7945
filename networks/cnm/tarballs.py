"""Reading tar archives of strangers: memory stays small whatever their headers claim. Pure."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Self

LONGEST_HEADER = 1 << 20
"""Bytes of a header that lengthens another (a long name, records of pax), which :mod:`tarfile` reads whole into memory."""
_LENGTHENING = frozenset(
    (
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    )
)


class BoundedInfo(tarfile.TarInfo):
    """A member of an archive; for ``tarfile.open(tarinfo=…)``.

    Headers that are too long end the reading by ReadError, and so do damaged ones, which :mod:`tarfile` takes for the end of the archive.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> Self:
        try:
            found = super().frombuf(buf, encoding, errors)
        except (tarfile.EmptyHeaderError, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error
        if found.type in _LENGTHENING and not 0 <= found.size <= LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found


def members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of *archive*, one by one; it keeps none of them, as it would of itself. Raises TarError."""
    while (member := archive.next()) is not None:
        yield member
        archive.members.clear()  # it remembers what it has read
