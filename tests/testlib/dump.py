"""A host's network as canonical text, for tests that compare before with after.

Left out is what changes by itself or means nothing: counters, interface indexes, link-local addresses, multicast
routes, and firewall tables that exist but hold nothing (looking at a legacy table makes it).
"""

import json
import os
import re
import subprocess
from typing import Any

SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
    *(f"net/ipv4/conf/{dev}/{key}" for dev in ("all", "default", "eth0") for key in ("forwarding", "route_localnet")),
    *(
        f"net/ipv6/conf/{dev}/{key}"
        for dev in ("all", "default", "eth0")
        for key in ("forwarding", "disable_ipv6", "accept_ra")
    ),
)
BUILT_IN_TABLES = {"filter", "nat", "mangle", "raw", "security"}


def dump() -> str:
    """The whole dump: links, addresses, routes, sysctls, named namespaces, rules of both flavours, IPsec."""
    parts = {
        "links": _links(),
        "addresses": _addresses(),
        "routes": _routes(4) + _routes(6),
        "sysctls": _sysctls(),
        "namespaces": sorted(os.listdir("/run/netns")),
        "legacy": _legacy("iptables", "ip") + _legacy("ip6tables", "ip6"),
        "nft": _nft(),
        "ipsec": _ipsec(),
    }
    return "".join(f"# {title}\n" + "".join(f"{line}\n" for line in lines) for title, lines in parts.items())


def _out(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


def _ip(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_out("ip", "-j", *words) or "[]")
    return found


def _links() -> list[str]:
    lines = []
    for link in _ip("-d", "link"):
        kind = link.get("linkinfo", {}).get("info_kind", "")
        up = "up" if "UP" in link["flags"] else "down"
        alias, master = link.get("ifalias", ""), link.get("master", "")
        lines.append(f"{link['ifname']} {kind} {up} mtu {link['mtu']} master {master} alias {alias}")
    return sorted(lines)


def _addresses() -> list[str]:
    return sorted(
        f"{link['ifname']} {address['local']}/{address['prefixlen']}"
        for link in _ip("addr")
        for address in link.get("addr_info", ())
        if not address["local"].startswith("fe80:")
    )


def _routes(family: int) -> list[str]:
    lines = []
    for route in _ip(f"-{family}", "route", "show", "table", "all"):
        if route["dst"].startswith(("fe80:", "ff00:")) or route.get("type") == "multicast":
            continue
        words = [route.get("type", "unicast"), route["dst"], route.get("gateway", ""), route.get("dev", "")]
        lines.append(" ".join([*words, str(route.get("table", "main")), str(route.get("metric", ""))]))
    return sorted(lines)


def _sysctls() -> list[str]:
    lines = []
    for name in SYSCTLS:
        try:
            with open(f"/proc/sys/{name}") as file:
                lines.append(f"{name} = {file.read().strip()}")
        except FileNotFoundError:
            continue
    return lines


def _legacy(program: str, family: str) -> list[str]:
    try:
        with open(f"/proc/net/{family}_tables_names") as file:
            tables = sorted(file.read().split())
    except FileNotFoundError:
        return []
    lines = []
    for table in tables:
        text = _out(f"{program}-legacy-save", "-t", table)
        rules = [re.sub(r"\[\d+:\d+\]", "", line).strip() for line in text.splitlines() if line[:1] in {":", "-"}]
        if any(line.startswith("-") or not line.endswith(" ACCEPT") for line in rules):
            lines += [f"{family} {table} {line}" for line in rules]
    return lines


def _ipsec() -> list[str]:
    """Policies, and states without their keys."""
    lines = _out("ip", "xfrm", "policy").splitlines()
    lines += [line for line in _out("ip", "xfrm", "state").splitlines() if " spi " in line or line.startswith("src ")]
    return [line.strip() for line in lines]


def _nft() -> list[str]:
    tables: dict[tuple[str, str], list[str]] = {}
    worth: set[tuple[str, str]] = set()
    for item in json.loads(_out("nft", "-j", "-s", "list", "ruleset"))["nftables"]:
        ((kind, value),) = item.items()
        if kind == "metainfo":
            continue
        value.pop("handle", None)
        if kind == "chain" and value.get("hook") and value.get("policy") == "accept":
            continue  # a base chain that accepts does nothing by itself; its rules name it
        table = (value["family"], value["name"] if kind == "table" else value["table"])
        tables.setdefault(table, []).append(f"nft {kind} {json.dumps(value, sort_keys=True)}")
        if not (kind == "table" and table[1] in BUILT_IN_TABLES):
            worth.add(table)
    return [line for table in sorted(worth) for line in tables[table]]
