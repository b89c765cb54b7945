"""The sets that iptables' rules may ask for, as the program ipset prints them. Only looked at where a rule asks for one."""

from __future__ import annotations

import logging
import subprocess

from networks.cnm.ruleset.ipsets import IpSet, parse_ipsets

log = logging.getLogger(__name__)
TIMEOUT_S = 10


def observe_ipsets() -> tuple[IpSet, ...]:
    """Every set of this host; none where there is no ipset. A trace then says that it does not know them."""
    try:
        done = subprocess.run(
            ["ipset", "save"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True, errors="replace"
        )
    except FileNotFoundError:
        return ()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        log.warning("ipset could not list the sets: %s", error)
        return ()
    return parse_ipsets(done.stdout)
