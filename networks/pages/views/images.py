"""Images: what containers start from; fetched from a registry, read from a path of the host, or sent with the browser."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from networks import represent
from networks.cnm.errors import CnmError, InvalidSpec
from networks.cnm.text import gettext_noop
from networks.models import Container, Image, Operation
from networks.services import images as use_cases
from networks.services import uploads
from networks.services.find import find_image
from networks.services.outcome import Outcome

from ..base import PageRequest, done, page, status_of
from ..form import Form
from ..listing import listing
from ..which_host import on_host

HOW = ("registry", "upload", "path")


@page(every=True)
def index(request: PageRequest) -> HttpResponse:
    rows = [represent.image(row) for row in represent.prepared(Image).filter(**on_host(request))]
    users: dict[tuple[str, str], list[str]] = {}
    containers = Container.objects.filter(**on_host(request)).order_by("name")
    for host, name, image in containers.values_list("host__name", "name", "image"):
        users.setdefault((host, image), []).append(name)
        users.setdefault((host, f"{image}:latest"), []).append(name)
    working = Operation.objects.filter(**on_host(request), state__in=["pending", "running"], args__has_key="image")
    under_way = {operation.args["image"]: operation for operation in working}
    for row in rows:
        row["containers"] = users.get((row["host"], row["name"]), [])
        row["operation"] = under_way.get(row["id"])
    found = listing(
        request,
        rows,
        name="images",
        columns={"size": _("Size"), "source": _("Source"), "users": _("Used by"), "created": _("Created")},
        text=lambda row: f"{row['name']} {row['source']} {row['digest']} {row['host']}",
        orders={
            "name": lambda row: row["name"],
            "host": lambda row: (row["host"], row["name"]),
            "size": lambda row: row["size"],
            "created": lambda row: row["created_at"] or "",
        },
        default="name",
        filters={"state": lambda row, value: row["status"] == value},
    )
    return render(request, "images/list.html", {"listing": found, "states": sorted({row["status"] for row in rows})})


@page("operator")
def add(request: PageRequest) -> HttpResponse:
    """One form for all three ways; the way decides which field counts."""
    form = Form(request.POST if request.method == "POST" else {"how": "registry"})
    status = 200
    if request.method == "POST":
        try:
            outcome = _import(request, form)
            messages.info(request, _("The image is on its way: the list shows how far it is."))
            for warning in outcome.warnings:
                messages.warning(request, warning.translated(_))
            return redirect("images")
        except CnmError as error:
            form.refuse(error)
            status = status_of(error)
    ways = [
        ("registry", _("Fetch from a registry")),
        ("upload", _("Send an archive from this computer")),
        ("path", _("Read a path of the host (admins)")),
    ]
    if request.user.role != "admin":
        ways.pop()
    return render(request, "images/add.html", {"form": form, "ways": ways}, status=status)


def _import(request: PageRequest, form: Form) -> Outcome:
    how = form.value("how") or "registry"
    name, reference = form.value("name").strip(), form.value("reference").strip()
    if how == "upload":
        sent = request.FILES.get("file")
        if sent is None:
            raise InvalidSpec(
                gettext_noop("No archive was chosen."), remedy=gettext_noop("Choose a tar archive."), field="file"
            )
        use_cases.full_name(name)
        source = uploads.keep(sent.chunks())
        try:
            uploads.bring(request.actor, request.host, source)
            return use_cases.import_image(request.actor, request.host, name, source)
        except CnmError:
            uploads.forget(source)
            raise
    if not reference:
        raise InvalidSpec(
            gettext_noop("Nothing to fetch is named."),
            remedy=gettext_noop("Give a name in a registry, or a path of the host."),
            field="reference",
        )
    if how == "registry" and "://" not in reference:
        return use_cases.import_image(
            request.actor, request.host, name or short_name(reference), f"docker://{reference}"
        )
    return use_cases.import_image(request.actor, request.host, name or _stem(reference), reference)


def short_name(reference: str) -> str:
    """The name by which a registry's image is known here: Docker Hub's own images without registry and ``library``."""
    short = reference.partition("@")[0]
    for prefix in ("docker.io/library/", "docker.io/"):
        short = short.removeprefix(prefix)
    return short


def _stem(path: str) -> str:
    """A name made of a path: ``/srv/images/app-1.2.tar.gz`` gives ``app-1.2``."""
    last = path.rstrip("/").rpartition("/")[2].lower()
    for ending in (".gz", ".xz", ".zst", ".tgz", ".tar"):
        last = last.removesuffix(ending)
    return last


@page("operator")
def remove(request: PageRequest, name: str) -> HttpResponse:
    image = find_image(request.host, name)
    if request.method == "POST":
        try:
            outcome = use_cases.remove_image(request.actor, image)
            return done(request, outcome, _("Image {name} was removed.").format(name=image.name), "images")
        except CnmError as error:
            messages.error(request, f"{error.sentence.translated(_)} {error.remedy.translated(_)}".strip())
            return redirect("images")
    return render(
        request,
        "confirm.html",
        {
            "title": _("Remove image {name}").format(name=image.name),
            "question": _("Its files are deleted from this host. It can be fetched or sent again."),
            "button": _("Remove image"),
            "back": reverse("images"),
            "plan": None,
            "no_plan": True,
            "danger": True,
        },
    )
