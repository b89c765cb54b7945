"""Pages that look at the whole: dashboard, topology, hosts files."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Count, Q
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from networks import feed, represent
from networks.cnm.errors import CnmError
from networks.etc_files import FileView, files_of_all
from networks.models import Activity, Container, Drift, Endpoint, Host, Network, Operation
from networks.name_lookup import Found, look_up

from ..base import PageRequest, page
from ..preferences import choices_of
from ..way_back import only_post
from ..which_host import ASKED_BY_PAGE, address_at, done_there, hosts_of, on_host
from ..words import for_topology

RECENT = 12
FILES_PER_PAGE = 20
TABLE_ROWS = 200
PLACES = 2000
"""Rooms whose places are remembered at most."""
UNNUMBERED = ("group:", "foreign:")
"""How the names of rooms begin that are no network of ours: groups, and bridges of others."""
FARTHEST = 10**6
FULLEST = 4
"""Networks whose addresses the dashboard tells of."""
FULL_PERCENT = 80
"""From where on a host's table of connections is about to be too small."""
DEVICES = 40
"""Of so many it is told at a time whose they are."""


@page(every=True)
def dashboard(request: PageRequest) -> HttpResponse:
    boxes = Container.objects.filter(**on_host(request))
    states = represent.counts(boxes)
    networks = list(Network.objects.all() if request.every_host else Network.objects.on(request.host))
    made = [network for network in networks if not network.predefined]
    containers = sum(states.values())
    published = boxes.filter(ports__removing=False, ports__isnull=False).exists()
    drift = represent.prepared(Drift).filter(**on_host(request), resolved_at=None)
    operations = represent.prepared(Operation).filter(**on_host(request))
    context: dict[str, Any] = {
        "hosts": [_with_missing(host) for host in hosts_of(request)],
        "full_percent": FULL_PERCENT,
        "states": sorted(states.items()),
        "containers": containers,
        "running": states.get("running", 0),
        "networks": len(networks),
        "made": len(made),
        "drift": [represent.drift(row) for row in drift[:5]],
        "drift_count": drift.count(),
        "failed": [represent.operation(row) for row in operations.filter(state="failed")[:5]],
        "working": [
            represent.operation(row)
            for row in operations.filter(state__in=["pending", "running"]).order_by("number")[:5]
        ],
        "events": [represent.activity(row) for row in Activity.objects.filter(done_there(request))[:RECENT]],
        "checklist": [
            (
                _("Make a network"),
                bool(made),
                "network-new",
                _("A bridge of its own, with a free subnet chosen for you."),
            ),
            (_("Run a container on it"), containers > 0, "container-new", _("The image “host” needs no download.")),
            (_("Publish a port"), published, "container-new", _("And see its rules appear, each with its reason.")),
        ],
    }
    context["pools"] = _fullest(request)
    context["first_run"] = not all(ticked for _words, ticked, _url, _help in context["checklist"])
    return render(request, "dashboard.html", context)


def _fullest(request: PageRequest) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The subnets of the networks that most containers are on, with what is left in each."""
    there = Network.objects.all() if request.every_host else Network.objects.on(request.host)
    count = Count("endpoints", filter=Q(endpoints__removing=False))
    fullest = there.annotate(on_it=count).filter(on_it__gt=0).order_by("-on_it", "name")[:FULLEST]
    rows = represent.prepared(Network).filter(pk__in=[row.pk for row in fullest])
    by_id = {row.pk: represent.network(row) for row in rows}
    return [(by_id[row.pk], subnet) for row in fullest for subnet in by_id[row.pk]["subnets"]]


@page(every=True)
def busy(request: PageRequest) -> HttpResponse:
    """Whose devices these are (``?device=HOST DEVICE``, several): container, network and where it is shown."""
    asked = set(request.GET.getlist("device")[:DEVICES])
    rows = Endpoint.objects.filter(**{f"container__{key}": value for key, value in on_host(request).items()})
    found = {}
    for row in rows.filter(removing=False).select_related("container__host", "network"):
        name = f"{row.container.host.name} {represent.endpoint(row)['device']}"
        if name in asked:
            url = address_at(row.container.host.name, "container", row.container.name)
            found[name] = {"container": row.container.name, "network": row.network.name, "url": url}
    return JsonResponse(found)


def _with_missing(row: Host) -> dict[str, Any]:
    """A host, and which features its kernel has not."""
    features = row.facts.get("features", [])
    return represent.host(row) | {"missing": [feature for feature in features if not feature.get("present")]}


@page(every=True)
def topology(request: PageRequest) -> HttpResponse:
    context: dict[str, Any] = {"words": for_topology()}
    if ASKED_BY_PAGE not in request.headers:  # a page that is open has the state already, and follows the feed
        rows = represent.prepared(Container)[:TABLE_ROWS]
        context["containers"] = [represent.container(row) for row in rows]
        snapshot = feed.snapshot()
        kinds = ("host", "network", "container", "drift", "foreign")
        context |= {
            "snapshot": {**snapshot, "state": {kind: snapshot["state"].get(kind, {}) for kind in kinds}},
            "places": request.user.preferences.get("topology", {}),
        }
    return render(request, "topology.html", context)


@only_post
@page(write="viewer", any_host=True)
def places(request: PageRequest) -> HttpResponse:
    """Remember where the person put networks in the picture (``places``), from the corner of their host, beside what is remembered; or
    in its place (``forget``)."""
    try:
        given = json.loads(request.body)
        put = {str(key)[:200]: [_length(at[0]), _length(at[1])] for key, at in given.pop("places", {}).items()}
        forget = given.pop("forget", False)
        if given or not isinstance(forget, bool):
            raise ValueError(given)
    except (ValueError, TypeError, AttributeError, IndexError, KeyError):
        return HttpResponse(status=400)
    with choices_of(request.user) as choices:
        before = {} if forget else choices.get("topology", {})
        choices["topology"] = _newest({key: at for key, at in before.items() if key not in put} | put)
    return HttpResponse(status=204)


def _newest(places: dict[str, list[int]]) -> dict[str, list[int]]:
    """Those of rooms that are there, the ones put last if they are too many."""
    numbers = {key: key.partition("@")[0] for key in places}  # one that spans hosts stands on each: number@host
    known = set(Network.objects.values_list("pk", flat=True))
    kept = [(key, at) for key, at in places.items() if numbers[key] in known or key.startswith(UNNUMBERED)]
    return dict(kept[-PLACES:])


def _length(value: Any) -> int:
    """Pixels of the picture. Raises ValueError for what is no number or out of all bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < FARTHEST:
        raise ValueError(value)
    return round(value)


@page(every=True)
def files(request: PageRequest) -> HttpResponse:
    """All containers' files side by side; ``q`` narrows them, ``name`` asks who resolves it."""
    q, name = request.GET.get("q", "").strip(), request.GET.get("name", "").strip()
    everything = [found for host in hosts_of(request) for found in files_of_all(host)]
    kept = [(container, views) for container, views in everything if not q or _mentions(q.lower(), container, views)]
    return render(
        request,
        "files.html",
        {
            "found": kept[:FILES_PER_PAGE],
            "total": len(everything),
            "q": q,
            "more": max(0, len(kept) - FILES_PER_PAGE),
            "name": name,
            **_looked_up(request, name),
        },
    )


def _mentions(q: str, container: Container, views: list[FileView]) -> bool:
    return q in container.name.lower() or any(
        q in line.text.lower() or q in line.owner.name.lower()
        for view in views
        for line in (*view.lines, *view.missing)
    )


def _looked_up(request: PageRequest, name: str) -> dict[str, Any]:
    """Who resolves *name*, and who does not; or why it cannot be asked."""
    if not name:
        return {}
    try:
        found = [lookup for host in hosts_of(request) for lookup in look_up(host, name)]
    except CnmError as error:
        return {"refused": error}
    silent: dict[tuple[str, ...], list[Found]] = {}
    for lookup in found:
        if not lookup.answers:
            silent.setdefault(lookup.asks, []).append(lookup)
    return {"resolved": [lookup for lookup in found if lookup.answers], "silent": list(silent.items())}
