"""A host in a bottle: a whole throw-away Linux host as a context manager and as pytest fixtures.

A bottle has network, mount, uts, ipc and pid namespaces of its own: its own ``/run`` (with ``/run/netns`` and
``/run/xtables.lock``), ``/var/lib/cnm``, ``/sys``, a cgroup2 view, and an ``/etc`` and ``/var/lib`` whose writes stay
inside. Nothing that runs in it can reach the machine's own network, and everything in it dies with it.

    with Bottle(uplink=True) as bottle:
        bottle.run(["ip", "link", "add", "br0", "type", "bridge"])
        bottle.run(["ping", "-c1", "192.0.2.2"], netns="outside")
        bottle.python("worker.probes:facts")
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pytest

from .forked import run_forked

REPOSITORY = Path(__file__).resolve().parents[2]
OUTSIDE = "outside"
"""The network namespace at the other end of a bottle's uplink: 192.0.2.1 and 2001:db8::1."""
START_TIMEOUT_S = 30
COMMAND_TIMEOUT_S = 30


class BottleError(AssertionError):
    """A command inside a bottle failed; the message holds what it printed."""


class Bottle:
    """One throw-away host.

    *uplink*: an ``eth0`` with 192.0.2.2/24 and 2001:db8::2/64, and default routes to the namespace ``outside``.
    *state_dir*: a folder that is seen as ``/var/lib/cnm``; two bottles one after the other on it are a host before and
    after a reboot. Without it the folder is the bottle's own.
    """

    def __init__(self, *, uplink: bool = False, state_dir: Path | None = None) -> None:
        self.uplink = uplink
        self.state_dir = state_dir
        self._init: subprocess.Popen[str] | None = None
        self._started: list[subprocess.Popen[Any]] = []
        self.pid = 0
        """The bottle's first process, as this side sees it."""

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            pytest.fail("Tests in a throw-away host need root: they make network and mount namespaces.")
        namespaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL"]
        init = [sys.executable, "-I", "-S", str(REPOSITORY / "tests" / "testlib" / "bottle_init.py")]
        self._init = subprocess.Popen(
            ["unshare", *namespaces, "--propagation", "private", *init],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        try:
            self._start(self._init)
        except BaseException:
            self.close()
            raise
        return self

    def _start(self, init: subprocess.Popen[str]) -> None:
        assert init.stdin is not None
        assert init.stdout is not None
        assert init.stderr is not None
        init.stdin.write(json.dumps(self.options()) + "\n")
        init.stdin.flush()
        readable, _, _ = select.select([init.stdout], [], [], START_TIMEOUT_S)
        answer = init.stdout.readline() if readable else ""
        if not answer:
            init.kill()
            raise BottleError(f"The throw-away host did not start: {init.stderr.read()}")
        self.pid = json.loads(answer)["pid"]

    def options(self) -> dict[str, Any]:
        """What the first process is told."""
        return {"uplink": self.uplink, "state_dir": str(self.state_dir or "")}

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the bottle and wait until they are gone. A second call does nothing."""
        init, self._init = self._init, None
        if init is None:
            return
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # the first process of a pid namespace takes all others with it
        else:
            init.kill()
        for process in (*self._started, init):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            if process.poll() is None:
                process.kill()
                process.wait(timeout=10)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        self._started.clear()
        self.pid = 0

    @property
    def root(self) -> Path:
        """The bottle's file system, seen from here."""
        return Path(f"/proc/{self.pid}/root")

    def netns(self, name: str | None) -> Path:
        """The network namespace *name*: None is the host's own, ``outside`` the other end of its uplink."""
        if name is None:
            return Path(f"/proc/{self.pid}/ns/net")
        return self.root / ("run/bottle/outside" if name == OUTSIDE else f"run/netns/{name}")

    def command(self, command: Sequence[str | os.PathLike[str]], netns: str | None = None) -> list[str]:
        """*command* as a command of this side that enters the bottle first."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--pid", f"--net={self.netns(netns)}"]
        return [*enter, "--wd=/", "--", *_paths(command)]

    def run(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        check: bool = True,
        timeout: float = COMMAND_TIMEOUT_S,
        netns: str | None = None,
        input: str | None = None,  # as subprocess.run calls it
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* inside to its end. *env* adds to this process's environment.

        Raises :class:`BottleError` with what it printed when it fails and *check* is set, or when *timeout* (seconds)
        runs out.
        """
        process = self.popen(
            command, netns=netns, env=env, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL
        )
        try:
            out, err = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise BottleError(f"{_words(command)} was not through after {timeout} s.\n{out}{err}") from None
        finally:
            self._started.remove(process)
        if check and process.returncode:
            raise BottleError(f"{_words(command)} gave {process.returncode}.\n{out}{err}")
        return subprocess.CompletedProcess(_paths(command), process.returncode, out, err)

    def popen(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        netns: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | Any = subprocess.DEVNULL,
        stdout: int | Any = subprocess.PIPE,
        stderr: int | Any = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start *command* inside, in a process group of its own; it is ended with the bottle at the latest."""
        process = subprocess.Popen(
            self.command(command, netns),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def python(
        self,
        code: str | Callable[..., Any],
        *args: Any,
        timeout: float = 60,
        netns: str | None = None,
        env: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call a function inside, in a fresh interpreter of this virtual environment with the repository on its path.

        *code*: ``"module:function"``, a function at the top level of a module, or source that defines ``main``.
        Arguments and result travel as JSON. Raises :class:`BottleError` with the traceback when it raises.
        """
        if callable(code):
            code = f"{code.__module__}:{code.__qualname__}"
        done = self.run(
            [sys.executable, "-m", "tests.testlib.inside"],
            input=json.dumps({"code": code, "args": args, "kwargs": kwargs}),
            timeout=timeout,
            netns=netns,
            env={"PYTHONPATH": str(REPOSITORY), **(env or {})},
        )
        sys.stderr.write(done.stderr)
        return json.loads(done.stdout)

    def call(self, function: Callable[..., Any], *args: Any, timeout: float = 60) -> Any:
        """Call *function* inside, in a fork of this process: sooner than :meth:`python`, for what keeps nothing in this process.

        Arguments and result travel as JSON all the same. Raises :class:`BottleError` with the traceback when it raises.
        """
        given = json.loads(json.dumps(args))

        def answer_as_text() -> str:
            os.environ["PYTHONPATH"] = str(REPOSITORY)  # for programs of ours that it starts
            return json.dumps(function(*given), default=str)

        inside = [Path(f"/proc/{self.pid}/ns/{kind}") for kind in ("net", "uts", "ipc", "pid", "mnt")]
        code, answer, printed = run_forked(inside, answer_as_text, timeout)
        if code is None:
            raise BottleError(f"{function.__qualname__} was not through after {timeout} s.\n{printed}")
        if code:
            raise BottleError(f"{function.__qualname__} gave {code}.\n{printed}")
        sys.stderr.write(printed)
        return json.loads(answer)

    def ip(self, *words: str, netns: str | None = None) -> Any:
        """What ``ip -j`` answers, as JSON."""
        out = self.run(["ip", "-j", *words], netns=netns).stdout
        return json.loads(out) if out.strip() else []

    def dump(self) -> str:
        """Links, addresses, routes, sysctls, namespaces and rules as canonical text; see :mod:`tests.testlib.dump`."""
        return str(self.python("tests.testlib.dump:dump"))

    def write(self, path: str, text: str) -> None:
        """Write a file of the bottle, its folders made."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()


def inside(function: Callable[[], Any]) -> Callable[[Bottle], None]:
    """Make a test of a function at the top level of a module: it runs in a throw-away host of its own."""

    def test(bottle: Bottle) -> None:
        bottle.call(function)

    test.__name__, test.__doc__, test.__module__ = function.__name__, function.__doc__, function.__module__
    return test


def _words(command: Sequence[str | os.PathLike[str]]) -> str:
    return " ".join(_paths(command))


def _paths(command: Sequence[str | os.PathLike[str]]) -> list[str]:
    return [os.fspath(word) for word in command]


class MakeBottle(Protocol):
    def __call__(self, *, uplink: bool = False, state_dir: Path | None = None) -> Bottle: ...


@pytest.fixture
def bottles() -> Iterator[MakeBottle]:
    """Makes as many throw-away hosts as a test needs; all end with it."""
    with contextlib.ExitStack() as stack:

        def make(*, uplink: bool = False, state_dir: Path | None = None) -> Bottle:
            return stack.enter_context(Bottle(uplink=uplink, state_dir=state_dir))

        yield make


@pytest.fixture
def bottle() -> Iterator[Bottle]:
    """A throw-away host with nothing but ``lo``."""
    with Bottle() as made:
        yield made


@pytest.fixture
def uplink_bottle() -> Iterator[Bottle]:
    """A throw-away host with ``eth0`` (192.0.2.2) and a namespace ``outside`` (192.0.2.1) beyond it."""
    with Bottle(uplink=True) as made:
        yield made
