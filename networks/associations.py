"""The life of the keys by which hosts encrypt overlay networks: made, told to two hosts by the database, exchanged, forgotten.

A pair of hosts meets when both have live containers on an encrypted network; then each direction gets a security association. It is
exchanged in three steps (:mod:`networks.cnm.associations` says what each host holds meanwhile): the receiver takes the new one in and says
so; then the sender sends by it and says so; a while later the old one goes. Each step is an operation of one host, so a host that is cut
off goes on with what it has, keeps nobody else from the next step, and catches up by the one operation that waits for it.

An association is written into a kernel once: its numbers begin anew there, and under a key that has seen them they must not (RFC 4106
section 2), nor would the receiver take them. So what a kernel has lost is made anew (:func:`renew`).
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from . import feed, peers
from .cnm import associations as pure
from .cnm.errors import CnmError
from .cnm.options import read_options
from .models import Endpoint, Host, Network, SecurityAssociation
from .models.choices import Wanted
from .represent import is_alive
from .sealing import seal, unseal

ACTOR = "worker"
GRACE = timedelta(seconds=30)
"""How long the old one stays after the sender has begun to send by the new one: longer than any packet is on the way."""

NUDGE = timedelta(minutes=1)
"""For how long a sender that did not go on by itself is told to, now and then."""

Pair = tuple[int, int]
"""(sender, receiver), by their numbers."""


def meet(host: Host, networks: Collection[str]) -> None:
    """Make associations between *host* and all whom it meets on *networks* (ids), where there are none. Inside ``feed.transaction``."""
    missing = _missing(host, _met(host, networks))
    _make(missing)
    _tell({end for pair in missing for end in pair})


def _met(host: Host, networks: Collection[str]) -> set[int]:
    """The hosts whom *host* meets on *networks*: both have live containers on one that is encrypted."""
    encrypted = _encrypted_among(networks)
    if not encrypted:
        return set()
    rows = Endpoint.objects.filter(network__in=encrypted, container__wanted=Wanted.RUNNING, removing=False)
    on: dict[int, set[str]] = defaultdict(set)
    for host_id, network_id in rows.order_by().values_list("container__host_id", "network_id").distinct():
        on[host_id].add(network_id)
    return {other for other, there in on.items() if other != host.pk and there & on.get(host.pk, set())}


def _missing(host: Host, met: Collection[int]) -> list[Pair]:
    """The directions between *host* and those whom it has *met* that have no association."""
    if not met:
        return []
    known = set(_of(host).values_list("sender_id", "receiver_id"))
    return [pair for other in sorted(met) for pair in ((host.pk, other), (other, host.pk)) if pair not in known]


def begin(host: Host, numbers: Collection[int]) -> None:
    """*host* is about to write these, which it sends by, into its kernel. To be called before it does."""
    if numbers:
        rows = SecurityAssociation.objects.filter(pk__in=numbers, sender=host, begun_at=None)
        rows.update(begun_at=timezone.now())


def confirm(host: Host, *, receives: Collection[int], sends: Collection[int], keeps: Collection[int]) -> None:
    """*host* was seen to hold *receives*, to send by *sends*, and to hold *keeps* of those that it sends by. Inside ``feed.transaction``.

    What it had begun to send by and holds no more is over.
    """
    now = timezone.now()
    rows = list(_of(host))
    held = [row for row in rows if row.receiver_id == host.pk and row.held_at is None and row.pk in receives]
    sent_by = [row for row in rows if row.sender_id == host.pk]
    used = [row.pk for row in sent_by if row.used_at is None and row.pk in sends]
    over = [row.pk for row in sent_by if row.begun_at is not None and row.pk not in keeps]
    for numbers, seen in (([row.pk for row in held], "held_at"), (used, "used_at")):
        if numbers:
            SecurityAssociation.objects.filter(pk__in=numbers).update(**{seen: now})
    sent_by_others = {row.sender_id for row in rows if row.receiver_id == host.pk and row.used_at is not None}
    _tell_senders({row.sender_id for row in held} & sent_by_others)  # others send by it as soon as there is one
    if over:
        SecurityAssociation.objects.filter(pk__in=over).delete()
        meet(host, peers.shared_on(host))  # they may have met again meanwhile


def renew(host: Host, numbers: Collection[int]) -> None:
    """Make those of *host* anew that its kernel has lost, or that cannot be opened."""
    if not numbers:
        return
    with feed.transaction(ACTOR):
        lost = list(_of(host).filter(pk__in=numbers))
        SecurityAssociation.objects.filter(pk__in=[row.pk for row in lost]).delete()
        pairs = sorted({(row.sender_id, row.receiver_id) for row in lost})
        left = _by_pair(_of(host))
        # One that is on its way in takes the place of what is lost.
        _make(pair for pair in pairs if pair not in left or left[pair][-1].used_at is not None)
        _tell({end for pair in pairs for end in pair})


def renew_unreadable(host: Host) -> None:
    """Make those of *host* anew that were sealed under another secret: somebody has changed it."""
    renew(host, [row.pk for row in _of(host).select_related("sender", "receiver") if not _is_readable(row)])


def rotate() -> int:
    """Begin to exchange every key; of how many directions. Inside ``feed.transaction``.

    Where an exchange is under way it goes on, and no other is begun.
    """
    due = [pair for pair, rows in _by_pair(SecurityAssociation.objects.order_by("pk")).items() if rows[-1].used_at]
    _exchange(due)
    return len(due)


def tend(host: Host) -> None:
    """What *host* does now and then for what it sends by: forget what is over, begin an exchange that is due, go on with one."""
    pairs = _by_pair(SecurityAssociation.objects.filter(sender=host).order_by("pk"))
    shared, now = peers.shared_on(host), timezone.now()
    met = _met(host, shared)
    over, due, behind = [], [], False
    for pair, rows in pairs.items():
        at = max((place for place, row in enumerate(rows) if row.used_at is not None), default=None)
        if at is None:
            over += [row for row in rows if row.begun_at is None] if pair[1] not in met else []
            continue
        since = now - (rows[at].used_at or now)
        over += rows[:at] if since > GRACE else []
        behind |= any(row.held_at is not None and now - row.held_at < NUDGE for row in rows[at + 1 :])
        if at == len(rows) - 1 and since > timedelta(hours=settings.KEY_ROTATION_HOURS):
            due.append(pair)
    if not over and not due and not behind and not _missing(host, met):
        return  # nearly always: nobody else is kept from writing
    with feed.transaction(ACTOR):
        if over:
            SecurityAssociation.objects.filter(pk__in=[row.pk for row in over]).delete()
            _tell({end for row in over for end in (row.sender_id, row.receiver_id)})
        _exchange(due)
        _tell([host.pk] if behind else ())
        meet(host, shared)


def _exchange(pairs: Collection[Pair]) -> None:
    _make(pairs)
    _tell({receiver for _, receiver in pairs})  # the sender's turn comes when they hold it


def _make(pairs: Iterable[Pair]) -> None:
    wanted = list(pairs)
    names = dict(Host.objects.filter(pk__in={end for pair in wanted for end in pair}).values_list("pk", "name"))
    made = []
    for sender, receiver in wanted:
        key = secrets.token_bytes(pure.KEY_BYTES)
        sealed = seal(key, names[sender], names[receiver])
        made.append(
            SecurityAssociation(
                sender_id=sender, receiver_id=receiver, sealed=sealed, fingerprint=pure.fingerprint(key)
            )
        )
    SecurityAssociation.objects.bulk_create(made)


def _tell(hosts: Collection[int]) -> None:
    for host in Host.objects.filter(pk__in=hosts) if hosts else ():
        peers.tell(host, "peers", _encrypted_among(peers.shared_on(host)))


def _tell_senders(senders: Collection[int]) -> None:
    """Have *senders* go on, for whom every receiver that lives holds what it was given. One that is silent does so when it is back."""
    if not senders:
        return
    rows = SecurityAssociation.objects.filter(sender__in=senders, held_at=None).order_by()
    waiting = {host.pk for host in Host.objects.filter(pk__in=rows.values("receiver")) if is_alive(host)}
    wait = set(rows.filter(receiver__in=waiting).values_list("sender", flat=True)) if waiting else set()
    _tell({host.pk for host in Host.objects.filter(pk__in=senders) if host.pk not in wait or not is_alive(host)})


def _encrypted_among(networks: Collection[str]) -> set[str]:
    if not networks:
        return set()
    rows = Network.objects.filter(pk__in=networks, vni__isnull=False).order_by().values_list("pk", "options")
    return {pk for pk, options in rows if read_options(options).encrypted}


def _of(host: Host) -> QuerySet[SecurityAssociation]:
    return SecurityAssociation.objects.filter(Q(sender=host) | Q(receiver=host)).order_by("pk")


def _by_pair(rows: Iterable[SecurityAssociation]) -> dict[Pair, list[SecurityAssociation]]:
    found: dict[Pair, list[SecurityAssociation]] = defaultdict(list)
    for row in rows:
        found[row.sender_id, row.receiver_id].append(row)
    return dict(found)


def _is_readable(row: SecurityAssociation) -> bool:
    try:
        unseal(row.sealed, row.sender.name, row.receiver.name)
    except CnmError:
        return False
    return True
