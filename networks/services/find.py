"""Objects by name, id, or the beginning of an id."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TypeVar

from django.db.models import Model, QuerySet

from networks.cnm.errors import Conflict, NotFound
from networks.cnm.text import Text, gettext_noop
from networks.composed import Composed, composed
from networks.models import Container, Host, Image, Link, Network, Operation

M = TypeVar("M", bound=Model)
LEAST_PREFIX = 4


_host_named = composed(lambda name: Host.objects.filter(name=name)[:1])
_hosts = composed(lambda: Host.objects.order_by("id")[:1])
network_named = composed(lambda host, name: Network.objects.on(host).filter(name=name)[:1])
container_named = composed(lambda host, name: Container.objects.filter(host=host, name=name)[:1])


def find_host(name: str | None = None) -> Host:
    """The host called *name*; None: the only (or first) one."""
    host = _host_named.first(name) if name else _hosts.first()
    if host is None:
        raise NotFound(
            gettext_noop("There is no host {name}."),
            remedy=gettext_noop("Start CNM Web there with make up."),
            name=name or "",
        )
    return host


def find_network(host: Host, reference: str, field: str = "") -> Network:
    """The network for containers of *host* with this name, id or beginning of an id. Raises :class:`NotFound`, :class:`Conflict`.

    *field*: the input that names it, where it is not the address of the request.
    """
    return _find(host, network_named, Network.objects.on(host), "network", reference, field)


def find_container(host: Host, reference: str, field: str = "") -> Container:
    """The container of *host* with this name, id or beginning of an id. Raises :class:`NotFound`, :class:`Conflict`.

    *field*: the input that names it, where it is not the address of the request.
    """
    return _find(host, container_named, host.containers.all(), "container", reference, field)


def find_image(host: Host, name: str) -> Image:
    """The image of *host* called *name*, with or without its tag. Raises :class:`NotFound`."""
    image = host.images.filter(name=name).first() or host.images.filter(name=f"{name}:latest").first()
    if image is None:
        raise NotFound(
            gettext_noop("There is no image {name} on this host."),
            remedy=gettext_noop("Import it first, or use the image host, which is always there."),
            field="image",
            name=name,
        )
    return image


def find_link(host: Host, link_id: str) -> Link:
    """The link of *host* with this id, or beginning of one. Raises :class:`NotFound`, :class:`Conflict`."""
    return _by_id(Link.objects.filter(recipient__host=host), "link", link_id)


def find_operation(reference: str) -> Operation:
    """The operation with this number, id or beginning of an id. Raises :class:`NotFound`, :class:`Conflict`."""
    if reference.isascii() and reference.isdigit() and len(reference) < 12:
        found = Operation.objects.filter(number=int(reference)).first()
        if found is not None:
            return found
    return _by_id(Operation.objects.all(), "operation", reference)


def _find(host: Host, named: Composed[M], rows: QuerySet[M], kind: str, reference: str, field: str) -> M:
    found = named.first(host.pk, reference) or _by_id(rows, kind, reference, field, named=True)
    if found.host_id == host.pk:  # that of a network that spans hosts may be another
        found.host = host
    return found


def _by_id(rows: QuerySet[M], kind: str, reference: str, field: str = "", *, named: bool = False) -> M:
    """Docker's rule: a full id, else a beginning that is nobody else's."""
    candidates = list(rows.filter(pk__startswith=reference)[:2]) if len(reference) >= LEAST_PREFIX else []
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise Conflict(
            gettext_noop("More than one {kind} has an id that begins with {reference}."),
            remedy=gettext_noop("Give more of the id."),
            field=field,
            kind=Text(kind),
            reference=reference,
        )
    close = get_close_matches(reference, rows.values_list("name", flat=True)[:1000], n=1) if named else []
    raise NotFound(
        gettext_noop("There is no {kind} {reference}."),
        remedy=gettext_noop("Did you mean {close}?") if close else gettext_noop("See the list of what there is."),
        field=field,
        subject=f"{kind} {reference}",
        kind=Text(kind),
        reference=reference,
        close=close[0] if close else "",
    )
