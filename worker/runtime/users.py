"""Who a user name means inside a container: its own /etc/passwd and /etc/group decide, never the host's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from networks.cnm.errors import InvalidSpec
from networks.cnm.text import gettext_noop

from .bundle import User
from .kernel_calls import read_in

MAX_ID = 2**32 - 2


def resolve(rootfs: Path, user: str, image: str) -> User:
    """*user* is ``name``, ``uid``, ``name:group`` or ``uid:gid`` (empty: root), as in Docker.

    A number needs no entry. Without a group the user's own groups hold, with one only that. Raises InvalidSpec for a
    name that the files do not have.
    """
    name, _, group = user.partition(":")
    passwd = list(_entries(read_in(rootfs, "/etc/passwd"), 7))
    groups = list(_entries(read_in(rootfs, "/etc/group"), 4))
    name = name or "0"
    entry = next((line for line in passwd if line[0] == name), None) or next(
        (line for line in passwd if line[2] == name), None
    )
    if entry is None and not _is_id(name):
        raise InvalidSpec(
            gettext_noop("The image {image} has no user {user}."),
            remedy=gettext_noop("Give a user of its /etc/passwd, or a number."),
            field="user",
            image=image,
            user=name,
        )
    uid = int(entry[2]) if entry else int(name)
    home = entry[5] if entry and entry[5].startswith("/") else "/"
    if group:
        return User(uid=uid, gid=_group_id(groups, group, image), home=home)
    gid = int(entry[3]) if entry else 0
    others = tuple(int(line[2]) for line in groups if entry and entry[0] in line[3].split(",") and int(line[2]) != gid)
    return User(uid=uid, gid=gid, groups=others, home=home)


def _group_id(groups: list[list[str]], group: str, image: str) -> int:
    found = next((line for line in groups if line[0] == group), None)
    if found is not None:
        return int(found[2])
    if _is_id(group):
        return int(group)
    raise InvalidSpec(
        gettext_noop("The image {image} has no group {group}."),
        remedy=gettext_noop("Give a group of its /etc/group, or a number."),
        field="user",
        image=image,
        group=group,
    )


def _entries(text: str, columns: int) -> Iterator[list[str]]:
    """The well-formed lines of a passwd or group file; the others are passed over, as the C library does."""
    for line in text.splitlines():
        entry = line.split(":")
        if len(entry) >= columns and _is_id(entry[2]) and (columns < 7 or _is_id(entry[3])):
            yield entry


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= MAX_ID
