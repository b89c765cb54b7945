"""The rules of a host as pages show them: by family, table and chain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from networks import audit
from networks.cnm.resources import Resource
from networks.cnm.rules import Chain as CompiledChain
from networks.cnm.rules import Rule as CompiledRule
from networks.load import load_facts, load_host
from networks.models import Container, Host
from worker.compile import compile_host

from .words import OWNERS, RESOURCES

Rule = dict[str, Any]


def rules_of(host: Host, *ids: str) -> list[Rule]:
    """The rules that belong to objects with these ids (a tag in the kernel knows only the first twelve digits)."""
    wanted = set(ids) | {one[:12] for one in ids}
    return [rule for rule in audit.rules(host) if rule["owner"] and rule["owner"]["id"] in wanted]


def ids_of_container(container: Container) -> list[str]:
    """Its own id, and those of its endpoints, ports and links."""
    ids = [container.pk]
    for related in (container.endpoints, container.ports, container.links, container.linked_by):
        ids += list(related.values_list("pk", flat=True))
    return ids


def belongings(host: Host, *ids: str) -> list[tuple[str, list[Resource]]]:
    """(kind, resources) of all that should be in the kernel, or in files, for the objects with these ids, rules aside."""
    found: dict[str, list[Resource]] = {}
    for resource in compile_host(load_host(host), load_facts(host)):
        if resource.owner.id in ids and not isinstance(resource, CompiledRule | CompiledChain):
            found.setdefault(resource.kind, []).append(resource)
    return [(kind, found[kind]) for kind in dict.fromkeys((*RESOURCES, *found)) if kind in found]


def grouped(rules: Iterable[Rule], chains: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables (of each host and flavour), each with its chains, each with its rules, in the order in which the kernel listed them.

    An empty chain is there too: that nothing stands in it is worth knowing.
    """
    tables: dict[tuple[str, str, int, str], dict[str, dict[str, Any]]] = {}
    for chain in chains:
        key = chain["host"], chain.get("flavour", ""), chain["family"], chain["table"]
        tables.setdefault(key, {})[chain["name"]] = {
            **chain,
            "rules": [],
        }
    for rule in rules:
        key = rule["host"], rule.get("flavour", ""), rule["family"], rule["table"]
        chains_of = tables.setdefault(key, {})
        chain = chains_of.setdefault(
            rule["chain"], {"name": rule["chain"], "policy": "-", "packets": None, "bytes": None, "rules": []}
        )
        chain["rules"].append(rule)
    return [
        {
            "host": host,
            "flavour": flavour,
            "family": family,
            "table": table,
            "chains": list(chains_of.values()),
            "count": sum(len(c["rules"]) for c in chains_of.values()),
        }
        for (host, flavour, family, table), chains_of in tables.items()
    ]


def owners(rules: Iterable[Rule]) -> list[tuple[str, str]]:
    """(value of the filter, words) of everybody who has a rule."""
    found: dict[str, str] = {}
    for rule in rules:
        owner = rule["owner"]
        if owner and owner["id"]:
            word = OWNERS.get(owner["kind"], owner["kind"])
            found.setdefault(owner["id"], f"{word} {owner['name'] or owner['id'][:12]}")
        elif owner:
            found.setdefault(owner["kind"], str(OWNERS.get(owner["kind"], owner["kind"])))
        elif rule["foreign_class"]:
            known = rule["foreign_class"] != "unknown"
            found.setdefault(rule["foreign_class"], rule["foreign_class"] if known else _("not ours"))
    return sorted(found.items(), key=lambda pair: pair[1])
