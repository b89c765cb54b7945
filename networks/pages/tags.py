"""What templates say in one word: icons, states, times, sentences, form fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from django import template
from django.forms.utils import flatatt
from django.template.defaultfilters import filesizeformat
from django.template.defaulttags import CsrfTokenNode
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from networks.cnm.addresses import bracketed
from networks.cnm.text import Text
from networks.models.choices import ContainerKind, RestartPolicy

from . import assets
from .which_host import OF_PAGE_FIELD, address_at, address_of_any, host_of_page
from .words import OWNERS, PROBE_WORDS, RESOURCES, ROLE_WORDS, STATES, VERBS, VERDICT_WORDS, WAITS, WAYS

register = template.Library()
register.filter(bracketed)


@register.simple_tag
def asset(name: str) -> str:
    """The address of a built file."""
    return assets.address(name)


@register.simple_tag
def at(host: str, name: str, *args: Any) -> str:
    """``url`` for what is of the host of that name, on pages that may be about another or about all."""
    return address_at(host, name, *args)


@register.simple_tag
def at_any(name: str, *args: Any) -> str:
    """As :func:`at`, with HOST in the place of the host's name, whether or not there are several now."""
    return address_of_any(name, *args)


@register.simple_tag(takes_context=True)
def csrf_token(context: template.Context) -> str:
    """Django's, and where the address names no host, which one the page is about: by the time that it is sent there may be several."""
    fields = CsrfTokenNode().render(context)
    host = host_of_page(context.get("request")) if fields else ""
    return fields + format_html('<input type="hidden" name="{}" value="{}">', OF_PAGE_FIELD, host) if host else fields


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """A picture that repeats what words beside it say; a screen reader passes over it."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        classes,
        assets.address("icons.svg"),
        name,
    )


@register.simple_tag
def state(value: str) -> SafeString:
    """A state as icon and word."""
    word, tone, picture = STATES.get(value, (value, "idle", "circle"))
    return format_html(
        '<span class="badge-state tone-{}">{}<span>{}</span></span>', tone, icon(picture, "icon-sm"), word
    )


@register.filter
def state_word(value: str) -> str:
    return str(STATES.get(value, (value,))[0])


@register.filter
def role_word(value: str) -> str:
    return str(ROLE_WORDS.get(value, value))


@register.filter
def way_word(value: str) -> str:
    return str(WAYS.get(value, value))


@register.filter
def kind_word(value: str) -> str:
    """What kind of container it is."""
    return str(ContainerKind(value).label) if value in ContainerKind.values else value


@register.filter
def restart_word(value: str) -> str:
    """When a container is started again by itself."""
    return str(RestartPolicy(value).label) if value in RestartPolicy.values else value


@register.filter
def verb(value: str) -> str:
    """``network.create`` as "created network"."""
    return str(VERBS.get(value, value))


@register.filter
def resource_word(kind: str) -> str:
    return str(RESOURCES.get(kind, (kind, ""))[0])


@register.filter
def owner_word(kind: str) -> str:
    return str(OWNERS.get(kind, kind))


@register.filter
def sentence(value: Any) -> str:
    """A stored sentence (``{"template", "params"}``) in the reader's language."""
    if isinstance(value, Text):
        return value.translated(_)
    if isinstance(value, Mapping):
        return Text.from_json(dict(value)).translated(_) if value.get("template") else ""
    return str(value or "")


@register.filter
def verdict_word(value: str) -> str:
    return str(VERDICT_WORDS.get(value, value))


@register.filter
def probe_word(value: str) -> str:
    return str(PROBE_WORDS.get(value, value))


@register.filter
def moment(value: Any) -> SafeString | str:
    """A time as "3 minutes ago", with the full time as its title."""
    when = datetime.fromisoformat(value) if isinstance(value, str) and value else value
    if not isinstance(when, datetime):
        return "—"
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>', when.isoformat(), clock(when), ago(timezone.now() - when)
    )


@register.filter
def clock(when: datetime) -> str:
    """A time to the second, in the reader's zone, which it names."""
    local = timezone.localtime(when)
    return f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname()}"


def ago(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    if seconds < 10:
        return _("just now")
    if seconds < 60:
        return ngettext("%(n)d second ago", "%(n)d seconds ago", seconds) % {"n": seconds}
    if seconds < 3600:
        return ngettext("%(n)d minute ago", "%(n)d minutes ago", seconds // 60) % {"n": seconds // 60}
    if seconds < 86400:
        return ngettext("%(n)d hour ago", "%(n)d hours ago", seconds // 3600) % {"n": seconds // 3600}
    return ngettext("%(n)d day ago", "%(n)d days ago", seconds // 86400) % {"n": seconds // 86400}


@register.filter
def day(value: str) -> str:
    """The date of a time."""
    return date_format(timezone.localtime(datetime.fromisoformat(value)), "DATE_FORMAT")


@register.filter
def at_work(operation: Mapping[str, Any]) -> str:
    """What an operation that is not through does now."""
    if operation["step"]:
        return str(operation["step"])
    if operation["state"] == "pending":
        return _("waiting for the worker")
    return str(WAITS.get(operation["verb"], _("at work")))


@register.filter
def lasted(operation: Mapping[str, Any]) -> str:
    """How long an operation took; nothing while it runs."""
    if not operation.get("started_at") or not operation.get("finished_at"):
        return ""
    span = datetime.fromisoformat(operation["finished_at"]) - datetime.fromisoformat(operation["started_at"])
    ms = span.total_seconds() * 1000
    return _("{n} ms").format(n=round(ms)) if ms < 1000 else _("{n} s").format(n=round(ms / 1000, 1))


@register.filter
def setting(value: Any) -> str:
    """A setting's value as a person would say it."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    return str(value) or "—"


@register.filter
def size(value: int | None) -> str:
    return "—" if value is None else filesizeformat(value)


@register.filter
def mode(value: str) -> str:
    """A network mode with a container's id cut short."""
    head, colon, tail = value.partition(":")
    return f"{head}:{tail[:12]}" if colon and len(tail) == 64 else value


@register.filter
def open_to(port: Mapping[str, Any]) -> str:
    """Who may call a published port: what is published on the loopback is heard by this host alone."""
    sources = ", ".join(port["allowed_sources"])
    address = port["host_address"]
    return sources or (_("this host alone") if address and ip_address(address).is_loopback else _("everybody"))


@register.filter
def short_id(value: str) -> str:
    return value[:12]


@register.filter
def may(user: Any, role: str) -> bool:
    """Whether a person has at least *role*."""
    order = ("viewer", "operator", "admin")
    return getattr(user, "role", "") in order[order.index(role) :]


@register.filter
def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: Any) -> str:
    """The page's own query with some values changed; an empty value takes one out."""
    values = context["request"].GET.copy()
    for name, value in changes.items():
        if value in ("", None):
            values.pop(name, None)
        else:
            values[name] = value
    return "?" + values.urlencode()


@register.simple_tag(takes_context=True)
def sort_head(context: Mapping[str, Any], key: str, label: str, kind: str = "") -> SafeString:
    """The head of a column that can be sorted, as a link that says how it is sorted now. *kind*: ``num`` above numbers."""
    now = context["listing"].sort
    kind = format_html(' class="{}"', kind) if kind else ""
    if now not in (key, f"-{key}"):
        return format_html(
            '<th scope="col"{}><a href="{}" data-sort>{}</a></th>', kind, query(context, sort=key, page=""), label
        )
    down = now.startswith("-")
    return format_html(
        '<th scope="col"{} aria-sort="{}"><a href="{}" data-sort>{} {}</a></th>',
        kind,
        "descending" if down else "ascending",
        query(context, sort=key if down else f"-{key}", page=""),
        label,
        icon("chevron-down" if down else "chevron-up", "icon-sm"),
    )


@register.inclusion_tag("partials/field.html", takes_context=True)
def row_field(
    context: Mapping[str, Any], rows: str, number: int, column: str, label: str, **attributes: Any
) -> dict[str, Any]:
    """A field of one row of a set: ``ports.3.host_port``."""
    return field(context, f"{rows}.{number}.{column}", label, **attributes)


@register.inclusion_tag("partials/field.html", takes_context=True)
def field(
    context: Mapping[str, Any], name: str, label: str, *, kind: str = "text", help: str = "", **attributes: Any
) -> dict[str, Any]:
    """A labelled input of the page's form, with what was typed and the sentence that refuses it."""
    form = context["form"]
    error = form.error(name)
    identity = "f-" + name
    described = [f"{identity}-help"] * bool(help) + [f"{identity}-error"] * bool(error)
    options = attributes.pop("options", None)
    hidden_label = attributes.pop("hidden_label", False)
    attributes = {key.replace("_", "-"): value for key, value in attributes.items() if value not in (None, "")}
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if error:
        attributes["aria-invalid"] = "true"
    return {
        "name": name,
        "id": identity,
        "label": label,
        "kind": kind,
        "help": help,
        "error": error,
        "remedy": form.remedy if error else "",
        "value": form.value(name),
        "checked": form.flag(name),
        "options": options,
        "hidden_label": hidden_label,
        "offer": context.get("offers", {}).get(name, "") if kind == "text" else "",
        "attributes": flatatt(attributes),
    }
