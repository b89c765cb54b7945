"""What links of ours a host has whose other end is somebody else's to take.

Such a link is known by its name and by the end of its alias. Where its other end is by now is no concern of ours: with a Docker Engine's
sandbox it goes, and takes the host's end along.
"""

from __future__ import annotations

from collections.abc import Collection

from networks.cnm.resources import HandedVeth, Key
from worker.kernel import rtnl
from worker.kernel.netlink import Netlink
from worker.kernel.rtnl import Link

from .links import is_handed


class HandedObserver:
    """Reads the handed links of a host."""

    def __init__(self, host: Netlink) -> None:
        self._host = host

    def observe(self, keys: Collection[Key] | None) -> list[HandedVeth]:
        """What of *keys* exists; None: everything of ours. One datagram for the links, and one for their bridges."""
        if keys is None:
            links = [rtnl.read_link(message) for message in self._host.dump(rtnl.list_links("veth"))]
        else:
            links = [link for link in self.named(sorted(key[1] for key in keys)) if link is not None]
        ours = [link for link in links if is_handed(link)]
        bridges = sorted({link.master for link in ours if link.master})
        names = {link.index: link.name for link in self.named(bridges) if link is not None}
        return [
            HandedVeth(
                name=link.name, bridge=names.get(link.master, ""), mtu=link.mtu, hairpin=link.hairpin, up=link.up
            )
            for link in ours
        ]

    def named(self, links: Collection[str] | Collection[int]) -> list[Link | None]:
        """The host's *links*, by name or by index; None for each that there is not."""
        answers = self._host.exchange([rtnl.get_link(link) for link in links])
        return [
            rtnl.read_link(answer.data) if not answer.errno and answer.data is not None else None for answer in answers
        ]
