"""Endpoints, published ports and links of one container: each change shows its plan before it is confirmed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from networks.cnm.errors import CnmError
from networks.cnm.text import gettext_noop
from networks.models import Container, Network
from networks.services import links, networks, ports
from networks.services.body import Body, bad
from networks.services.find import find_container, find_link, find_network
from networks.services.outcome import Outcome
from networks.services.spec_container import read_attach
from networks.services.spec_ports import read_port, read_sources

from ..base import PageRequest, confirm, done, page, plan_of, status_of
from ..container_form import ROWS, attachment, port_items
from ..form import Form
from ..offers import address_offers, port_offers
from .containers import PROTOCOLS


def _tab(container: Container) -> str:
    return reverse("container", args=[container.name]) + "?tab=endpoints"


def _add(
    request: PageRequest,
    container: Container,
    form: Form,
    use_case: Callable[[], Outcome],
    *,
    template: str,
    said: str,
    extra: dict[str, Any] | None = None,
) -> HttpResponse:
    """A small form with the plan of what is typed; "create" carries it out if that plan was seen."""
    step = request.POST.get("step", "")
    form.quiet = step == "live" or request.method != "POST"
    context: dict[str, Any] = {
        "container": container,
        "form": form,
        "plan": None,
        "back": _tab(container),
        **(extra or {}),
    }
    status = 200
    try:
        context["plan"] = plan = plan_of(request, use_case, creates=True)
        if step == "create" and request.POST.get("plan") == plan.digest:
            return done(request, use_case(), said, _tab(container))
        context["changed"] = step == "create"
    except CnmError as error:
        form.refuse(error)
        status = 200 if form.quiet else status_of(error)
    context["offers"] = address_offers(request.host, form, "network", "") | (
        port_offers(request.host, form) if "ports" in form.numbered() else {}
    )
    return render(request, template, context, status=status)


@page("operator")
def connect(request: PageRequest, reference: str) -> HttpResponse:
    container = find_container(request.host, reference)
    form = Form(request.POST if request.method == "POST" else request.GET.dict())

    def use_case() -> Outcome:
        fields = ("network", "ipv4", "ipv6", "mac", "aliases")
        body = attachment({name: form.value(name) for name in fields})
        if form.value("gw_priority").strip():
            body["gw_priority"] = form.integer("gw_priority")
        attach = read_attach("", body)
        return networks.connect(
            request.actor,
            find_network(request.host, attach.network),
            find_container(request.host, container.pk),
            attach,
        )

    joined = container.endpoints.filter(removing=False).values_list("network_id", flat=True)
    networks_left = Network.objects.on(container.host).exclude(pk__in=joined).exclude(driver__in=["host", "null"])
    joinable = list(networks_left.order_by("name").values_list("name", flat=True))
    form.fill({"network": joinable[0] if joinable else ""})
    return _add(
        request,
        container,
        form,
        use_case,
        template="containers/connect.html",
        said=_("{container} was connected to {network}.").format(
            container=container.name, network=form.value("network")
        ),
        extra={"joinable": [(name, name) for name in joinable]},
    )


@page("operator")
def disconnect(request: PageRequest, reference: str, network: str) -> HttpResponse:
    container = find_container(request.host, reference)
    left = find_network(request.host, network)
    return confirm(
        request,
        lambda: networks.disconnect(request.actor, left, find_container(request.host, container.pk)),
        title=_("Disconnect {container} from {network}").format(container=container.name, network=left.name),
        question=_("The endpoint goes away, with its link, its address and its rules."),
        button=_("Disconnect"),
        said=_("{container} was disconnected from {network}.").format(container=container.name, network=left.name),
        back=_tab(container),
        to=(_tab(container),),
    )


@page("operator")
def publish(request: PageRequest, reference: str) -> HttpResponse:
    container = find_container(request.host, reference)
    form = Form(request.POST if request.method == "POST" else {}, {"ports": ROWS["ports"]})

    def use_case() -> Outcome:
        if not form.rows("ports"):
            raise bad("ports", gettext_noop("No port is given."), gettext_noop("Give the container's port at least."))
        requests = [one for number, item in enumerate(port_items(form)) for one in read_port(f"ports.{number}", item)]
        return ports.publish(request.actor, find_container(request.host, container.pk), requests)

    return _add(
        request,
        container,
        form,
        use_case,
        template="containers/publish.html",
        said=_("The ports of {container} were published.").format(container=container.name),
        extra={"protocols": PROTOCOLS},
    )


@page("operator")
def restrict(request: PageRequest, reference: str, port_id: str) -> HttpResponse:
    container = find_container(request.host, reference)
    port = container.ports.filter(pk=port_id, removing=False).first()
    said = {"allowed_sources": " ".join(port.allowed_sources)} if port is not None else {}
    form = Form(request.POST if request.method == "POST" else said)

    def use_case() -> Outcome:
        given = form.value("allowed_sources").replace(",", " ").split()
        sources = read_sources(Body({"allowed_sources": given}))
        return ports.restrict(request.actor, find_container(request.host, container.pk), port_id, sources)

    return _add(
        request,
        container,
        form,
        use_case,
        template="containers/restrict.html",
        said=_("Who may reach the port was changed."),
        extra={"port": port},
    )


@page("operator")
def unpublish(request: PageRequest, reference: str, port_id: str) -> HttpResponse:
    container = find_container(request.host, reference)
    return confirm(
        request,
        lambda: ports.unpublish(request.actor, find_container(request.host, container.pk), port_id),
        title=_("Close a published port of {name}").format(name=container.name),
        question=_("Nobody reaches the container by this port of the host any more."),
        button=_("Close port"),
        said=_("The port was closed."),
        back=_tab(container),
        to=(_tab(container),),
    )


@page("operator")
def link(request: PageRequest, reference: str) -> HttpResponse:
    container = find_container(request.host, reference)
    form = Form(request.POST if request.method == "POST" else {}, places={"links": "source"})

    def use_case() -> Outcome:
        source = find_container(request.host, form.value("source").strip())
        recipient = find_container(request.host, container.pk)
        return links.link(request.actor, recipient, source, form.value("alias").strip())

    rows = Container.objects.filter(host=request.host).exclude(pk=container.pk).order_by("name")
    others = list(rows.values_list("name", flat=True))
    form.fill({"source": others[0] if others else ""})
    return _add(
        request,
        container,
        form,
        use_case,
        template="containers/link.html",
        said=_("{container} knows {source} now.").format(container=container.name, source=form.value("source")),
        extra={"others": [(name, name) for name in others]},
    )


@page("operator")
def unlink(request: PageRequest, reference: str, link_id: str) -> HttpResponse:
    container = find_container(request.host, reference)
    row = find_link(request.host, link_id)
    return confirm(
        request,
        lambda: links.unlink(request.actor, find_link(request.host, row.pk)),
        title=_("Take away the link to {source}").format(source=row.source.name),
        question=_("{container} no longer knows {source} as {alias}.").format(
            container=container.name, source=row.source.name, alias=row.alias
        ),
        button=_("Take link away"),
        said=_("The link was taken away."),
        back=_tab(container),
        to=(_tab(container),),
    )
