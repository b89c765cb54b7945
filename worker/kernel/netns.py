"""Named network namespaces, where ``ip netns`` shows them.

The process that uses this is single-threaded and at home in the host's own namespace. It enters another one for moments
only and always comes back; should the way back fail, it ends rather than write to the wrong host.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from . import sysctl
from .netlink import Netlink
from .syscalls import CLONE_NEWNET, MS_BIND, MS_REC, MS_SHARED, mount, setns, unmount, unshare

OUR_NAME = re.compile(r"cnm-[0-9a-f]{12}\Z")
NS_GET_NSTYPE = 0xB703
"""ioctl_ns(2): the kind of namespace that a descriptor stands for."""
NSFS_MAGIC = 0x6E736673


class NotANamespace(ValueError):
    """A path leads to something else than a network namespace."""


class Sandbox:
    """An open namespace: a descriptor to be born into, and a netlink socket inside. Close it."""

    def __init__(self, descriptor: int, netlink: Netlink) -> None:
        self.descriptor = descriptor
        self.netlink = netlink

    def close(self) -> None:
        """Let go of the namespace; an open socket would keep it alive after its removal."""
        self.netlink.close()
        os.close(self.descriptor)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Namespaces:
    """The folder of named namespaces of one host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        """A descriptor of the host's own namespace."""
        self.home_identity = _identity(self.home)
        self._prepared = False

    def path(self, name: str) -> Path:
        return self.folder / name

    def names(self) -> list[str]:
        """Our names in the folder, sorted; a name is no proof that a namespace is bound to it."""
        try:
            return sorted(name for name in os.listdir(self.folder) if OUR_NAME.match(name))
        except FileNotFoundError:
            return []

    def create(self, name: str, *, ipv6: bool) -> Sandbox:
        """Make a namespace and bind it to *name*.

        IPv6 is switched off inside where it is not wanted: router solicitations and multicast reports of many sandboxes
        flood their bridge. Router advertisements are never followed, for any neighbour may send them.
        """
        self._claim(name)
        unshare(CLONE_NEWNET)
        try:
            mount("/proc/thread-self/ns/net", str(self.path(name)), MS_BIND)
            _switch_ipv6(ipv6)
            netlink = Netlink()
        finally:
            self._return_home()
        return Sandbox(self._descriptor(name), netlink)

    def adopt(self, name: str, path: str) -> Sandbox:
        """Bind somebody else's namespace to *name*. Raises NotANamespace, OSError."""
        descriptor = open_namespace(path)
        try:
            if _identity(descriptor) == self.home_identity:
                raise NotANamespace(f"{path} is the host's own network namespace")
            self._claim(name)
            mount(f"/proc/self/fd/{descriptor}", str(self.path(name)), MS_BIND)
            return self._inside(os.dup(descriptor))
        finally:
            os.close(descriptor)

    def open(self, name: str) -> Sandbox | None:
        """The namespace bound to *name*; None where there is none."""
        try:
            descriptor = self._descriptor(name)
        except FileNotFoundError:
            return None
        if not _is_network_namespace(descriptor):
            os.close(descriptor)
            return None
        return self._inside(descriptor)

    def identity(self, path: str | Path) -> tuple[int, int] | None:
        """Device and inode of a namespace, which tell it from all others; None where *path* leads to none."""
        try:
            found = os.stat(path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def switch_ipv6(self, sandbox: Sandbox, on: bool) -> None:
        """Switch IPv6 on or off in a namespace and on every link in it."""
        with self.entered(sandbox.descriptor):
            _switch_ipv6(on)

    def let_go(self, name: str) -> None:
        """Take the name away. The namespace ends when nothing else holds it; a name that is gone is no error."""
        path = str(self.path(name))
        with contextlib.suppress(FileNotFoundError):
            with contextlib.suppress(OSError):  # a file that nothing is bound to
                unmount(path)
            os.unlink(path)

    @contextlib.contextmanager
    def entered(self, descriptor: int) -> Iterator[None]:
        """Be in the namespace of *descriptor* for a moment."""
        setns(descriptor, CLONE_NEWNET)
        try:
            yield
        finally:
            self._return_home()

    def _inside(self, descriptor: int) -> Sandbox:
        try:
            with self.entered(descriptor):
                netlink = Netlink()
        except BaseException:
            os.close(descriptor)
            raise
        return Sandbox(descriptor, netlink)

    def _return_home(self) -> None:
        try:
            setns(self.home, CLONE_NEWNET)
        except OSError:
            os.abort()  # every later write would reach a stranger's namespace

    def _claim(self, name: str) -> None:
        """An empty file to bind to; what an interrupted start left under the name goes."""
        self._prepare()
        path = self.path(name)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
            return
        self.let_go(name)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))

    def _prepare(self) -> None:
        """Share the folder's mounts, as ``ip netns add`` does: later binds show in mount namespaces made earlier."""
        if self._prepared:
            return
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder = str(self.folder)
        try:
            mount("none", folder, MS_SHARED | MS_REC)
        except OSError:  # not a mount point yet
            mount(folder, folder, MS_BIND | MS_REC)
            mount("none", folder, MS_SHARED | MS_REC)
        self._prepared = True

    def _descriptor(self, name: str) -> int:
        return os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC)


def open_namespace(path: str) -> int:
    """A descriptor of the network namespace at *path*, looked at before it is opened: opening a device or a pipe acts.

    Raises NotANamespace, or OSError where nothing is there.
    """
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if _file_system(place) != NSFS_MAGIC:
            raise NotANamespace(f"{path} is not a namespace")
        descriptor = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(place)
    if not _is_network_namespace(descriptor):
        os.close(descriptor)
        raise NotANamespace(f"{path} is a namespace of another kind")
    return descriptor


def _switch_ipv6(on: bool) -> None:
    """``all`` reaches the links that are there, ``default`` those to come."""
    for which in ("all", "default"):
        sysctl.write_where_present(sysctl.of_link("ipv6", which, "disable_ipv6"), "0" if on else "1")
        sysctl.write_where_present(sysctl.of_link("ipv6", which, "accept_ra"), "0")


def _is_network_namespace(descriptor: int) -> bool:
    try:
        return fcntl.ioctl(descriptor, NS_GET_NSTYPE) == CLONE_NEWNET
    except OSError:
        return False


def _identity(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def _file_system(descriptor: int) -> int:
    """``f_type`` of fstatfs(2), its first word on every 64-bit Linux."""
    buffer = (ctypes.c_long * 32)()
    if _libc.fstatfs(descriptor, buffer):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(buffer[0])


_libc = ctypes.CDLL(None, use_errno=True)
