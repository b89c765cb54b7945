"""``python -m worker.archive``: one copy. Its task is the first line of its input; an archive to be put follows there.

It prints a line of JSON (what is at the path), and the archive where one is asked for. Why it could not is a line of JSON on standard
error, and the exit code 1.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

from networks.cnm.errors import CnmError, KernelRefused
from networks.cnm.text import gettext_noop
from worker.runtime import users
from worker.runtime.bundle import ImageConfig, User
from worker.runtime.images import ImageStore
from worker.runtime.volumes import LONGEST_COPY_BESIDE_S, fill_all

from . import paths
from .measure import measure
from .pack import pack
from .root import enter
from .task import FILL, MEASURE, PUT, TAKE, Task
from .unpack import Wishes, unpack


def main() -> None:
    os.umask(0)
    task = Task.read(sys.stdin.buffer.readline())
    try:
        _do(task)
        sys.stdout.flush()
    except CnmError as error:
        _fail(error)
    except BrokenPipeError:
        os._exit(1)  # nobody wants it any more; the interpreter would complain of what it could not flush
    except OSError as error:
        failed = KernelRefused(
            gettext_noop("The files of container {container} could not be copied: {cause}."),
            remedy=gettext_noop("Try again; if it stays so, the log of the sessions process says more."),
            container=task.name,
            cause=f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else ""),
            facts={"errno": error.errno},
        )
        _fail(failed)


def _do(task: Task) -> None:
    if task.verb == MEASURE:
        print(json.dumps(measure(task.folders, task.container_id)))
        return
    if task.verb == FILL:
        rootfs = enter(replace(task, binds=()))  # what a volume takes over is what it will cover
        fill_all(task.folders, task.container_id, task.binds, rootfs, LONGEST_COPY_BESIDE_S)
        return
    rootfs = enter(task)
    if task.verb == PUT:
        wishes = Wishes(
            keep_kinds=task.keep_kinds,
            owner=_owner(task) if task.as_user else None,
            most_bytes=task.most_bytes,
        )
        unpack(rootfs, paths.clean(task.path), task.name, sys.stdin.buffer, wishes)
        return
    what = paths.meant(task.path)
    try:
        with paths.opened(rootfs, what) as thing:
            print(json.dumps(paths.described(rootfs, what, thing)), flush=True)
            if task.verb == TAKE:
                pack(thing, what.name, sys.stdout.buffer)
    except OSError as error:
        if error.errno not in paths.ASTRAY:
            raise
        raise paths.missing(task.path, task.name, error) from error


def _owner(task: Task) -> User:
    image = ImageStore(task.folders).for_container(task.container_id, task.image)
    user = task.user or ImageConfig.from_oci(image.config).user
    return users.resolve(task.folders.rootfs(task.container_id), user, image.name)


def _fail(error: CnmError) -> None:
    sys.stderr.write(json.dumps(error.to_json()) + "\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
