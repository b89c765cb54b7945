"""All rules of a host, each with whose it is and why: what was last seen, joined with what compile wants.

Nothing here touches a kernel: the rules are the worker's last observation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from networks.cnm.resources import OWNER_CODES
from networks.cnm.rules import Rule
from networks.load import load_facts, load_host
from networks.models import FeedCounter, Host, Observation
from worker.compile import compile_host

FOREIGN = (
    ("kube", re.compile(r"\bKUBE-|kube-proxy|\bcali-|CILIUM_|flannel|FLANNEL")),
    ("tailscale", re.compile(r"\bts-(?:input|forward|postrouting)|tailscale\d")),
    ("fail2ban", re.compile(r"\bf2b-")),
    ("docker", re.compile(r"DOCKER|docker0|docker-bridges|docker-overlay|br-[0-9a-f]{12}")),
    ("podman", re.compile(r"NETAVARK|netavark|CNI-|podman\d")),
    ("libvirt", re.compile(r"LIBVIRT|libvirt|virbr\d|\blxcbr\d|\blxdbr\d")),
    ("ufw", re.compile(r"\bufw6?-")),
    ("firewalld", re.compile(r"_public|_ZONES|firewalld|_allow\b")),
)
"""How the rules of other programs are known, by their chains and devices."""
FILTERS = ("family", "table", "chain", "owner", "port")
SORTS = ("family", "table", "chain", "position", "packets", "bytes")
_PORTS = re.compile(r"--(?:[ds]ports?|to-ports?|ctorigdstport) (\S+)|--to-destination \S*:(\d+(?:-\d+)?)\b")
_KINDS = {code: kind for kind, code in OWNER_CODES.items()}


def rules(host: Host) -> list[dict[str, Any]]:
    """Every rule of *host* in evaluation order, by family, table and chain.

    Each: family, table, chain, position, text, packets, bytes, tag, ours, owner ({kind, id, name} or None), why, foreign_class.
    """
    kept = _kept.get(host.pk)
    state = state_of(host)
    if kept is None or kept[0] != state:
        seen = Observation.objects.filter(host=host, kind="rules").values_list("data", flat=True).first() or {}
        resources = compile_host(load_host(host), load_facts(host))
        kept = _kept[host.pk] = (state, join(seen.get("rules", []), resources))
    return list(kept[1])


_kept: dict[int, tuple[tuple[Any, ...], list[dict[str, Any]]]] = {}
"""The last answer for each host, with what it was made of: with ten thousand rules it takes a second to make."""


def state_of(host: Host) -> tuple[Any, ...]:
    """What the answer depends on: the rules seen, and every change of desired state, which always leaves an event."""
    seen = Observation.objects.filter(host=host, kind="rules").values_list("at", "generation").first()
    counter = FeedCounter.objects.filter(pk=1).values_list("epoch", "last").first()
    return (seen, counter, host.facts.get("version"), str(host.settings))


def chains(host: Host) -> list[dict[str, Any]]:
    """Every chain of *host* with its policy and counters."""
    seen = Observation.objects.filter(host=host, kind="rules").values_list("data", flat=True).first() or {}
    return list(seen.get("chains", []))


def join(rules: Iterable[dict[str, Any]], resources: Iterable[object]) -> list[dict[str, Any]]:
    """Each of *rules* with its owner and reason, from what compile wants; see :func:`rules`."""
    wanted = {(r.family, r.table, r.chain, r.text): r for r in resources if isinstance(r, Rule)}
    return [_joined(rule, wanted) for rule in rules]


def _joined(rule: dict[str, Any], wanted: dict[tuple[int, str, str, str], Rule]) -> dict[str, Any]:
    ours = wanted.get((rule["family"], rule["table"], rule["chain"], rule["text"]))
    tag = rule.get("tag", "")
    value = dict(rule)
    value["ours"] = ours is not None or bool(tag)
    value["owner"] = ours.owner.to_json() if ours is not None else _owner_of(tag)
    value["why"] = str(ours.why) if ours is not None else ""
    value["foreign_class"] = "" if value["ours"] else classify(rule)
    return value


def _owner_of(tag: str) -> dict[str, str] | None:
    """The owner that a tag names, though the desired state no longer knows the rule."""
    parts = tag.split(":")
    if len(parts) != 3 or parts[1] not in _KINDS:
        return None
    return {"kind": _KINDS[parts[1]], "id": parts[2], "name": ""}


def classify(rule: dict[str, Any]) -> str:
    """Whose a foreign rule probably is, by its table, chain and words: one of :data:`FOREIGN`'s names, or unknown."""
    text = f"{rule['table']} {rule['chain']} {rule['text']}"
    return next((name for name, pattern in FOREIGN if pattern.search(text)), "unknown")


def ports_of(text: str) -> list[tuple[int, int]]:
    """(first, last) of each port or range that a rule names, on either side."""
    found = []
    for ports, destination in _PORTS.findall(text):
        for part in (ports or destination).split(","):
            low, _, high = part.replace("-", ":").partition(":")
            if low.isdigit() and (high or low).isdigit():
                found.append((int(low), int(high or low)))
    return found


def filtered(found: Iterable[dict[str, Any]], **wanted: str) -> list[dict[str, Any]]:
    """Those of *found* that have the given table, chain, family, owner (id, name or kind) and port, and ``q`` in text or why."""

    def fits(rule: dict[str, Any]) -> bool:
        owner = rule["owner"] or {}
        whose = {owner.get("id", ""), owner.get("name", ""), owner.get("kind", ""), rule["foreign_class"]}
        checks = {
            "family": lambda text: str(rule["family"] or text) == text,
            "table": lambda text: rule["table"] == text,
            "chain": lambda text: rule["chain"] == text,
            "owner": lambda text: text in whose or (len(text) >= 4 and owner.get("id", "").startswith(text)),
            "port": lambda text: (
                text.isdigit() and any(low <= int(text) <= high for low, high in ports_of(rule["text"]))
            ),
            "q": lambda text: text.lower() in f"{rule['text']} {rule['why']}".lower(),
        }
        return all(checks[name](text) for name, text in wanted.items() if text)

    return [rule for rule in found if fits(rule)]
