"""What the worker itself has, and so the most that a container can get."""

from __future__ import annotations

import resource
from functools import cache
from pathlib import Path

from .bundle import HostLimits

CAP_SYS_RESOURCE = 24


@cache
def host_limits() -> HostLimits:
    """Our own limits; they do not change while a worker lives."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    score = int(Path("/proc/self/oom_score_adj").read_text())
    return HostLimits(
        open_files=hard if hard != resource.RLIM_INFINITY else 2**31,
        may_set_oom_score=score <= 0 or has_capability(CAP_SYS_RESOURCE),
    )


def has_capability(number: int) -> bool:
    """Whether this process has the capability *number* (linux/capability.h) in effect."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False
