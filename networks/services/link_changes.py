"""A link with what follows from it: its files and rules are there at once, the environment only after a start of the recipient."""

from __future__ import annotations

from networks import feed
from networks.models import Container
from networks.models.choices import Wanted

from . import links
from .actor import Actor
from .containers import restart_container
from .operations import gathered
from .outcome import Outcome
from .second_look import with_second_look


@with_second_look
def link_anew(actor: Actor, recipient: Container, source: Container, alias: str = "") -> Outcome:
    """Link *recipient* to *source* and, if it runs, start it again so that its environment knows the link too: one operation."""
    with feed.transaction(actor.name), gathered("container.restart", recipient):
        outcome = links.link(actor, recipient, source, alias)
        recipient.refresh_from_db(fields=["wanted"])
        if recipient.wanted == Wanted.RUNNING:
            restart_container(actor, recipient)
        return outcome
