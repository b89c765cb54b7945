"""What links, sandboxes, addresses and routes of ours a host has now.

How ours are known:

- a bridge by its alias (``cnm:…``), or by the ledger where it was there before us and a network uses it by name;
- a VLAN sub-interface by its alias: one that was there before us has none, and networks stand on it as on any device;
- a sandbox by its name ``cnm-<12 hex>``; a veth by the name of its host end, ``cv<12 hex>``, together with its alias or with
  its other end in a sandbox: a device of somebody else may have that name too;
- a macvlan or ipvlan by its alias, in a sandbox; an interface that somebody else made by its alias there, and by the ledger, which
  knows what it was called on the host;
- an address on a bridge, a veth, a macvlan or an ipvlan of ours by the form that we give it: IPv4 with the subnet's broadcast address, IPv6
  without duplicate detection. An address that an admin or a container adds itself has neither, and is left alone;
  on a bridge that was there before us the ledger knows which addresses we added;
- a route by its link: default routes, and others with protocol ``static``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from networks.cnm.resources import (
    Address,
    Bridge,
    Interface,
    Ipvlan,
    Key,
    Macvlan,
    OnParent,
    Resource,
    Route,
    Sandbox,
    Veth,
    Vlan,
)
from worker.kernel import rtnl, sysctl
from worker.kernel.ledger import Ledger
from worker.kernel.netlink import Netlink
from worker.kernel.netns import Namespaces
from worker.kernel.netns import Sandbox as OpenSandbox
from worker.kernel.rtnl import Link, LinkAddress, LinkRoute
from worker.patience import pause_point

OUR_ALIAS = "cnm:"
HANDED = ":handed"
"""The end of the alias of a veth whose other end is somebody else's to take (:mod:`worker.observe.handed`)."""
OUR_VETH = re.compile(r"cv[0-9a-f]{12}\Z")
ON_PARENT = frozenset({Macvlan.kind, Ipvlan.kind})
VLANS = Path("/proc/net/vlan")
"""There where the kernel has 802.1q (``vlan_proc_init``, net/8021q/vlanproc.c)."""


@dataclass(frozen=True, slots=True)
class View:
    """One look into a sandbox."""

    name: str
    links: dict[int, Link]
    addresses: list[LinkAddress]
    routes: list[LinkRoute]
    sysctls: dict[str, str] = field(default_factory=dict)
    """Those that the ledger says we set: name with slashes -> value."""


class LinksObserver:
    """Reads the links of a host and of its sandboxes."""

    def __init__(self, host: Netlink, namespaces: Namespaces, ledger: Ledger) -> None:
        self._host = host
        self._namespaces = namespaces
        self._ledger = ledger

    def observe(self, keys: Collection[Key] | None) -> list[Resource]:
        """What of *keys* exists; None: everything of ours.

        Costs one datagram and its answers for the host's links, and four dumps for each sandbox that *keys* name.
        """
        names = self._namespaces.names() if keys is None else sorted(set(_sandboxes(keys)))
        look = _Look(self._host, self._namespaces, self._ledger.entries())
        if keys is None:
            look.whole_host()
        else:
            look.links_named({key[1] for key in keys if key[0] in {"bridge", "veth", "vlan"}} | _host_devices(keys))
        look.into(names)
        seen = [link for view in look.views.values() for link in view.links.values()]
        look.links_numbered({link.peer for link in seen if keys is not None or link.kind in ON_PARENT})
        if not look.all_peers_seen():
            look.into(name for name in self._namespaces.names() if name not in look.views)
        look.masters()
        look.parents()
        devices = [
            *look.bridges(),
            *look.vlans(),
            *look.sandboxes(),
            *look.veths(),
            *look.on_parents(),
            *look.interfaces(),
        ]
        found = [*devices, *look.addresses(), *look.routes()]
        if keys is None:
            return found
        wanted = set(keys)
        return [resource for resource in found if resource.key in wanted]


class _Look:
    """What one call has seen so far."""

    def __init__(self, host: Netlink, namespaces: Namespaces, ledger: dict[str, Any]) -> None:
        self._host = host
        self._namespaces = namespaces
        self._ledger = ledger
        self._by_name: dict[str, Link] = {}
        self._by_index: dict[int, Link] = {}
        self._whole = False
        self._empty: list[str] = []
        self.views: dict[str, View] = {}

    def whole_host(self) -> None:
        self._whole = True
        # A kernel that has not heard of a kind answers with the links of all kinds.
        for kind in ("bridge", "veth", *(["vlan"] if VLANS.is_dir() else [])):
            for message in self._host.dump(rtnl.list_links(kind)):
                self._keep(rtnl.read_link(message))

    def links_named(self, names: Iterable[str]) -> None:
        self._ask([name for name in names if name not in self._by_name])

    def links_numbered(self, numbers: Iterable[int]) -> None:
        self._ask([number for number in numbers if number and number not in self._by_index])

    def masters(self) -> None:
        """The bridges of the veths seen so far."""
        self.links_numbered({link.master for link in self._by_index.values()})

    def parents(self) -> None:
        """The devices that VLANs of ours are of."""
        self.links_numbered({link.peer for link in self._by_name.values() if _is_our_vlan(link)})

    def into(self, names: Iterable[str]) -> None:
        """Look into these sandboxes."""
        for name in names:
            pause_point()
            sandbox = self._namespaces.open(name)
            if sandbox is None:
                if self._namespaces.path(name).exists():
                    self._empty.append(name)
                continue
            with sandbox:
                self.views[name] = _view(name, sandbox.netlink, self._sysctls(sandbox, name))
            if sandbox_entry(name) in self._ledger and not self.adopted_path(name):
                # Its owner made it anew: what is in the old one is not there as far as the network goes.
                self.views[name] = View(name, {1: self.views[name].links[1]}, [], [])

    def _sysctls(self, sandbox: OpenSandbox, name: str) -> dict[str, str]:
        """The values now of the sysctls that we set in the sandbox *name*."""
        ours = [key for key in self._ledger if key.startswith(sysctls_entry(name, ""))]
        if not ours:
            return {}
        with self._namespaces.entered(sandbox.descriptor):
            return {item: sysctl.read(item) or "" for key in ours for item in self._ledger[key]}

    def all_peers_seen(self) -> bool:
        peers = self._peers()
        ours = (link for link in self._by_index.values() if OUR_VETH.match(link.name) and not is_handed(link))
        return all(link.index in peers for link in ours)

    def bridges(self) -> Iterator[Bridge]:
        for link in self._by_name.values():
            if self._is_our_bridge(link):
                yield Bridge(
                    name=link.name, mtu=link.mtu, route_localnet=link.route_localnet, ipv6=link.ipv6, up=link.up
                )

    def vlans(self) -> Iterator[Vlan]:
        for link in self._by_name.values():
            if _is_our_vlan(link):
                parent = self._by_index.get(link.peer)
                yield Vlan(
                    name=link.name,
                    parent=parent.name if parent else "",
                    number=link.vlan,
                    mtu=link.mtu,
                    up=link.up,
                )

    def sandboxes(self) -> Iterator[Sandbox]:
        for name, view in self.views.items():
            lo = view.links.get(1)
            path = self.adopted_path(name)
            ipv6 = bool(lo and lo.ipv6)
            if path and not self._adoption(name).get("ipv6"):
                ipv6 = False  # we did not ask for it: whether its owner has it on is no concern of ours
            yield Sandbox(name=name, ipv6=ipv6, adopted_path=path, up=bool(lo and lo.up))
        for name in self._empty:
            yield Sandbox(name=name, up=False)

    def adopted_path(self, name: str) -> str:
        """The path that *name* was adopted from; empty where another namespace stands there by now.

        A process's number may be given to a stranger: a path below ``/proc`` means what it meant when it was adopted.
        """
        path = str(self._adoption(name).get("path", ""))
        if not path or path.startswith("/proc/"):
            return path
        now = self._namespaces.identity(path)
        return path if now in {None, self._namespaces.identity(self._namespaces.path(name))} else ""

    def _adoption(self, name: str) -> dict[str, Any]:
        found = self._ledger.get(sandbox_entry(name))
        return found if isinstance(found, dict) else {}

    def veths(self) -> Iterator[Veth]:
        peers = self._peers()
        for link in self._by_name.values():
            led = OUR_VETH.match(link.name) and link.index in peers and not is_handed(link)
            if not is_our_veth(link) and not led:
                continue
            bridge = self._by_index.get(link.master)
            view, peer = peers.get(link.index, (None, None))
            yield Veth(
                name=link.name,
                bridge=bridge.name if bridge else "",
                sandbox=view.name if view else "",
                ifname=peer.name if peer else "",
                mac=peer.mac if peer else "",
                mtu=_mtu(link, peer, bridge),
                hairpin=link.hairpin,
                sysctls=self._set_on(link.name, view),
                up=link.up and bool(peer and peer.up),
            )

    def on_parents(self) -> Iterator[OnParent]:
        for view, link in self._ours_on_parents():
            parent = self._by_index.get(link.peer)
            common: dict[str, Any] = {
                "sandbox": view.name,
                "ifname": link.name,
                "parent": parent.name if parent else "",
                "mode": link.mode,
                "mtu": link.mtu,
                "sysctls": self._set_on(link.name, view),
                "up": link.up,
            }
            yield Ipvlan(flag=link.flag, **common) if link.kind == "ipvlan" else Macvlan(mac=link.mac, **common)

    def interfaces(self) -> Iterator[Interface]:
        for view, link in self._our_interfaces():
            entry = self._ledger[interface_entry(view.name, link.name)]
            yield Interface(
                sandbox=view.name,
                ifname=link.name,
                source=str(entry["source"]),
                mac=link.mac if entry["mac"] else "",
                sysctls=self._set_on(link.name, view),
                up=link.up,
            )

    def _set_on(self, veth: str, view: View | None) -> tuple[tuple[str, str], ...]:
        ours = self._ledger.get(sysctls_entry(view.name, veth), ()) if view is not None and view.sysctls else ()
        return tuple((name, view.sysctls[name]) for name in sorted(ours)) if view is not None else ()

    def addresses(self) -> Iterator[Address]:
        for link in self._by_name.values():
            if self._is_our_bridge(link):
                for item in map(rtnl.read_address, self._host.dump(rtnl.list_addresses(link.index))):
                    address = Address(device=link.name, address=item.address)
                    if self._is_our_address(address, item):
                        yield address
        for view, device in self._our_devices():
            for item in view.addresses:
                if item.index == device.index and (_has_our_form(item) or not self._whole):
                    yield Address(sandbox=view.name, device=device.name, address=item.address)

    def _is_our_address(self, address: Address, item: LinkAddress) -> bool:
        if bridge_entry(address.device) in self._ledger:
            return address_entry(address) in self._ledger
        return _has_our_form(item) or not self._whole

    def routes(self) -> Iterator[Route]:
        for view, device in self._our_devices():
            seen = set()
            for item in sorted(view.routes, key=lambda route: route.metric):
                by_default = item.destination.prefixlen == 0 and item.gateway is not None
                ours = by_default or item.protocol == rtnl.RTPROT_STATIC
                if item.index == device.index and ours and item.destination not in seen:
                    seen.add(item.destination)
                    yield Route(
                        sandbox=view.name, destination=item.destination, gateway=item.gateway, device=device.name
                    )

    def _our_devices(self) -> list[tuple[View, Link]]:
        """The links in sandboxes that are ours: those on a device of the host, and those whose other end is a veth of ours on the host."""
        plugged = [
            peer
            for index, peer in self._peers().items()
            if index in self._by_index and OUR_VETH.match(self._by_index[index].name)
        ]
        return plugged + self._ours_on_parents() + self._our_interfaces()

    def _our_interfaces(self) -> list[tuple[View, Link]]:
        return [
            (view, link)
            for view in self.views.values()
            for link in view.links.values()
            if link.alias.startswith(OUR_ALIAS) and interface_entry(view.name, link.name) in self._ledger
        ]

    def _ours_on_parents(self) -> list[tuple[View, Link]]:
        return [
            (view, link)
            for view in self.views.values()
            for link in view.links.values()
            if link.kind in ON_PARENT and link.alias.startswith(OUR_ALIAS)
        ]

    def _peers(self) -> dict[int, tuple[View, Link]]:
        """Index of a host's link -> its other end and the sandbox that it is in.

        Both ends name each other; an index alone could be that of a link in a third namespace.
        """
        return {
            link.peer: (view, link)
            for view in self.views.values()
            for link in view.links.values()
            if link.kind == "veth" and link.peer in self._by_index and self._by_index[link.peer].peer == link.index
        }

    def _is_our_bridge(self, link: Link) -> bool:
        return link.kind == "bridge" and (link.alias.startswith(OUR_ALIAS) or bridge_entry(link.name) in self._ledger)

    def _ask(self, links: Collection[str] | Collection[int]) -> None:
        for answer in self._host.exchange([rtnl.get_link(link) for link in links]):
            if not answer.errno and answer.data is not None:
                self._keep(rtnl.read_link(answer.data))

    def _keep(self, link: Link) -> None:
        self._by_name[link.name] = link
        self._by_index[link.index] = link


def _is_our_vlan(link: Link) -> bool:
    return link.kind == "vlan" and link.alias.startswith(OUR_ALIAS)


def is_our_veth(link: Link) -> bool:
    """By its name and its alias, which it has from the moment of its birth."""
    return _has_our_names(link) and not link.alias.endswith(HANDED)


def is_handed(link: Link) -> bool:
    """Whether *link* is a veth of ours whose other end is somebody else's to take."""
    return _has_our_names(link) and link.alias.endswith(HANDED)


def _has_our_names(link: Link) -> bool:
    return link.kind == "veth" and bool(OUR_VETH.match(link.name)) and link.alias.startswith(OUR_ALIAS)


def _view(name: str, netlink: Netlink, sysctls: dict[str, str]) -> View:
    links = [rtnl.read_link(message) for message in netlink.dump(rtnl.list_links())]
    addresses = [rtnl.read_address(message) for message in netlink.dump(rtnl.list_addresses())]
    versions = (4, 6) if any(link.ipv6 for link in links) else (4,)
    routes = [rtnl.read_route(message) for version in versions for message in _routes(netlink, version)]
    return View(
        name,
        {link.index: link for link in links},
        addresses,
        [route for route in routes if route is not None],
        sysctls,
    )


def _routes(netlink: Netlink, version: int) -> list[memoryview]:
    try:
        return netlink.dump(rtnl.list_routes(version))
    except FileNotFoundError:  # a namespace in which no link was ever up has no routing table yet
        return []


def _mtu(link: Link, peer: Link | None, bridge: Link | None) -> int:
    """Of two ends that differ the one that departs from the bridge's MTU, which both should have."""
    if peer is None or peer.mtu == link.mtu:
        return link.mtu
    return link.mtu if bridge is not None and peer.mtu == bridge.mtu else peer.mtu


def _has_our_form(item: LinkAddress) -> bool:
    if not item.permanent:
        return False
    if item.address.version == 6:
        return item.nodad and not item.address.is_link_local
    return item.broadcast == rtnl.broadcast_of(item.address)


def bridge_entry(name: str) -> str:
    """The ledger's name for what a bridge was before a network of ours used it."""
    return f"bridge {name}"


def sandbox_entry(name: str) -> str:
    """The ledger's name for the adoption of a sandbox: ``{"path": where from, "ipv6": whether we asked for it}``."""
    return f"adopted {name}"


def sysctls_entry(sandbox: str, device: str) -> str:
    """The ledger's name for the names of the sysctls that we set on a macvlan or ipvlan, or on the inner end of a veth, called *device*."""
    return f"sysctls {sandbox} {device}"


def interface_entry(sandbox: str, ifname: str) -> str:
    """The ledger's name for an interface that somebody else made: ``{"source": its name on the host, "mac": whether we set it}``."""
    return f"interface {sandbox} {ifname}"


def address_entry(address: Address) -> str:
    """The ledger's name for an address on a bridge that was there before us."""
    return f"address {address.device} {address.address}"


def _sandboxes(keys: Iterable[Key]) -> Iterator[str]:
    for kind, first, *_ in keys:
        if kind in {"sandbox", "address", "route", *ON_PARENT, "interface"} and first:
            yield first


def _host_devices(keys: Iterable[Key]) -> set[str]:
    return {key[2] for key in keys if key[0] == "address" and not key[1]}
