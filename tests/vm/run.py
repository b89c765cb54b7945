"""Boots the distribution's own kernel under qemu, this machine's files below a layer of memory, and runs a command there.

    python -m tests.vm.run FOLDER COMMAND...

*FOLDER* keeps the kernel, which `apt-get download` fetches once. The guest's console is printed; the exit code is the command's.
Modules and ciphers are loaded beforehand, for a guest without KVM is too slow for the time that a probe has; legacy ip_tables never is.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

META_PACKAGE = "linux-image-cloud-amd64"
MODULES = ("virtio_pci", "virtiofs", "overlay", "virtio_console")
"""What the guest needs before it has a root file system; the rest is loaded from there."""
VIRTIOFSD = Path("/usr/lib/qemu/virtiofsd")
MEMORY_MIB = 2048
ENDED = "CNM-VM-ENDED"
_SERVER_WAIT_S = 10

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /host /layer /new
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
{modules}
/bin/busybox mount -t virtiofs -o ro host /host
/bin/busybox mount -t tmpfs -o size=1g layer /layer
/bin/busybox mkdir /layer/upper /layer/work
/bin/busybox mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /new
/bin/busybox mount --move /proc /new/proc
/bin/busybox mount --move /sys /new/sys
/bin/busybox mount --move /dev /new/dev
exec /bin/busybox switch_root /new /bin/sh {begin}
"""
BEGIN = """export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CNM_VM=1
mount -t tmpfs -o mode=755 run /run && mkdir -p /run/lock
mount -t tmpfs tmp /tmp && mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
mkdir -p /lib/modules/$(uname -r) && mount --bind {modules} /lib/modules/$(uname -r)
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cd /lib/modules/$(uname -r) && rm -f kernel/net/ipv4/netfilter/ip_tables.ko kernel/net/ipv6/netfilter/ip6_tables.ko
depmod $(uname -r)
modprobe -a 8021q ipvlan macvlan vxlan bridge veth esp4 esp6 xfrm_user gcm ctr seqiv
unshare --net ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 mode transport \
  aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128
mkdir -p /run/netns && mount --bind /run/netns /run/netns && mount --make-shared /run/netns
ip link set lo up
cd {folder} && {command} </dev/null; echo {ended} $?
sync; echo o >/proc/sysrq-trigger; sleep 60
"""


def main(folder: Path, command: Sequence[str]) -> int:
    """The exit code of *command* in the guest."""
    for program in ("qemu-system-x86_64", "busybox", "depmod", "tcpdump", "apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is missing: apt-get install qemu-system-x86 busybox-static kmod tcpdump")
    if not VIRTIOFSD.exists():
        raise SystemExit(f"{VIRTIOFSD} is missing: it is in Debian 12's package qemu-system-common")
    kernel, modules = fetch_kernel(folder)
    with tempfile.TemporaryDirectory(prefix="cnm-vm-", dir=folder) as name:
        work = Path(name)
        initrd, begin = work / "initrd", work / "begin"
        begin.write_text(
            BEGIN.format(modules=modules, folder=shlex.quote(os.getcwd()), command=shlex.join(command), ended=ENDED)
        )
        loads = [module_file for name in MODULES for module_file in needed(modules, name)]
        initrd.write_bytes(archive(dict.fromkeys(loads), begin))
        return boot(kernel, initrd, work)


def fetch_kernel(folder: Path) -> tuple[Path, Path]:
    """(the kernel, its folder of modules), taken from the package once."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob("boot/vmlinuz-*"))
    if not found:
        said = subprocess.run(["apt-cache", "depends", META_PACKAGE], check=True, capture_output=True, text=True).stdout
        package = re.search(r"Depends: (linux-image-[0-9]\S+)", said)
        if package is None:
            raise SystemExit(f"{META_PACKAGE} is not to be had: apt-get update")
        subprocess.run(["apt-get", "-q", "download", package[1]], check=True, cwd=folder)
        (archive_file,) = folder.glob(f"{package[1]}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive_file, folder], check=True)
        archive_file.unlink()
        found = sorted(folder.glob("boot/vmlinuz-*"))
    release = found[-1].name.removeprefix("vmlinuz-")
    modules = folder / "lib" / "modules" / release
    subprocess.run(["depmod", "-b", folder, release], check=True)
    return found[-1], modules


def needed(modules: Path, name: str) -> list[Path]:
    """The files of module *name* and of what it needs, in the order in which they are loaded; none where it is built in."""
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, others = line.partition(":")
        if Path(file).stem == name:
            return [modules / other for other in [*reversed(others.split()), file]]
    return []


def archive(loads: Sequence[Path] | dict[Path, None], begin: Path) -> bytes:
    """An initramfs: busybox, the modules, and an init that loads them and goes on from the shared files."""
    lines = [f"/bin/busybox insmod /modules/{file.name}" for file in loads]
    init = INIT.format(modules="\n".join(lines), begin=begin).encode()
    busybox = Path(str(shutil.which("busybox"))).resolve().read_bytes()
    parts: list[tuple[str, int, bytes]] = [(name, 0o40755, b"") for name in ("bin", "modules")]
    parts += [("bin/busybox", 0o100755, busybox), ("init", 0o100755, init)]
    parts += [(f"modules/{file.name}", 0o100644, file.read_bytes()) for file in loads]
    return b"".join(_entries([*parts, ("TRAILER!!!", 0, b"")]))


def _entries(parts: Sequence[tuple[str, int, bytes]]) -> Iterator[bytes]:
    """cpio's "newc" form (cpio(5)): a header of hexadecimal numbers, the name, the content, each filled up to four bytes."""
    for number, (name, mode, content) in enumerate(parts, 1):
        text = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(text), 0)
        yield _filled(b"070701" + b"".join(b"%08X" % field for field in fields) + text)
        yield _filled(content)


def _filled(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def boot(kernel: Path, initrd: Path, work: Path) -> int:
    """Run the guest until it switches itself off; the exit code that it named."""
    socket = work / "files"
    server = subprocess.Popen(
        [
            VIRTIOFSD,
            f"--socket-path={socket}",
            "-o",
            "source=/",
            "-o",
            "sandbox=chroot,no_posix_lock",
            "--rlimit-nofile=0",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + _SERVER_WAIT_S
        while not socket.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"virtiofsd does not start: {server.stderr and server.stderr.read()}")
            time.sleep(0.05)
        return _run(qemu(kernel, initrd, socket))
    finally:
        server.terminate()
        server.wait(10)


def qemu(kernel: Path, initrd: Path, socket: Path) -> list[str]:
    """The command of a guest without a network. Without KVM unless it is asked for: inside a virtual machine it may be there and hang."""
    speed = (
        ["-enable-kvm", "-cpu", "host"]
        if os.environ.get("CNM_VM_KVM")
        else ["-accel", "tcg,thread=multi", "-cpu", "max"]
    )
    memory = f"memory-backend-memfd,id=memory,size={MEMORY_MIB}M,share=on"
    return [
        *("qemu-system-x86_64", *speed, "-smp", "2", "-m", f"{MEMORY_MIB}M"),
        *("-object", memory, "-numa", "node,memdev=memory"),
        *("-chardev", f"socket,id=files,path={socket}", "-device", "vhost-user-fs-pci,chardev=files,tag=host"),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", "console=ttyS0 quiet panic=-1"),
        *("-nographic", "-no-reboot", "-nic", "none"),
    ]


def _run(command: Sequence[str]) -> int:
    code = 1
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as guest:
        assert guest.stdout is not None  # asked for above
        try:
            for line in guest.stdout:
                ended = re.search(rf"{ENDED} (\d+)", line)
                if ended is None:
                    sys.stdout.write(line)
                    sys.stdout.flush()
                else:
                    code = int(ended[1])
        finally:
            guest.kill()
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
