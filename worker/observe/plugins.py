"""What plugins hold for us, by the ledger of what they were told; and whether what they made of it is still there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from networks.cnm.desired import Joined
from networks.cnm.names import short
from networks.cnm.plugin_resources import PluginEndpoint, PluginJoin, PluginNode, PluginPorts
from networks.cnm.resources import OWNER_CODES, Key, Resource
from worker.kernel import rtnl
from worker.kernel.netlink import Netlink
from worker.kernel.netns import Namespaces
from worker.kernel.rtnl import Link
from worker.plugins.plugins import Plugins
from worker.plugins.told import Entry, Ledger

REPLAYED = frozenset({"pool", "lease", "plugin-node"})
"""What is told again to a plugin that was started anew: which hosts there are; and ranges and addresses, where it says that it does not
keep them (``RequiresRequestReplay``)."""


class PluginsObserver:
    """Reads the ledger, and looks for the interfaces that plugins made."""

    def __init__(self, plugins: Plugins, ledger: Ledger, host: Netlink, namespaces: Namespaces) -> None:
        self._plugins = plugins
        self._ledger = ledger
        self._host = host
        self._namespaces = namespaces

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """What of *keys* plugins were told; None: everything. Costs a look at the host's links and one into a sandbox for each
        endpoint that has joined."""
        entries = self._ledger.entries()
        asked = [entry for key, entry in entries.items() if not entry.owed and (keys is None or key in keys)]
        gone: dict[str, bool] = {}
        for entry in asked:
            resource = entry.resource
            if isinstance(resource, PluginEndpoint | PluginJoin | PluginPorts):
                if resource.endpoint_id not in gone:
                    gone[resource.endpoint_id] = self._is_lost(resource.endpoint_id)
                lost = gone[resource.endpoint_id]
                if not isinstance(resource, PluginPorts):
                    yield replace(resource, up=not lost)
                elif not lost:  # it goes with its endpoint when that is told anew
                    yield resource
            elif not self.is_forgotten(entry):
                yield resource

    def is_forgotten(self, entry: Entry) -> bool:
        """Whether the plugin was started anew since, and does not keep this."""
        plugin = self._plugins.known(entry.resource.plugin)
        if plugin is None or entry.resource.kind not in REPLAYED or plugin.address.identity == entry.instance:
            return False
        return plugin.forgets or entry.resource.kind == PluginNode.kind

    def _is_lost(self, endpoint_id: str) -> bool:
        """Whether an endpoint has joined, and its interface is neither on the host nor in its sandbox."""
        joined = self._ledger.get((PluginJoin.kind, endpoint_id))
        if joined is None or joined.owed or joined.answer is None or not isinstance(joined.resource, PluginJoin):
            return False
        source = Joined.from_json(joined.answer["joined"]).source
        if self.link(source) is not None:
            return False
        sandbox = self._namespaces.open(joined.resource.sandbox)
        if sandbox is None:
            return True
        tag = f"cnm:{OWNER_CODES['endpoint']}:{short(endpoint_id)}"
        with sandbox:
            found = (rtnl.read_link(message) for message in sandbox.netlink.dump(rtnl.list_links()))
            return all(link.alias != tag for link in found)

    def link(self, name: str) -> Link | None:
        """The host's link *name*, or None."""
        (answer,) = self._host.exchange([rtnl.get_link(name)])
        return rtnl.read_link(answer.data) if not answer.errno and answer.data is not None else None

    def leads_outside(self, link: Link) -> bool:
        """Whether a default route of the host goes by *link*."""
        for version in (4, 6):
            for message in self._host.dump(rtnl.list_routes(version)):
                route = rtnl.read_route(message)
                if route is not None and route.index == link.index and not route.destination.prefixlen:
                    return True
        return False
