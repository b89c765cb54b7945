"""All rules of a host, each with whose it is and why: what was last seen, joined with what compile wants.

Nothing here touches a kernel: the rules are the worker's last observation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from django.utils.translation import gettext

from networks.cnm.names import short
from networks.cnm.resources import OWNER_CODES
from networks.cnm.rules import Rule
from networks.cnm.text import NOTHING
from networks.load import load_both, load_facts
from networks.models import FeedCounter, Host, Observation
from networks.provenance import Maker, makers
from networks.rule_filters import devices_of, networks_of
from networks.steady import steady
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
_SETS = re.compile(r"--match-set (\S+)")
SHOWN_MEMBERS = 50
"""Members of a set that a rule shows."""
_KINDS = {code: kind for kind, code in OWNER_CODES.items()}


def rules(host: Host) -> list[dict[str, Any]]:
    """Every rule of *host* in evaluation order, by family, table and chain.

    Each: family, table, chain, position, text, packets, bytes, tag, ours, owner ({kind, id, name} or None), why (a Text: an answer is kept,
    and its readers differ in language), foreign_class,
    foreign_object (of a Docker Engine: {kind, name} or None), sets (that it asks for, with members),
    made (who asked for the owner: :data:`networks.provenance.Maker`, or None).
    """
    return list(_of_now(host)[1])


def rules_and_chains(host: Host) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """As :func:`rules`, and every chain with its policy and counters, of the same look."""
    _, found, chains = _of_now(host)
    return list(found), list(chains)


def told(row: dict[str, Any]) -> dict[str, Any]:
    """*row* of :func:`rules` as JSON, its reason in the reader's language."""
    return row | {"why": row["why"].translated(gettext)}


_Kept = tuple[tuple[Any, ...], list[dict[str, Any]], list[dict[str, Any]]]
_kept: dict[int, _Kept] = {}
"""The last answer for each host (rules, chains), after what it was made of: with ten thousand rules it takes a second to make."""


def _of_now(host: Host) -> _Kept:
    with steady():
        kept, state = _kept.get(host.pk), state_of(host)
        if kept is not None and kept[0] == state:
            return kept
        seen = Observation.objects.filter(host=host, kind="rules").values_list("data", flat=True).first() or {}
        desired, kept_host = load_both(host)
        made = makers(host, kept_host)
    resources = compile_host(desired, load_facts(host))
    joined = join(seen.get("rules", []), resources, made, Beside.of(seen))
    kept = _kept[host.pk] = (state, joined, list(seen.get("chains", [])))
    return kept


def state_of(host: Host) -> tuple[Any, ...]:
    """What the answer depends on: the rules seen, and every change of desired state, which always leaves an event."""
    seen = Observation.objects.filter(host=host, kind="rules").values_list("at", "generation").first()
    counter = FeedCounter.objects.filter(pk=1).values_list("epoch", "last").first()
    return (seen, counter, host.facts.get("version"), str(host.settings))


def counters_at() -> str:
    """When the rules of any host were last read; one small query."""
    at = Observation.objects.filter(kind="rules").order_by("-at").values_list("at", flat=True).first()
    return at.isoformat() if at else ""


@dataclass(frozen=True, slots=True)
class Beside:
    """What rules only name: the sets that they ask for, and the objects of a Docker Engine."""

    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    engine: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, seen: Mapping[str, Any]) -> Beside:
        return cls({one["name"]: one for one in seen.get("ipsets", ())}, tuple(seen.get("docker", ())))

    def sets_of(self, text: str) -> list[dict[str, Any]]:
        """Each set that a rule asks for, with its first members; one that nobody could read has none."""
        found = []
        for name in _SETS.findall(text):
            one = self.sets.get(name, {})
            members = list(one.get("members", ()))
            shown = {
                "name": name,
                "type": one.get("type", ""),
                "count": len(members),
                "members": members[:SHOWN_MEMBERS],
            }
            found.append(shown)
        return found

    def object_of(self, text: str) -> dict[str, str] | None:
        """The engine's container whose address the rule names, else the network by its bridge or subnet."""
        named = list(networks_of(text))
        devices = set(devices_of(text))
        for one in self.engine:
            if one["kind"] == "container" and any(ip_network(address) in named for address in one["addresses"]):
                return {"kind": "container", "name": one["name"]}
        for one in self.engine:
            if one["kind"] == "network" and (
                one.get("bridge") in devices or any(ip_network(subnet) in named for subnet in one["addresses"])
            ):
                return {"kind": "network", "name": one["name"]}
        return None


def join(
    rules: Iterable[dict[str, Any]],
    resources: Iterable[object],
    made: Mapping[str, Maker] | None = None,
    beside: Beside | None = None,
) -> list[dict[str, Any]]:
    """Each of *rules* with its owner and reason, from what compile wants, and the owner's maker; see :func:`rules`."""
    wanted = {(r.family, r.table, r.chain, r.text): r for r in resources if isinstance(r, Rule)}
    by_short = {short(pk): maker for pk, maker in (made or {}).items()}
    return [_joined(rule, wanted, by_short, beside or Beside()) for rule in rules]


def _joined(
    rule: dict[str, Any],
    wanted: Mapping[tuple[int, str, str, str], Rule],
    made: Mapping[str, Maker],
    beside: Beside,
) -> dict[str, Any]:
    ours = wanted.get((rule["family"], rule["table"], rule["chain"], rule["text"]))
    tag = rule.get("tag", "")
    value = dict(rule)
    value["ours"] = ours is not None or bool(tag)
    owner = value["owner"] = ours.owner.to_json() if ours is not None else _owner_of(tag)
    value["why"] = ours.why if ours is not None else NOTHING
    value["made"] = made.get(short(owner["id"])) if owner else None
    value["foreign_class"] = "" if value["ours"] else classify(rule)
    of_engine = beside.object_of(rule["text"]) if value["foreign_class"] in {"docker", "unknown"} else None
    if of_engine is not None:
        value["foreign_class"] = "docker"
    value["foreign_object"] = of_engine
    value["sets"] = beside.sets_of(rule["text"]) if "--match-set" in rule["text"] else []
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
