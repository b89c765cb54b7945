"""Moments: who reached whom, kept to be compared with later."""

from __future__ import annotations

from networks import feed, reachability
from networks.cnm.errors import NotFound, Unavailable
from networks.cnm.text import gettext_noop
from networks.models import Host, Moment

from .actor import Actor, require
from .operations import record

MOST = 20
"""Moments of a host that are kept; the oldest goes when there are more."""


def keep_moment(actor: Actor, host: Host, note: str = "") -> Moment:
    """Keep who reaches whom now. Nothing changes in the kernel."""
    require(actor, "operator")
    found = reachability.matrix(host)
    if found is None:
        raise Unavailable(
            gettext_noop("The worker has not looked at the rules and the network of this host yet."),
            remedy=gettext_noop("Wait until it has started, then ask again."),
        )
    with feed.transaction(actor.name):
        moment = Moment.objects.create(host=host, by=actor.name, note=note, data=found)
        kept = Moment.objects.filter(host=host).values_list("pk", flat=True)[:MOST]
        Moment.objects.filter(host=host).exclude(pk__in=list(kept)).delete()
        record(actor, "moment.keep", moment, {"note": note})
    return moment


def find_moment(host: Host, number: int) -> Moment:
    moment = Moment.objects.filter(host=host, pk=number).first()
    if moment is None:
        raise NotFound(
            gettext_noop("No moment {number} was kept."),
            remedy=gettext_noop("See the list of moments."),
            field="since",
            number=number,
        )
    return moment
