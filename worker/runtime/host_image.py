"""The image ``host``: a view of the host's own programs, with an /etc of our making and nothing else of the host.

What is shown is an allow-list: the folders that hold programs, and copies of the few files of /etc that programs need
to run and that are public. Everything else of the host (/etc/shadow, /root, /home, /var, /srv, …) is simply not there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from .folders import make_folder

NAME = "host"
PROGRAM_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
EMPTY_FOLDERS = {
    "boot": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "media": 0o755,
    "mnt": 0o755,
    "opt": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "run/lock": 0o1777,
    "srv": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "var": 0o755,
    "var/cache": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/mail": 0o755,
    "var/spool": 0o755,
    "var/tmp": 0o1777,
}
HIDDEN_IN = {"usr": ("local/etc",)}
"""Below a program folder: what an admin may have written settings, and so secrets, into."""
ETC_COPIES = (
    "debian_version",
    "ethertypes",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "localtime",
    "lsb-release",
    "magic",
    "mime.types",
    "networks",
    "os-release",
    "protocols",
    "rpc",
    "services",
    "shells",
    "timezone",
    "xattr.conf",
)
ETC_FOLDER_COPIES = ("alternatives", "ld.so.conf.d", "ssl/certs", "terminfo")
USERS = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = """\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
utmp:x:43:
staff:x:50:
users:x:100:
nogroup:x:65534:
"""
NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
"""
ETC_TEXTS = {
    "fstab": "",
    "group": GROUP,
    "hostname": "",
    "hosts": "",
    "nsswitch.conf": NSSWITCH,
    "passwd": USERS,
    "profile": "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
    "resolv.conf": "",
}
IDLE = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"
"""The command of a container that is given none: it stays until it is stopped, for trying things out."""
CONFIG: dict[str, Any] = {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "Cmd": ["sh", "-c", IDLE],
    "WorkingDir": "/",
}
SECRET_MARK = b"PRIVATE KEY"
_OWN_SOURCE = Path(__file__).read_bytes()
"""A new release may put other things in, so its skeleton has another name."""


def program_folders(host: Path = Path("/")) -> tuple[str, ...]:
    """The top-level program folders of the host that are real folders; with a merged /usr that is ``usr`` alone."""
    return tuple(name for name in PROGRAM_FOLDERS if (host / name).is_dir() and not (host / name).is_symlink())


def skeleton(images: Path, host: Path = Path("/")) -> Path:
    """The folder with everything but the programs, made when it is not there.

    Its name is made from what goes in, so that a change of the host's libraries gives a new one and a mounted one is
    never changed. Layout: ``rootfs/`` is the bottom layer of ``/``, ``hidden/<folder>/`` lies over a program folder.
    """
    folder = images / f"{NAME}-{_version(host)}"
    if not folder.is_dir():
        _build(folder, host)
        _delete_former(images, folder)
    return folder


def _delete_former(images: Path, current: Path) -> None:
    """Delete skeletons of before an upgrade, save those on which a container still runs."""
    mounts = Path("/proc/self/mountinfo").read_text()
    for former in images.glob(f"{NAME}-*"):
        if former != current and f"{former}/" not in mounts:
            shutil.rmtree(former, ignore_errors=True)


def _version(host: Path) -> str:
    digest = hashlib.sha256(_OWN_SOURCE)
    for name in (*ETC_COPIES, *ETC_FOLDER_COPIES, *PROGRAM_FOLDERS):
        path = host / name if name in PROGRAM_FOLDERS else host / "etc" / name
        try:
            found = path.lstat()
        except OSError:
            continue
        # A program folder is mounted as it is, so only its kind counts; of what is copied, every change does.
        when = 0 if name in PROGRAM_FOLDERS else found.st_mtime_ns
        digest.update(f"{name} {found.st_mode} {when}\n".encode())
    return digest.hexdigest()[:16]


def _build(folder: Path, host: Path) -> None:
    """Make *folder* beside its place and move it there, so that half of one is never seen."""
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    make_folder(draft, 0o755)
    root = make_folder(draft / "rootfs", 0o755)
    for name, mode in EMPTY_FOLDERS.items():
        make_folder(root / name, mode)
    (root / "var/run").symlink_to("/run")
    (root / "var/lock").symlink_to("/run/lock")
    _add_programs(root, draft / "hidden", host)
    _add_etc(root / "etc", host / "etc")
    try:
        draft.rename(folder)
    except OSError:
        shutil.rmtree(draft)  # another process was quicker
        if not folder.is_dir():
            raise


def _add_programs(root: Path, hidden: Path, host: Path) -> None:
    for name in PROGRAM_FOLDERS:
        source = host / name
        if source.is_symlink():
            (root / name).symlink_to(os.readlink(source))
        elif source.is_dir():
            make_folder(root / name, 0o755)
            make_folder(hidden / name, source.stat().st_mode & 0o7777)
            for below in HIDDEN_IN.get(name, ()):
                if (source / below).is_dir():
                    _hide(hidden / name, source, below)


def _hide(layer: Path, source: Path, below: str) -> None:
    """Lay an empty folder over *below*: an opaque one, through which nothing shines."""
    reached = Path()
    for part in Path(below).parts:
        reached /= part
        make_folder(layer / reached, (source / reached).stat().st_mode & 0o7777)
    os.setxattr(layer / below, "trusted.overlay.opaque", b"y")


def _add_etc(etc: Path, source: Path) -> None:
    for name, text in ETC_TEXTS.items():
        (etc / name).write_text(text)
        (etc / name).chmod(0o644)
    for name in ETC_COPIES:
        if os.path.lexists(source / name):
            _copy_public(source / name, etc / name)
    for name in ETC_FOLDER_COPIES:
        if not (source / name).is_dir():
            continue
        (etc / name).mkdir(parents=True, exist_ok=True)
        for entry in sorted((source / name).iterdir()):
            _copy_public(entry, etc / name / entry.name)
    (etc / "mtab").symlink_to("/proc/self/mounts")


def _copy_public(source: Path, target: Path) -> None:
    """Copy a link as a link; a file only if everybody may read it and it holds no private key; nothing else."""
    if source.is_symlink():
        target.symlink_to(os.readlink(source))
    elif source.is_file() and source.stat().st_mode & 0o004:
        content = source.read_bytes()
        if SECRET_MARK not in content:
            target.write_bytes(content)
            target.chmod(0o644)
