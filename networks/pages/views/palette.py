"""The command palette: pages, objects and what can be done with them, found by a few letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from django.db.models import Q
from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from networks.models import Container, Image, Network
from networks.models.choices import ContainerStatus, Wanted
from networks.models.network import LOCAL

from ..base import PageRequest, page
from ..tags import may
from ..which_host import address_at, on_host

PAGES = (
    # name of the address, words, icon, least role
    ("dashboard", gettext_lazy("Dashboard"), "dashboard", "viewer"),
    ("topology", gettext_lazy("Topology"), "topology-star-3", "viewer"),
    ("networks", gettext_lazy("Networks"), "network", "viewer"),
    ("containers", gettext_lazy("Containers"), "box", "viewer"),
    ("links", gettext_lazy("Links"), "link", "viewer"),
    ("images", gettext_lazy("Images"), "packages", "viewer"),
    ("desired-state", gettext_lazy("Desired state"), "list-tree", "viewer"),
    ("host", gettext_lazy("Host"), "server-2", "viewer"),
    ("firewall", gettext_lazy("Firewall"), "wall", "viewer"),
    ("trace", gettext_lazy("Trace a packet"), "route", "viewer"),
    ("reachability", gettext_lazy("Who reaches whom"), "table", "viewer"),
    ("exposure", gettext_lazy("Exposure"), "world", "viewer"),
    ("dump", gettext_lazy("Audit saved rules"), "shield-check", "viewer"),
    ("files", gettext_lazy("Hosts files"), "file-text", "viewer"),
    ("drift", gettext_lazy("Drift"), "git-compare", "viewer"),
    ("operations", gettext_lazy("Operations"), "list-details", "viewer"),
    ("activity", gettext_lazy("Activity"), "history", "viewer"),
    ("tokens", gettext_lazy("API tokens"), "key", "viewer"),
    ("users", gettext_lazy("Users"), "users", "admin"),
    ("api-docs", gettext_lazy("API documentation"), "api", "viewer"),
    ("preferences", gettext_lazy("Settings"), "settings", "viewer"),
)
ACTIONS = (
    ("network-new", gettext_lazy("Create network"), "plus", "operator"),
    ("container-new", gettext_lazy("Run container"), "player-play", "operator"),
    ("image-add", gettext_lazy("Add image"), "plus", "operator"),
    ("drift-repair", gettext_lazy("Repair drift"), "tool", "operator"),
)
OBJECTS = 8
"""Of each kind, at most."""
WITH_ACTIONS = 3
"""So many objects are few enough to offer what can be done with each."""


@dataclass(frozen=True, slots=True)
class Entry:
    label: str
    group: str
    url: str
    icon: str
    post: bool = False


@page(every=True)
def palette(request: PageRequest) -> HttpResponse:
    words = request.GET.get("q", "").lower().split()
    entries = [*_fixed(request, ACTIONS, _("Action")), *_fixed(request, PAGES, _("Page"))]
    if words:
        entries = [*_objects(request, words), *entries]
    found = [entry for entry in entries if all(word in entry.label.lower() for word in words)]
    return JsonResponse({"entries": [asdict(entry) for entry in found]})


def _fixed(request: PageRequest, entries: tuple[tuple[str, object, str, str], ...], group: str) -> Iterator[Entry]:
    for name, label, icon, role in entries:
        if may(request.user, role):
            yield Entry(str(label), group, reverse(name), icon)


def _objects(request: PageRequest, words: list[str]) -> Iterator[Entry]:
    named = Q()
    for word in words:
        named |= Q(name__icontains=word)  # the others may be of a sentence: "remove web"
    boxes = Container.objects.filter(named, **on_host(request)).select_related("host")
    containers = list(boxes.order_by("name", "host")[: OBJECTS + 1])
    usable = Network.objects.all() if request.every_host else Network.objects.on(request.host)
    networks = list(usable.filter(named).select_related("host").order_by("name", "host")[: OBJECTS + 1])
    few = len(containers) + len(networks) <= WITH_ACTIONS
    for container in containers[:OBJECTS]:
        place = container.host.name
        group = f"{_('Container')} · {place}" if request.every_host else _("Container")
        yield Entry(container.name, group, address_at(place, "container", container.name), "box")
        if few:
            yield from _of_container(request, container)
    for network in networks[:OBJECTS]:
        # One that spans hosts is looked at from the host that the page is about.
        place = network.host.name if request.every_host or network.scope == LOCAL else request.host.name
        group = f"{_('Network')} · {place}" if request.every_host and network.scope == LOCAL else _("Network")
        yield Entry(network.name, group, address_at(place, "network", network.name), "network")
        if few and may(request.user, "operator") and not network.predefined:
            label, group = _("Remove {name}").format(name=network.name), _("Action")
            yield Entry(label, group, address_at(place, "network-remove", network.name), "trash")
    for image in Image.objects.filter(named, **on_host(request)).select_related("host").order_by("name")[:OBJECTS]:
        yield Entry(image.name, _("Image"), f"{address_at(image.host.name, 'images')}?q={image.name}", "packages")


def _of_container(request: PageRequest, container: Container) -> Iterator[Entry]:
    name, place = container.name, container.host.name
    url = address_at(place, "container", name)
    yield Entry(_("{name}: logs").format(name=name), _("Container"), f"{url}?tab=logs", "file-text")
    yield Entry(_("{name}: rules").format(name=name), _("Container"), f"{url}?tab=rules", "wall")
    if not may(request.user, "operator"):
        return
    runs = container.wanted == Wanted.RUNNING and container.status != ContainerStatus.EXITED
    verbs = (
        [("stop", _("Stop {name}"), "player-stop"), ("restart", _("Restart {name}"), "rotate-clockwise")]
        if runs
        else [("start", _("Start {name}"), "player-play")]
    )
    for verb, label, icon in verbs:
        yield Entry(
            label.format(name=name), _("Action"), address_at(place, "container-act", name, verb), icon, post=True
        )
    for address, label, icon in (
        ("container-connect", _("Connect {name} to a network"), "plug-connected"),
        ("container-publish", _("Publish a port of {name}"), "plug"),
        ("container-remove", _("Remove {name}"), "trash"),
    ):
        yield Entry(label.format(name=name), _("Action"), address_at(place, address, name), icon)
