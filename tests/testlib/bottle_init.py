"""The first process of a throw-away host: makes it, says so, reaps orphans, and ends when its parent does.

Run by :mod:`tests.testlib.bottle` under ``unshare``, with nothing but the standard library (``-I -S``: it starts in
milliseconds). Reads one JSON line of options, answers one JSON line, and then waits for its standard input to close.
"""

import json
import os
import signal
import subprocess
import sys
import time

PRIVATE = "/run/bottle"
"""What the bottle needs and a product inside it need not see."""
RESOLV_CONF = "nameserver 203.0.113.53\nsearch corp.example\noptions timeout:2\n"
UPLINK = """
link add eth0 type veth peer name eth0 netns {outside}
addr add 192.0.2.2/24 dev eth0
addr add 2001:db8::2/64 dev eth0 nodad
link set eth0 up
route add default via 192.0.2.1
route add default via 2001:db8::1
"""
OUTSIDE = """
link set lo up
addr add 192.0.2.1/24 dev eth0
addr add 2001:db8::1/64 dev eth0 nodad
link set eth0 up
"""


def run(*command: str, stdin: str | None = None) -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr or done.stdout}")


def over(folder: str) -> None:
    """Writes below *folder* stay in the bottle; what the machine has there is still to be read."""
    upper, work = f"{PRIVATE}/over{folder}/upper", f"{PRIVATE}/over{folder}/work"
    os.makedirs(upper)
    os.makedirs(work)
    options = f"lowerdir={folder},upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "-o", options, "overlay", folder)


def make_file_systems(state_dir: str) -> None:
    run("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", "/proc")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in ("/run/netns", "/run/lock", PRIVATE):
        os.mkdir(folder)
    # As `ip netns add` leaves it: a namespace bound here later is seen in every mount namespace made before.
    run("mount", "--bind", "/run/netns", "/run/netns")
    run("mount", "--make-shared", "/run/netns")
    run("mount", "-t", "sysfs", "-o", "nosuid,nodev,noexec", "sysfs", "/sys")
    run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
    over("/etc")
    over("/var/lib")
    # A mount point of its own: an overlay cannot be the upper folder of the containers' overlays.
    os.makedirs("/var/lib/cnm", exist_ok=True)
    if state_dir:
        run("mount", "--bind", state_dir, "/var/lib/cnm")
    else:
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/lib/cnm")
    for path, text in (("/etc/resolv.conf", RESOLV_CONF), ("/etc/hostname", "bottle\n")):
        subprocess.run(["umount", "-q", path], check=False)  # container engines bind their own over it
        if os.path.islink(path):
            os.unlink(path)
        with open(path, "w") as file:
            file.write(text)
    run("hostname", "bottle")


def make_uplink() -> None:
    outside = f"{PRIVATE}/outside"
    with open(outside, "w"):
        pass
    run("unshare", "--net", "mount", "--bind", "/proc/self/ns/net", outside)
    with open("/proc/sys/net/ipv6/conf/default/accept_dad", "w") as file:
        file.write("0")  # a link-local address that turns from tentative to valid would change the dump by itself
    run("ip", "-batch", "-", stdin=UPLINK.format(outside=outside))
    with open("/proc/sys/net/ipv6/conf/default/accept_dad", "w") as file:
        file.write("1")
    run("nsenter", f"--net={outside}", "ip", "-batch", "-", stdin=OUTSIDE)
    # On a busy machine the kernel comes to the route of the address some time later, which would change the dump by itself too.
    deadline = time.monotonic() + 10
    shows = ["ip", "-6", "route", "show", "table", "local", "2001:db8::2"]
    while not subprocess.run(shows, capture_output=True).stdout and time.monotonic() < deadline:
        time.sleep(0.01)


def reap(*_: object) -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def main() -> None:
    pid = int(os.readlink("/proc/self"))  # as the parent sees it: /proc is still the outer one
    options = json.loads(sys.stdin.readline())
    make_file_systems(options["state_dir"])
    run("ip", "link", "set", "lo", "up")
    if options["uplink"]:
        make_uplink()
    signal.signal(signal.SIGCHLD, reap)
    reap()
    print(json.dumps({"pid": pid}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
