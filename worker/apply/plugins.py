"""Telling plugins what there is to be: networks, endpoints, addresses; and taking it back.

Everything is in the ledger before a plugin hears of it. What a plugin could not be told to forget is *owed*: the removal goes on, and the
plugin is told when it answers again (:meth:`PluginsHandler.pay`), at the latest before it is told the same anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from networks.cnm.desired import Joined
from networks.cnm.errors import CnmError, NotFound, PluginRefused, Unavailable
from networks.cnm.plan import Step
from networks.cnm.plugin_resources import (
    TOLD,
    AddressLease,
    AddressPool,
    PluginAllocation,
    PluginEndpoint,
    PluginJoin,
    PluginNetwork,
    PluginNode,
    PluginPorts,
)
from networks.cnm.plugin_resources import Told as ToldResource
from networks.cnm.resources import Key, Resource
from networks.plugin_answers import Answers, PoolAnswer
from worker.handler import Done
from worker.kernel.netlink import Netlink
from worker.kernel.netns import Namespaces
from worker.observe.links import OUR_ALIAS
from worker.observe.plugins import PluginsObserver
from worker.plugins import addresses, words
from worker.plugins.plugins import Plugin, Plugins
from worker.plugins.told import Entry, Ledger
from worker.plugins.words import Nonsense

log = logging.getLogger(__name__)

UNSURE = (Unavailable, NotFound, PluginRefused)
"""The plugin was not heard to answer, is not there, or does not say what it is: what it knows of ours is not known."""
OF_ENDPOINT = (PluginPorts.kind, PluginJoin.kind, PluginEndpoint.kind)
"""What rests on an endpoint, and the endpoint: what is forgotten first stands first."""


class PluginsHandler:
    """What plugins hold for one host."""

    kinds = frozenset(TOLD)

    def __init__(self, plugins: Plugins, ledger: Ledger, netns_dir: str | Path = "/run/netns") -> None:
        self._plugins = plugins
        self._ledger = ledger
        self._namespaces = Namespaces(Path(netns_dir))
        self._uninformed: set[str] = set()
        self._observer = PluginsObserver(plugins, ledger, Netlink(), self._namespaces)
        self._tell: Mapping[str, Callable[[Plugin, Any], None]] = {
            PluginNode.kind: self._tell_node,
            AddressPool.kind: self._tell_pool,
            PluginAllocation.kind: self._tell_allocation,
            AddressLease.kind: self._tell_lease,
            PluginNetwork.kind: self._tell_network,
            PluginEndpoint.kind: self._tell_endpoint,
            PluginJoin.kind: self._tell_join,
            PluginPorts.kind: self._tell_ports,
        }

    def observe(self, keys: Collection[Key] | None) -> Iterable[Resource]:
        """See :class:`worker.observe.plugins.PluginsObserver`."""
        return self._observer.observe(keys)

    def apply(self, steps: Sequence[Step], done: Done) -> None:
        """Carry out *steps* one by one. A removal that the plugin does not hear of is done all the same, and owed. Nor does anything
        fail because a plugin does not hear of a host."""
        for step in steps:
            if step.before is not None:
                self._forget(step.key)
            if isinstance(step.after, PluginNode):
                self._inform(step.after)
            elif step.after is not None:
                assert isinstance(step.after, ToldResource)  # noqa: S101  # of our kinds
                plugin = self._plugins.named(step.after.plugin)
                self._forget(step.key, heard=True)
                self._tell[step.kind](plugin, step.after)
            done(step)

    def pay(self) -> int:
        """Tell plugins that answer again what they are owed; how many things that was."""
        count, silent = 0, set()
        for entry in self._ledger.owed():
            plugin = self._plugins.known(entry.resource.plugin)
            if plugin is None or plugin.gone or plugin.name in silent or not plugin.breaker.lets_through():
                continue
            try:
                self._take_back(entry)
                count += 1
            except UNSURE:
                silent.add(plugin.name)
        return count

    def _inform(self, node: PluginNode) -> None:
        try:
            self._tell_node(self._plugins.named(node.plugin), node)
            self._uninformed.discard(node.plugin)
        except UNSURE as error:
            log.warning("%s is not told of host %s: %s", node.plugin, node.address, error)
            self._uninformed.add(node.plugin)

    def answers(self) -> Answers:
        """Everything that plugins have said of what they hold for us."""
        found = Answers()
        for entry in self._ledger.entries().values():
            resource, answer = entry.resource, entry.answer
            if answer is None:
                continue
            if isinstance(resource, AddressPool):
                gateway = str(answer["gateway"]).partition("/")[0]
                found.pools.append(PoolAnswer(network_id=resource.network_id, subnet=answer["subnet"], gateway=gateway))
            elif isinstance(resource, PluginAllocation):
                found.allocated[resource.network_id] = dict(answer["options"])
            elif isinstance(resource, AddressLease):
                setattr(found.of(resource.endpoint_id), f"ipv{resource.version}", answer["address"])
            elif isinstance(resource, PluginEndpoint):
                of = found.of(resource.endpoint_id)
                of.mac = answer["mac"] or of.mac
                of.ipv4, of.ipv6 = answer["ipv4"] or of.ipv4, answer["ipv6"] or of.ipv6
            elif isinstance(resource, PluginJoin):
                found.of(resource.endpoint_id).joined = Joined.from_json(answer["joined"])
        return found

    def replays(self) -> bool:
        """Whether a plugin is well that is to be told again what it does not keep beyond its own end, or has not heard."""
        entries = self._ledger.entries().values()
        forgetful = {entry.resource.plugin for entry in entries if self._observer.is_forgotten(entry)}
        plugins = (self._plugins.known(name) for name in forgetful | self._uninformed)
        known = (plugin for plugin in plugins if plugin is not None and plugin.implements)
        return any(not plugin.gone and plugin.breaker.is_closed for plugin in known)

    def owed(self) -> Mapping[str, int]:
        """How much each plugin is owed; those that hold something for us are named in any case."""
        return self._ledger.by_plugin()

    # -- taking back -------------------------------------------------------------------------------------------------

    def _forget(self, key: Key, *, heard: bool = False) -> None:
        """Have the plugin forget *key*, and what rests on it. *heard*: raises where it does not hear, else it is owed."""
        for kind in OF_ENDPOINT if key[0] == PluginEndpoint.kind else (key[0],):
            entry = self._ledger.get((kind, *key[1:]))
            if entry is None:
                continue
            if not entry.owed:
                entry = replace(entry, answer=None)
                self._ledger.put(entry)
            try:
                self._take_back(entry)
            except UNSURE as error:
                if heard:
                    raise
                log.warning("%s is owed its end: %s", entry.resource.describe(), error)

    def _take_back(self, entry: Entry) -> None:
        """Tell the plugin, which may know nothing of it: then it says so, and all is well. Raises what UNSURE names."""
        plugin = self._plugins.named(entry.resource.plugin)
        for method, body in _endings(entry):
            try:
                plugin.ask(method, body)
            except PluginRefused as error:
                log.warning("%s: %s", entry.resource.describe(), error)
        self._ledger.drop(entry.resource.key)

    def _telling(self, plugin: Plugin, resource: ToldResource, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the plugin answers to being told of *resource*, which is owed from now on. One that refuses knows nothing of it."""
        self._ledger.put(Entry(resource, None, plugin.address.identity))
        try:
            return plugin.ask(method, body)
        except PluginRefused as error:
            if "unknown" in error.facts:
                self._ledger.drop(resource.key)
            else:  # it answered in words that mean nothing: it may have done it
                self._forget(resource.key)
            raise

    def _keep(self, plugin: Plugin, resource: ToldResource, answer: dict[str, Any], **undo: Any) -> None:
        self._ledger.put(Entry(resource, answer, plugin.address.identity, undo))

    # -- telling -----------------------------------------------------------------------------------------------------

    def _tell_node(self, plugin: Plugin, node: PluginNode) -> None:
        """One that does not know the call, or does not care, is told all the same, as with Docker."""
        try:
            self._telling(plugin, node, "NetworkDriver.DiscoverNew", words.node_said(node))
        except PluginRefused as error:
            log.info("%s: %s", node.describe(), error)
        self._keep(plugin, node, {})

    def _tell_allocation(self, plugin: Plugin, network: PluginAllocation) -> None:
        """One that does not know the call settles nothing (libnetwork says so, too)."""
        said = words.allocation_said(network, network.space or addresses.space_of(self._ledger, network.network_id))
        try:
            answer = self._telling(plugin, network, "NetworkDriver.AllocateNetwork", said)
            options = words.read_allocation(answer, dict(network.options))
        except Nonsense as nonsense:
            self._forget(network.key)
            raise plugin.babbles("NetworkDriver.AllocateNetwork", str(nonsense)) from nonsense
        except PluginRefused as error:
            if not error.facts.get("unknown"):
                raise
            options = dict(network.options)
        self._keep(plugin, network, {"options": options})

    def _tell_pool(self, plugin: Plugin, pool: AddressPool) -> None:
        addresses.tell_pool(plugin, self._ledger, pool, lambda: self._forget(pool.key))

    def _tell_lease(self, plugin: Plugin, lease: AddressLease) -> None:
        addresses.tell_lease(plugin, self._ledger, lease, lambda: self._forget(lease.key))

    def _tell_network(self, plugin: Plugin, network: PluginNetwork) -> None:
        self._telling(plugin, network, "NetworkDriver.CreateNetwork", self._network_said(plugin, network))
        self._keep(plugin, network, {})

    def _network_said(self, plugin: Plugin, network: PluginNetwork) -> dict[str, Any]:
        if plugin.checks_gateways and network.chosen_gateways:
            asked, method = {"Options": words.network_said(network, "")["Options"]}, "NetworkDriver.GwAllocCheck"
            try:
                network = words.without_gateways(network, plugin.ask(method, asked))
            except Nonsense as nonsense:
                raise plugin.babbles(method, str(nonsense)) from nonsense
        return words.network_said(network, network.space or addresses.space_of(self._ledger, network.network_id))

    def _tell_endpoint(self, plugin: Plugin, endpoint: PluginEndpoint) -> None:
        said = words.endpoint_said(endpoint, endpoint.mac or addresses.mac_of(self._ledger, endpoint.endpoint_id))
        try:
            answer = self._telling(plugin, endpoint, "NetworkDriver.CreateEndpoint", said)
        except PluginRefused as error:
            if not self._tell_again(plugin, endpoint.network_id):
                raise
            log.info("plugin %s was started anew and is told of its network again: %s", plugin.name, error)
            answer = self._telling(plugin, endpoint, "NetworkDriver.CreateEndpoint", said)
        try:
            settled = words.read_endpoint(answer, said)
        except Nonsense as nonsense:
            self._forget(endpoint.key)
            raise plugin.babbles("NetworkDriver.CreateEndpoint", str(nonsense)) from nonsense
        self._keep(plugin, endpoint, dict(settled))

    def _tell_again(self, plugin: Plugin, network_id: str) -> bool:
        """Tell a plugin that was started anew of a network that it may have forgotten; whether there was cause to."""
        entry = self._ledger.get((PluginNetwork.kind, network_id))
        if entry is None or entry.owed or entry.instance == plugin.address.identity:
            return False
        network = entry.resource
        assert isinstance(network, PluginNetwork)  # noqa: S101  # the key says so
        try:
            plugin.ask("NetworkDriver.CreateNetwork", self._network_said(plugin, network))
        except PluginRefused as error:
            log.info("plugin %s has kept network %s: %s", plugin.name, network_id, error)
        self._keep(plugin, network, {})
        return True

    def _tell_join(self, plugin: Plugin, join: PluginJoin) -> None:
        said = words.join_said(join, str(self._namespaces.path(join.sandbox)))
        try:
            answer = self._telling(plugin, join, "NetworkDriver.Join", said)
        except PluginRefused as error:
            if "unknown" in error.facts:
                self._leave(plugin, join)
            raise
        try:
            joined = words.read_join(answer)
            self._check_interface(joined.source, join)
        except Nonsense as nonsense:
            self._forget(join.key)
            raise plugin.babbles("NetworkDriver.Join", str(nonsense)) from nonsense
        joined = replace(joined, info=self._info(plugin, join))
        self._keep(plugin, join, {"joined": joined.to_json()})

    def _leave(self, plugin: Plugin, join: PluginJoin) -> None:
        """A join that was refused half-way may have left something (libnetwork says Leave then, too)."""
        self._ledger.put(Entry(join, None, plugin.address.identity))
        self._forget(join.key)

    def _check_interface(self, source: str, join: PluginJoin) -> None:
        """Raises Nonsense where the interface that a plugin names is none that can be given away."""
        link = self._observer.link(source)
        if link is None:
            raise Nonsense(f"the host has no interface {source}")
        if link.alias.startswith(OUR_ALIAS):
            raise Nonsense(f"the interface {source} is ours")
        if self._observer.leads_outside(link):
            raise Nonsense(f"the host reaches the outside by the interface {source}")

    def _info(self, plugin: Plugin, join: PluginJoin) -> tuple[tuple[str, str], ...]:
        """What else it says of the endpoint; nothing where it will not say."""
        try:
            value = plugin.ask("NetworkDriver.EndpointOperInfo", words.ids_said(join)).get("Value")
        except CnmError:
            return ()
        items = sorted(value.items()) if isinstance(value, Mapping) else ()
        return tuple((str(name)[:100], str(text)[:300]) for name, text in items)[:32]

    def _tell_ports(self, plugin: Plugin, ports: PluginPorts) -> None:
        said = words.ports_said(ports)
        try:
            self._telling(plugin, ports, "NetworkDriver.ProgramExternalConnectivity", said)
        except PluginRefused as error:
            if not error.facts.get("unknown"):
                raise
        self._keep(plugin, ports, {})


def _endings(entry: Entry) -> Iterable[tuple[str, dict[str, Any]]]:
    """The calls that take back what *entry* says."""
    resource = entry.resource
    if isinstance(resource, PluginNode):
        return [("NetworkDriver.DiscoverDelete", words.node_said(resource))]
    if isinstance(resource, PluginAllocation):
        return [("NetworkDriver.FreeNetwork", {"NetworkID": resource.network_id})]
    if isinstance(resource, PluginNetwork):
        return [("NetworkDriver.DeleteNetwork", {"NetworkID": resource.network_id})]
    if isinstance(resource, PluginEndpoint):
        return [("NetworkDriver.DeleteEndpoint", words.ids_said(resource))]
    if isinstance(resource, PluginJoin):
        return [("NetworkDriver.Leave", words.ids_said(resource))]
    if isinstance(resource, PluginPorts):
        return [("NetworkDriver.RevokeExternalConnectivity", words.ids_said(resource))]
    return addresses.endings(entry)
