"""What this kernel and this host can do, found by trying."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from networks.cnm.associations import KEY_BYTES
from networks.cnm.facts import Feature
from networks.cnm.text import NOTHING, Text, gettext_noop
from worker.kernel import modules
from worker.runtime.features import features as runtime_features

PROBE_TIMEOUT_S = 20
AGAIN_S = 60.0
"""After how long it is tried again where nothing was found out."""
_LINKS = {
    "veth": (
        "link add cnmp0 type veth peer name cnmp1",
        gettext_noop("Use a kernel with CONFIG_VETH: without it there are no endpoints."),
    ),
    "bridge": (
        "link add cnmp2 type bridge",
        gettext_noop("Use a kernel with CONFIG_BRIDGE: without it there are no bridge networks."),
    ),
    "vxlan": (
        "link add cnmp3 type vxlan id 42 dstport 4789",
        gettext_noop("Use a kernel with CONFIG_VXLAN: needed for overlay networks."),
    ),
    "macvlan": (
        "link add cnmp4 link cnmp0 type macvlan",
        gettext_noop("Use a kernel with CONFIG_MACVLAN: needed for macvlan networks."),
    ),
    "ipvlan": (
        "link add cnmp5 link cnmp1 type ipvlan",
        gettext_noop("Use a kernel with CONFIG_IPVLAN: needed for ipvlan networks."),
    ),
    "vlan": (
        "link add cnmp6 link cnmp0 type vlan id 7",
        gettext_noop("Use a kernel with CONFIG_VLAN_8021Q: needed for VLAN sub-interfaces."),
    ),
}
_STATE = (
    "xfrm state add src {0} dst {1} proto esp spi 0x101 mode transport replay-window 128 flag esn"
    f" aead rfc4106(gcm(aes)) 0x{bytes(range(KEY_BYTES)).hex()} 128"
)
_ESP = {
    "esp": _STATE.format("192.0.2.1", "192.0.2.2"),
    "esp6": _STATE.format("2001:db8::1", "2001:db8::2"),
}
"""As encrypted networks have it, over IPv4 and over IPv6: modules of their own."""
_CAPABILITIES = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW", 21: "CAP_SYS_ADMIN", 24: "CAP_SYS_RESOURCE"}
_NO_DEVICES = gettext_noop("The kernel has no {kind} devices: {complaint}")
_NOT_FOUND_OUT = gettext_noop("This could not be found out: {cause}. It is tried again.")
_NO_ESP = {
    "esp": gettext_noop("No IPsec ESP: {complaint}"),
    "esp6": gettext_noop("No IPsec ESP over IPv6: {complaint}"),
}
_WITH_ESP = {
    "esp": gettext_noop("Use a kernel with CONFIG_INET_ESP: needed for encrypted overlay networks."),
    "esp6": gettext_noop(
        "Use a kernel with CONFIG_INET6_ESP: needed for encrypted overlay networks between hosts by IPv6."
    ),
}
_NOT_INSTALLED = gettext_noop("{name} is not installed.")
_INSTALL = gettext_noop("Install the package {package}.")
_LACKS = gettext_noop("The worker lacks {name}.")
_GIVE = gettext_noop("Give the worker this capability, or run it outside a restricted container.")
_FAILED = re.compile(r"Command failed -:(\d+)")


class Features:
    """Every feature of this host. What costs processes to try is tried again only when there may be news of it."""

    def __init__(self) -> None:
        self._tried_when = ""
        self._tried: tuple[Feature, ...] = ()
        self._again_at = 0.0

    def __call__(self) -> tuple[Feature, ...]:
        """What the host can do now, so that a remedy that was followed is seen within seconds."""
        when = modules.fingerprint()
        if when != self._tried_when and time.monotonic() >= self._again_at:
            self._tried = tuple(_tries())
            if any(feature.present is None for feature in self._tried):
                self._again_at = time.monotonic() + AGAIN_S
            else:
                self._tried_when = modules.fingerprint()  # trying may load modules itself
        return (*self._tried, *readable_features(), *_programs(), *_rights(), *runtime_features())


def _tries() -> list[Feature]:
    """Make one device of each kind, and ESP states, in a network namespace that vanishes with the process."""
    commands = [command for command, _ in _LINKS.values()] + [_ESP["esp"]]
    try:
        complaints = _complaints(commands) + _complaints([_ESP["esp6"]])
    except (OSError, subprocess.TimeoutExpired) as error:
        return [
            Feature(key=key, present=None, detail=Text.of(_NOT_FOUND_OUT, cause=error))
            for key in (*(f"link.{kind}" for kind in _LINKS), *_ESP)
        ]
    links = [
        _link(kind, remedy, complaint)
        for (kind, (_, remedy)), complaint in zip(_LINKS.items(), complaints[: len(_LINKS)], strict=True)
    ]
    return [*links, *(_esp(key, complaint) for key, complaint in zip(_ESP, complaints[len(_LINKS) :], strict=True))]


def _complaints(commands: Sequence[str]) -> list[str]:
    """What ``ip`` complains of at each command; empty where it worked. Raises OSError, TimeoutExpired: then nothing is known."""
    done = subprocess.run(
        ["unshare", "--net", "ip", "-force", "-batch", "-"],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        timeout=PROBE_TIMEOUT_S,
        check=False,
    )
    result, said = [""] * len(commands), ""
    for line in done.stderr.splitlines():
        failed = _FAILED.match(line)
        if failed:
            result[int(failed[1]) - 1] = said.strip() or line
            said = ""
        else:
            said = f"{said} {line}"
    if said.strip().startswith("unshare:"):  # it did not come as far as the first command
        raise OSError(said.strip())
    if said and done.returncode:  # `ip xfrm` ends the program where it fails, without the line's number: it is the last
        result[-1] = said.strip()
    return result


def _link(kind: str, remedy: str, complaint: str) -> Feature:
    # The parents are veths: of lo a kernel that has 802.1q says that VLANs are "not supported on device".
    present = not any(word in complaint for word in ("Unknown device type", "not supported"))
    return Feature(
        key=f"link.{kind}",
        present=present,
        detail=NOTHING if present else Text.of(_NO_DEVICES, kind=kind, complaint=complaint),
        remedy=NOTHING if present else Text(remedy),
    )


def _esp(key: str, complaint: str) -> Feature:
    return Feature(
        key=key,
        present=not complaint,
        detail=Text.of(_NO_ESP[key], complaint=complaint) if complaint else NOTHING,
        remedy=Text(_WITH_ESP[key]) if complaint else NOTHING,
    )


def readable_features() -> list[Feature]:
    """The features that anybody can read; they need no right."""
    bridge_filtering = Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists()
    checks = (
        ("ipv6", _has_ipv6(), gettext_noop("The kernel has no IPv6."), gettext_noop("Boot without ipv6.disable=1.")),
        (
            "bridge-nf",
            bridge_filtering or modules.can_be_loaded(modules.BRIDGE_FILTERING),
            gettext_noop("Bridged packets do not meet iptables, so icc=false cannot be enforced."),
            gettext_noop(
                "Install the kernel module br_netfilter (the distribution's package of further kernel modules has it)."
            ),
        ),
        (
            "conntrack",
            Path("/proc/sys/net/netfilter/nf_conntrack_max").exists(),
            gettext_noop("No connection tracking."),
            gettext_noop("Install the kernel module nf_conntrack."),
        ),
        (
            "iptables-legacy",
            Path("/proc/net/ip_tables_names").exists() or modules.can_be_loaded("ip_tables"),
            gettext_noop("The kernel has no legacy iptables."),
            gettext_noop("None is needed where the host uses nf_tables."),
        ),
    )
    return [
        Feature(key=key, present=present)
        if present
        else Feature(key=key, present=False, detail=Text(detail), remedy=Text(remedy))
        for key, present, detail, remedy in checks
    ]


def _has_ipv6() -> bool:
    """A kernel booted with ipv6.disable=1 makes no socket of that family."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def _programs() -> list[Feature]:
    result = []
    for name, package in (("iptables", "iptables"), ("nft", "nftables")):
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        result.append(
            Feature(
                key=f"program.{name}",
                present=path is not None,
                detail=Text(path) if path else Text.of(_NOT_INSTALLED, name=name),
                remedy=NOTHING if path else Text.of(_INSTALL, package=package),
            )
        )
    return result


def _rights() -> list[Feature]:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    effective = int(line.split()[1], 16)
    return [
        Feature(
            key=f"right.{name}",
            present=bool(effective >> bit & 1),
            detail=NOTHING if effective >> bit & 1 else Text.of(_LACKS, name=name),
            remedy=NOTHING if effective >> bit & 1 else Text(_GIVE),
        )
        for bit, name in _CAPABILITIES.items()
    ]
