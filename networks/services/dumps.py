"""Saved rules of other hosts, loaded to be audited here; nothing of them is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from networks.audit import classify
from networks.cnm.errors import InvalidSpec
from networks.cnm.ruleset.model import IPTABLES_NFT, LEGACY
from networks.cnm.text import gettext_noop
from networks.findings import Dump, findings_of_dump

from .body import Body

MOST_BYTES = 8 << 20
"""Of each text: some 80,000 rules."""
FLAVOURS = (LEGACY, IPTABLES_NFT)
TEXTS = ("iptables_save", "ip6tables_save", "nft", "ipset")


def read_dump(body: Body) -> Dump:
    """The texts of a request. Raises InvalidSpec where there is none."""
    texts = {name: body.text(name, "", most=MOST_BYTES) for name in TEXTS}
    flavour = body.choice("flavour", LEGACY, FLAVOURS)
    return make_dump(texts, flavour)


def texts_of(files: Iterable[str]) -> dict[str, str]:
    """Which text of a dump each of *files* is: nft's JSON, ip6tables-save (it says so, or has IPv6 addresses),
    ipset save (it begins with create), else iptables-save."""
    texts = dict.fromkeys(TEXTS, "")
    for text in files:
        head = text.lstrip()[:1]
        ipv6 = "ip6tables-save" in text[:200] or bool(_IPV6.search(text))
        name = "nft" if head == "{" else "ip6tables_save" if ipv6 else "iptables_save"
        if text.lstrip().startswith("create "):
            name = "ipset"
        if texts[name]:
            raise InvalidSpec(
                gettext_noop("Two files are of one kind: {kind}."),
                remedy=gettext_noop("Give one of iptables-save, one of ip6tables-save and one of nft."),
                kind=name,
            )
        texts[name] = text
    return texts


_IPV6 = re.compile(r" -[sd] [0-9a-f]*:[0-9a-f:]*/\d+ |ipv6-icmp|icmp6-")


def make_dump(texts: dict[str, str], flavour: str) -> Dump:
    if not any(text.strip() for text in texts.values()):
        raise InvalidSpec(
            gettext_noop("No dump was given."),
            remedy=gettext_noop("Load what iptables-save, ip6tables-save or nft -j list ruleset printed."),
            field="iptables_save",
        )
    return Dump(**texts, flavour=flavour)


def audit_of(dump: Dump) -> dict[str, Any]:
    """Every rule of *dump* in its order, whose each probably is, and the findings. Raises InvalidSpec for what is no dump."""
    try:
        ruleset, found = findings_of_dump(dump)
        rules = [
            {
                "flavour": rule.flavour,
                "family": rule.family,
                "table": rule.table,
                "chain": rule.chain,
                "position": rule.position,
                "text": rule.text,
                "packets": rule.packets,
                "bytes": rule.bytes,
                "opaque": rule.opaque,
                "foreign_class": classify({"table": rule.table, "chain": rule.chain, "text": rule.text}),
            }
            for rule in ruleset.rules()
        ]
    except (ValueError, IndexError) as error:
        raise InvalidSpec(
            gettext_noop("This is not what iptables-save prints: {cause}."),
            remedy=gettext_noop("Load the whole output of iptables-save, unchanged."),
            field="iptables_save",
            cause=str(error)[:200],
        ) from error
    return {
        "rules": rules,
        "findings": [finding.to_json() for finding in found],
        "opaque": list(ruleset.opaque),
        "flavours": list(ruleset.flavours()),
    }
