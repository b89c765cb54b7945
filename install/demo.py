"""``make demo``: ``make up`` on a throw-away host inside this one, with a small sample. This machine's own network is not touched.

The host has network, mount and process namespaces of its own (``tests/testlib/bottle_init.py`` makes it, as for every test). The product
is built once, outside, in a cache that the next demo finds; inside, the installer itself does the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import packages
import release
from layout import CACHE, CURRENT, LOGS, PREFIX, PYTHON, TREE, python_is_new_enough, refuse, require_root, run, say
from up import step

INIT = TREE / "tests/testlib/bottle_init.py"
UPLINK = "192.0.2.2"
"""The demo host's own address, where its published ports are reached from outside."""
CONSOLE, SAMPLE = 8000, 8080
TITLE = "CNM Web: make demo"


@contextlib.contextmanager
def throw_away_host() -> Iterator[int]:
    """A host inside this one, until the end of the block; gives its first process. It ends with this process, whatever ends that."""
    namespaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL"]
    command = ["unshare", *namespaces, "--propagation", "private", PYTHON, "-I", "-S", str(INIT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/") as host:
        assert host.stdin is not None  # noqa: S101
        assert host.stdout is not None  # noqa: S101
        host.stdin.write(json.dumps({"uplink": True, "state_dir": ""}) + "\n")
        host.stdin.flush()
        answer = host.stdout.readline()
        if not answer:
            refuse("the throw-away host did not start.")
        pid = int(json.loads(answer)["pid"])
        try:
            yield pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # the first process of a pid namespace takes all others with it


def inside(pid: int, *command: str | Path, show: bool = False) -> str:
    """Run a program on the throw-away host to its end."""
    enter = ["nsenter", f"--target={pid}", "--mount", "--uts", "--ipc", "--pid", "--net", "--wd=/", "--"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("CNM_")}
    return run([*enter, *command], env=env, show=show)


def prepare(pid: int) -> None:
    """What the installer finds on the throw-away host: the product built, and places that vanish with it."""
    for folder in (PREFIX.parent, LOGS.parent):
        inside(pid, "mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    inside(pid, "mkdir", PREFIX)
    inside(pid, "mount", "--rbind", CACHE, PREFIX)


def listeners() -> list[tuple[socket.socket, int]]:
    """Ports on this machine's loopback, for the console and for the sample's published port; any free one where that is taken."""
    wanted = int(os.environ.get("CNM_DEMO_PORT", CONSOLE))
    result = []
    for first, port in ((wanted, CONSOLE), (SAMPLE, SAMPLE)):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", first))
        except OSError:
            if first == wanted and "CNM_DEMO_PORT" in os.environ:
                refuse(f"port {first} of 127.0.0.1 is in use: choose another with CNM_DEMO_PORT.")
            listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        result.append((listener, port))
    return result


def carry(pid: int, held: Sequence[tuple[socket.socket, int]]) -> subprocess.Popen[bytes]:
    """Lead connections to this machine's ports into the throw-away host: a process that listens out here and calls in there."""
    console, sample = held
    targets = [f"{console[0].fileno()}:127.0.0.1:{console[1]}", f"{sample[0].fileno()}:{UPLINK}:{sample[1]}"]
    command = ["nsenter", f"--target={pid}", "--net", "--", PYTHON, "-I", str(TREE / "install/carry.py"), *targets]
    return subprocess.Popen(command, pass_fds=[listener.fileno() for listener, _ in held], stdin=subprocess.DEVNULL)


def tell(pid: int, held: Sequence[tuple[socket.socket, int]]) -> None:
    (console, _), (sample, _) = held
    say(f"\nThe demo is at http://127.0.0.1:{console.getsockname()[1]}/ (name and password: above).")
    say(
        f"Its published port {SAMPLE} is at http://127.0.0.1:{sample.getsockname()[1]}/ of this machine; any port that you publish answers"
    )
    say(f"    sudo nsenter --target={pid} --net curl http://{UPLINK}:PORT/")
    say("Ctrl-C ends it, and nothing of it stays but what was built, in /var/cache/cnmweb.")


def main() -> None:
    require_root()
    os.umask(0o022)
    if not python_is_new_enough():
        refuse(f"Python 3.11 or newer is needed, and {PYTHON} is {sys.version.split()[0]}.")
    say(TITLE)
    step("system packages", packages.install)
    CACHE.mkdir(mode=0o755, exist_ok=True)
    step("product", lambda: release.install_tree(CACHE))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), throw_away_host() as pid:
        prepare(pid)
        inside(pid, PYTHON, TREE / "install/up.py", show=True)
        step("sample", lambda: sample(pid))
        held = listeners()
        with carry(pid, held) as carrier:
            tell(pid, held)
            try:
                while carrier.poll() is None:
                    time.sleep(0.5)
            finally:
                carrier.kill()
    say("The demo is gone.")


def sample(pid: int) -> bool:
    # As the installer runs it, with the environment of the product's own processes.
    code = "import sys; sys.path.insert(0, sys.argv[1]); from configuration import manage; manage('sample')"
    inside(pid, PYTHON, "-c", code, CURRENT / "install")
    return True


if __name__ == "__main__":
    main()
