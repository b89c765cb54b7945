"""Names: what people may call things, and the kernel names that are made from ids.

Interface names are at most 15 bytes (``IFNAMSIZ`` - 1, linux/if.h). Every kernel name that a person does not choose is
made from an object's id, so that two objects can never meet in one name and nothing typed reaches the kernel unchecked.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

ID_HEX_DIGITS = 64
SHORT_ID_DIGITS = 12

OBJECT_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}\Z")
"""Names of networks and containers; Docker's own pattern (moby ``daemon/names``), with an upper bound."""

INTERFACE_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,14}\Z")
"""A bridge name that a person may choose. The kernel allows more; slashes, blanks, ``%`` and quotes help nobody."""

HOST_LABEL = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\Z")
"""One label of a host name (RFC 1123 section 2.1)."""

HOST_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]{0,63}\Z")
"""What a host may be called here: it is part of the names of queues."""

EVERY_HOST = "*"
"""In place of a host's name: all of them. No host can be called so."""

HOST_GATEWAY = "host-gateway"
"""What an extra host may name instead of an address: the host itself, as its containers reach it."""

PREDEFINED_NETWORKS = ("bridge", "host", "none")


def new_id() -> str:
    """A random 256-bit id, 64 hexadecimal digits. Never all digits in its short form, so that it is never read as a number."""
    while True:
        candidate = secrets.token_hex(ID_HEX_DIGITS // 2)
        if not candidate[:SHORT_ID_DIGITS].isdigit():
            return candidate


def short(object_id: str) -> str:
    """The part of an id that kernel names are made of, as Docker's short ids."""
    return object_id[:SHORT_ID_DIGITS]


def bridge_device(network_id: str) -> str:
    """``br-<12 hex>``, as Docker names the bridges of user-defined networks."""
    return f"br-{short(network_id)}"


def veth_device(endpoint_id: str) -> str:
    """The host end of an endpoint's veth pair: ``cv`` and 12 hex digits; never ``veth…``, so it is seen to be ours."""
    return f"cv{short(endpoint_id)}"


def inner_device(endpoint_id: str) -> str:
    """The other end of an endpoint's veth pair, for as long as it stands on the host: ``ci`` and 12 hex digits."""
    return f"ci{short(endpoint_id)}"


def sandbox_name(container_id: str) -> str:
    """The name under ``/run/netns``, where ``ip netns`` shows it."""
    return f"cnm-{short(container_id)}"


def vxlan_device(vni: int) -> str:
    """The VXLAN device of a segment: ``cx`` and the number; never ``vxlan…``, so it is seen to be ours."""
    return f"cx{vni}"


def endpoint_names(name: str, aliases: Iterable[str], container_id: str, hostname: str) -> tuple[str, ...]:
    """What an endpoint answers to, as in Docker: the container's name, the aliases, the short id, the host name; each once."""
    return tuple(dict.fromkeys(filter(None, (name, *aliases, short(container_id), hostname))))


def mac_from_ipv4(address: IPv4Address) -> str:
    """The MAC that Docker derives from an IPv4 address: ``02:42`` and the four octets (libnetwork ``netutils``)."""
    return "02:42:" + ":".join(f"{octet:02x}" for octet in address.packed)


def random_mac() -> str:
    """A locally administered unicast MAC for an endpoint without IPv4."""
    return "02:42:" + ":".join(f"{octet:02x}" for octet in secrets.token_bytes(4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """One naming scheme: the default bridge's device and our chains."""

    key: str
    bridge: str
    chain: str
    user_chain: str
    isolation_stage_1: str
    isolation_stage_2: str
    comments: bool
    """Whether every rule carries its owner's id as a comment."""
    dns_output: str
    dns_postrouting: str
    """The chains of the embedded DNS server inside sandboxes."""
    gateway_network: str
    """The network of each host by which containers on overlay networks reach the outside, and its bridge."""


CNM_NAMING = Naming(
    key="cnm",
    bridge="cnm0",
    chain="CNM",
    user_chain="CNM-USER",
    isolation_stage_1="CNM-ISOLATION-STAGE-1",
    isolation_stage_2="CNM-ISOLATION-STAGE-2",
    comments=True,
    dns_output="CNM_OUTPUT",
    dns_postrouting="CNM_POSTROUTING",
    gateway_network="cnm_gwbridge",
)
DOCKER_NAMING = Naming(
    key="docker",
    bridge="docker0",
    chain="DOCKER",
    user_chain="DOCKER-USER",
    isolation_stage_1="DOCKER-ISOLATION-STAGE-1",
    isolation_stage_2="DOCKER-ISOLATION-STAGE-2",
    comments=False,
    dns_output="DOCKER_OUTPUT",
    dns_postrouting="DOCKER_POSTROUTING",
    gateway_network="docker_gwbridge",
)
NAMINGS = {naming.key: naming for naming in (CNM_NAMING, DOCKER_NAMING)}
