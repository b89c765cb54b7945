"""The firewall's page: every rule of the host, found by what it names, in the kernel's order or by its counters."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render

from networks import audit, represent, rule_filters
from networks.findings import findings
from networks.models import Observation

from ..audit_view import grouped, owners
from ..base import PageRequest, page
from ..listing import Listing

RULES_PER_PAGE = 300
"""So that a page of ten thousand rules is as quick and smooth as one of three hundred."""
SORTS = ("-packets", "packets", "-bytes", "bytes")


@page()
def firewall(request: PageRequest) -> HttpResponse:
    names = (*rule_filters.FILTERS, "q")
    wanted = {name: request.GET.get(name, "").strip() for name in names}
    sort = request.GET.get("sort", "")
    sort = sort if sort in SORTS else ""
    everything = audit.rules(request.host)
    chains = audit.chains(request.host)
    found = rule_filters.ordered(rule_filters.filtered(everything, **wanted), sort)
    narrowed = any(wanted.values())
    page_now = Paginator(found, RULES_PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page_now.object_list)
    here = {(rule["family"], rule["table"], rule["chain"]) for rule in shown}
    whole = not narrowed and page_now.paginator.num_pages == 1
    listed = [chain for chain in chains if whole or (chain["family"], chain["table"], chain["name"]) in here]
    seen = Observation.objects.filter(host=request.host, kind="rules").defer("data").first()
    flavours = sorted({rule["flavour"] for rule in everything} | {chain.get("flavour", "") for chain in chains})
    return render(
        request,
        "firewall.html",
        {
            "tables": [] if sort else grouped(shown, listed),
            "flat": shown if sort else [],
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
            "flavour": request.host.firewall_backend,
            "host": represent.host(request.host),
            "findings": findings(request.host),
        },
    )
