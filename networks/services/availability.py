"""Whether a host takes containers: one that is drained neither gets new ones nor starts those that it has."""

from __future__ import annotations

from networks.cnm.errors import Conflict
from networks.cnm.text import gettext_noop
from networks.composed import composed
from networks.models import Host

_state = composed(lambda pk: Host.objects.filter(pk=pk).values_list("drained", "removing")[:1])


def read_availability(host: Host) -> None:
    """Have *host* say what its row says now. Inside ``feed.transaction`` that stays true."""
    host.drained, host.removing = _state.first(host.pk) or (True, True)


def check_takes_containers(host: Host) -> None:
    """Raises :class:`Conflict` where *host*, as it was read last, is drained or about to leave."""
    if host.removing:
        raise Conflict(
            gettext_noop("Host {host} is being removed."),
            remedy=gettext_noop("Choose another host."),
            subject=f"host {host.name}",
            host=host.name,
        )
    if host.drained:
        raise Conflict(
            gettext_noop("Host {host} is drained: it takes no containers and starts none."),
            remedy=gettext_noop("Choose another host, or take this one up again (POST /hosts/{host}/activate)."),
            subject=f"host {host.name}",
            host=host.name,
        )
