"""The handler of the host's IPsec: security associations and policies. Here alone keys are opened, each when it is written."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable, Sequence

from networks.cnm.associations import REQID
from networks.cnm.errors import CnmError, Conflict
from networks.cnm.plan import Step
from networks.cnm.resources import Key, Resource, XfrmPolicy, XfrmState
from networks.cnm.text import gettext_noop
from worker.handler import Done
from worker.kernel import xfrm
from worker.kernel.netlink import Netlink
from worker.kernel.xfrm import Policy, Selector
from worker.observe.xfrm import XfrmObserver

from .batch import refused

Open = Callable[[XfrmState], bytes]
"""The key of a state, from what is sealed in it. Raises a CnmError where it cannot be opened."""
_GONE = (errno.ENOENT, errno.ESRCH)


class XfrmHandler:
    """Reads and writes states and policies in the namespace in which it was made."""

    kinds = frozenset({"xfrm-state", "xfrm-policy"})

    def __init__(self, open_key: Open) -> None:
        self._open = open_key
        try:
            self._host: Netlink | None = Netlink(xfrm.NETLINK_XFRM)
        except OSError:  # a kernel without CONFIG_XFRM_USER
            self._host = None
        self._observer = XfrmObserver(self._host)

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """What of *keys* exists now; None: everything of ours."""
        return self._observer.observe(keys)

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Carry out *steps*, one by one: what follows a refusal is not tried. Raises a CnmError that names the step."""
        for step in steps:
            if self._host is None:
                raise refused(step, errno.EPROTONOSUPPORT)
            if isinstance(step.resource, XfrmState):
                self._write_state(self._host, step)
            else:
                self._write_policy(self._host, step)
            done(step)

    def _write_state(self, host: Netlink, step: Step) -> None:
        if isinstance(step.before, XfrmState):
            gone = step.before
            _carry_out(host, step, xfrm.delete_state(gone.source, gone.destination, gone.spi), fine=_GONE)
        wanted = step.after
        if not isinstance(wanted, XfrmState):
            return
        selector = Selector.between(wanted.source, wanted.destination, wanted.port)
        _carry_out(host, step, xfrm.add_state(selector, wanted.spi, REQID, self._open(wanted)))
        self._observer.written[str(wanted.destination), wanted.spi] = wanted.fingerprint

    @staticmethod
    def _write_policy(host: Netlink, step: Step) -> None:
        resource = step.resource
        assert isinstance(resource, XfrmPolicy)  # noqa: S101  # the only other kind
        selector = Selector(resource.source, resource.destination, resource.port)
        if step.after is None:
            _carry_out(host, step, xfrm.delete_policy(resource.direction, selector), fine=_GONE)
            return
        reqid = 0 if resource.block else REQID
        policy = Policy(resource.direction, selector, resource.priority, resource.block, resource.spi, reqid)
        _carry_out(host, step, xfrm.set_policy(policy, replace=step.before is not None))


def _carry_out(host: Netlink, step: Step, message: bytes, *, fine: Collection[int] = ()) -> None:
    (answer,) = host.exchange([message])
    if answer.errno == errno.EEXIST:
        raise _taken(step)
    if answer.errno and answer.errno not in fine:
        raise refused(step, answer.errno, answer.cause)


def _taken(step: Step) -> CnmError:
    return Conflict(
        gettext_noop("The host's IPsec has a {resource} already, and it is not ours."),
        remedy=gettext_noop(
            "See who made it (ip xfrm state, ip xfrm policy), take it away there or leave that port to it"
            " (CNM_VXLAN_ENCRYPTED_PORT), then repair."
        ),
        subject=f"{step.resource.owner.kind} {step.resource.owner.name}".strip(),
        facts={"key": list(step.key)},
        resource=step.resource.describe(),
    )
