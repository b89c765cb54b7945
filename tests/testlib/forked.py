"""A function of this process, run inside a throw-away host by a fork that enters the host's namespaces.

A fresh interpreter takes half a second to load what the tests' process has loaded already. This is for functions that rest on
nothing that this process keeps: no Django, no open connection.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)


def run_forked(
    namespaces: list[Path], write_answer: Callable[[], str], timeout_s: float
) -> tuple[int | None, str, str]:
    """Exit code (None: it was not through in time, and was ended), the text that *write_answer* gave, and all that was printed.

    *namespaces*: what to enter, in this order; that of processes is the one whose path ends in ``pid``.
    """
    pipes = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of forks beside threads: the child starts none and waits for none
        child = os.fork()
    if child == 0:
        try:
            os.setsid()
            _enter(namespaces)
            inner = os.fork()  # who enters a namespace of processes stays outside; its children are in
            if inner == 0:
                os._exit(_run(write_answer, pipes[0][1], pipes[1][1]))
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) % 256)
        finally:
            os.write(pipes[1][1], traceback.format_exc().encode())
            os._exit(127)
    for _, far in pipes:
        os.close(far)
    answer, printed, in_time = _gather(pipes[0][0], pipes[1][0], timeout_s)
    if not in_time:
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return (code if in_time else None), answer, printed


def _enter(namespaces: list[Path]) -> None:
    handles = [os.open(path, os.O_RDONLY) for path in namespaces]  # before the file system changes
    for handle in handles:
        if _libc.setns(handle, 0):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(handle)
    os.chdir("/")


def _run(write_answer: Callable[[], str], answer: int, printed: int) -> int:
    """In the throw-away host: as a fresh interpreter would find things."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    # What the tests' process has open is nobody's here: a handle of the machine's own network would lead back there.
    os.dup2(answer, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    try:
        text = write_answer()
        with os.fdopen(3, "w") as out:
            out.write(text)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _gather(answer: int, printed: int, timeout_s: float) -> tuple[str, str, bool]:
    """What comes through both pipes until both are closed, and whether that was in time."""
    found = {answer: b"", printed: b""}
    deadline = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for pipe in found:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if chunk := os.read(key.fd, 1 << 16):
                    found[key.fd] += chunk
                else:
                    selector.unregister(key.fd)
        in_time = not selector.get_map()
    for pipe in found:
        os.close(pipe)
    return found[answer].decode(), found[printed].decode(errors="replace"), in_time
