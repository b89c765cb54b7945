"""The firewall's page: every rule of the host, or of all, found by what it names, in the kernel's order or by its counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render

from networks import audit, represent, rule_filters
from networks.caught_up import wait_for_look
from networks.findings import findings
from networks.models import Host, Observation

from ..audit_view import Rule, grouped, owners
from ..base import PageRequest, page
from ..listing import Listing
from ..which_host import hosts_of

RULES_PER_PAGE = 300
"""So many are listed by table and chain. More are one long table: its rows come as they are scrolled to (``static/src/rules.ts``),
and where there is no script, page by page."""
ROWS_AT_ONCE = 200
"""How many rows of the long table may be asked for at once."""
SORTS = ("-packets", "packets", "-bytes", "bytes")


@page(every=True)
def firewall(request: PageRequest) -> HttpResponse:
    wanted, sort = _asked(request)
    hosts = hosts_of(request)
    for host in hosts:
        wait_for_look(host)
    everything, chains = _rules_of(hosts)
    found = rule_filters.ordered(rule_filters.filtered(everything, **wanted), sort)
    narrowed = any(wanted.values())
    page_now = Paginator(found, RULES_PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page_now.object_list)
    long = page_now.paginator.num_pages > 1
    here = {(rule["host"], rule["family"], rule["table"], rule["chain"]) for rule in shown}
    listed = [
        chain
        for chain in chains
        if not narrowed or (chain["host"], chain["family"], chain["table"], chain["name"]) in here
    ]
    seen = Observation.objects.filter(host__in=hosts, kind="rules").defer("data").order_by("at").first()
    flavours = sorted({rule["flavour"] for rule in everything} | {chain.get("flavour", "") for chain in chains})
    first = page_now.start_index()
    return render(
        request,
        "firewall.html",
        {
            "tables": [] if sort or long else grouped(shown, listed),
            "flat": _placed(shown, first, chains, with_chains=not sort) if sort or long else [],
            "first": first,
            "sort": sort,
            "listing": Listing(shown, page_now, wanted["q"], sort, wanted, len(everything)),
            "found": len(found),
            "total": len(everything),
            "ours": sum(1 for rule in everything if rule["ours"]),
            "wanted": wanted,
            "narrowed": narrowed,
            "owners": owners(everything),
            "chains": sorted({rule["chain"] for rule in everything} | {chain["name"] for chain in chains}),
            "table_names": sorted({rule["table"] for rule in everything} | {chain["table"] for chain in chains}),
            "flavours": [flavour for flavour in flavours if flavour],
            "seen_at": seen.at if seen else None,
            "flavour": ", ".join(sorted({host.firewall_backend for host in hosts if host.firewall_backend})),
            "hosts": [represent.host(host) for host in hosts],
            "findings": [(host.name, finding) for host in hosts for finding in findings(host)],
        },
    )


@page(every=True)
def rows(request: PageRequest) -> HttpResponse:
    """Rows ``first`` to ``last`` of the long table, counted from one, and how many there are in all."""
    wanted, sort = _asked(request)
    everything, chains = _rules_of(hosts_of(request))
    found = rule_filters.ordered(rule_filters.filtered(everything, **wanted), sort)
    first = max(_number(request.GET.get("first")), 1)
    last = min(_number(request.GET.get("last")), first + ROWS_AT_ONCE - 1)
    placed = _placed(found[first - 1 : last], first, chains, with_chains=not sort)
    answer = render(request, "partials/rule_rows.html", {"flat": placed})
    answer["X-Found"] = str(len(found))
    return answer


def _rules_of(hosts: Sequence[Host]) -> tuple[list[Rule], list[dict[str, Any]]]:
    """The rules and the chains of these hosts, one after the other, each with its host."""
    rules: list[Rule] = []
    chains: list[dict[str, Any]] = []
    for host in hosts:
        found, listed = audit.rules_and_chains(host)
        rules += [{**rule, "host": host.name} for rule in found]
        chains += [{**chain, "host": host.name} for chain in listed]
    return rules, chains


def _asked(request: PageRequest) -> tuple[dict[str, str], str]:
    """(filters, order) that the address asks for."""
    sort = request.GET.get("sort", "")
    names = (*rule_filters.FILTERS, "q")
    return {name: request.GET.get(name, "").strip() for name in names}, sort if sort in SORTS else ""


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 9 else 0


def _placed(
    rules: Sequence[Rule], first: int, chains: Iterable[dict[str, Any]], *, with_chains: bool
) -> list[dict[str, Any]]:
    """Rows of the long table with their number; in the kernel's order, the first rule of a chain tells the chain's policy."""
    heads = {_chain_of(chain): chain for chain in chains} if with_chains else {}
    return [
        {**rule, "row": number, "head": heads.get((*_table_of(rule), rule["chain"])) if rule["position"] == 1 else None}
        for number, rule in enumerate(rules, first)
    ]


def _table_of(item: Mapping[str, Any]) -> tuple[str, str, int, str]:
    return item["host"], item.get("flavour", ""), item["family"], item["table"]


def _chain_of(chain: Mapping[str, Any]) -> tuple[str, str, int, str, str]:
    return (*_table_of(chain), chain["name"])
