"""What this kernel and this host can do, found by trying, once a boot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

from networks.cnm.facts import Feature
from worker.runtime.features import features as runtime_features

PROBE_TIMEOUT_S = 20
_LINKS = {
    "veth": ("link add cnmp0 type veth peer name cnmp1", "CONFIG_VETH: without it there are no endpoints"),
    "bridge": ("link add cnmp0 type bridge", "CONFIG_BRIDGE: without it there are no bridge networks"),
    "vxlan": ("link add cnmp0 type vxlan id 42 dstport 4789", "CONFIG_VXLAN: needed for overlay networks"),
    "macvlan": ("link add cnmp0 link lo type macvlan", "CONFIG_MACVLAN: needed for macvlan networks"),
    "ipvlan": ("link add cnmp0 link lo type ipvlan", "CONFIG_IPVLAN: needed for ipvlan networks"),
    "vlan": ("link add cnmp0 link lo type vlan id 7", "CONFIG_VLAN_8021Q: needed for VLAN sub-interfaces"),
}
_ESP = (
    "xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x101 mode transport"
    " aead rfc4106(gcm(aes)) 0x0102030405060708090a0b0c0d0e0f1011121314 128"
)
_CAPABILITIES = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW", 21: "CAP_SYS_ADMIN", 24: "CAP_SYS_RESOURCE"}


def boot_features(run_dir: Path) -> tuple[Feature, ...]:
    """Every feature; probed at the first call after a boot, then read from a file below *run_dir*."""
    kept = run_dir / "features.json"
    key = [
        Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        os.uname().release,
        os.readlink("/proc/self/ns/net"),
    ]
    try:
        value = json.loads(kept.read_text())
        if value["key"] == key:
            return tuple(Feature(**item) for item in value["features"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = probe()
    kept.write_text(json.dumps({"key": key, "features": [asdict(item) for item in found]}))
    return found


def probe() -> tuple[Feature, ...]:
    """Try everything; takes a fraction of a second."""
    links = [_link(kind, command, remedy) for kind, (command, remedy) in _LINKS.items()]
    return (*links, _esp(), *_reads(), *_programs(), *_rights(), *runtime_features())


def _ip(command: str) -> str:
    """Run one ``ip`` command in a network namespace that vanishes with it; what it complained of, empty where it worked."""
    try:
        done = subprocess.run(
            ["unshare", "--net", "ip", *command.split()],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")


def _link(kind: str, command: str, remedy: str) -> Feature:
    complaint = _ip(command)
    # A parent that does not fit (lo) is refused only by a kernel that knows the type.
    present = not complaint or not any(word in complaint for word in ("Unknown device type", "not supported"))
    return Feature(
        key=f"link.{kind}",
        present=present,
        detail="" if present else f"The kernel has no {kind} devices: {complaint}",
        remedy="" if present else f"Use a kernel with {remedy}.",
    )


def _esp() -> Feature:
    complaint = _ip(_ESP)
    return Feature(
        key="esp",
        present=not complaint,
        detail=f"No IPsec ESP: {complaint}" if complaint else "",
        remedy="Use a kernel with CONFIG_INET_ESP: needed for encrypted overlay networks." if complaint else "",
    )


def _reads() -> list[Feature]:
    checks = (
        ("ipv6", Path("/proc/net/if_inet6").exists(), "The kernel has no IPv6.", "Boot without ipv6.disable=1."),
        (
            "bridge-nf",
            Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists(),
            "Bridged packets do not meet iptables, so icc=false cannot be enforced.",
            "Load the module br_netfilter.",
        ),
        (
            "conntrack",
            Path("/proc/sys/net/netfilter/nf_conntrack_max").exists(),
            "No connection tracking.",
            "Load the module nf_conntrack.",
        ),
        (
            "iptables-legacy",
            Path("/proc/net/ip_tables_names").exists(),
            "The kernel has no legacy iptables.",
            "None is needed where the host uses nf_tables.",
        ),
    )
    return [
        Feature(key=key, present=present, detail="" if present else detail, remedy="" if present else remedy)
        for key, present, detail, remedy in checks
    ]


def _programs() -> list[Feature]:
    result = []
    for name, package in (("iptables", "iptables"), ("nft", "nftables")):
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        result.append(
            Feature(
                key=f"program.{name}",
                present=path is not None,
                detail=path or f"{name} is not installed.",
                remedy="" if path else f"Install the package {package}.",
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
            detail="" if effective >> bit & 1 else f"The worker lacks {name}.",
            remedy=""
            if effective >> bit & 1
            else "Give the worker this capability, or run it outside a restricted container.",
        )
        for bit, name in _CAPABILITIES.items()
    ]
