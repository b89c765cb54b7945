"""The hosts that a plugin is to know of which joins hosts itself (libnetwork, ``docs/remote.md``: node discovery)."""

from __future__ import annotations

from collections.abc import Iterator

from networks.cnm.plugin_resources import PluginNode
from networks.cnm.resources import Resource
from networks.cnm.text import Text, gettext_noop
from worker.drivers import Surroundings, is_plugin

_OWN = gettext_noop("Tells plugin {plugin} by which address other hosts reach this one.")
_OTHER = gettext_noop("Tells plugin {plugin} of host {host}, which it joins this one with.")


def compile_nodes(around: Surroundings) -> Iterator[Resource]:
    """Every host, for each plugin that makes a network here and says that what it makes connects hosts."""
    here = [network for network in around.networks.values() if network.kept_here or network.id in around.occupied]
    for name in sorted({network.driver for network in here if is_plugin(network.driver)}):
        plugin = around.facts.plugin(name)
        if plugin is None or plugin.connectivity != "global":
            continue
        for host, address in around.host.nodes:
            own = host == around.host.id
            yield PluginNode(
                plugin=name,
                network_id="",
                address=str(address),
                own=own,
                owner=around.owner,
                why=Text.of(_OWN, plugin=name) if own else Text.of(_OTHER, plugin=name, host=host),
            )
