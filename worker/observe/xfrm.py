"""What states and policies of ours the host's IPsec has: known by the mark (``reqid``) that they carry, or by their priority."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from networks.cnm.associations import REQID, REST_PRIORITY, fingerprint
from networks.cnm.resources import Key, Resource, XfrmPolicy, XfrmState
from worker.kernel import xfrm
from worker.kernel.netlink import Netlink
from worker.kernel.xfrm import Policy


class XfrmObserver:
    """Reads the IPsec of a host; *host*: None where its kernel has none."""

    def __init__(self, host: Netlink | None) -> None:
        self._host = host
        self.written: dict[tuple[str, int], str] = {}
        """Destination and SPI -> fingerprint, of what this process has written: a kernel that is locked down tells no keys."""

    def observe(self, keys: Collection[Key] | None) -> list[Resource]:
        """What of *keys* exists; None: everything of ours. Two dumps."""
        if self._host is None or (keys is not None and not keys):
            return []
        found: list[Resource] = [*self._states(self._host), *self._policies(self._host)]
        if keys is None:
            return found
        wanted = set(keys)
        return [resource for resource in found if resource.key in wanted]

    def _states(self, host: Netlink) -> Iterator[XfrmState]:
        for message in host.dump(xfrm.list_states()):
            state = xfrm.read_state(message)
            if state is not None and state.reqid == REQID:
                told = any(state.key)
                seen = fingerprint(state.key) if told else self.written.get((str(state.destination), state.spi), "")
                yield XfrmState(
                    source=state.source,
                    destination=state.destination,
                    spi=state.spi,
                    port=state.port,
                    fingerprint=seen,
                )

    @staticmethod
    def _policies(host: Netlink) -> Iterator[XfrmPolicy]:
        for message in host.dump(xfrm.list_policies()):
            policy = xfrm.read_policy(message)
            if policy is not None and is_ours(policy):
                yield XfrmPolicy(
                    direction=policy.direction,
                    source=policy.selector.source,
                    destination=policy.selector.destination,
                    port=policy.selector.port,
                    priority=policy.priority,
                    block=policy.block,
                    spi=policy.spi,
                )


def is_ours(policy: Policy) -> bool:
    """One that blocks demands no state, so nothing but its priority tells."""
    return policy.reqid == REQID or (policy.block and policy.priority == REST_PRIORITY)
