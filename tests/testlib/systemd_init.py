"""The first steps of a throw-away host that systemd then runs: its file systems and its network, and nothing of this machine's services.

Run by :mod:`tests.testlib.systemd_host` under ``unshare``, in a cgroup of its own, with nothing but the standard library. Reads one JSON
line of options, answers one JSON line, and becomes systemd.
"""

import ctypes
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bottle_init
from bottle_init import PRIVATE, run

OLD = "/mnt"
"""Where the machine's files are on the way to a disk that is whole."""
UNITS = "/etc/systemd/system"
SHIPPED = "/lib/systemd/system"
NEEDED = ("systemd-journald", "systemd-tmpfiles-setup.service")
"""Of what a distribution starts at boot; all else may reach for this machine's hardware, disks or kernel settings."""
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def over(folder: str, disk: str) -> None:
    """Writes below *folder* go to *disk*, which outlives a boot; what the machine has there is still to be read."""
    upper, work = f"{disk}{folder}/upper", f"{disk}{folder}/work"
    os.makedirs(upper, exist_ok=True)
    os.makedirs(work, exist_ok=True)
    run("mount", "-t", "overlay", "-o", f"lowerdir={folder},upperdir={upper},workdir={work}", "overlay", folder)


def make_file_systems(disk: str) -> None:
    run("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", "/proc")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in ("/run/netns", "/run/lock", PRIVATE, f"{disk}/state"):
        os.makedirs(folder, exist_ok=True)
    run("mount", "-t", "sysfs", "-o", "nosuid,nodev,noexec", "sysfs", "/sys")
    run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
    for folder in ("/etc", "/var", "/opt"):
        over(folder, disk)
    os.makedirs("/var/lib/cnm", exist_ok=True)
    run("mount", "--bind", f"{disk}/state", "/var/lib/cnm")
    run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp")
    make_devices()


def enter(disk: str) -> None:
    """*disk* is the root, with nothing of this machine in sight but a few devices."""
    run("mount", "--bind", disk, disk)
    os.makedirs(f"{disk}{OLD}", exist_ok=True)
    os.chdir(disk)
    if ctypes.CDLL(None, use_errno=True).pivot_root(b".", OLD.lstrip("/").encode()):
        raise OSError(ctypes.get_errno(), "pivot_root")
    os.chdir("/")
    run("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", "/proc")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in ("/run/lock", PRIVATE):
        os.makedirs(folder, exist_ok=True)
    run("mount", "-t", "sysfs", "-o", "nosuid,nodev,noexec", "sysfs", "/sys")
    run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
    run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp")
    run("mount", "--rbind", f"{OLD}/dev", "/dev")
    make_devices()
    run("umount", "-l", OLD)
    run("mount", "--make-rshared", "/")


def make_devices() -> None:
    dev = f"{PRIVATE}/dev"
    os.makedirs(dev)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", dev)
    for name in DEVICES:
        with open(f"{dev}/{name}", "w"):
            pass
        run("mount", "--bind", f"/dev/{name}", f"{dev}/{name}")
    for name in ("pts", "shm", "net"):
        os.mkdir(f"{dev}/{name}")
    run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=666", "devpts", f"{dev}/pts")
    os.symlink("pts/ptmx", f"{dev}/ptmx")
    os.symlink("/proc/self/fd", f"{dev}/fd")
    run("mount", "--rbind", dev, "/dev")


def make_first_boot() -> None:
    """Nothing of what this machine starts is started."""
    for entry in os.listdir(UNITS):
        if entry.endswith((".wants", ".requires")):
            shutil.rmtree(f"{UNITS}/{entry}")
    for entry in os.listdir(SHIPPED):
        if not entry.endswith(".wants"):
            continue
        for unit in os.listdir(f"{SHIPPED}/{entry}"):
            if not unit.startswith(NEEDED) and not os.path.lexists(f"{UNITS}/{unit}") and not unit.endswith(".target"):
                os.symlink("/dev/null", f"{UNITS}/{unit}")
    if os.path.lexists(f"{UNITS}/default.target"):
        os.unlink(f"{UNITS}/default.target")
    os.symlink(f"{SHIPPED}/multi-user.target", f"{UNITS}/default.target")
    with open("/etc/machine-id", "w"):
        pass


def main() -> None:
    pid = int(os.readlink("/proc/self"))  # as the parent sees it: /proc is still the outer one
    options = json.loads(sys.stdin.readline())
    mark = "/var/lib/cnm-first-boot" if options["whole"] else "/state"
    first = not os.path.exists(options["disk"] + mark)
    if options["whole"]:
        enter(options["disk"])
        open(mark, "w").close()
    else:
        make_file_systems(options["disk"])
    if first:
        make_first_boot()
    run("hostname", "bottle")
    run("ip", "link", "set", "lo", "up")
    bottle_init.make_uplink()
    print(json.dumps({"pid": pid}), flush=True)
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.environ["container"] = "cnm-bottle"  # noqa: SIM112  # as systemd spells it: it leaves hardware alone then
    os.execv("/lib/systemd/systemd", ["/lib/systemd/systemd"])  # noqa: S606  # it becomes the host's first process


if __name__ == "__main__":
    main()
