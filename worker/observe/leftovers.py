"""Reading what of ours stands in a flavour that is not written."""

from __future__ import annotations

from collections.abc import Iterator

from networks.cnm.rules import Chain, Leftover, Rule

from .rules import RuleReader


def standing(reader: RuleReader) -> Iterator[Chain | Rule]:
    """Our rules and chains that *reader* sees. A program that is not installed holds nothing that could be taken away."""
    if reader.backend.available():
        for item in reader.observe():
            if isinstance(item, Chain | Rule):
                yield item


def leftover(flavour: str, item: Chain | Rule) -> Leftover:
    """*item* as what it is: something to be taken away."""
    text = item.text if isinstance(item, Rule) else f"-N {item.name}"
    return Leftover(flavour=flavour, family=item.family, table=item.table, text=text, item=item)
